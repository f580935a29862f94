"""Operators at Studio: who signed in, with which admin token or under which name, and until when.

The browser holds a random secret; the store holds its hash and what opened the session: the hash of an admin token, or
an account (`operator_accounts`) with the stamp of its password. A session ends with either.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections.abc import Callable

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.foundation import Foundation
from pylon.auth.methods.password import rules
from pylon.auth.operator_accounts import OperatorAccounts, identity_of, user_id
from pylon.auth.sessions import Sessions
from pylon.auth.tokens import MAX_LENGTH, token_key
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.model.identity import ADMIN, Identity
from pylon.signals.logs import Log

log = Log("pylon.operators")

KIND = "operator"
LIFETIME_SECONDS = 12 * 3600
MAX_SESSIONS = 100
"""Open at once; the oldest gives way."""

_STORE_SECONDS = 5.0


class Operator(msgspec.Struct, frozen=True):
    """One session. `id` names it without being a secret; `token` is the hash of the admin token it stands on, empty for
    one of an account, whose password had this `stamp`."""

    id: str
    name: str
    token: str
    ip: str
    agent: str
    created_at: int
    expires_at: int
    stamp: str = ""

    @property
    def key(self) -> bytes:
        """The admin token's hash, as sessions and the audit log know it; for an account its name."""
        return bytes.fromhex(self.token) if self.token else user_id(self.name).encode()

    @property
    def identity(self) -> Identity:
        """Who it is to the rooms below."""
        return ADMIN if self.token else identity_of(self.name)


class Operators:
    """The operators' sessions of one server."""

    def __init__(
        self,
        engine: Engine,
        sessions: Sessions,
        accounts: OperatorAccounts,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._sessions = sessions
        self.accounts = accounts
        self._clock = clock
        self._unstored: dict[str, Operator] = {}

    @property
    def methods(self) -> list[str]:
        """How one may sign in here: with an admin `token`, with a name and a `password`."""
        ways = {"token": bool(self._sessions.admin_tokens), "password": bool(self.accounts.all())}
        return [name for name, is_open in ways.items() if is_open]

    async def sign_in(self, caller: Caller, token: str, *, agent: str = "") -> tuple[str, Operator] | None:
        """A session for who holds an admin token, with the secret that opens it; None for any other token."""
        if not self._sessions.resolve(token).identity.is_admin:
            return None
        return await self._open(caller, "admin", token=token_key(token).hex(), agent=agent)

    async def sign_in_by_name(
        self, arrival: Arrival, name: str, password: str, code: str
    ) -> tuple[str, Operator] | None:
        """The same for an account's name, password and, where it has an app, code; None for whatever is wrong. Raises
        RATE_LIMITED, OVERLOADED."""
        account = await self.accounts.check(arrival, name, password, code)
        if account is None:
            return None
        return await self._open(arrival.caller, account.name, stamp=account.stamp, agent=arrival.agent or "")

    async def _open(
        self, caller: Caller, name: str, *, token: str = "", stamp: str = "", agent: str
    ) -> tuple[str, Operator]:
        secret = secrets.token_hex(32)
        key = _key(secret)
        now = int(self._clock())
        operator = Operator(
            id=key[:12],
            name=name,
            token=token,
            ip=caller.ip,
            agent=agent[:200],
            created_at=now,
            expires_at=now + LIFETIME_SECONDS,
            stamp=stamp,
        )

        superseded = self._superseded()

        def store(tx: Transaction) -> None:
            for old in superseded:
                tx.session.delete_record(KIND, old)
            tx.session.put_record(KIND, key, msgspec.json.encode(operator))
            tx.note("studio.sign-in", operator.id, agent=operator.agent)

        caller = msgspec.structs.replace(caller, session=operator.key, identity=operator.identity)
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
        if operator.expires_at <= self._clock():
            return False
        if operator.token:
            return self._sessions.admin_tokens.accept(operator.key) is not None
        account = self.accounts.get(operator.name)
        return account is not None and hmac.compare_digest(account.stamp, operator.stamp)

    def _superseded(self) -> list[str]:
        """The keys that the next session replaces: the dead, and the oldest of too many."""
        live = sorted((o.created_at, key) for key, o in self._all() if self._is_live(o))
        dead = [key for key, operator in self._all() if not self._is_live(operator)]
        return dead + [key for _, key in live[: max(0, len(live) - MAX_SESSIONS + 1)]]


def open_operators(foundation: Foundation) -> Operators:
    """The operators of a server with this foundation."""
    accounts = OperatorAccounts(
        foundation.engine,
        foundation.vault,
        foundation.hashing,
        foundation.limiter,
        rules(foundation),
        foundation.registry.get("totp"),
    )
    return Operators(foundation.engine, foundation.sessions, accounts)


def _key(secret: str) -> str:
    return token_key(secret).hex()


def _end(tx: Transaction, key: str, action: str) -> None:
    tx.session.delete_record(KIND, key)
    tx.note(action, key[:12])
