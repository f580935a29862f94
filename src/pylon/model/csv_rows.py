"""Rows as CSV (RFC 4180): records out of bytes that arrive in pieces, cells to values and back.

An empty cell is null, and the empty string where a string is required; JSON and vectors stand as JSON text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import msgspec

from pylon.model.errors import PylonError
from pylon.model.schema import EntitySpec, Field, Kind

_BOOLS = {"true": True, "false": False, "1": True, "0": False}


def split_records(data: bytes) -> tuple[list[bytes], bytes]:
    """The complete records at the front of the bytes, and the rest. A record ends at a line end
    outside quotes; blank lines are none."""
    records: list[bytes] = []
    held = b""
    *lines, rest = data.split(b"\n")
    for line in lines:
        held = held + b"\n" + line if held else line
        if held.count(b'"') % 2 == 0:
            if held and not held.isspace():
                records.append(held)
            held = b""
    return records, held + b"\n" + rest if held else rest


def parse_record(record: bytes) -> list[str]:
    """The cells of one record. Raises INVALID_DATA for what is no UTF-8 and no CSV."""
    try:
        return next(csv.reader(io.StringIO(record.decode().rstrip("\r"), newline=""), strict=True), [])
    except (UnicodeDecodeError, csv.Error):
        raise PylonError("INVALID_DATA", "not a CSV record in UTF-8") from None


def reader_of(entity: EntitySpec, header: Sequence[str]) -> Callable[[bytes], dict[str, Any]]:
    """What turns a record into a row's object, under this header. Raises INVALID_COLUMN for a strange one."""
    fields = [_field(entity, name) for name in header]

    def read(record: bytes) -> dict[str, Any]:
        cells = parse_record(record)
        if len(cells) != len(fields):
            raise PylonError("INVALID_DATA", f"expected {len(fields)} cells, got {len(cells)}")
        return {name: _value(field, cell) for name, field, cell in zip(header, fields, cells, strict=True)}

    return read


def write_records(names: Sequence[str], rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """CSV text of the rows, without a header."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in names])
    yield text.getvalue()


def header_of(names: Sequence[str]) -> str:
    """The first record of a file of these columns."""
    text = io.StringIO(newline="")
    csv.writer(text).writerow(names)
    return text.getvalue()


def _field(entity: EntitySpec, name: str) -> Field | None:
    field = entity.field(name)
    if field is None and name != "id":
        raise PylonError("INVALID_COLUMN", f'Unknown column "{name[:100]}" in the header of {entity.name}')
    return field


def _value(field: Field | None, cell: str) -> Any:
    if cell == "":
        is_text = field is not None and field.kind in (Kind.STRING, Kind.RICHTEXT) and not field.optional
        return "" if is_text else None
    if field is None:
        return cell
    try:
        match field.kind:
            case Kind.INT:
                return int(cell)
            case Kind.FLOAT:
                return float(cell)
            case Kind.BOOL:
                return _BOOLS[cell.lower()]
            case Kind.JSON | Kind.VECTOR:
                return msgspec.json.decode(cell)
    except (ValueError, KeyError, msgspec.MsgspecError):
        raise PylonError("INVALID_DATA", f"{field.name}: {cell[:60]!r} is no {field.kind.value}") from None
    return cell


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | dict):
        return msgspec.json.encode(value).decode()
    return str(value)
