"""API keys: `pk.key_<32>.<43>`, for programs that act as a user (spec 03 §11).

The id is public and finds the key; of the secret only a keyed hash is stored. Every request reads the key from the
store, so a revoke holds for the next one in every process, and who is locked has no keys. A key stands for its user
without an active organisation; its scopes are the app's to read, and it may do nothing to the account itself.
"""

from __future__ import annotations

import asyncio
import re
import secrets

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.events import Event, record
from pylon.auth.foundation import Foundation
from pylon.auth.registry import Method
from pylon.auth.sessions import NOBODY, Session, TokenKind
from pylon.auth.vault import new_secret
from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.store.identity import ApiKeyRecord

log = Log("pylon.auth")

MAX_KEYS = 100
MAX_NAME = 100
MAX_SCOPES = 1024
PREFIX_LENGTH = 16
TOUCH_SECONDS = 60
"""Between two notes of when a key was last used."""

_ID = "key_"
_FORM = re.compile(r"pk\.(key_[A-Za-z0-9_-]{32})\.([A-Za-z0-9_-]{43})", re.ASCII)
_KIND = "api key"
_NO_HASH = bytes(32)


class NewKey(msgspec.Struct, frozen=True):
    """A key, shown this once, and what is stored of it."""

    key: str
    record: ApiKeyRecord


class ApiKeys:
    """The API keys of one server."""

    def __init__(self, foundation: Foundation) -> None:
        self._engine = foundation.engine
        self._tables = foundation.engine.reads.identity
        self._clock = foundation.engine.clock
        self._vault = foundation.vault
        self._sessions = foundation.sessions
        self._registry = foundation.registry
        self._used: dict[str, int] = {}
        self._noting: asyncio.Task[None] | None = None
        foundation.sessions.accept(TokenKind("api_key", is_key, self._resolve, self._current))
        foundation.engine.on_refresh(self._refresh)

    # -- who is it -----------------------------------------------------------------------------------------------

    def _resolve(self, token: str) -> Session:
        """Whose key this is. Raises INVALID_API_KEY, and MAINTENANCE while keys are switched off."""
        self._registry.check(METHOD.name)
        form = _FORM.fullmatch(token)
        held = self._tables.one(ApiKeyRecord, id=form[1]) if form is not None else None
        is_right = self._vault.matches(_KIND, form[2] if form is not None else "", held.hash if held else _NO_HASH)
        session = self._session(held) if held is not None and is_right else NOBODY
        if held is None or session is NOBODY:
            raise PylonError("INVALID_API_KEY", "Bearer token is malformed, expired, or revoked")
        now = int(self._clock())
        if now - max(held.last_used_at, self._used.get(held.id, 0)) >= TOUCH_SECONDS:
            self._used[held.id] = now
        return session

    def _current(self, key: bytes) -> Session | None:
        if not key.startswith(_ID.encode()):
            return None
        held = self._tables.one(ApiKeyRecord, id=key.decode("ascii", "replace"))
        return NOBODY if held is None else self._session(held)

    def _session(self, held: ApiKeyRecord) -> Session:
        if held.expires_at and held.expires_at <= self._clock():
            return NOBODY
        identity = self._sessions.identity_of(held.user_id)
        if identity is None:
            return NOBODY
        return Session(
            identity=identity,
            key=held.id.encode(),
            expires_at=held.expires_at,
            method=METHOD.name,
            api_key_id=held.id,
            api_key_scopes=held.scopes,
        )

    # -- what users do -------------------------------------------------------------------------------------------

    async def create(self, arrival: Arrival, *, name: str, scopes: str | None, expires_at: int) -> NewKey:
        """A new key of the caller. Raises INVALID_DATA for one that is over already, and CONFLICT for one too many."""
        user_id = arrival.session.identity.user_id
        assert arrival.session.is_user
        assert user_id is not None
        now = int(self._clock())
        if expires_at and expires_at <= now:
            raise PylonError("INVALID_DATA", "expires_at is in the past: Unix seconds are expected")
        identifier, secret = _ID + secrets.token_urlsafe(24), new_secret()
        key = f"pk.{identifier}.{secret}"
        made = ApiKeyRecord(
            id=identifier,
            user_id=user_id,
            hash=self._vault.hash(_KIND, secret),
            prefix=key[:PREFIX_LENGTH],
            name=name,
            scopes=scopes,
            created_at=now,
            expires_at=expires_at,
        )

        def store(tx: Transaction) -> None:
            held = tx.session.identity.find(ApiKeyRecord, user_id=user_id)
            if len(held) >= MAX_KEYS:
                raise PylonError("CONFLICT", f"An account has at most {MAX_KEYS} API keys: revoke some first")
            tx.session.identity.put(made)
            record(tx, arrival, Event.API_KEY_CREATE, user_id, key=identifier, name=name, expires_at=expires_at)

        await self._engine.run(arrival.caller, store, authority=Authority.TRUSTED)
        return NewKey(key, made)

    def of_user(self, user_id: str) -> list[ApiKeyRecord]:
        """A user's keys, newest first, expired ones too."""
        return self._tables.find(ApiKeyRecord, user_id=user_id)

    async def revoke(self, arrival: Arrival, user_id: str, identifier: str) -> bool:
        """End one key of a user, and its sockets; whether there was one."""

        def remove(tx: Transaction) -> bool:
            gone = tx.session.identity.remove(ApiKeyRecord, id=identifier, user_id=user_id)
            end_keys(tx, gone)
            for held in gone:
                record(tx, arrival, Event.API_KEY_REVOKE, user_id, key=held.id)
            return bool(gone)

        done = (await self._engine.run(arrival.caller, remove, authority=Authority.TRUSTED)).value
        self._sessions.take_up()
        return done

    async def purge(self, caller: Caller, *, user_id: str | None, created_after: int | None) -> int:
        """End every key that matches all that is given; how many there were. Recorded as an operator's doing."""

        def remove(tx: Transaction) -> int:
            tables = tx.session.identity
            where = {} if user_id is None else {"user_id": user_id}
            gone = [k for k in tables.find(ApiKeyRecord, **where) if k.created_at >= (created_after or 0)]
            for held in gone:
                tables.remove(ApiKeyRecord, id=held.id)
            end_keys(tx, gone)
            tx.note("api-keys.purge", user_id or "", keys=len(gone), created_after=created_after)
            return len(gone)

        count = (await self._engine.run(caller, remove, authority=Authority.TRUSTED)).value
        self._sessions.take_up()
        return count

    # -- when they were used -------------------------------------------------------------------------------------

    def _refresh(self) -> None:
        if self._used and (self._noting is None or self._noting.done()):
            self._noting = asyncio.get_running_loop().create_task(self._note_used())

    async def _note_used(self) -> None:
        used, self._used = self._used, {}

        def note(tx: Transaction) -> None:
            for identifier, at in used.items():
                tx.session.identity.change(ApiKeyRecord, {"last_used_at": at}, id=identifier)

        try:
            await self._engine.run(SYSTEM, note, authority=Authority.TRUSTED)
        except PylonError as error:  # a store that takes nothing: the next use is noted again
            log.warning("the last use of API keys could not be noted", code=error.code)


def is_key(token: str) -> bool:
    """Whether a bearer token says that it is an API key."""
    return token.startswith("pk.")


def end_keys(tx: Transaction, keys: list[ApiKeyRecord]) -> None:
    """Tell every process that these keys are over, so that their sockets close."""
    tx.session.identity.end_sessions([key.id for key in keys], int(tx.now.timestamp()))


METHOD = Method("api_key", "API key", ApiKeys)
