"""The identity tables in SQLite: their DDL, statements made from the records' fields, and the named ones beside
them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import apsw
import msgspec

from pylon.store import identity as records
from pylon.store.identity import SessionEnd, SessionFilter, SessionRecord
from pylon.store.mail import MailRecord
from pylon.store.sqlite import mail
from pylon.store.sqlite.connection import storage_error

R = TypeVar("R", bound=msgspec.Struct)

TABLES = (
    # Sessions by the SHA-256 of their current token.
    """CREATE TABLE IF NOT EXISTS _pylon_sessions (
        key BLOB PRIMARY KEY,
        user_id TEXT NOT NULL,
        is_guest INTEGER NOT NULL,
        tenant_id TEXT,
        device TEXT,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _pylon_sessions_user ON _pylon_sessions (user_id)",
    "CREATE INDEX IF NOT EXISTS _pylon_sessions_expiry ON _pylon_sessions (expires_at) WHERE expires_at > 0",
    # Tokens that a refresh replaced, as long as somebody might still present them.
    """CREATE TABLE IF NOT EXISTS _pylon_spent_tokens (
        key BLOB PRIMARY KEY,
        session_id TEXT NOT NULL,
        generation INTEGER NOT NULL,
        salt BLOB NOT NULL,
        spent_at INTEGER NOT NULL,
        closed_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _pylon_spent_tokens_session ON _pylon_spent_tokens (session_id, generation)",
    # What every process must forget about sessions. AUTOINCREMENT: a serial is never given out twice.
    """CREATE TABLE IF NOT EXISTS _pylon_session_ends (
        serial INTEGER PRIMARY KEY AUTOINCREMENT,
        session_id TEXT NOT NULL,
        is_end INTEGER NOT NULL,
        at INTEGER NOT NULL
    )""",
    # Accounts with providers: one user per (provider, subject).
    """CREATE TABLE IF NOT EXISTS _pylon_accounts (
        id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL,
        provider TEXT NOT NULL,
        subject TEXT NOT NULL,
        email TEXT,
        access_token BLOB,
        refresh_token BLOB,
        id_token BLOB,
        access_expires_at INTEGER NOT NULL,
        refresh_expires_at INTEGER NOT NULL,
        scope TEXT,
        avatar_url TEXT,
        data TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        UNIQUE (provider, subject)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _pylon_accounts_user ON _pylon_accounts (user_id)",
    # Codes, links' tokens, states and challenges: each is good once.
    """CREATE TABLE IF NOT EXISTS _pylon_one_time (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        hash BLOB NOT NULL,
        user_id TEXT,
        payload TEXT NOT NULL,
        attempts INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        consumed_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _pylon_one_time_subject ON _pylon_one_time (kind, subject)",
    "CREATE INDEX IF NOT EXISTS _pylon_one_time_hash ON _pylon_one_time (hash)",
    "CREATE INDEX IF NOT EXISTS _pylon_one_time_user ON _pylon_one_time (user_id)",
    "CREATE INDEX IF NOT EXISTS _pylon_one_time_expiry ON _pylon_one_time (expires_at)",
    """CREATE TABLE IF NOT EXISTS _pylon_api_keys (
        id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL,
        hash BLOB NOT NULL,
        prefix TEXT NOT NULL,
        name TEXT NOT NULL,
        tenant_id TEXT,
        scopes TEXT,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        last_used_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _pylon_api_keys_user ON _pylon_api_keys (user_id)",
    """CREATE TABLE IF NOT EXISTS _pylon_passkeys (
        id TEXT PRIMARY KEY,
        user_id TEXT NOT NULL,
        credential_id BLOB NOT NULL UNIQUE,
        public_key BLOB NOT NULL,
        sign_count INTEGER NOT NULL,
        name TEXT NOT NULL,
        transports TEXT NOT NULL,
        aaguid TEXT NOT NULL,
        backed_up INTEGER NOT NULL,
        created_at INTEGER NOT NULL,
        last_used_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _pylon_passkeys_user ON _pylon_passkeys (user_id)",
    # Second factors: the secret is sealed.
    """CREATE TABLE IF NOT EXISTS _pylon_totp (
        user_id TEXT PRIMARY KEY,
        secret BLOB NOT NULL,
        verified_at INTEGER NOT NULL,
        last_step INTEGER NOT NULL,
        created_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS _pylon_backup_codes (
        user_id TEXT NOT NULL,
        hash BLOB NOT NULL,
        created_at INTEGER NOT NULL,
        PRIMARY KEY (user_id, hash)
    ) WITHOUT ROWID""",
    """CREATE TABLE IF NOT EXISTS _pylon_trusted_devices (
        key BLOB PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        user_id TEXT NOT NULL,
        label TEXT,
        created_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        last_used_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _pylon_trusted_devices_user ON _pylon_trusted_devices (user_id)",
    # Keys that tokens are signed with; the private half is sealed.
    """CREATE TABLE IF NOT EXISTS _pylon_signing_keys (
        kid TEXT PRIMARY KEY,
        "use" TEXT NOT NULL,
        algorithm TEXT NOT NULL,
        public TEXT NOT NULL,
        private BLOB NOT NULL,
        created_at INTEGER NOT NULL,
        active_at INTEGER NOT NULL,
        retired_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
    # Limits on signing in, shared by all processes and kept over restarts.
    """CREATE TABLE IF NOT EXISTS _pylon_rates (
        bucket TEXT NOT NULL,
        key BLOB NOT NULL,
        until REAL NOT NULL,
        failures INTEGER NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (bucket, key)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _pylon_rates_until ON _pylon_rates (until)",
    """CREATE TABLE IF NOT EXISTS _pylon_known_places (
        account BLOB NOT NULL,
        network BLOB NOT NULL,
        at INTEGER NOT NULL,
        PRIMARY KEY (account, network)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _pylon_known_places_at ON _pylon_known_places (at)",
    *mail.TABLES,
)

# Columns that a table got after it was first made: (table, column, declaration).
COLUMNS = tuple(
    ("_pylon_sessions", column, declaration)
    for column, declaration in (
        ("id", "TEXT NOT NULL DEFAULT ''"),
        ("method", "TEXT NOT NULL DEFAULT ''"),
        ("ip", "TEXT NOT NULL DEFAULT ''"),
        ("factors", "TEXT NOT NULL DEFAULT ''"),
        ("authenticated_at", "INTEGER NOT NULL DEFAULT 0"),
        ("last_used_at", "INTEGER NOT NULL DEFAULT 0"),
        ("rotated_at", "INTEGER NOT NULL DEFAULT 0"),
        ("confirmed_at", "INTEGER NOT NULL DEFAULT 0"),
    )
)
# What follows from added columns; each statement may run again and again.
SETTLE = (
    "UPDATE _pylon_sessions SET id = 'ses_' || lower(substr(hex(key), 1, 24)) WHERE id = ''",
    "CREATE UNIQUE INDEX IF NOT EXISTS _pylon_sessions_id ON _pylon_sessions (id)",
)

LAST_END = "SELECT coalesce(max(serial), 0) FROM _pylon_session_ends"
ENDS_AFTER = "SELECT serial, session_id, is_end, at FROM _pylon_session_ends WHERE serial > ? ORDER BY serial LIMIT ?"
END_ADD = "INSERT INTO _pylon_session_ends (session_id, is_end, at) VALUES (?, ?, ?)"
SESSIONS_REMOVE = """DELETE FROM _pylon_sessions
    WHERE (:user IS NULL OR user_id = :user) AND (:before IS NULL OR created_at < :before)
    AND (:after IS NULL OR created_at >= :after) AND (:guest IS NULL OR is_guest = :guest)
    AND (:method IS NULL OR method = :method) RETURNING {columns}"""
# What opens a door without anybody proving anything anew: after a restore it may have been revoked since.
SIGN_EVERYBODY_OUT = (
    "DELETE FROM _pylon_sessions",
    "DELETE FROM _pylon_spent_tokens",
    "DELETE FROM _pylon_one_time",
    "DELETE FROM _pylon_trusted_devices",
    "DELETE FROM _pylon_mail WHERE state = 'waiting'",
)
# What opens a door for as long as nobody withdraws it: (table, how one goes, what there is).
WITHDRAWABLE = (
    ("_pylon_api_keys", "DELETE FROM _pylon_api_keys WHERE id = ?", "SELECT id FROM _pylon_api_keys"),
    ("_pylon_passkeys", "DELETE FROM _pylon_passkeys WHERE id = ?", "SELECT id FROM _pylon_passkeys"),
    ("_pylon_accounts", "DELETE FROM _pylon_accounts WHERE id = ?", "SELECT id FROM _pylon_accounts"),
    (
        "_pylon_backup_codes",
        "DELETE FROM _pylon_backup_codes WHERE user_id = ? AND hash = ?",
        "SELECT user_id, hash FROM _pylon_backup_codes",
    ),
)
# Of these nobody proves anything but that he has them; without the others people could not sign in any more.
DROP_KEYS = (("_pylon_api_keys", "DELETE FROM _pylon_api_keys"),)
SIGNING_ENDS = "SELECT kid, retired_at FROM _pylon_signing_keys WHERE retired_at > 0"
SIGNING_END = "UPDATE _pylon_signing_keys SET retired_at = ? WHERE kid = ?"
SPENT_DROP = "DELETE FROM _pylon_spent_tokens WHERE session_id = ? AND generation < ?"
# What is past its time. The newest end is kept, so that the highest serial stays to be seen.
PRUNES = (
    """DELETE FROM _pylon_sessions WHERE key IN (
        SELECT key FROM _pylon_sessions WHERE expires_at > 0 AND expires_at <= :now - 3600 LIMIT :limit)""",
    """DELETE FROM _pylon_spent_tokens WHERE key IN (
        SELECT key FROM _pylon_spent_tokens t WHERE NOT EXISTS (
            SELECT 1 FROM _pylon_sessions s WHERE s.id = t.session_id) LIMIT :limit)""",
    """DELETE FROM _pylon_session_ends WHERE serial IN (
        SELECT serial FROM _pylon_session_ends WHERE at < :now - 3600
        AND serial < (SELECT max(serial) FROM _pylon_session_ends) ORDER BY serial LIMIT :limit)""",
    # Kept for a day past their time, so that a late click is told what happened.
    """DELETE FROM _pylon_one_time WHERE id IN (
        SELECT id FROM _pylon_one_time WHERE expires_at < :now - 86400 LIMIT :limit)""",
    """DELETE FROM _pylon_trusted_devices WHERE key IN (
        SELECT key FROM _pylon_trusted_devices WHERE expires_at <= :now LIMIT :limit)""",
    """DELETE FROM _pylon_rates WHERE (bucket, key) IN (
        SELECT bucket, key FROM _pylon_rates WHERE until < :now - 86400 LIMIT :limit)""",
    """DELETE FROM _pylon_known_places WHERE (account, network) IN (
        SELECT account, network FROM _pylon_known_places WHERE at < :now - 15552000 LIMIT :limit)""",
    *mail.PRUNES,
)

_NAMES: dict[type[msgspec.Struct], tuple[str, tuple[str, ...]]] = {
    records.SessionRecord: ("_pylon_sessions", ("key",)),
    records.SpentToken: ("_pylon_spent_tokens", ("key",)),
    records.AccountRecord: ("_pylon_accounts", ("id",)),
    records.OneTimeRecord: ("_pylon_one_time", ("id",)),
    records.ApiKeyRecord: ("_pylon_api_keys", ("id",)),
    records.PasskeyRecord: ("_pylon_passkeys", ("id",)),
    records.TotpRecord: ("_pylon_totp", ("user_id",)),
    records.BackupCodeRecord: ("_pylon_backup_codes", ("user_id", "hash")),
    records.TrustedDeviceRecord: ("_pylon_trusted_devices", ("key",)),
    records.SigningKeyRecord: ("_pylon_signing_keys", ("kid",)),
    records.KnownPlaceRecord: ("_pylon_known_places", ("account", "network")),
    records.RateRecord: ("_pylon_rates", ("bucket", "key")),
    MailRecord: ("_pylon_mail", ("id",)),
}


class _Table:
    """The statements of one record type. Names come from its Struct, never from outside."""

    __slots__ = ("_selects", "bools", "columns", "insert", "kind", "name", "names", "order", "put")

    def __init__(self, kind: type[msgspec.Struct], name: str, key: tuple[str, ...]) -> None:
        fields = msgspec.structs.fields(kind)
        self.kind = kind
        self.name = name
        self.names = frozenset(field.name for field in fields)
        self.bools = tuple(i for i, field in enumerate(fields) if field.type is bool)
        self.columns = ", ".join(f'"{field.name}"' for field in fields)
        marks = ", ".join("?" * len(fields))
        self.insert = f"INSERT OR IGNORE INTO {name} ({self.columns}) VALUES ({marks})"
        sets = ", ".join(f'"{field.name}" = excluded."{field.name}"' for field in fields if field.name not in key)
        target = ", ".join(key)
        self.put = f"INSERT INTO {name} ({self.columns}) VALUES ({marks}) ON CONFLICT ({target}) DO UPDATE SET {sets}"
        self.order = " ORDER BY created_at DESC" if "created_at" in self.names else ""

    def conditions(self, where: dict[str, Any]) -> str:
        assert where.keys() <= self.names, where.keys() - self.names
        return " AND ".join(f'"{name}" IS ?' for name in where) or "true"

    def load(self, row: tuple[Any, ...]) -> Any:
        if self.bools:
            items = list(row)
            for i in self.bools:
                items[i] = bool(items[i])
            row = tuple(items)
        return self.kind(**dict(zip(self.kind.__struct_fields__, row, strict=True)))


_TABLES = {kind: _Table(kind, name, key) for kind, (name, key) in _NAMES.items()}


class SqliteIdentity(mail.SqliteMail):
    """The tables over one connection: the writer's in its transaction, a reader's on its snapshot."""

    __slots__ = ("_connection", "_execute")

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._execute: Callable[..., Any] = connection.execute

    def _fetch(self, sql: str, parameters: Any) -> list[tuple[Any, ...]]:
        try:
            rows: list[tuple[Any, ...]] = self._execute(sql, parameters).fetchall()
        except apsw.Error as error:
            raise storage_error(error) from error
        return rows

    def find(self, kind: type[R], /, **where: Any) -> list[R]:
        """The records of a table that match, newest first where they have a `created_at`."""
        table = _TABLES[kind]
        sql = f"SELECT {table.columns} FROM {table.name} WHERE {table.conditions(where)}{table.order}"
        return [table.load(row) for row in self._fetch(sql, tuple(where.values()))]

    def one(self, kind: type[R], /, **where: Any) -> R | None:
        """The first of them, or None."""
        table = _TABLES[kind]
        sql = f"SELECT {table.columns} FROM {table.name} WHERE {table.conditions(where)}{table.order} LIMIT 1"
        rows = self._fetch(sql, tuple(where.values()))
        return cast("R", table.load(rows[0])) if rows else None

    def last_end(self) -> int:
        """The serial of the newest SessionEnd, 0 for none."""
        return int(self._fetch(LAST_END, ())[0][0])

    def ends_after(self, serial: int, limit: int) -> list[SessionEnd]:
        """The ones after a serial, in order."""
        return [
            SessionEnd(serial=number, session_id=session_id, is_end=bool(is_end), at=at)
            for number, session_id, is_end, at in self._fetch(ENDS_AFTER, (serial, limit))
        ]

    def put(self, record: msgspec.Struct) -> None:
        """Store a record, in place of the one with its primary key."""
        self._fetch(_TABLES[type(record)].put, msgspec.structs.astuple(record))

    def add(self, record: msgspec.Struct) -> bool:
        """Store a record unless one of its unique columns is taken; whether it was stored."""
        self._fetch(_TABLES[type(record)].insert, msgspec.structs.astuple(record))
        return bool(self._connection.changes())

    def change(self, kind: type[R], values: dict[str, Any], /, **where: Any) -> int:
        """Set columns of the records that match; how many there were."""
        table = _TABLES[kind]
        assert values.keys() <= table.names, values.keys() - table.names
        sets = ", ".join(f'"{name}" = ?' for name in values)
        sql = f"UPDATE {table.name} SET {sets} WHERE {table.conditions(where)}"
        self._fetch(sql, (*values.values(), *where.values()))
        return self._connection.changes()

    def remove(self, kind: type[R], /, **where: Any) -> list[R]:
        """Remove the records that match, and return them."""
        table = _TABLES[kind]
        sql = f"DELETE FROM {table.name} WHERE {table.conditions(where)} RETURNING {table.columns}"
        return [table.load(row) for row in self._fetch(sql, tuple(where.values()))]

    def end_sessions(self, ids: Sequence[str], at: int) -> None:
        """Tell every process that these sessions are over."""
        for identifier in ids:
            self._fetch(END_ADD, (identifier, 1, at))

    def renew_sessions(self, ids: Sequence[str], at: int) -> None:
        """Tell every process to look these sessions up again."""
        for identifier in ids:
            self._fetch(END_ADD, (identifier, 0, at))

    def remove_sessions(self, wanted: SessionFilter) -> list[SessionRecord]:
        """Remove the sessions that match."""
        table = _TABLES[SessionRecord]
        parameters = {
            "user": wanted.user_id,
            "before": wanted.created_before,
            "after": wanted.created_after,
            "guest": wanted.is_guest,
            "method": wanted.method,
        }
        return [table.load(row) for row in self._fetch(SESSIONS_REMOVE.format(columns=table.columns), parameters)]

    def drop_spent(self, session_id: str, below: int) -> None:
        """Forget spent tokens of a session below a generation."""
        self._fetch(SPENT_DROP, (session_id, below))

    def prune(self, now: int, limit: int) -> int:
        """Drop at most `limit` of each kind of record that is past its time; how many went."""
        gone = 0
        for statement in PRUNES:
            self._fetch(statement, {"now": now, "limit": limit})
            gone += self._connection.changes()
        return gone


def settle(connection: apsw.Connection) -> None:
    """Bring tables of earlier releases up to date."""
    for table, column, declaration in COLUMNS:
        live = {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()}
        if column not in live:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {declaration}")
    for statement in SETTLE:
        connection.execute(statement)
