"""Show the level from which a running server logs, or change it until its next start."""

from __future__ import annotations

import argparse

from pylon.cli.exits import Exit
from pylon.cli.output import Output
from pylon.cli.remote import Remote, add_remote_options
from pylon.settings import LogLevel

_PATH = "/api/admin/log-level"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("level", nargs="?", choices=[level.value for level in LogLevel], help="the level to log from")
    add_remote_options(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    remote = Remote.from_options(options)
    told = remote.put(_PATH, {"level": options.level}) if options.level else remote.get(_PATH)
    was = f" (was {told['before']})" if "before" in told else ""
    output.answer(told, f"{told['level']}{was}")
    return Exit.OK
