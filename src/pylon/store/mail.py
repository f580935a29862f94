"""What is stored of mail that leaves: a record for each letter, made in the transaction that it belongs to."""

from __future__ import annotations

import enum
from typing import Protocol

import msgspec


class MailState(enum.StrEnum):
    """Waiting to be sent (again), sent, or given up."""

    WAITING = "waiting"
    SENT = "sent"
    DEAD = "dead"


class MailRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One letter. `sealed` holds the address and what the template is filled with, encrypted under the key ring, and is
    empty once it was sent; `recipient` is the address with most of it hidden. `due_at` is the next try, Unix seconds
    with fractions; after `expires_at` it is of no use to anybody. `error` says what went wrong the last time."""

    id: str
    kind: str
    state: str
    user_id: str | None
    recipient: str
    sealed: bytes
    attempts: int = 0
    error: str = ""
    created_at: int
    due_at: float
    expires_at: int
    sent_at: int = 0


class MailRows(Protocol):
    """Reading the letters."""

    def mail_due(self, now: float, limit: int) -> list[MailRecord]:
        """Waiting letters whose time has come, the longest due first."""

    def mail_listed(self, state: str, limit: int) -> list[MailRecord]:
        """Letters in a state, in any for "", newest first."""

    def mail_counted(self, state: str, most: int) -> tuple[int, int]:
        """How many letters are in a state, at most `most`, and when the oldest of them was made (0 for none)."""
