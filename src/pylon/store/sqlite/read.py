"""One read connection: JSON built in SQL, snapshots, deadlines, and the change log."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from pylon.store.protocol import AuditBlock, LogEntry, LoggedOp
from pylon.store.selection import Selection
from pylon.store.sqlite import system
from pylon.store.sqlite.connection import connect_reader
from pylon.store.sqlite.documents import SqliteDocuments
from pylon.store.sqlite.statements import Statements, window_parameters

_PROGRESS_STEPS = 2000
"""How many virtual-machine steps pass between two looks at the clock: some tens of microseconds."""


class SqliteReader(SqliteDocuments):
    """A read-only session."""

    def __init__(self, path: Path, tables: dict[str, Statements]) -> None:
        connection = connect_reader(path)
        super().__init__(connection, tables)
        self._deadline = float("inf")
        connection.set_progress_handler(self._is_late, _PROGRESS_STEPS)

    def _is_late(self) -> bool:
        return time.perf_counter() > self._deadline

    def limit(self, seconds: float) -> None:
        """Interrupt reads from `seconds` after now on, with QUERY_TIMEOUT, until the next call."""
        self._deadline = time.perf_counter() + seconds

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Everything read inside sees one state."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")

    def select_json(self, entity: str, selection: Selection) -> tuple[bytes, int]:
        """A JSON array of the rows as clients see them, and their number."""
        [(rows, count)] = self._fetch(self._tables[entity].json_array(selection), window_parameters(selection))
        return rows, count

    def select_json_and_ids(self, entity: str, selection: Selection) -> tuple[bytes, int, bytes]:
        """The same with the ids of the rows as a JSON array."""
        sql = self._tables[entity].json_array_and_ids(selection)
        [(rows, count, row_ids)] = self._fetch(sql, window_parameters(selection))
        return rows, count, row_ids

    def select_parts(self, entity: str, selection: Selection, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
        """(id, JSON object as clients see it, the stored values of these columns) of each row."""
        return self._fetch(self._tables[entity].parts(selection, columns), window_parameters(selection))

    def select_parts_of(
        self, entity: str, key: str, keys: Sequence[str], selection: Selection, columns: tuple[str, ...], most: int
    ) -> list[tuple[Any, ...]]:
        """The same for the rows whose field `key` has one of these values; the window is for each key apart, and
        `most` for all together."""
        parameters = {**window_parameters(selection), "keys": msgspec.json.encode(keys).decode(), "most": most}
        return self._fetch(self._tables[entity].parts_of(key, selection, columns), parameters)

    def select_replica_rows(self, entity: str, selection: Selection) -> list[tuple[str, bytes]]:
        """(id, JSON object as replicas hold it) of each row."""
        table = self._tables[entity]
        output = f"t.id, CAST({table.replica_json} AS BLOB)"
        return [
            (row_id, data) for row_id, data in self._fetch(table.rows(selection, output), window_parameters(selection))
        ]

    def log_head(self) -> int:
        """The newest seq, 0 for an empty log."""
        return int(self._fetch(system.LOG_HEAD, ())[0][0])

    def log_tail(self) -> int:
        """The oldest seq kept, 0 for an empty log."""
        return int(self._fetch(system.LOG_TAIL, ())[0][0])

    def log_after(self, seq: int, limit: int) -> list[LogEntry]:
        """Entries above `seq`, in order."""
        return [LogEntry(*row) for row in self._fetch(system.LOG_AFTER, (seq, limit))]

    def ops_of(self, entries: Sequence[LogEntry]) -> list[LoggedOp]:
        """The op-ids of consecutive log entries, as far as they are remembered."""
        first, last = entries[0], entries[-1]
        seconds = [entry.second for entry in entries]  # the clock may have been set back between them
        found = self._fetch(system.OPS_OF, (min(seconds), max(seconds), first.seq, last.seq))
        return [LoggedOp(*row) for row in found]

    def log_floor(self) -> int:
        """Cursors below this are refused, whatever the log holds."""
        return int(self._fetch(system.LOG_FLOOR, ())[0][0])

    def timeline(self) -> int:
        """The restore that the data descends from, in Unix seconds; 0 when it never was restored."""
        return int(self._fetch(system.META_GET, (system.TIMELINE_KEY,))[0][0])

    def record(self, kind: str, key: str) -> bytes | None:
        """A stored operator's record."""
        rows = self._fetch(system.RECORD_GET, (kind, key))
        return rows[0][0] if rows else None

    def records(self, kind: str) -> list[tuple[str, bytes]]:
        """All records of a kind, by key."""
        return [(key, record) for key, record in self._fetch(system.RECORDS_OF, (kind,))]

    def usage_totals(self, period: str) -> dict[str, int]:
        """What all together used in a day or month, by meter."""
        return dict(self._fetch(system.USAGE_TOTALS, (period,)))

    def usage_of(self, period: str, principal: str) -> dict[str, int]:
        """What one user used, by meter."""
        return dict(self._fetch(system.USAGE_OF, (period, principal)))

    def usage_top(self, period: str, meter: str, limit: int) -> list[tuple[str, int]]:
        """Who used most of a meter."""
        return [(who, amount) for who, amount in self._fetch(system.USAGE_TOP, (period, meter, limit))]

    def audit_after(self, block_id: int, limit: int) -> list[AuditBlock]:
        """Blocks above an id, in order."""
        return [AuditBlock(*row) for row in self._fetch(system.AUDIT_AFTER, (block_id, limit))]

    def audit_search(
        self, kind: str, *, since: int, before: tuple[int, int], needle: bytes | None, limit: int
    ) -> list[AuditBlock]:
        """Blocks of a kind (any for "") from `since` on and before (time, id) whose records contain `needle`, newest
        first."""
        until, below = before
        sql = system.AUDIT_SEARCH.format(kinds=system.AUDIT_KINDS[kind])
        parameters = {"since": since, "until": until, "below": below, "needle": needle, "limit": limit}
        return [AuditBlock(*row) for row in self._fetch(sql, parameters)]

    def audit_issued(self) -> int:
        """The highest block id ever given out."""
        return int(self._fetch(system.AUDIT_ISSUED, ())[0][0])

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def interrupt(self) -> None:
        """From another thread: make the running statement fail."""
        self._connection.interrupt()
