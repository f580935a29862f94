"""The named statements on the documents of rows (spec 02 §10.3), and the writer's and readers' part of the store.

A document is a head, a snapshot and the updates since. The head is small and apart from the snapshot: it is read at
each update of a row and written at each edit, while the snapshot, which may be large, is written at compaction only.
"""

from __future__ import annotations

from pylon.store.protocol import DocumentHead, StoredDocument
from pylon.store.sqlite.rows import SqliteRows

TABLES = (
    # `stamp` is another one after each edit; `incarnation` is drawn when the document is made.
    """CREATE TABLE IF NOT EXISTS _pylon_crdt_heads (
        entity TEXT NOT NULL,
        row_id TEXT NOT NULL,
        incarnation INTEGER NOT NULL,
        stamp INTEGER NOT NULL,
        snapshot_bytes INTEGER NOT NULL,
        updates INTEGER NOT NULL,
        update_bytes INTEGER NOT NULL,
        pending BLOB,
        PRIMARY KEY (entity, row_id)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS _pylon_crdt_snapshots (
        entity TEXT NOT NULL,
        row_id TEXT NOT NULL,
        snapshot BLOB NOT NULL,
        updated_at TEXT NOT NULL,
        PRIMARY KEY (entity, row_id)
    )""",
    """CREATE TABLE IF NOT EXISTS _pylon_crdt_updates (
        entity TEXT NOT NULL,
        row_id TEXT NOT NULL,
        number INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (entity, row_id, number)
    )""",
)

HEADS = "_pylon_crdt_heads"
# Each entity once, by a lookup for each instead of a scan of all documents.
ENTITIES = """WITH RECURSIVE found (name) AS (
        SELECT min(entity) FROM _pylon_crdt_heads
        UNION ALL
        SELECT (SELECT min(entity) FROM _pylon_crdt_heads WHERE entity > name) FROM found WHERE name IS NOT NULL
    ) SELECT name FROM found WHERE name IS NOT NULL"""
HEAD = """SELECT incarnation, stamp, snapshot_bytes, updates, update_bytes, pending
    FROM _pylon_crdt_heads WHERE entity = ? AND row_id = ?"""
HEAD_PUT = """INSERT OR REPLACE INTO _pylon_crdt_heads
    (entity, row_id, incarnation, stamp, snapshot_bytes, updates, update_bytes, pending)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
HEAD_DELETE = "DELETE FROM _pylon_crdt_heads WHERE entity = ? AND row_id = ?"
SNAPSHOT = "SELECT snapshot FROM _pylon_crdt_snapshots WHERE entity = ? AND row_id = ?"
SNAPSHOT_PUT = """INSERT OR REPLACE INTO _pylon_crdt_snapshots (entity, row_id, snapshot, updated_at)
    VALUES (?, ?, ?, ?)"""
SNAPSHOT_DELETE = "DELETE FROM _pylon_crdt_snapshots WHERE entity = ? AND row_id = ?"
UPDATES = "SELECT data FROM _pylon_crdt_updates WHERE entity = ? AND row_id = ? ORDER BY number"
UPDATE_PUT = "INSERT INTO _pylon_crdt_updates (entity, row_id, number, data) VALUES (?, ?, ?, ?)"
UPDATES_DELETE = "DELETE FROM _pylon_crdt_updates WHERE entity = ? AND row_id = ?"


class SqliteDocuments(SqliteRows):
    """Reading and writing documents over one connection, within the transaction that it has open."""

    def document_head(self, entity: str, row_id: str) -> DocumentHead | None:
        """What is known of a row's document, None when it has none."""
        found = self._fetch(HEAD, (entity, row_id))
        return DocumentHead(*found[0]) if found else None

    def documented(self) -> list[str]:
        """The entities whose rows have documents."""
        return [str(name) for (name,) in self._fetch(ENTITIES, ())]

    def document(self, entity: str, row_id: str) -> StoredDocument:
        """The content of a row's document, which has one."""
        key = (entity, row_id)
        [(snapshot,)] = self._fetch(SNAPSHOT, key)
        return StoredDocument(snapshot, [data for (data,) in self._fetch(UPDATES, key)])

    def put_document(self, entity: str, row_id: str, head: DocumentHead, snapshot: bytes, updated_at: str) -> None:
        """Store a document anew, as one snapshot."""
        self._fetch(UPDATES_DELETE, (entity, row_id))
        self._fetch(SNAPSHOT_PUT, (entity, row_id, snapshot, updated_at))
        self.put_document_head(entity, row_id, head)

    def append_document(self, entity: str, row_id: str, head: DocumentHead, update: bytes) -> None:
        """Store an update behind the snapshot, as number `head.updates`."""
        self._fetch(UPDATE_PUT, (entity, row_id, head.updates, update))
        self.put_document_head(entity, row_id, head)

    def put_document_head(self, entity: str, row_id: str, head: DocumentHead) -> None:
        """Store what is known of a document."""
        self._fetch(
            HEAD_PUT,
            (
                entity,
                row_id,
                head.incarnation,
                head.stamp,
                head.snapshot_bytes,
                head.updates,
                head.update_bytes,
                head.pending,
            ),
        )

    def delete_document(self, entity: str, row_id: str) -> None:
        """Delete a row's document."""
        for sql in (HEAD_DELETE, SNAPSHOT_DELETE, UPDATES_DELETE):
            self._fetch(sql, (entity, row_id))
