"""The write connection: one open transaction shared by a batch of requests, committed once and durably."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from pylon.model.change import Change
from pylon.model.rows import Stored
from pylon.store.protocol import AuditBlock, OpRecord, StoredAnswer
from pylon.store.sqlite import system
from pylon.store.sqlite.connection import connect_writer, storage_error, write_error
from pylon.store.sqlite.documents import SqliteDocuments
from pylon.store.sqlite.prepared import forget
from pylon.store.sqlite.replaced import clear_away
from pylon.store.sqlite.samples import outdated
from pylon.store.sqlite.statements import Statements

_PAGE_BYTES = 4096


class SqliteWriter(SqliteDocuments):
    """The write session."""

    def __init__(
        self,
        path: Path,
        tables: dict[str, Statements],
        *,
        synchronous: str = "FULL",
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(connect_writer(path, synchronous), tables)
        self._clock = clock
        self._unsampled: set[str] = set()
        self._wal_pages = 0
        self._connection.set_wal_hook(self._count_wal)
        self._seq = self._appended = self._head()

    def _head(self) -> int:
        return int(self._fetch(system.LOG_HEAD, ())[0][0])

    def _count_wal(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def wal_bytes(self) -> int:
        """How much of the write-ahead log is in use: written since it last began anew. From any thread."""
        return self._wal_pages * _PAGE_BYTES

    def _run(self, sql: str) -> None:
        try:
            self._execute(sql)
        except apsw.Error as error:
            raise storage_error(error) from error

    def begin(self) -> None:
        """Open the batch's transaction."""
        self._run("BEGIN IMMEDIATE")

    def append(self, changes: list[Change], ops: list[tuple[str, str, Change | OpRecord]]) -> None:
        """Allocate seqs in list order and append changes and op-ids. Raises STORAGE_*."""
        seq = self._appended
        now = int(self._clock())
        timestamp = f"{now}Z"
        try:
            if changes:
                entries = []
                for change in changes:
                    seq += 1
                    change.seq = seq
                    entries.append(
                        (seq, change.entity, change.row_id, change.kind, change.data, change.prev, timestamp)
                    )
                self._connection.executemany(system.LOG_APPEND, entries)
            if ops:
                self._connection.executemany(
                    system.OP_PUT, [(principal, op, made.row_id, made.seq, now) for principal, op, made in ops]
                )
        except apsw.Error as error:
            raise storage_error(error) from error
        self._appended = seq

    def commit(self) -> None:
        """Commit durably. Raises STORAGE_*."""
        self._run("COMMIT")
        self._seq = self._appended

    def rollback(self) -> None:
        """Undo the batch; a no-op when nothing is open."""
        self._appended = self._seq
        if not self._connection.get_autocommit():
            with contextlib.suppress(apsw.Error):
                self._execute("ROLLBACK")

    def savepoint(self) -> None:
        """Open a nested scope."""
        self._run("SAVEPOINT request")

    def release(self) -> None:
        """Keep what the scope did."""
        self._run("RELEASE request")

    def undo(self) -> None:
        """Undo what the scope did and close it."""
        self._run("ROLLBACK TO request")
        self._run("RELEASE request")

    def insert(self, entity: str, values: tuple[Stored, ...]) -> None:
        """Insert a row. Raises INSERT_FAILED, OPTIMISTIC_ID_CONFLICT."""
        try:
            self._execute(self._tables[entity].insert, values)
        except apsw.Error as error:
            code = "OPTIMISTIC_ID_CONFLICT" if str(error).endswith(f" {entity}.id") else "INSERT_FAILED"
            raise write_error(error, code, f"Insert into {entity}") from error

    def update(self, entity: str, row_id: str, values: dict[str, Stored]) -> None:
        """Set columns of an existing row. Raises UPDATE_FAILED."""
        try:
            self._execute(self._tables[entity].update(tuple(values)), (*values.values(), row_id))
        except apsw.Error as error:
            raise write_error(error, "UPDATE_FAILED", f"Update {entity}/{row_id}") from error

    def delete(self, entity: str, row_id: str) -> None:
        """Delete an existing row. Raises DELETE_FAILED."""
        try:
            self._execute(self._tables[entity].delete, (row_id,))
        except apsw.Error as error:
            raise write_error(error, "DELETE_FAILED", f"Delete {entity}/{row_id}") from error

    def op(self, principal: str, op_id: str) -> OpRecord | None:
        """What this principal's op-id wrote, if it did."""
        rows = self._fetch(system.OP_GET, (principal, op_id))
        return OpRecord(*rows[0]) if rows else None

    def move_ops(self, old: str, new: str) -> None:
        """Make the op-ids of one principal those of another."""
        self._fetch(system.OPS_MOVE, (new, old))

    def forget_principal(self, principal: str) -> dict[str, int]:
        """Drop op-ids, answers and usage of one principal."""
        dropped = {"op-ids": system.OPS_FORGET, "answers": system.ANSWERS_FORGET, "usage": system.USAGE_FORGET}
        return {name: len(self._fetch(sql, (principal,))) for name, sql in dropped.items()}

    def answer(self, principal: str, key: str) -> StoredAnswer | None:
        """What this principal's request with an idempotency key was answered, if there was one."""
        rows = self._fetch(system.ANSWER_GET, (principal, key))
        return StoredAnswer(*rows[0]) if rows else None

    def put_answer(self, principal: str, key: str, answer: StoredAnswer) -> None:
        """Remember an answer, in the open transaction."""
        values = (principal, key, answer.fingerprint, answer.status, answer.body, int(self._clock()))
        self._fetch(system.ANSWER_PUT, values)

    def record(self, kind: str, key: str) -> bytes | None:
        """A stored operator's record."""
        rows = self._fetch(system.RECORD_GET, (kind, key))
        return rows[0][0] if rows else None

    def put_record(self, kind: str, key: str, record: bytes) -> None:
        """Store or replace an operator's record."""
        self._fetch(system.RECORD_PUT, (kind, key, record, int(self._clock())))

    def delete_record(self, kind: str, key: str) -> bool:
        """Delete one; whether it was there."""
        self._fetch(system.RECORD_DELETE, (kind, key))
        return bool(self._connection.changes())

    def raise_log_floor(self) -> int:
        """Refuse every cursor given out so far, from this commit on; the new floor, above which seqs go on."""
        # Requests of this batch that run before or after this one get their seqs at the end of it, above the floor.
        self._appended += 1
        self._fetch(system.META_RAISE, ("log_floor", self._appended))
        return self._appended

    def add_usage(self, amounts: Sequence[tuple[str, str, str, int]]) -> None:
        """Add to (period, meter, principal)."""
        try:
            self._connection.executemany(system.USAGE_ADD, amounts)
        except apsw.Error as error:
            raise storage_error(error) from error

    def prune_usage(self, before_day: str) -> None:
        """Drop what users used on days before this one; totals and months stay."""
        self._fetch(system.USAGE_PRUNE, (before_day,))

    def audit_last(self) -> AuditBlock | None:
        """The newest block of the audit trail."""
        rows = self._fetch(system.AUDIT_LAST, ())
        return AuditBlock(*rows[0]) if rows else None

    def audit_issued(self) -> int:
        """The highest block id ever given out."""
        return int(self._fetch(system.AUDIT_ISSUED, ())[0][0])

    def append_audit(self, block: AuditBlock) -> None:
        """Append a block."""
        self._fetch(system.AUDIT_APPEND, (block.id, block.at, block.kind, block.records, block.hash))

    def audit_droppable(self, before: int, limit: int) -> AuditBlock | None:
        """The newest of the `limit` oldest blocks that is from before a time (Unix milliseconds)."""
        rows = self._fetch(system.AUDIT_DROPPABLE, {"before": before, "limit": limit})
        return AuditBlock(*rows[0]) if rows else None

    def prune_audit(self, until_id: int) -> int:
        """Drop blocks up to an id; how many went."""
        self._fetch(system.AUDIT_PRUNE, (until_id,))
        return self._connection.changes()

    def prune(self, *, log_before: int, keep_events: int, ops_before: int, now: int, limit: int) -> int:
        """Drop old log entries, op-ids and sessions; how many log entries went. See the protocol."""
        self._fetch(system.LOG_PRUNE, {"keep": keep_events, "before": log_before, "limit": limit})
        dropped = self._connection.changes()
        self._fetch(system.OPS_PRUNE, {"before": ops_before, "limit": limit})
        self._fetch(system.ANSWERS_PRUNE, {"before": ops_before, "limit": limit})
        self.identity.prune(now, limit)
        return dropped

    def plan_anew(self) -> bool:
        """Look at the tables that changed much, and have every connection plan with what was found; whether there were
        such tables."""
        wanted = outdated(self._connection, self._tables) - self._unsampled
        if not wanted:
            return False
        for statement in (*sorted(wanted), *system.SAMPLED):
            self._fetch(statement, ())
        self._unsampled |= outdated(self._connection, self._tables) & wanted  # such as one with an empty partial index
        return True

    def clear_away(self, rows: int) -> bool:
        """Clear at most `rows` rows of what a schema change left behind away; whether there was something."""
        return clear_away(self._connection, rows)

    def forget_prepared(self, before: int) -> None:
        """Forget what was prepared for a schema change and not touched since `before` (Unix seconds)."""
        forget(self._connection, before)

    def probe(self) -> None:
        """Write something, in the open transaction, to find out whether the store takes writes. Raises STORAGE_*."""
        self._fetch(system.META_PUT, ("probed_at", int(self._clock())))

    def interrupt(self) -> None:
        """From another thread: make the running statement fail."""
        self._connection.interrupt()

    def reserved_ids(self) -> int:
        """The time in Unix nanoseconds up to which row ids were reserved, 0 at first."""
        return int(self._fetch(system.META_GET, ("row_ids_until_ns",))[0][0])

    def reserve_ids(self, until_ns: int) -> None:
        """Remember, in the open transaction, that row ids up to `until_ns` may have been given out."""
        self._fetch(system.META_PUT, ("row_ids_until_ns", until_ns))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
