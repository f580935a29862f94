"""The seams that a database implements: one writer of batches, readers on snapshots, and the change log.

Nothing above this room knows SQL or which database it is. A session belongs to one thread at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

from pylon.model.aggregates import Aggregate
from pylon.model.change import Change
from pylon.model.live_schema import LiveSchema
from pylon.model.rows import Stored
from pylon.model.schema import EntitySpec
from pylon.model.schema_change import Leftovers, Plan
from pylon.store.identity import IdentityRows, IdentityTables
from pylon.store.selection import Selection


class OpRecord(msgspec.Struct, frozen=True):
    """What a durable op-id remembers (spec 02 §20.5): the row it wrote and the seq it wrote it at."""

    row_id: str
    seq: int


class StoredAnswer(msgspec.Struct, frozen=True):
    """What a request with an idempotency key was answered."""

    fingerprint: bytes
    status: int
    body: bytes


class LoggedOp(msgspec.Struct, frozen=True):
    """The op-id that made a log entry, and the row that its client was told."""

    seq: int
    principal: str
    op_id: str
    row_id: str


class SchemaWish(msgspec.Struct, frozen=True, kw_only=True):
    """A schema change that is asked for: by whom, for which version of the app, and what becomes of leftovers."""

    by: str = "start"
    app_version: str = ""
    leftovers: Leftovers = Leftovers.KEEP


class SchemaEntry(msgspec.Struct, frozen=True):
    """One entry of the record of schema changes. `is_sound` says that its checksum, which covers the entry before, is
    right."""

    id: int
    applied_at: str
    applied_by: str
    app_version: str
    baseline: str
    operation_count: int
    plan_json: str
    log_floor: int
    checksum: str
    is_sound: bool


class LogEntry(msgspec.Struct, frozen=True):
    """One row of the change log; `data` and `prev` are full JSON rows."""

    seq: int
    entity: str
    row_id: str
    kind: str
    data: bytes
    prev: bytes | None
    timestamp: str

    @property
    def second(self) -> int:
        """When it was committed, in whole Unix seconds."""
        return int(self.timestamp.rstrip("Z"))


class AuditBlock(msgspec.Struct, frozen=True):
    """One link of the audit trail: records as JSON, under a hash that covers the block before. `at` is Unix
    milliseconds."""

    id: int
    at: int
    kind: str
    records: bytes
    hash: bytes


class DocumentHead(msgspec.Struct, frozen=True):
    """What is known of a row's document without reading it. `stamp` is another one after each edit, `incarnation` after
    the row was deleted and made again; `pending` are edits that wait for those that they build on."""

    incarnation: int
    stamp: int
    snapshot_bytes: int
    updates: int
    update_bytes: int
    pending: bytes | None


class StoredDocument(msgspec.Struct, frozen=True):
    """A document's snapshot and the updates since, in the order in which they were made."""

    snapshot: bytes
    updates: list[bytes]


class Rows(Protocol):
    """Reading rows, within whatever transaction the session has open."""

    def get(self, entity: str, row_id: str) -> tuple[Stored, ...] | None:
        """The stored values of one row, in column order."""

    def undeclared(self, entity: str, row_id: str) -> dict[str, Stored]:
        """What one row holds in columns that nothing declares."""

    def select(self, entity: str, selection: Selection) -> list[tuple[Stored, ...]]:
        """Stored values of the selected rows."""

    def count(self, entity: str, selection: Selection) -> int:
        """How many rows match, the window left aside."""

    def get_json(
        self,
        entity: str,
        row_id: str,
        condition: str | None,
        parameters: Mapping[str, object],
        fields: tuple[str, ...] | None = None,
    ) -> bytes | None:
        """One row as clients see it, if it meets the condition (SQL fixed at compile time); only these fields."""

    def exists(self, entity: str, conditions: Sequence[tuple[str, Any]]) -> bool:
        """Whether a row has all these values (policies' `exists`); null matches nothing."""

    def aggregate_json(self, entity: str, selection: Selection, aggregate: Aggregate, most: int) -> tuple[bytes, int]:
        """The groups of the selected rows as a JSON array, at most `most`, and their number."""


