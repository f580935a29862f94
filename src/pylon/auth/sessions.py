"""Sessions: making, resolving, refreshing and ending them (spec 03 §1.4, §2).

Resolving a token is a lookup in a bounded cache and, once in a turn of the loop, a look at the serial of what ended: so
a revoke is seen by the very next request, also when another process made it. What changes about a session besides, such
as its user's role, drops its entries in the publish step of that commit.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from pylon.auth.admin_tokens import AdminTokens
from pylon.auth.credentials import NOBODY, Grant, Session, TokenKind
from pylon.auth.profiles import Profiles
from pylon.auth.refreshing import OnReuse, Refreshing
from pylon.auth.remembered import Remembered
from pylon.auth.rotation import is_good
from pylon.auth.tokens import MAX_LENGTH, PREFIX, new_token, token_key
from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.engine import Engine
from pylon.engine.keyring import KeyRing
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.model.identity import ADMIN, Identity
from pylon.signals.logs import Log
from pylon.store.identity import SessionFilter, SessionRecord, SpentToken

log = Log("pylon.auth")

T = TypeVar("T")

__all__ = ["NOBODY", "Grant", "Session", "Sessions", "TokenKind"]

TOUCH_SECONDS = 300
"""Between two notes of when a session was last used, which also prolong it."""

_ENDS_AT_ONCE = 10_000
GUEST_PREFIX = "guest_"


class Sessions:
    """The sessions of one server. Use on its loop; what takes a Transaction runs on the writer."""

    def __init__(
        self,
        engine: Engine,
        admin_tokens: Sequence[str],
        ring: KeyRing,
        *,
        lifetime: int = 2_592_000,
        longest: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._tables = engine.reads.identity
        self._remembered = Remembered()
        self._cache = self._remembered.by_token
        self.admin_tokens = AdminTokens(engine, admin_tokens)
        self.admin_tokens.on_changed(self._remembered.forget_tokens)
        self.admin_tokens.on_revoked(self._forget)
        engine.on_refresh(self.admin_tokens.refresh)
        engine.on_refresh(self._refresh)
        self.profiles = Profiles(engine)
        self.profiles.on_changed(self._users_changed)
        self.lifetime = lifetime
        self._longest = longest
        self._clock = clock
        self._refreshing = Refreshing(ring, self._expiry, self.end)
        self._kinds: list[TokenKind] = []
        self._seen = self._tables.last_end()
        self._has_looked = False
        self._used: dict[str, tuple[bytes, int, int, bool]] = {}
        self._noting: asyncio.Task[None] | None = None
        self._on_revoked: list[Callable[[list[bytes]], None]] = []
        self._on_changed: list[Callable[[set[bytes], set[str]], None]] = []
        self._on_lost: list[Callable[[], None]] = []
        self.touches = 0
        self.refusals: Counter[str] = Counter()

    @property
    def cached(self) -> int:
        """Tokens whose sessions are remembered."""
        return len(self._cache)

    @property
    def reuses(self) -> int:
        """Sessions ended because an old token came back."""
        return self._refreshing.reuses

    def on_revoked(self, callback: Callable[[list[bytes]], None]) -> None:
        """Call back with the keys of sessions that are over, so that their sockets go too."""
        self._on_revoked.append(callback)

    def on_changed(self, callback: Callable[[set[bytes], set[str]], None]) -> None:
        """Call back with the keys of sessions, and with users, whose identity may have changed."""
        self._on_changed.append(callback)

    def on_lost(self, callback: Callable[[], None]) -> None:
        """Call back when any session may have ended or changed, and which is not known."""
        self._on_lost.append(callback)

    def accept(self, kind: TokenKind) -> None:
        """Take bearer tokens of another kind as well."""
        self._kinds.append(kind)

    # -- who is it -----------------------------------------------------------------------------------------------

    def resolve(self, token: str | None) -> Session:
        """Whose token this is. An unknown, expired or revoked one is nobody's (spec 03 §1.4); a bad one of another kind
        raises what that kind says."""
        if not token or len(token) > MAX_LENGTH:
            return NOBODY if not token else self._resolve_other(token)
        key = token_key(token)
        if not self._has_looked:
            self._look()
        session = self._cache.get(key)
        if session is None:
            session = self._load(key, token)
        now = self._clock()
        if session.expires_at and session.expires_at <= now:
            self._cache.pop(key, None)
            return NOBODY
        if session.touch_at is not None and session.touch_at <= now:
            session = self._touch(key, session, int(now))
        return session

    def _look(self) -> None:
        """Take up what has ended. Once in a turn of the loop is enough: whatever arrived with that turn was sent before
        anything that ended later was acknowledged."""
        if self._tables.last_end() != self._seen:
            self.take_up()
        with contextlib.suppress(RuntimeError):  # no loop runs, so nothing tells when a turn ends
            asyncio.get_running_loop().call_soon(self._look_again)
            self._has_looked = True

    def _look_again(self) -> None:
        self._has_looked = False

    def current(self, key: bytes) -> Session:
        """Whom a session's key stands for now; nobody when it is over."""
        if (admin := self.admin_tokens.accept(key)) is not None:
            return Session(identity=ADMIN, key=key, expires_at=int(admin.expires_at))
        for kind in self._kinds:
            if (found := kind.current(key)) is not None:
                return found
        record = self._tables.one(SessionRecord, id=key.decode("ascii", "replace"))
        if record is None or (record.expires_at and record.expires_at <= self._clock()):
            return NOBODY
        return self.session_of(record)

    def identity_of(self, user_id: str, tenant_id: str | None = None) -> Identity | None:
        """A user's identity as it is now; None for one that is locked. An organisation that the user is no member of
        is left out."""
        profile = self.profiles.of(user_id, tenant_id)
        if profile.is_locked:
            return None
        return Identity(
            user_id=user_id,
            is_admin=profile.is_admin,
            tenant_id=tenant_id if profile.is_member is not False else None,
            roles=profile.roles,
            email=profile.email,
        )

    def session_of(self, record: SessionRecord) -> Session:
        """A stored session with the identity that its user has now."""
        if record.is_guest:
            identity: Identity | None = Identity(user_id=record.user_id, is_guest=True, tenant_id=record.tenant_id)
        else:
            identity = self.identity_of(record.user_id, record.tenant_id)
        if identity is None:
            return NOBODY
        is_confirmed = not record.rotated_at or bool(record.confirmed_at)
        return Session(
            identity=identity,
            key=record.id.encode(),
            expires_at=record.expires_at,
            id=record.id,
            method=record.method,
            factors=tuple(record.factors.split(",")) if record.factors else (),
            authenticated_at=record.authenticated_at or record.created_at,
            is_confirmed=is_confirmed,
            touch_at=record.last_used_at + TOUCH_SECONDS if is_confirmed else 0.0,
        )

    def _load(self, key: bytes, token: str) -> Session:
        if (admin := self.admin_tokens.accept(key)) is not None:
            return self._remembered.keep(key, Session(identity=ADMIN, key=key, expires_at=int(admin.expires_at)))
        if not token.startswith(PREFIX):
            other = self._resolve_other(token)
            if other is not NOBODY:
                return other
        record = self._tables.one(SessionRecord, key=key)
        if record is not None:
            session = self.session_of(record)
            return NOBODY if session is NOBODY else self._remembered.keep(key, session)
        return self._load_spent(key)

    def _load_spent(self, key: bytes) -> Session:
        """The session of a token that was refreshed a moment ago. Not remembered: it is good for a moment only."""
        spent = self._tables.one(SpentToken, key=key)
        if spent is None or not is_good(spent, self._clock()):
            return NOBODY
        record = self._tables.one(SessionRecord, id=spent.session_id)
        if record is None:
            return NOBODY
        return msgspec.structs.replace(self.session_of(record), touch_at=None)

    def _resolve_other(self, token: str) -> Session:
        for kind in self._kinds:
            if kind.matches(token):
                try:
                    return kind.resolve(token)
                except PylonError:
                    self.refusals[kind.name] += 1
                    raise
        return NOBODY

    # -- making --------------------------------------------------------------------------------------------------

    def grant(
        self,
        user_id: str,
        *,
        method: str,
        is_guest: bool = False,
        tenant_id: str | None = None,
        device: str | None = None,
        ip: str = "",
        factors: Iterable[str] = (),
    ) -> Grant:
        """A new session, not stored yet: `put` stores it, in the transaction of what it follows from."""
        token = new_token()
        now = int(self._clock())
        record = SessionRecord(
            key=token_key(token),
            id="ses_" + secrets.token_hex(12),
            user_id=user_id,
            is_guest=is_guest,
            tenant_id=tenant_id,
            device=device,
            created_at=now,
            expires_at=self._expiry(now, now),
            method=method,
            ip=ip,
            factors=",".join(factors),
            authenticated_at=now,
            last_used_at=now,
        )
        return Grant(token, record)

    @staticmethod
    def put(transaction: Transaction, grant: Grant) -> None:
        """Store a new session."""
        transaction.session.identity.put(grant.record)

    async def create(self, user_id: str, *, method: str = "session", device: str | None = None, ip: str = "") -> Grant:
        """A new session for a user."""
        grant = self.grant(user_id, method=method, device=device, ip=ip)
        await self._run(lambda tx: self.put(tx, grant))
        return grant

    async def create_guest(self, *, device: str | None = None, ip: str = "") -> Grant:
        """A session for a new guest, `guest_<32 hex>`."""
        user_id = GUEST_PREFIX + secrets.token_hex(16)
        grant = self.grant(user_id, method="guest", is_guest=True, device=device, ip=ip)
        await self._run(lambda tx: self.put(tx, grant))
        return grant

    def _expiry(self, created_at: int, now: int) -> int:
        ends = [now + self.lifetime] if self.lifetime else []
        if self._longest:
            ends.append(created_at + self._longest)
        return min(ends, default=0)

    # -- changing ------------------------------------------------------------------------------------------------

    async def refresh(self, caller: Caller, token: str, *, on_reuse: OnReuse | None = None) -> Grant:
        """Exchange a token for the one that follows it; see `rotation`. Raises SESSION_EXPIRED; a token that was given
        up before ends its session, and `on_reuse` may record it."""
        now = int(self._clock())
        grant = (
            await self._engine.run(
                caller,
                lambda tx: self._refreshing.exchange(tx, token, now, on_reuse),
                authority=Authority.TRUSTED,
            )
        ).value
        self.take_up()
        return _still(grant)

    async def rotate(self, session: Session) -> Grant:
        """A new token for a session whose rights grew; the old ones end at once. Raises SESSION_EXPIRED."""
        now = int(self._clock())
        grant = await self._run(lambda tx: self._refreshing.replace(tx, session.id, now))
        self.take_up()
        return _still(grant)

    def replace_token(self, tx: Transaction, session_id: str) -> Grant | None:
        """The same in a transaction; None for a session that is over. Call `take_up` after the commit."""
        return self._refreshing.replace(tx, session_id, int(self._clock()))

    def alter(self, tx: Transaction, session_id: str, **values: object) -> bool:
        """Set columns of a session, such as `tenant_id`, and tell every process; whether it is still there. Call
        `take_up` after the commit."""
        tables = tx.session.identity
        if not tables.change(SessionRecord, dict(values), id=session_id):
            return False
        tables.renew_sessions([session_id], int(self._clock()))
        return True

    def strengthen(self, tx: Transaction, session: Session, *factors: str) -> Grant | None:
        """Note that a session showed more factors now, in this transaction. One that was held for the lack of them gets
        a new token, so that none that was seen before leads on. Call `take_up` after the commit."""
        record = tx.session.identity.one(SessionRecord, id=session.id)
        if record is None:
            return None
        shown = dict.fromkeys((*filter(None, record.factors.split(",")), *factors))
        self.alter(tx, session.id, factors=",".join(shown), authenticated_at=int(self._clock()))
        return self.replace_token(tx, session.id) if session.lacks_factor else None

    # -- ending --------------------------------------------------------------------------------------------------

    def end(self, tx: Transaction, records: Iterable[SessionRecord]) -> None:
        """End these sessions, in this transaction. Call `take_up` after the commit."""
        tables = tx.session.identity
        ids = [record.id for record in records]
        for identifier in ids:
            tables.remove(SessionRecord, id=identifier)
            tables.remove(SpentToken, session_id=identifier)
        tables.end_sessions(ids, int(self._clock()))

    def end_all(self, tx: Transaction, user_id: str, *, but: str = "") -> int:
        """End all sessions of a user, in this transaction, except the one of id `but`; how many there were."""
        found = [r for r in tx.session.identity.find(SessionRecord, user_id=user_id) if r.id != but]
        self.end(tx, found)
        return len(found)

    async def revoke(self, caller: Caller, user_id: str, identifier: str) -> bool:
        """End one session of a user by its id; whether there was one."""

        def remove(tx: Transaction) -> bool:
            record = tx.session.identity.one(SessionRecord, id=identifier)
            if record is None or record.user_id != user_id:
                return False
            self.end(tx, [record])
            return True

        done = (await self._engine.run(caller, remove, authority=Authority.TRUSTED)).value
        self.take_up()
        return done

    async def revoke_all(self, user_id: str, *, but: str = "") -> int:
        """End all sessions of a user, except the one of id `but`; how many there were."""
        count = await self._run(lambda tx: self.end_all(tx, user_id, but=but))
        self.take_up()
        return count

    async def purge(self, caller: Caller, wanted: SessionFilter) -> int:
        """End every session that matches all that is given, and its sockets; how many there were. Recorded."""

        def remove(tx: Transaction) -> int:
            gone = tx.session.identity.remove_sessions(wanted)
            tx.session.identity.end_sessions([record.id for record in gone], int(self._clock()))
            tx.note(
                "sessions.purge",
                wanted.user_id or "",
                sessions=len(gone),
                created_before=wanted.created_before,
                created_after=wanted.created_after,
                guests=wanted.is_guest,
                method=wanted.method,
            )
            return len(gone)

        count = (await self._engine.run(caller, remove, authority=Authority.TRUSTED)).value
        self.take_up()
        return count

    def of_user(self, user_id: str) -> list[SessionRecord]:
        """A user's live sessions, newest first."""
        now = self._clock()
        return [s for s in self._tables.find(SessionRecord, user_id=user_id) if not s.expires_at or s.expires_at > now]

    # -- what is remembered --------------------------------------------------------------------------------------

    def take_up(self) -> None:
        """Forget what the store says is out of date, and end the sockets of sessions that are over."""
        ends = self._tables.ends_after(self._seen, _ENDS_AT_ONCE)
        if not ends:
            return
        if ends[0].serial != self._seen + 1 or len(ends) == _ENDS_AT_ONCE:
            self._start_over()
            return
        over = [end.session_id.encode() for end in ends if end.is_end]
        changed = {end.session_id.encode() for end in ends if not end.is_end} - set(over)
        self._seen = ends[-1].serial
        for key in (*over, *changed):
            self._remembered.forget(key)
        if over:
            for callback in self._on_revoked:
                callback(over)
        if changed:
            for changed_callback in self._on_changed:
                changed_callback(changed, set())

    def _start_over(self) -> None:
        """Too much changed, or too long ago, to know all of it: forget everything, and look at every socket again."""
        self._seen = self._tables.last_end()
        self._remembered.clear()
        for callback in self._on_lost:
            callback()

    def _users_changed(self, users: set[str]) -> None:
        self._remembered.forget_users(users)
        for callback in self._on_changed:
            callback(set(), users)

    def _refresh(self) -> None:
        if self._tables.last_end() != self._seen:
            self.take_up()
        if self._used and (self._noting is None or self._noting.done()):
            self._noting = asyncio.get_running_loop().create_task(self._note_used())

    def _touch(self, key: bytes, session: Session, now: int) -> Session:
        """Remember to note the use, and prolong the session."""
        record = self._tables.one(SessionRecord, key=key)
        if record is None:
            return session
        expires_at = self._expiry(record.created_at, now)
        self._used[session.id] = (record.key, now, expires_at, not session.is_confirmed)
        self.touches += 1
        session = msgspec.structs.replace(session, expires_at=expires_at, touch_at=now + TOUCH_SECONDS)
        self._cache[key] = session
        return session

    async def _note_used(self) -> None:
        used, self._used = self._used, {}

        def note(tx: Transaction) -> None:
            tables = tx.session.identity
            for identifier, (key, at, expires_at, is_first) in used.items():
                # Of a token that was refreshed meanwhile nothing is noted: the refresh was a use.
                tables.change(SessionRecord, {"last_used_at": at, "expires_at": expires_at}, key=key)
                if is_first and tables.change(SessionRecord, {"confirmed_at": at}, key=key, confirmed_at=0):
                    tables.change(SpentToken, {"closed_at": at}, session_id=identifier, closed_at=0)
                    tables.renew_sessions([identifier], at)

        try:
            await self._run(note)
        except PylonError as error:  # a store that takes nothing: the next use is noted again
            log.warning("the last use of sessions could not be noted", code=error.code)

    async def _run(self, operation: Callable[[Transaction], T]) -> T:
        return (await self._engine.run(SYSTEM, operation, authority=Authority.TRUSTED)).value

    def _forget(self, keys: Sequence[bytes]) -> None:
        """Admin tokens that are over: their keys are their tokens' hashes."""
        self._remembered.forget_tokens(keys)
        for callback in self._on_revoked:
            callback(list(keys))


def _still(grant: Grant | None) -> Grant:
    if grant is None:
        raise PylonError("SESSION_EXPIRED", "The session is expired or revoked: sign in again")
    return grant
