"""Show what a running server logged lately: the lines that its memory holds, oldest first.

Warnings and errors are kept longer than the rest. Secrets are masked.
"""

from __future__ import annotations

import argparse

from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.cli.remote import Remote, add_remote_options
from pylon.settings import LogLevel


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=30.0, help="how far back (default 30)")
    parser.add_argument(
        "--level", choices=[level.value for level in LogLevel], default="debug", help="lowest level that is shown"
    )
    add_remote_options(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    told = Remote.from_options(options).get("/api/admin/logs", minutes=options.minutes, level=options.level)
    lines = [line["text"] for line in told["lines"]]
    if told["dropped"]:
        lines.append(f"({told['dropped']} lines were dropped since the start: stderr did not keep up)")
    output.answer(told, "\n".join(lines) if lines else "nothing was logged in that time")
    return Exit.OK
