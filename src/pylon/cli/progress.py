"""A progress bar where people watch: on a terminal, and never beside `--json`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pylon.cli.output import HumanOutput, Output

Advance = Callable[[int], None]
"""Told of bytes that were moved since the last time."""


@contextmanager
def bytes_moved(output: Output, what: str, total: int | None) -> Iterator[Advance]:
    """A bar of bytes; without a total it counts."""
    if not isinstance(output, HumanOutput) or not sys.stderr.isatty():
        yield lambda moved: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda moved: bar.advance(task, moved)