class ReadSession(Rows, Protocol):
    """One read connection."""

    @property
    def identity(self) -> IdentityRows:
        """The tables of sessions, accounts and what people prove themselves with."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Everything read inside sees one state."""

    def limit(self, seconds: float) -> None:
        """Interrupt reads from `seconds` after now on, with QUERY_TIMEOUT, until the next call."""

    def select_json(self, entity: str, selection: Selection) -> tuple[bytes, int]:
        """A JSON array of the rows as clients see them, and their number."""

    def select_json_and_ids(self, entity: str, selection: Selection) -> tuple[bytes, int, bytes]:
        """The same with the ids of the rows as a JSON array."""

    def select_parts(self, entity: str, selection: Selection, columns: tuple[str, ...]) -> list[tuple[Any, ...]]:
        """(id, JSON object as clients see it, the stored values of these columns) of each row."""

    def select_parts_of(
        self, entity: str, key: str, keys: Sequence[str], selection: Selection, columns: tuple[str, ...], most: int
    ) -> list[tuple[Any, ...]]:
        """The same for the rows whose field `key` has one of these values; the window is for each key apart, and
        `most` for all together."""

    def select_replica_rows(self, entity: str, selection: Selection) -> list[tuple[str, bytes]]:
        """(id, JSON object as replicas hold it) of each row."""

    def document_head(self, entity: str, row_id: str) -> DocumentHead | None:
        """What is known of a row's document, None when it has none."""

    def documented(self) -> list[str]:
        """The entities whose rows have documents."""

    def log_head(self) -> int:
        """The newest seq, 0 for an empty log."""

    def log_tail(self) -> int:
        """The oldest seq kept, 0 for an empty log."""

    def log_after(self, seq: int, limit: int) -> list[LogEntry]:
        """Entries above `seq`, in order."""

    def ops_of(self, entries: Sequence[LogEntry]) -> list[LoggedOp]:
        """The op-ids of consecutive log entries, as far as they are remembered."""

    def log_floor(self) -> int:
        """Cursors below this are refused, whatever the log holds."""

    def timeline(self) -> int:
        """The restore that the data descends from, in Unix seconds; 0 when it never was restored."""

    def record(self, kind: str, key: str) -> bytes | None:
        """A stored operator's record."""

    def records(self, kind: str) -> list[tuple[str, bytes]]:
        """All records of a kind, by key."""

    def usage_totals(self, period: str) -> dict[str, int]:
        """What all together used in a day or month, by meter."""

    def usage_of(self, period: str, principal: str) -> dict[str, int]:
        """What one user used, by meter."""

    def usage_top(self, period: str, meter: str, limit: int) -> list[tuple[str, int]]:
        """Who used most of a meter."""

    def audit_after(self, block_id: int, limit: int) -> list[AuditBlock]:
        """Blocks above an id, in order."""

    def audit_search(
        self, kind: str, *, since: int, before: tuple[int, int], needle: bytes | None, limit: int
    ) -> list[AuditBlock]:
        """Blocks of a kind (any for "") from `since` on and before (time, id) whose records contain `needle`, newest
        first. Times are Unix milliseconds."""

    def audit_issued(self) -> int:
        """The highest block id ever given out."""

    def interrupt(self) -> None:
        """From another thread: make the running statement fail."""

    def close(self) -> None:
        """Give the connection back."""


