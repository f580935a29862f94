"""Export rows of a running server: `pylon export > all.ndjson`, `pylon export Note -o notes.csv`.

NDJSON without an entity names it on each line, and `pylon import` takes it back. Rows written meanwhile are in it or
not: what must be of one moment is a backup's (`pylon backup`).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure
from pylon.cli.progress import bytes_moved
from pylon.cli.remote import Remote, add_remote_options, segment

_SUFFIXES = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".json": "json"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("entity", nargs="?", help="one entity (default: all of them)")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write (default: standard output)")
    parser.add_argument(
        "--format", choices=["ndjson", "csv", "json"], help="default: by the file's suffix, else ndjson"
    )
    parser.add_argument("--fields", choices=["public", "all"], default="public", help="all adds serverOnly fields")
    add_remote_options(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    target = None if options.output is None else Path(options.output).expanduser()
    how = options.format or (_SUFFIXES.get(target.suffix.lower()) if target else None) or "ndjson"
    if how == "csv" and options.entity is None:
        output.report([failure("USAGE", "CSV holds one entity: name it", "`pylon export Note -o notes.csv`")])
        return Exit.USAGE
    path = f"/api/export/{segment(options.entity)}" if options.entity else "/api/export"
    written = 0
    remote = Remote.from_options(options)
    with bytes_moved(output, "export", None) as advance, _opened(target) as file:
        for piece in remote.stream(path, format=how, fields=options.fields):
            file.write(piece)
            written += len(piece)
            advance(len(piece))
    if target is not None:
        output.answer(
            {"code": "EXPORT_OK", "file": str(target), "bytes": written}, f"  info[EXPORT_OK] {target}: {written} bytes"
        )
    return Exit.OK


@contextmanager
def _opened(target: Path | None) -> Iterator[IO[bytes]]:
    """The file, which has its name only once it is whole; standard output without one."""
    if target is None:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    part = target.with_name(f"{target.name}.part-{os.getpid()}")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
