"""Running an operator's own statements on the database, in one transaction with what is remembered of them.

They can't touch Pylon's own tables, nor end the transaction. Where they write rows, the log no longer describes these:
cursors from before are refused, and the documents of the entities are made anew from their rows.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import apsw

from pylon.model.errors import PylonError
from pylon.store.filters import quote
from pylon.store.sqlite import system
from pylon.store.sqlite.connection import connect_writer
from pylon.store.sqlite.introspection import read_schema

_WRITES = frozenset({apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE})
_FORBIDDEN = frozenset({apsw.SQLITE_ATTACH, apsw.SQLITE_DETACH, apsw.SQLITE_TRANSACTION, apsw.SQLITE_SAVEPOINT})
_LOSING = frozenset({apsw.SQLITE_DROP_TABLE, apsw.SQLITE_DELETE})
_STATISTICS = "sqlite_stat"
_OWN = ("_pylon_", "_fts_", _STATISTICS)


@dataclass(slots=True)
class SqlDone:
    """What statements did: the tables of rows that they wrote or dropped, whether they dropped one, and how many rows
    they changed."""

    written: set[str] = field(default_factory=set)
    drops: bool = False
    rows: int = 0
    log_floor: int = 0


def run_sql(path: Path, script: str, key: str, record: bytes | None, *, at: int, may_delete: bool) -> SqlDone:
    """Run a script and remember it under a key, or forget the key without a record, in one durable transaction. Raises
    MIGRATION_FAILED, and MIGRATION_DESTRUCTIVE for deletes and drops that weren't allowed."""
    done = SqlDone()
    refusals: list[PylonError] = []
    with contextlib.closing(connect_writer(path, "FULL")) as connection:
        connection.execute("BEGIN IMMEDIATE")
        try:
            tables = {table.name for table in read_schema(connection).tables}
            connection.authorizer = _guard(tables, done, refusals, may_delete)
            before = connection.total_changes()
            try:
                for _ in connection.execute(script):
                    pass
            finally:
                connection.authorizer = None
            done.rows = connection.total_changes() - before
            _settle(connection, done)
            if record is None:
                connection.execute(system.RECORD_DELETE, ("migration", key))
            else:
                connection.execute(system.RECORD_PUT, ("migration", key, record, at))
            connection.execute("COMMIT")
        except apsw.Error as error:
            _undo(connection)
            raise refusals[0] if refusals else _failed(key, error) from error
        except BaseException:
            _undo(connection)
            raise
    return done


def _guard(tables: set[str], done: SqlDone, refusals: list[PylonError], may_delete: bool):  # type: ignore[no-untyped-def]
    def decide(action: int, one: str | None, other: str | None, _database: str | None, _trigger: str | None) -> int:
        if action in _FORBIDDEN or (action == apsw.SQLITE_PRAGMA and other is not None):
            refusals.append(_refused("it may not begin, end or attach anything, nor set a PRAGMA"))
            return apsw.SQLITE_DENY
        if action in _LOSING and one in tables and not may_delete:
            text = f"It deletes from {one}." if action == apsw.SQLITE_DELETE else f"It drops {one}."
            hint = "Add --allow-destructive; a backup is taken first."
            refusals.append(PylonError("MIGRATION_DESTRUCTIVE", text, hint=hint))
            return apsw.SQLITE_DENY
        if action == apsw.SQLITE_DROP_TABLE and one in tables:
            done.written.add(one)
            done.drops = True
        if action in _WRITES and one is not None:
            if done.drops and action == apsw.SQLITE_DELETE and one.startswith(_STATISTICS):
                return apsw.SQLITE_OK  # SQLite itself forgets what it knows of a table that is dropped
            if one.startswith(_OWN):
                refusals.append(_refused(f"{one} is Pylon's own"))
                return apsw.SQLITE_DENY
            if one in tables:
                done.written.add(one)
        return apsw.SQLITE_OK

    return decide


def _settle(connection: apsw.Connection, done: SqlDone) -> None:
    if not done.written:
        return
    head = int(connection.execute(system.LOG_HEAD).fetchall()[0][0])  # type: ignore[arg-type]
    done.log_floor = head + 1
    connection.execute(system.META_RAISE, ("log_floor", done.log_floor))
    for (name,) in connection.execute(system.DOCUMENT_TABLES).fetchall():
        for entity in sorted(done.written):
            connection.execute(f"DELETE FROM {quote(str(name))} WHERE entity = ?", (entity,))


def _undo(connection: apsw.Connection) -> None:
    if not connection.get_autocommit():
        connection.execute("ROLLBACK")


def _refused(why: str) -> PylonError:
    return PylonError("MIGRATION_FAILED", f"The statements were refused: {why}.", hint="Nothing of it was applied.")


def _failed(key: str, error: apsw.Error) -> PylonError:
    return PylonError("MIGRATION_FAILED", f"{key}: {error}", hint="Nothing of it was applied.")
