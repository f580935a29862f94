"""Operators at Studio: who signed in, with which admin token, and until when.

The browser holds a random secret; the store holds its hash and the hash of the admin token that opened the session, so
a session ends with its token. Operators with names and passwords will open sessions here as well: `Operator.name` and
`Operator.token` are theirs to fill.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable

import msgspec

from pylon.auth.sessions import Sessions
from pylon.auth.tokens import MAX_LENGTH, token_key
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.signals.logs import Log

log = Log("pylon.operators")

KIND = "operator"
LIFETIME_SECONDS = 12 * 3600
MAX_SESSIONS = 100
"""Open at once; the oldest gives way."""

_STORE_SECONDS = 5.0


class Operator(msgspec.Struct, frozen=True):
    """One session. `id` names it without being a secret; `token` is the hash of the admin token it stands on."""

    id: str
    name: str
    token: str
    ip: str
    agent: str
    created_at: int
    expires_at: int

    @property
    def key(self) -> bytes:
        """The admin token's hash, as sessions and the audit log know it."""
        return bytes.fromhex(self.token)


class Operators:
    """The operators' sessions of one server."""

    def __init__(self, engine: Engine, sessions: Sessions, *, clock: Callable[[], float] = time.time) -> None:
        self._engine = engine
        self._sessions = sessions
        self._clock = clock
        self._unstored: dict[str, Operator] = {}

    @property
    def can_sign_in(self) -> bool:
        """Whether there is an admin token to sign in with."""
        return bool(self._sessions.admin_tokens)

    async def sign_in(self, caller: Caller, token: str, *, agent: str = "") -> tuple[str, Operator] | None:
        """A session for who holds an admin token, with the secret that opens it; None for any other token."""
        if not self._sessions.resolve(token).identity.is_admin:
            return None
        secret = secrets.token_hex(32)
        key = _key(secret)
        now = int(self._clock())
        operator = Operator(
            id=key[:12],
            name="admin",
            token=token_key(token).hex(),
            ip=caller.ip,
            agent=agent[:200],
            created_at=now,
            expires_at=now + LIFETIME_SECONDS,
        )

        superseded = self._superseded()

        def store(tx: Transaction) -> None:
            for old in superseded:
                tx.session.delete_record(KIND, old)
            tx.session.put_record(KIND, key, msgspec.json.encode(operator))
            tx.note("studio.sign-in", operator.id, agent=operator.agent)

        caller = msgspec.structs.replace(caller, session=operator.key)
        try:
            async with asyncio.timeout(_STORE_SECONDS):
                await self._engine.run(caller, store, authority=Authority.TRUSTED)
        except (PylonError, TimeoutError) as error:
            # A full disk is when an operator is needed most: such a session lives as long as this process.
            log.warning("an operator's session could not be stored, it is kept in memory", error=str(error))
            if len(self._unstored) >= MAX_SESSIONS:
                del self._unstored[next(iter(self._unstored))]
            self._unstored[key] = operator
        return secret, operator

    def resolve(self, secret: str) -> Operator | None:
        """Whose secret this is; None when it is unknown, expired, revoked, or its admin token is."""
        if not secret or len(secret) > MAX_LENGTH:
            return None
        key = _key(secret)
        operator = self._unstored.get(key) or self._stored(key)
        return operator if operator is not None and self._is_live(operator) else None

    def open_sessions(self) -> list[Operator]:
        """The live sessions, newest first."""
        found = [operator for _, operator in self._all() if self._is_live(operator)]
        return sorted(found, key=lambda operator: operator.created_at, reverse=True)

    async def sign_out(self, caller: Caller, identifier: str, *, action: str = "studio.sign-out") -> bool:
        """End one session by its id; whether there was one."""
        for key, operator in self._all():
            if operator.id == identifier:
                self._unstored.pop(key, None)
                await self._engine.run(caller, lambda tx, k=key: _end(tx, k, action), authority=Authority.TRUSTED)  # type: ignore[misc]
                return True
        return False

    def _stored(self, key: str) -> Operator | None:
        record = self._engine.reads.record(KIND, key)
        return None if record is None else msgspec.json.decode(record, type=Operator)

    def _all(self) -> list[tuple[str, Operator]]:
        stored = [(key, msgspec.json.decode(raw, type=Operator)) for key, raw in self._engine.reads.records(KIND)]
        return stored + list(self._unstored.items())

    def _is_live(self, operator: Operator) -> bool:
        return operator.expires_at > self._clock() and self._sessions.admin_tokens.accept(operator.key) is not None

    def _superseded(self) -> list[str]:
        """The keys that the next session replaces: the dead, and the oldest of too many."""
        live = sorted((o.created_at, key) for key, o in self._all() if self._is_live(o))
        dead = [key for key, operator in self._all() if not self._is_live(operator)]
        return dead + [key for _, key in live[: max(0, len(live) - MAX_SESSIONS + 1)]]


def _key(secret: str) -> str:
    return token_key(secret).hex()


def _end(tx: Transaction, key: str, action: str) -> None:
    tx.session.delete_record(KIND, key)
    tx.note(action, key[:12])
