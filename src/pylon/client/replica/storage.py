"""The replica's file: SQLite, one writer, everything in short transactions.

A change of ours is on the disk before the caller goes on. The server's rows are written lazily: whatever is lost with
the machine is fetched again. Killing the process at any point leaves either what was before a transaction or what is
behind it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from pylon.client.errors import ClientError
from pylon.client.replica.changes import Change, Key, Row, ServerEvent, View

VERSION = 1

_ROWS = "(entity TEXT, id TEXT, data BLOB NOT NULL, PRIMARY KEY (entity, id)) WITHOUT ROWID"
_SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE server_row {_ROWS};
-- a snapshot while it arrives; it takes the place of server_row at once
CREATE TABLE next_row {_ROWS};
CREATE TABLE change (n INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL, seq INTEGER NOT NULL DEFAULT 0,
                     tries INTEGER NOT NULL DEFAULT 0);
"""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Row).decode
_decode_change = msgspec.json.Decoder(Change).decode


class Storage:
    """One file, or memory for None. Raises ClientError: REPLICA_LOCKED while another process has it,
    REPLICA_UNREADABLE for a file that isn't a replica."""

    def __init__(self, path: str | Path | None) -> None:
        where = ":memory:" if path is None else path
        try:
            if path is not None:
                Path(path).touch(mode=0o600)  # rows are their reader's alone
            self._db = sqlite3.connect(where, isolation_level=None, check_same_thread=False)
        except (OSError, sqlite3.OperationalError) as error:
            raise ClientError("REPLICA_UNREADABLE", f"{path}: {error}", hint="Does its folder exist?") from None
        try:
            self._open()
        except sqlite3.OperationalError as error:
            self._db.close()
            if "locked" in str(error):
                raise ClientError(
                    "REPLICA_LOCKED", f"Another process has the replica {path} open.", status=409
                ) from None
            raise ClientError("REPLICA_UNREADABLE", f"{path}: {error}") from None
        except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
            self._db.close()
            raise ClientError(
                "REPLICA_UNREADABLE", f"{path} is not a replica: {error}", hint="Name another file, or remove this one."
            ) from None

    def _open(self) -> None:
        db = self._db
        db.execute("PRAGMA busy_timeout = 500")
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA secure_delete = ON")  # what is forgotten is not in the file either
        db.execute("BEGIN EXCLUSIVE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _SCHEMA.split(";\n"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"version {version}, this release reads {VERSION}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # -- at start ------------------------------------------------------------------------------------------------

    def read(self, view: View) -> None:
        """Fill a view with what is here."""
        view.cursor = int(self.meta("cursor") or 0)
        for entity, row_id, data in self._db.execute("SELECT entity, id, data FROM server_row"):
            view.rows.setdefault(entity, {})[row_id] = _decode(data)
        for n, body, seq, tries in self._db.execute("SELECT n, body, seq, tries FROM change ORDER BY n"):
            change = _decode_change(body)
            change.n, change.seq, change.tries = n, seq, tries
            view.add(change)

    def meta(self, name: str) -> str | None:
        """A value that was kept."""
        found = self._db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if found is None else found[0]

    def keep(self, name: str, value: str | None) -> None:
        """Keep a value, or drop it."""
        if value is None:
            self._db.execute("DELETE FROM meta WHERE name = ?", (name,))
        else:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def user(self) -> str | None:
        """Whose rows these are, None before anybody said."""
        whose = self.meta("user")
        return None if whose is None else whose.rpartition("/")[0]

    def queued(self) -> int:
        """How many changes wait."""
        found: int = self._db.execute("SELECT count(*) FROM change").fetchone()[0]
        return found

    # -- ours ----------------------------------------------------------------------------------------------------

    def enqueue(self, change: Change) -> None:
        """Keep a change, on the disk when this returns, and number it. Raises ClientError REPLICA_UNWRITABLE."""
        try:
            self._db.execute("PRAGMA synchronous = FULL")
            with self._transaction():
                row = self._db.execute("INSERT INTO change (body) VALUES (?) RETURNING n", (_encode(change),))
                change.n = row.fetchone()[0]
        except sqlite3.Error as error:
            raise ClientError(
                "REPLICA_UNWRITABLE", f"The change could not be kept: {error}", status=507, hint="Check the disk."
            ) from None
        finally:
            self._db.execute("PRAGMA synchronous = NORMAL")

    def rewrite(self, change: Change) -> None:
        """Keep a change that was mended in its place."""
        with self._transaction():
            self._db.execute("UPDATE change SET body = ?, tries = 0 WHERE n = ?", (_encode(change), change.n))

    def sending(self, changes: Iterable[Change]) -> None:
        """These are about to be sent once more."""
        with self._transaction():
            self._db.executemany("UPDATE change SET tries = tries + 1 WHERE n = ?", [(c.n,) for c in changes])

    def accepted(self, changes: Iterable[Change]) -> None:
        """The server has these, each at its seq."""
        with self._transaction():
            self._db.executemany("UPDATE change SET seq = ? WHERE n = ?", [(c.seq, c.n) for c in changes])

    def reassign(self, changes: Iterable[Change]) -> None:
        """These are another user's now."""
        with self._transaction():
            self._db.executemany("UPDATE change SET body = ? WHERE n = ?", [(_encode(c), c.n) for c in changes])

    def drop(self, numbers: Iterable[int]) -> None:
        """These are done with."""
        with self._transaction():
            self._db.executemany("DELETE FROM change WHERE n = ?", [(n,) for n in numbers])

    # -- the server's --------------------------------------------------------------------------------------------

    def apply(self, events: Iterable[ServerEvent], cursor: int, done: Iterable[int]) -> None:
        """Events, the cursor behind them, and our changes that they settle, in one step."""
        with self._transaction():
            for event in events:
                key = event.entity, event.row_id
                if event.kind == "delete":
                    self._db.execute("DELETE FROM server_row WHERE entity = ? AND id = ?", key)
                elif event.data is not None:
                    data = _encode({**event.data, "id": event.row_id})
                    self._db.execute("INSERT OR REPLACE INTO server_row VALUES (?, ?, ?)", (*key, data))
            self.keep("cursor", str(cursor))
            self._db.executemany("DELETE FROM change WHERE n = ?", [(n,) for n in done])

    def page(self, events: Iterable[ServerEvent], token: str | None) -> None:
        """A page of a snapshot, and where it goes on."""
        with self._transaction():
            self._db.executemany(
                "INSERT OR REPLACE INTO next_row VALUES (?, ?, ?)",
                [(e.entity, e.row_id, _encode({**(e.data or {}), "id": e.row_id})) for e in events],
            )
            self.keep("snapshot", token)

    def snapshot_rows(self) -> Iterator[tuple[Key, Row]]:
        """What of a snapshot has arrived."""
        for entity, row_id, data in self._db.execute("SELECT entity, id, data FROM next_row"):
            yield (entity, row_id), _decode(data)

    def replace(self, cursor: int) -> None:
        """The snapshot is complete: its rows are the rows."""
        with self._transaction():
            self._db.execute("DROP TABLE server_row")
            self._db.execute("ALTER TABLE next_row RENAME TO server_row")
            self._db.execute(f"CREATE TABLE next_row {_ROWS}")
            self.keep("snapshot", None)
            self.keep("cursor", str(cursor))

    def restart(self) -> None:
        """Forget a snapshot that was under way, and the cursor: everything is to be fetched anew. Rows stay to be
        looked at until it is here."""
        with self._transaction():
            self._db.execute("DELETE FROM next_row")
            self.keep("snapshot", None)
            self.keep("cursor", "0")

    def clear(self) -> None:
        """Forget the server's rows: they are another server's, user's or scope's."""
        self.restart()
        self._db.execute("DELETE FROM server_row")
        self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db)


class _Transaction:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # a full disk may have rolled back already
                self._db.execute("ROLLBACK")
