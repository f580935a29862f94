"""Sessions: making, resolving and revoking them (spec 03 §1.4, §2).

Resolving a token is a dictionary lookup on the hot path. The cache is bounded, and a revoke drops its entries before
the revoker is answered, so the very next request sees it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from pylon.auth.admin_tokens import AdminTokens
from pylon.auth.tokens import MAX_LENGTH, new_token, token_key
from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.model.identity import ADMIN, ANONYMOUS, Identity
from pylon.store.protocol import SessionRecord

T = TypeVar("T")

CACHE_SESSIONS = 50_000


class Session(msgspec.Struct, frozen=True):
    """A resolved credential: who it is, the key of the session or admin token (None for anonymous), and when it
    ends in Unix seconds (0: never)."""

    identity: Identity
    key: bytes | None = None
    expires_at: int = 0


NOBODY = Session(ANONYMOUS)


class Sessions:
    """The sessions of one server."""

    def __init__(
        self,
        engine: Engine,
        admin_tokens: Sequence[str],
        *,
        lifetime: int = 2_592_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self.admin_tokens = AdminTokens(engine, admin_tokens)
        self.admin_tokens.on_changed(self._uncache)
        self.admin_tokens.on_revoked(self._forget)
        engine.on_refresh(self.admin_tokens.refresh)
        self._lifetime = lifetime
        self._clock = clock
        self._cache: dict[bytes, Session] = {}
        self._on_revoked: list[Callable[[list[bytes]], None]] = []

    def on_revoked(self, callback: Callable[[list[bytes]], None]) -> None:
        """Call back with the keys of sessions that were revoked, so that their sockets go too."""
        self._on_revoked.append(callback)

    def resolve(self, token: str | None) -> Session:
        """Whose token this is. An unknown, expired or revoked one is nobody's (spec 03 §1.4)."""
        if not token or len(token) > MAX_LENGTH:
            return NOBODY
        key = token_key(token)
        session = self._cache.get(key)
        if session is None:
            session = self._load(key)
        if session.expires_at and session.expires_at <= self._clock():
            self._cache.pop(key, None)
            return NOBODY
        return session

    def _load(self, key: bytes) -> Session:
        if (token := self.admin_tokens.accept(key)) is not None:
            return self._keep(key, Session(ADMIN, key, int(token.expires_at)))
        record = self._engine.reads.session(key)
        if record is None:
            return NOBODY
        return self._keep(key, _session(record))

    def _keep(self, key: bytes, session: Session) -> Session:
        if len(self._cache) >= CACHE_SESSIONS:
            del self._cache[next(iter(self._cache))]
        self._cache[key] = session
        return session

    async def create(self, user_id: str, *, device: str | None = None) -> str:
        """A new session for a user; its token."""
        return await self._create(user_id, is_guest=False, tenant_id=None, device=device)

    async def create_guest(self, *, device: str | None = None) -> tuple[str, str]:
        """A new guest and a session for it: (token, `guest_<32 hex>`)."""
        user_id = "guest_" + secrets.token_hex(16)
        token = await self._create(user_id, is_guest=True, tenant_id=None, device=device)
        return token, user_id

    async def _create(self, user_id: str, *, is_guest: bool, tenant_id: str | None, device: str | None) -> str:
        token = new_token()
        now = int(self._clock())
        record = SessionRecord(
            key=token_key(token),
            user_id=user_id,
            is_guest=is_guest,
            tenant_id=tenant_id,
            device=device,
            created_at=now,
            expires_at=now + self._lifetime if self._lifetime else 0,
        )
        await self._run(lambda tx: tx.session.put_session(record))
        self._keep(record.key, _session(record))
        return token

    async def refresh(self, token: str) -> tuple[str, str, int]:
        """Exchange a token for a new one of the same session: (token, user id, expiry). Raises SESSION_EXPIRED."""
        session = self.resolve(token)
        record = self._engine.reads.session(session.key) if session.key else None
        if record is None:
            raise PylonError("SESSION_EXPIRED", "The session is expired or revoked: sign in again")
        fresh = new_token()
        expires_at = int(self._clock()) + self._lifetime if self._lifetime else 0
        renewed = msgspec.structs.replace(record, key=token_key(fresh), expires_at=expires_at)

        def rotate(tx: Transaction) -> None:
            if not tx.session.delete_sessions([record.key]):
                raise PylonError("SESSION_EXPIRED", "The session is expired or revoked: sign in again")
            tx.session.put_session(renewed)

        await self._run(rotate)
        self._forget([record.key])
        return fresh, record.user_id, expires_at

    async def revoke(self, token: str) -> None:
        """End the session of a token, if it is one."""
        key = token_key(token)
        await self._run(lambda tx: tx.session.delete_sessions([key]))
        self._forget([key])

    async def revoke_all(self, user_id: str) -> int:
        """End all sessions of a user; how many there were."""
        keys = await self._run(lambda tx: tx.session.delete_sessions_of(user_id))
        self._forget(keys)
        return len(keys)

    async def purge(
        self,
        caller: Caller,
        *,
        user_id: str | None = None,
        created_before: int | None = None,
        is_guest: bool | None = None,
    ) -> int:
        """End every session that matches all that is given, and its sockets; how many there were. Recorded."""

        def remove(transaction: Transaction) -> list[bytes]:
            keys = transaction.session.purge_sessions(user_id=user_id, created_before=created_before, is_guest=is_guest)
            transaction.note(
                "sessions.purge", user_id or "", sessions=len(keys), created_before=created_before, guests=is_guest
            )
            return keys

        keys = (await self._engine.run(caller, remove, authority=Authority.TRUSTED)).value
        self._forget(keys)
        return len(keys)

    def of_user(self, user_id: str) -> list[SessionRecord]:
        """A user's live sessions, newest first."""
        now = self._clock()
        return [s for s in self._engine.reads.sessions_of(user_id) if not s.expires_at or s.expires_at > now]

    async def _run(self, operation: Callable[[Transaction], T]) -> T:
        return (await self._engine.run(SYSTEM, operation, authority=Authority.TRUSTED)).value

    def _uncache(self, keys: Sequence[bytes]) -> None:
        for key in keys:
            self._cache.pop(key, None)

    def _forget(self, keys: Sequence[bytes]) -> None:
        self._uncache(keys)
        for callback in self._on_revoked:
            callback(list(keys))


def _session(record: SessionRecord) -> Session:
    identity = Identity(user_id=record.user_id, is_guest=record.is_guest, tenant_id=record.tenant_id)
    return Session(identity, record.key, record.expires_at)
