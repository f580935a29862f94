"""The `pylon` command: finds the command, runs it, and turns every failure into a sentence and an exit code.

A command is a module with `SUMMARY`, `configure(parser)` and `run(options, output) -> int`; it is imported only when it
is called, so that `pylon start` pays for nothing else. argparse, because typer and rich cost 60 ms of every start.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from pylon.cli.exits import Exit
from pylon.cli.output import Output, choose_output

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (without the program's name); the exit code. Never raises for what a user did."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    output = choose_output(words, os.environ)
    words = [word for word in words if word != "--json"]
    try:
        return _run(words, output)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    finally:
        output.close()


def _run(words: list[str], output: Output) -> int:
    from pylon.cli import commands

    name, rest = commands.split(words)
    if name is None:
        return commands.without_name(words, output)
    command = commands.find(name) or commands.installed(name)
    if command is None:
        return commands.unknown(name, output)
    return commands.call(command, rest, output)
