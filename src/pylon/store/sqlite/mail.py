"""The letters in SQLite."""

from __future__ import annotations

from typing import Any

from pylon.store.mail import MailRecord

TABLES = (
    """CREATE TABLE IF NOT EXISTS _pylon_mail (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        state TEXT NOT NULL,
        user_id TEXT,
        recipient TEXT NOT NULL,
        sealed BLOB NOT NULL,
        attempts INTEGER NOT NULL,
        error TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        due_at REAL NOT NULL,
        expires_at INTEGER NOT NULL,
        sent_at INTEGER NOT NULL
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS _pylon_mail_due ON _pylon_mail (due_at) WHERE state = 'waiting'",
    "CREATE INDEX IF NOT EXISTS _pylon_mail_state ON _pylon_mail (state, created_at)",
    "CREATE INDEX IF NOT EXISTS _pylon_mail_created ON _pylon_mail (created_at)",
    "CREATE INDEX IF NOT EXISTS _pylon_mail_user ON _pylon_mail (user_id)",
)

# Sent letters are shown for a week, given-up ones for a month.
PRUNES = (
    """DELETE FROM _pylon_mail WHERE id IN (
        SELECT id FROM _pylon_mail WHERE state = 'sent' AND created_at < :now - 604800 LIMIT :limit)""",
    """DELETE FROM _pylon_mail WHERE id IN (
        SELECT id FROM _pylon_mail WHERE state = 'dead' AND created_at < :now - 2592000 LIMIT :limit)""",
)

_COLUMNS = ", ".join(MailRecord.__struct_fields__)
DUE = f"SELECT {_COLUMNS} FROM _pylon_mail WHERE state = 'waiting' AND due_at <= ? ORDER BY due_at LIMIT ?"
LISTED = f"SELECT {_COLUMNS} FROM _pylon_mail ORDER BY created_at DESC LIMIT ?"
LISTED_OF = f"SELECT {_COLUMNS} FROM _pylon_mail WHERE state = ? ORDER BY created_at DESC LIMIT ?"
COUNTED = """SELECT count(*), coalesce(min(created_at), 0) FROM (
    SELECT created_at FROM _pylon_mail WHERE state = ? ORDER BY created_at LIMIT ?)"""


class SqliteMail:
    """Reading the letters, over whatever the connection has open."""

    __slots__ = ()

    def _fetch(self, sql: str, parameters: Any) -> list[tuple[Any, ...]]:
        raise NotImplementedError

    def mail_due(self, now: float, limit: int) -> list[MailRecord]:
        """Waiting letters whose time has come, the longest due first."""
        return [_load(row) for row in self._fetch(DUE, (now, limit))]

    def mail_listed(self, state: str, limit: int) -> list[MailRecord]:
        """Letters in a state, in any for "", newest first."""
        rows = self._fetch(LISTED_OF, (state, limit)) if state else self._fetch(LISTED, (limit,))
        return [_load(row) for row in rows]

    def mail_counted(self, state: str, most: int) -> tuple[int, int]:
        """How many letters are in a state, at most `most`, and when the oldest of them was made (0 for none)."""
        count, oldest = self._fetch(COUNTED, (state, most))[0]
        return count, oldest


def _load(row: tuple[Any, ...]) -> MailRecord:
    return MailRecord(**dict(zip(MailRecord.__struct_fields__, row, strict=True)))
