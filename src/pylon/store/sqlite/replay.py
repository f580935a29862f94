"""Bringing a restored database forward: change records are applied as the rows and log entries that they once were."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from pylon.model.rows import RowTypes
from pylon.store.filters import quote
from pylon.store.protocol import LogEntry, LoggedOp
from pylon.store.sqlite import identity, system
from pylon.store.sqlite.connection import connect_writer, storage_error
from pylon.store.sqlite.statements import Statements
from pylon.store.sqlite.withdrawn import Standing, Withdrawn, drop_withdrawn

_BATCH = 5000

Logged = tuple[LogEntry, tuple[LoggedOp, ...]]
"""A log entry, and the op-ids that made it."""


@dataclass(slots=True)
class Replayed:
    """How many records were applied, the last one's seq, and how many were of entities that nothing declares."""

    applied: int = 0
    last_seq: int = 0
    unknown: int = 0


def replay(path: Path, types: Mapping[str, RowTypes], records: Iterable[Logged]) -> Replayed:
    """Apply records in order, each as a row written or deleted, a log entry of the same seq, and its op-ids. A record
    of an entity that is not in `types` keeps its log entry and is counted. The archive holds rows only: the document of
    a row that is applied is dropped, to be made anew from the row when it is next asked for. Raises STORAGE_*."""
    done = Replayed()
    tables = {name: _Table(rows) for name, rows in types.items()}
    with contextlib.closing(connect_writer(path, "NORMAL")) as connection:
        try:
            stale = [f"DELETE FROM {quote(name)} WHERE entity = ? AND row_id = ?" for name in _documents(connection)]
            connection.execute("BEGIN IMMEDIATE")
            for record, ops in records:
                connection.execute(
                    system.LOG_APPEND,
                    (
                        record.seq,
                        record.entity,
                        record.row_id,
                        record.kind,
                        record.data,
                        record.prev,
                        record.timestamp,
                    ),
                )
                for op in ops:
                    connection.execute(system.OP_PUT, (op.principal, op.op_id, op.row_id, op.seq, record.second))
                table = tables.get(record.entity)
                if table is None:
                    done.unknown += 1
                else:
                    table.apply(connection, record)
                for statement in stale:
                    connection.execute(statement, (record.entity, record.row_id))
                done.applied += 1
                done.last_seq = record.seq
                if done.applied % _BATCH == 0:
                    connection.execute("COMMIT")
                    connection.execute("BEGIN IMMEDIATE")
            connection.execute("COMMIT")
        except apsw.Error as error:
            raise storage_error(error) from error
    return done


@dataclass(frozen=True, slots=True)
class Timeline:
    """How a line begins: when, in seconds; up to where its row ids are taken; whether sessions and keys of the copy
    stay good; and what the data that it takes the place of says of keys."""

    begins: int
    reserved_ids_ns: int
    keep_sessions: bool = False
    keep_keys: bool = False
    standing: Standing | None = None


def begin_timeline(path: Path, line: Timeline) -> tuple[int, Withdrawn]:
    """Make a copied database a line of its own: cursors of the line it came from are refused, ids that it gave out are
    not given out again, and, unless they are kept, sessions end and keys that were withdrawn go. The new floor of the
    log, and what went."""
    withdrawn = Withdrawn({}, is_known=True)
    with contextlib.closing(connect_writer(path, "FULL")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        head: Any = connection.execute(system.LOG_HEAD).fetchall()[0][0]
        floor = int(head) + FLOOR_STEP
        connection.execute(system.META_RAISE, ("log_floor", floor))
        before: Any = connection.execute(system.META_GET, (system.TIMELINE_KEY,)).fetchall()[0][0]
        connection.execute(system.META_PUT, (system.TIMELINE_KEY, max(line.begins, int(before) + 1)))
        connection.execute(system.META_RAISE, ("row_ids_until_ns", line.reserved_ids_ns))
        if not line.keep_sessions:
            for statement in identity.SIGN_EVERYBODY_OUT:
                connection.execute(statement)
        if not line.keep_keys:
            withdrawn = drop_withdrawn(connection, line.standing, line.begins)
        connection.execute("COMMIT")
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    return floor, withdrawn


FLOOR_STEP = 2**40
"""How far above the restored log the next seq is: further than any client can have got."""


def _documents(connection: apsw.Connection) -> list[str]:
    """The tables that hold documents of rows."""
    return [str(name) for (name,) in connection.execute(system.DOCUMENT_TABLES)]


class _Table:
    """The statements that put one entity's rows."""

    def __init__(self, types: RowTypes) -> None:
        self._types = types
        statements = Statements(types)
        sets = ", ".join(f"{quote(name)} = excluded.{quote(name)}" for name in types.columns if name != "id")
        conflict = f"DO UPDATE SET {sets}" if sets else "DO NOTHING"
        self._put = f"{statements.insert} ON CONFLICT (id) {conflict}"
        self._delete = statements.delete

    def apply(self, connection: apsw.Connection, record: LogEntry) -> None:
        if record.kind == "delete":
            connection.execute(self._delete, (record.row_id,))
        else:
            connection.execute(self._put, self._types.stored(record.data))
