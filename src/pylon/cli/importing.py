"""Import rows into a running server: `pylon import rows.ndjson Note`, `pylon import notes.csv Note`,
`pylon import everything.ndjson`, `pylon import export.json`.

NDJSON and CSV may be of any size. With `--id` the server remembers how far the import has come: run the same command
again after anything went wrong, and it goes on from there. Every row passes the write path: it is live on clients, and
stands in the change log and the audit log.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pylon.cli.exits import Exit
from pylon.cli.output import Output, failure, finding
from pylon.cli.progress import Advance, bytes_moved
from pylon.cli.remote import Remote, RemoteError, add_remote_options, segment
from pylon.model.csv_rows import split_records
from pylon.model.findings import Severity

_CHUNK = 256 * 1024
_TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv", "json": "application/json"}
_SUFFIXES = {".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".json": "json"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="what to import")
    parser.add_argument("entity", nargs="?", help="whose rows these are; not for files that name it themselves")
    parser.add_argument("--format", choices=list(_TYPES), help="how rows stand in the file (default: by its suffix)")
    parser.add_argument(
        "--on-error", choices=["stop", "skip"], default="stop", help="what a refused row means (default stop)"
    )
    parser.add_argument("--id", metavar="NAME", help="name of this import, to go on where it stopped")
    add_remote_options(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    path = Path(options.file).expanduser()
    how = options.format or _SUFFIXES.get(path.suffix.lower())
    if how is None or not path.is_file():
        what = "there is no such file" if not path.is_file() else "can't tell the format by its name"
        output.report([failure("USAGE", f"{options.file}: {what}", "Name it with --format.")])
        return Exit.USAGE
    if how == "csv" and options.entity is None:
        output.report([failure("USAGE", "CSV holds one entity: name it", f"`pylon import {options.file} Note`")])
        return Exit.USAGE
    remote = Remote.from_options(options)
    taken = _taken(remote, options.id)
    target = f"/api/import/{segment(options.entity)}" if options.entity else "/api/import"
    query = {"format": how, "on_error": options.on_error, "import_id": options.id, "from": taken or None}
    with bytes_moved(output, f"import {path.name}", path.stat().st_size) as advance:
        report = remote.upload(target, _source(path, how, taken, advance), _TYPES[how], **query)
    return _tell(report, output)


def _taken(remote: Remote, import_id: str | None) -> int:
    """How many rows of the source are in already."""
    if import_id is None:
        return 0
    try:
        return int(remote.get(f"/api/imports/{segment(import_id)}")["lines"])
    except RemoteError as error:
        if error.status == 404:
            return 0
        raise


def _source(path: Path, how: str, taken: int, advance: Advance) -> Iterator[bytes]:
    """The file's bytes, without the rows that are in; a CSV's header always comes first."""
    chunks = _chunks(path, advance)
    if not taken or how == "json":
        yield from chunks
        return
    yield from _behind(chunks, taken, header=how == "csv")


def _chunks(path: Path, advance: Advance) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            yield chunk
            advance(len(chunk))


def _behind(chunks: Iterable[bytes], taken: int, *, header: bool) -> Iterator[bytes]:
    rest = b""
    left = taken + header
    for chunk in chunks:
        if not left:
            yield rest + chunk
            rest = b""
            continue
        records, rest = split_records(rest + chunk) if header else _lines(rest + chunk)
        if header and records and left == taken + 1:
            yield records[0] + b"\n"
        skipped = min(left, len(records))
        left -= skipped
        if kept := records[skipped:]:
            yield b"\n".join(kept) + b"\n"
    if not left:
        yield rest


def _lines(data: bytes) -> tuple[list[bytes], bytes]:
    *lines, rest = data.split(b"\n")
    return [line for line in lines if line and not line.isspace()], rest


def _tell(report: dict[str, Any], output: Output) -> int:
    failures = report.get("failures", [])
    output.report(
        [finding(Severity.WARNING, told["code"], f"row {told['line']}: {told['message']}") for told in failures]
    )
    failed = f", {report['failed']} refused" if report["failed"] else ""
    output.answer({"code": "IMPORT_OK", **report}, f"  info[IMPORT_OK] {report['imported']} rows imported{failed}")
    return Exit.FAILED if report["failed"] else Exit.OK
