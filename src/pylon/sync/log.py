"""Changes out of the log, as they were when they were committed."""

from __future__ import annotations

from pylon.model.change import Change
from pylon.model.rows import RowTypes
from pylon.store.protocol import LogEntry


def change_of(types: RowTypes, entry: LogEntry) -> Change:
    """The change that a log entry records."""
    return Change(
        types,
        entry.entity,
        entry.row_id,
        entry.kind,  # type: ignore[arg-type]
        types.parse(entry.data),
        entry.data,
        types.parse(entry.prev) if entry.prev is not None and entry.kind == "update" else None,
        entry.prev,
        entry.seq,
        entry.timestamp,
    )
