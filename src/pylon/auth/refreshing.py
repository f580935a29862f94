"""Exchanging a session's token for the one that follows it, in the store (the states are in `rotation`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from pylon.auth.credentials import Grant
from pylon.auth.rotation import LATE_SECONDS, MAX_SPENT, is_good, spend, successor
from pylon.auth.tokens import new_token, token_key
from pylon.engine.keyring import KeyRing
from pylon.engine.transaction import Transaction
from pylon.signals.logs import Log
from pylon.store.identity import SessionRecord, SpentToken

log = Log("pylon.auth")

OnReuse = Callable[[Transaction, SessionRecord], None]
"""Told of a session that ended because a token came back which was given up before."""


class Refreshing:
    """The exchange of tokens, for one server. `expiry` says until when a session lives that was made and used at these
    times; `end` ends sessions. Runs on the writer."""

    def __init__(
        self,
        ring: KeyRing,
        expiry: Callable[[int, int], int],
        end: Callable[[Transaction, Iterable[SessionRecord]], None],
    ) -> None:
        self._ring = ring
        self._expiry = expiry
        self._end = end
        self.reuses = 0

    def exchange(self, tx: Transaction, token: str, now: int, on_reuse: OnReuse | None) -> Grant | None:
        """The token that follows this one; None when there is none to have."""
        tables = tx.session.identity
        key = token_key(token)
        record = tables.one(SessionRecord, key=key)
        if record is None:
            return self._again(tx, key, token, now, on_reuse)
        if not _may_refresh(record, now):
            return None
        chain = tables.find(SpentToken, session_id=record.id)
        generation = max((link.generation for link in chain), default=0) + 1
        spent, fresh = spend(self._ring, token, record, generation, now)
        tables.change(SpentToken, {"closed_at": now}, session_id=record.id, closed_at=0)
        tables.put(spent)
        tables.drop_spent(record.id, generation - MAX_SPENT + 1)
        values = {
            "key": token_key(fresh),
            "expires_at": self._expiry(record.created_at, now),
            "last_used_at": now,
            "rotated_at": now,
            "confirmed_at": 0,
        }
        tables.change(SessionRecord, values, id=record.id)
        tables.renew_sessions([record.id], now)
        return Grant(fresh, msgspec.structs.replace(record, **values))

    def replace(self, tx: Transaction, session_id: str, now: int) -> Grant | None:
        """A token that doesn't follow from those before, which end; None for a session that is over."""
        token = new_token()
        tables = tx.session.identity
        tables.remove(SpentToken, session_id=session_id)
        values = {"key": token_key(token), "rotated_at": 0, "confirmed_at": 0, "last_used_at": now}
        if not tables.change(SessionRecord, values, id=session_id):
            return None
        tables.renew_sessions([session_id], now)
        record = tables.one(SessionRecord, id=session_id)
        return None if record is None else Grant(token, record)

    def _again(self, tx: Transaction, key: bytes, token: str, now: int, on_reuse: OnReuse | None) -> Grant | None:
        """The answer to a refresh with a token that was refreshed already."""
        tables = tx.session.identity
        spent = tables.one(SpentToken, key=key)
        record = None if spent is None else tables.one(SessionRecord, id=spent.session_id)
        if spent is None or record is None or not _may_refresh(record, now):
            return None
        if is_good(spent, now):
            chain = tables.find(SpentToken, session_id=record.id)
            again = successor(self._ring, token, spent, chain, record.key)
            return None if again is None else Grant(again, record)
        self._end(tx, [record])
        self.reuses += 1
        log.warning("an old token was used again: its session is ended", session=record.id, user=record.user_id)
        if on_reuse is not None:
            on_reuse(tx, record)
        return None


def _may_refresh(record: SessionRecord, now: int) -> bool:
    return not record.expires_at or record.expires_at + LATE_SECONDS > now