class WriteSession(Rows, Protocol):
    """The write connection: one open transaction that many requests share."""

    @property
    def identity(self) -> IdentityTables:
        """The tables of sessions, accounts and what people prove themselves with."""

    def begin(self) -> None:
        """Open the batch's transaction."""

    def append(self, changes: list[Change], ops: list[tuple[str, str, Change | OpRecord]]) -> None:
        """Allocate seqs in list order and append changes and op-ids. Raises STORAGE_*."""

    def commit(self) -> None:
        """Commit durably. Raises STORAGE_*."""

    def rollback(self) -> None:
        """Undo the batch; a no-op when nothing is open."""

    def savepoint(self) -> None:
        """Open a nested scope."""

    def release(self) -> None:
        """Keep what the scope did."""

    def undo(self) -> None:
        """Undo what the scope did and close it."""

    def insert(self, entity: str, values: tuple[Stored, ...]) -> None:
        """Insert a row. Raises INSERT_FAILED, OPTIMISTIC_ID_CONFLICT."""

    def update(self, entity: str, row_id: str, values: dict[str, Stored]) -> None:
        """Set columns of an existing row. Raises UPDATE_FAILED."""

    def delete(self, entity: str, row_id: str) -> None:
        """Delete an existing row. Raises DELETE_FAILED."""

    def op(self, principal: str, op_id: str) -> OpRecord | None:
        """What this principal's op-id wrote, if it did."""

    def forget_principal(self, principal: str) -> dict[str, int]:
        """Drop what is kept under a user's id beside rows and identity: op-ids, answers to idempotency keys, and what
        it used by period; how many of each."""

    def answer(self, principal: str, key: str) -> StoredAnswer | None:
        """What this principal's request with an idempotency key was answered, if there was one."""

    def move_ops(self, old: str, new: str) -> None:
        """Make the op-ids of one principal those of another: what a guest wrote is recognised when its user sends it
        again."""

    def put_answer(self, principal: str, key: str, answer: StoredAnswer) -> None:
        """Remember an answer, in the open transaction; it goes with the op-ids."""

    def document_head(self, entity: str, row_id: str) -> DocumentHead | None:
        """What is known of a row's document, None when it has none."""

    def document(self, entity: str, row_id: str) -> StoredDocument:
        """The content of a row's document, which has one."""

    def put_document(self, entity: str, row_id: str, head: DocumentHead, snapshot: bytes, updated_at: str) -> None:
        """Store a document anew, as one snapshot."""

    def append_document(self, entity: str, row_id: str, head: DocumentHead, update: bytes) -> None:
        """Store an update behind the snapshot, as number `head.updates`."""

    def put_document_head(self, entity: str, row_id: str, head: DocumentHead) -> None:
        """Store what is known of a document."""

    def delete_document(self, entity: str, row_id: str) -> None:
        """Delete a row's document."""

    def record(self, kind: str, key: str) -> bytes | None:
        """A stored operator's record."""

    def put_record(self, kind: str, key: str, record: bytes) -> None:
        """Store or replace an operator's record."""

    def delete_record(self, kind: str, key: str) -> bool:
        """Delete one; whether it was there."""

    def raise_log_floor(self) -> int:
        """Refuse every cursor given out so far, from this commit on; the new floor, above which seqs go on."""

    def add_usage(self, amounts: Sequence[tuple[str, str, str, int]]) -> None:
        """Add to (period, meter, principal)."""

    def prune_usage(self, before_day: str) -> None:
        """Drop what users used on days before this one; totals and months stay."""

    def audit_last(self) -> AuditBlock | None:
        """The newest block of the audit trail."""

    def audit_issued(self) -> int:
        """The highest block id ever given out."""

    def append_audit(self, block: AuditBlock) -> None:
        """Append a block."""

    def audit_droppable(self, before: int, limit: int) -> AuditBlock | None:
        """The newest of the `limit` oldest blocks that is from before a time (Unix milliseconds)."""

    def prune_audit(self, until_id: int) -> int:
        """Drop blocks up to an id; how many went."""

    def prune(self, *, log_before: int, keep_events: int, ops_before: int, now: int, limit: int) -> int:
        """Drop at most `limit` log entries older than `log_before` (Unix seconds) beyond the newest `keep_events`,
        as many op-ids older than `ops_before`, and sessions expired by `now`; how many log entries went."""

    def plan_anew(self) -> bool:
        """Look, in the open transaction, at the tables that changed much since the last time, so that every connection
        plans its statements by what they hold now; whether there were such tables."""

    def clear_away(self, rows: int) -> bool:
        """Clear, in the open transaction, at most so many rows of what a schema change left behind away; whether there
        was something."""

    def forget_prepared(self, before: int) -> None:
        """Forget, in the open transaction, what was prepared for a schema change and not touched since a time (Unix
        seconds); `clear_away` then clears it."""

    def wal_bytes(self) -> int:
        """How much of the write-ahead log is in use: written since it last began anew. From any thread."""

    def probe(self) -> None:
        """Write something, in the open transaction, to find out whether the store takes writes. Raises STORAGE_*."""

    def interrupt(self) -> None:
        """From another thread: make the running statement fail."""

    def reserved_ids(self) -> int:
        """The time in Unix nanoseconds up to which row ids were reserved, 0 at first."""

    def reserve_ids(self, until_ns: int) -> None:
        """Remember, in the open transaction, that row ids up to `until_ns` may have been given out."""

    def close(self) -> None:
        """Close the connection."""


class Store(Protocol):
    """One database."""

    def writer(self) -> WriteSession:
        """The write session; there is one."""

    def reader(self) -> ReadSession:
        """A new read session."""

    def checkpoints(self) -> Checkpoints:
        """The checkpointer."""

    def apply(self, entities: Sequence[EntitySpec], wish: SchemaWish | None = None) -> list[str]:
        """Bring the live schema to the declared one; what was done, in words. Raises SCHEMA_REFUSED naming the
        column."""

    def plan(self, entities: Sequence[EntitySpec], wish: SchemaWish | None = None) -> Plan:
        """What `apply` would do, with what the rows don't allow."""

    def prepare(
        self, entities: Sequence[EntitySpec], plan: Plan, tell: Callable[[str, int, int], None]
    ) -> dict[str, int]:
        """Copy what a change is to write anew while a server goes on; `tell` hears (entity, rows, of rows). The rows by
        entity. Raises SCHEMA_REFUSED."""

    def live_schema(self) -> LiveSchema:
        """The tables of rows that there are."""

    def schema_history(self) -> list[SchemaEntry]:
        """The schema changes that were made, newest first."""

    def used_bytes(self) -> int:
        """Size of the database, its log included."""

    def free_bytes(self) -> int:
        """Free space where the database lives."""


class Checkpoints(Protocol):
    """Moving the write-ahead log into the database, off the write path."""

    def file_bytes(self) -> int:
        """Size of the write-ahead log's file."""

    def run(self) -> int:
        """Checkpoint now without waiting for anybody; WAL pages left."""

    def restart(self) -> bool:
        """Checkpoint what `run` left and let the log begin anew, waiting briefly for readers; whether it does."""

    def truncate(self) -> bool:
        """Checkpoint and empty the log, waiting briefly for readers; whether it is empty now."""

    def close(self) -> None:
        """Close the connection."""
