"""What proves something once: codes that people type, tokens that links carry, states and challenges of sign-ins
elsewhere (spec 03 §7, §8.1).

Each is stored as a keyed hash, bound to its kind and subject. It is used up by the transaction that acts on it: of two
that present the same, one does. A code that was guessed wrong too often is burnt, the right one included.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Callable
from typing import Any

import msgspec

from pylon.auth.vault import Vault, new_code, new_id, new_secret
from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError
from pylon.store.identity import OneTimeRecord

CODE_TRIES = 5


class Kind(msgspec.Struct, frozen=True):
    """One flow. `name` is stored; `seconds` is how long a proof of it is good; `cooldown` the least number of seconds
    between two for one subject; `only_newest` says that a new one ends those before it."""

    name: str
    seconds: int
    cooldown: int = 0
    only_newest: bool = True


class OneTime:
    """The one-time proofs of one server. Everything here runs in a transaction, on the writer thread."""

    def __init__(self, vault: Vault, clock: Callable[[], float] = time.time) -> None:
        self._vault = vault
        self._clock = clock

    def make_code(
        self,
        tx: Transaction,
        kind: Kind,
        subject: str,
        *,
        user_id: str | None = None,
        payload: Any = None,
        digits: int = 6,
    ) -> str:
        """A code of so many digits for a subject, in place of the one before. Raises RATE_LIMITED within the
        cooldown."""
        code = new_code(digits)
        self._store(tx, kind, subject, f"{subject}\0{code}", user_id, payload)
        return code

    def make_token(
        self,
        tx: Transaction,
        kind: Kind,
        subject: str,
        *,
        user_id: str | None = None,
        payload: Any = None,
        token: str | None = None,
    ) -> str:
        """A token of 256 bits that needs no subject to be found; `token` for one whose form others prescribe."""
        token = token or new_secret()
        self._store(tx, kind, subject, token, user_id, payload)
        return token

    def use_code(self, tx: Transaction, kind: Kind, subject: str, code: str) -> OneTimeRecord | None:
        """Use a code up: its record, or None when it isn't the one. Raises RATE_LIMITED once it was guessed wrong too
        often. The caller must let a None commit, because the try is counted in this transaction."""
        now = int(self._clock())
        found = next(
            (r for r in tx.session.identity.find(OneTimeRecord, kind=kind.name, subject=subject) if not r.consumed_at),
            None,
        )
        if found is None or found.expires_at <= now:
            return None
        if found.attempts >= CODE_TRIES:
            wait = found.expires_at - now
            raise PylonError(
                "RATE_LIMITED", "Too many wrong codes. Ask for a new one.", headers={"Retry-After": str(wait)}
            )
        if not self._vault.matches(kind.name, f"{subject}\0{code}", found.hash):
            tx.session.identity.change(OneTimeRecord, {"attempts": found.attempts + 1}, id=found.id)
            return None
        return found if self._consume(tx, found, now) else None

    def peek_token(self, tx: Transaction, kind: Kind, token: str) -> OneTimeRecord | None:
        """The record of a token that is still good, without using it up."""
        now = int(self._clock())
        for candidate in self._vault.hashes(kind.name, token):
            for record in tx.session.identity.find(OneTimeRecord, hash=candidate):
                fits = record.kind == kind.name and hmac.compare_digest(record.hash, candidate)
                if fits and not record.consumed_at and record.expires_at > now:
                    return record
        return None

    def use_token(self, tx: Transaction, kind: Kind, token: str) -> OneTimeRecord | None:
        """Use a token up: its record, or None when it is unknown, used, expired or of another flow."""
        found = self.peek_token(tx, kind, token)
        return found if found is not None and self._consume(tx, found, int(self._clock())) else None

    def drop(self, tx: Transaction, kind: Kind, subject: str) -> None:
        """End everything of a kind for a subject."""
        tx.session.identity.remove(OneTimeRecord, kind=kind.name, subject=subject)

    @staticmethod
    def payload(record: OneTimeRecord) -> Any:
        """What was stored with it."""
        return msgspec.json.decode(record.payload)

    def _store(self, tx: Transaction, kind: Kind, subject: str, secret: str, user_id: str | None, payload: Any) -> None:
        tables = tx.session.identity
        now = int(self._clock())
        if kind.cooldown:
            for before in tables.find(OneTimeRecord, kind=kind.name, subject=subject):
                wait = before.created_at + kind.cooldown - now
                if 0 < wait <= kind.cooldown:
                    raise PylonError(
                        "RATE_LIMITED",
                        "One was sent a moment ago.",
                        hint=f"Try again in {wait} seconds.",
                        headers={"Retry-After": str(wait)},
                        extra={"retry_after_secs": wait},
                    )
        if kind.only_newest:
            tables.remove(OneTimeRecord, kind=kind.name, subject=subject)
        tables.put(
            OneTimeRecord(
                id=new_id("vt_"),
                kind=kind.name,
                subject=subject,
                hash=self._vault.hash(kind.name, secret),
                user_id=user_id,
                payload=msgspec.json.encode(payload if payload is not None else {}).decode(),
                created_at=now,
                expires_at=now + kind.seconds,
            )
        )

    @staticmethod
    def _consume(tx: Transaction, record: OneTimeRecord, now: int) -> bool:
        return bool(tx.session.identity.change(OneTimeRecord, {"consumed_at": now}, id=record.id, consumed_at=0))
