"""Admin tokens: several valid at once, from the environment or made at run time, held as hashes, revoked at run time.

A token's id is `adm_` and the beginning of its hash, so the audit log can name it and nobody can use what it names. A
token of the environment is revoked by its hash too: it stays revoked when the process starts with it again.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Sequence

import msgspec

from pylon.auth.tokens import token_key
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.signals.logs import Log

log = Log("pylon.auth")

KIND = "admin-token"
PREFIX = "pylon_admin_"
MAX_TOKENS = 100
ENVIRONMENT = "environment"


class AdminToken(msgspec.Struct, frozen=True, kw_only=True):
    """One token, without its secret. Times are Unix seconds; `expires_at` and `revoked_at` are 0 for never; `by` is
    the id of the token that made it, or `environment`."""

    id: str
    label: str = ""
    created_at: float = 0.0
    expires_at: float = 0.0
    revoked_at: float = 0.0
    by: str = ""

    def is_valid(self, now: float) -> bool:
        """Whether it opens anything."""
        return not self.revoked_at and (not self.expires_at or self.expires_at > now)


class _Stored(msgspec.Struct, frozen=True):
    key: bytes
    token: AdminToken


class Rotation(msgspec.Struct, frozen=True):
    """A new token, shown this once, and the ids of those that it replaces."""

    token: str
    id: str
    revoked: list[str]
    expires_at: float = 0.0


class AdminTokens:
    """The admin tokens of one server. Accepting costs a comparison for each token, made in constant time."""

    def __init__(self, engine: Engine, environment: Sequence[str]) -> None:
        self._engine = engine
        self._environment = {
            key: AdminToken(id=token_id(key), label="PYLON_ADMIN_TOKEN", by=ENVIRONMENT)
            for key in map(token_key, environment)
        }
        self._raw: list[tuple[str, bytes]] = []
        self._known: tuple[_Stored, ...] = tuple(_Stored(key, token) for key, token in self._environment.items())
        self._ended: set[bytes] = set()
        self._on_changed: list[Callable[[list[bytes]], None]] = []
        self._on_revoked: list[Callable[[list[bytes]], None]] = []

    def __bool__(self) -> bool:
        return any(stored.token.is_valid(self._engine.clock()) for stored in self._known)

    def on_changed(self, callback: Callable[[list[bytes]], None]) -> None:
        """Call back with the keys of all tokens when one of them was made or changed: what was remembered is stale."""
        self._on_changed.append(callback)

    def on_revoked(self, callback: Callable[[list[bytes]], None]) -> None:
        """Call back with the keys of tokens that are no longer accepted."""
        self._on_revoked.append(callback)

    def accept(self, key: bytes) -> AdminToken | None:
        """The valid token of this key; every candidate is compared, whichever matches."""
        found: AdminToken | None = None
        now = self._engine.clock()
        for stored in self._known:
            if hmac.compare_digest(stored.key, key) and stored.token.is_valid(now):
                found = stored.token
        return found

    def all(self) -> list[AdminToken]:
        """Every token, revoked ones too, oldest first."""
        return sorted((stored.token for stored in self._known), key=lambda token: token.created_at)

    def refresh(self) -> None:
        """Take up what changed in the store, whichever process changed it, and what has ended since."""
        raw = self._engine.reads.records(KIND)
        if raw != self._raw:
            self._raw = raw
            known = {key: _Stored(key, token) for key, token in self._environment.items()}
            for _, record in raw:
                stored = msgspec.json.decode(record, type=_Stored)
                known[stored.key] = stored
            self._known = tuple(known.values())
            self._warn_of_revoked()
            for forget in self._on_changed:
                forget(list(known))
        now = self._engine.clock()
        ended = {stored.key for stored in self._known if not stored.token.is_valid(now)}
        fresh, self._ended = ended - self._ended, ended
        if fresh:
            for callback in self._on_revoked:
                callback(list(fresh))

    def _warn_of_revoked(self) -> None:
        for stored in self._known:
            if stored.key in self._environment and stored.token.revoked_at:
                log.warning("a token in PYLON_ADMIN_TOKEN is revoked and not accepted", token=stored.token.id)

    async def create(self, caller: Caller, *, label: str = "", expires_in: float | None = None) -> Rotation:
        """A new token beside those there are."""
        return await self._change(caller, "token.create", label, expires_in, revoke=lambda token: False)

    async def rotate(self, caller: Caller, *, label: str = "", everyone: bool = False, grace: float = 0.0) -> Rotation:
        """A new token in place of the one that the caller used, or of all. The old ones end after `grace` seconds."""
        used = token_id(caller.session) if caller.session is not None else ""
        return await self._change(
            caller, "token.rotate", label, None, revoke=lambda token: everyone or token.id == used, grace=grace
        )

    async def revoke(self, caller: Caller, identifier: str) -> AdminToken:
        """End a token. Raises NOT_FOUND, and CONFLICT for the last one that is valid."""
        now = self._engine.clock()
        stored = next((s for s in self._known if s.token.id == identifier and s.token.is_valid(now)), None)
        if stored is None:
            raise PylonError("NOT_FOUND", "No such admin token is valid")
        if sum(s.token.is_valid(now) for s in self._known) == 1:
            raise PylonError(
                "CONFLICT", "This is the last valid admin token", hint="Rotate it: `pylon admin token rotate`."
            )
        ended = msgspec.structs.replace(stored.token, revoked_at=now)

        def store(transaction: Transaction) -> None:
            _put(transaction, _Stored(stored.key, ended))
            transaction.note("token.revoke", identifier)

        await self._engine.run(caller, store, authority=Authority.TRUSTED)
        self.refresh()
        return ended

    async def _change(
        self,
        caller: Caller,
        action: str,
        label: str,
        expires_in: float | None,
        *,
        revoke: Callable[[AdminToken], bool],
        grace: float = 0.0,
    ) -> Rotation:
        now = self._engine.clock()
        if sum(stored.token.is_valid(now) for stored in self._known) >= MAX_TOKENS:
            raise PylonError("CONFLICT", f"{MAX_TOKENS} admin tokens are valid already: revoke some first")
        secret = PREFIX + secrets.token_hex(32)
        key = token_key(secret)
        made = AdminToken(
            id=token_id(key),
            label=label[:200],
            created_at=now,
            expires_at=now + expires_in if expires_in else 0.0,
            by=token_id(caller.session) if caller.session is not None else "",
        )
        ending = [s for s in self._known if s.token.is_valid(now) and revoke(s.token)]

        def store(transaction: Transaction) -> None:
            _put(transaction, _Stored(key, made))
            for old in ending:
                ends = {"expires_at": now + grace} if grace else {"revoked_at": now}
                _put(transaction, _Stored(old.key, msgspec.structs.replace(old.token, **ends)))
            transaction.note(action, made.id, revoked=" ".join(s.token.id for s in ending), grace_secs=grace)

        await self._engine.run(caller, store, authority=Authority.TRUSTED)
        self.refresh()
        return Rotation(secret, made.id, [s.token.id for s in ending], made.expires_at)


def token_id(key: bytes) -> str:
    """What an admin token is called."""
    return f"adm_{key.hex()[:12]}"


def _put(transaction: Transaction, stored: _Stored) -> None:
    transaction.session.put_record(KIND, stored.token.id, msgspec.json.encode(stored))
