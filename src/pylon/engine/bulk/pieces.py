"""Cutting a stream of bytes into rows, and rows into batches, in constant memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

from pylon.engine.bulk.importing import BATCH_BYTES, BATCH_ROWS
from pylon.model.errors import PylonError

MAX_ROW_BYTES = 16 * 2**20

Split = Callable[[bytes], tuple[list[bytes], bytes]]
"""The complete rows at the front of the bytes, and the rest."""


def split_lines(data: bytes) -> tuple[list[bytes], bytes]:
    """NDJSON: one row a line; blank lines are none."""
    *lines, rest = data.split(b"\n")
    return [line for line in lines if line and not line.isspace()], rest


async def batches(chunks: AsyncIterator[bytes], split: Split) -> AsyncIterator[list[bytes]]:
    """The stream's rows, in batches of a size that holds the writer for some milliseconds. Raises PAYLOAD_TOO_LARGE for
    a row without an end."""
    rows: list[bytes] = []
    size = 0
    rest = b""
    async for chunk in chunks:
        complete, rest = split(rest + chunk)
        if len(rest) > MAX_ROW_BYTES:
            raise PylonError("PAYLOAD_TOO_LARGE", f"A row is larger than {MAX_ROW_BYTES} bytes")
        for row in complete:
            rows.append(row)
            size += len(row)
            if len(rows) >= BATCH_ROWS or size >= BATCH_BYTES:
                yield rows
                rows, size = [], 0
    complete, _ = split(rest + b"\n")
    rows += complete
    if rows:
        yield rows
