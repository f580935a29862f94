"""Print the version."""

from __future__ import annotations

import argparse

from pylon.cli.exits import Exit
from pylon.cli.output import Output


def configure(parser: argparse.ArgumentParser) -> None:
    """No options."""


def run(options: argparse.Namespace, output: Output) -> int:
    version = installed_version()
    output.answer({"version": version}, f"pylon {version}")
    return Exit.OK


def installed_version() -> str:
    """The version of the installed distribution."""
    from importlib.metadata import version

    return version("pylon")
