"""How a session's token changes, so that an honest client is never logged out and a stolen old token ends the session.

    current ──refresh──▶ spent, open ──its successor is first used──▶ spent, closing ──GRACE_SECONDS──▶ spent, closed

An open token still works and its refresh answers with the same successor, however late: the client never got the first
answer. A closing one does too: another tab had it. Whoever refreshes with a closed one has a copy that the client gave
up long ago, and the whole session ends. All times are the server's; a clock set back only prolongs the grace.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator

from pylon.auth.tokens import PREFIX, token_key
from pylon.engine.keyring import KeyRing
from pylon.store.identity import SessionRecord, SpentToken

GRACE_SECONDS = 60
"""How long a token is good after its successor was first used."""

LATE_SECONDS = 300
"""How long after its end a session may still be refreshed, by clients whose clocks run behind."""

MAX_SPENT = 32
"""Spent tokens remembered of one session; older ones are unknown, and open nothing either."""

_PURPOSE = "session successor"


def is_good(spent: SpentToken, now: float) -> bool:
    """Whether a spent token still stands for its session."""
    return not spent.closed_at or now - spent.closed_at <= GRACE_SECONDS


def spend(ring: KeyRing, token: str, session: SessionRecord, generation: int, now: int) -> tuple[SpentToken, str]:
    """The current token as a spent one, and its successor."""
    salt = secrets.token_bytes(16)
    spent = SpentToken(
        key=token_key(token), session_id=session.id, generation=generation, salt=salt, spent_at=now, closed_at=0
    )
    return spent, next(_successors(ring, token, salt))


def successor(ring: KeyRing, token: str, spent: SpentToken, chain: Iterable[SpentToken], current: bytes) -> str | None:
    """The current token, made again from a spent one; None when the keys that made it are gone. `chain` is every spent
    token of the session."""
    links = {link.key: link for link in chain}
    while True:
        for candidate in _successors(ring, token, spent.salt):
            key = token_key(candidate)
            if key == current:
                return candidate
            if key in links:
                token, spent = candidate, links.pop(key)
                break
        else:
            return None


def _successors(ring: KeyRing, token: str, salt: bytes) -> Iterator[str]:
    for mac in ring.macs(_PURPOSE, salt + token.encode("utf-8", "surrogatepass")):
        yield PREFIX + mac.hex()
