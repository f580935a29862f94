"""The last step of every way of signing in: nobody gets a session but through here.

    method on? → account locked? → second factor? → guest's rows → session, event        in one transaction

What other packages add to it are checks (`before`), which may refuse or ask for more (`MoreNeeded`), and followers
(`after`), which run in the transaction that makes the session.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.events import Event, Events, record
from pylon.auth.merge import Merge
from pylon.auth.profiles import is_locked
from pylon.auth.registry import Registry
from pylon.auth.sessions import Grant, Sessions
from pylon.auth.users import Users
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.store.identity import SessionRecord

log = Log("pylon.auth")


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """What was proven: who it is, by which method, and with which factors (`pwd`, `otp`, `email`, `webauthn`, `fed`).
    `is_new` says that the account was just made; `extra` goes into the event."""

    user_id: str
    method: str
    factors: tuple[str, ...] = ()
    is_new: bool = False
    tenant_id: str | None = None
    extra: dict[str, str] = {}


class MoreNeeded(PylonError):
    """The proof is good and not enough: a check raises it to ask for a second factor. `store` runs in the transaction
    that uses the first proof up, and keeps what the second is bound to."""

    def __init__(
        self, code: str, message: str, *, store: Callable[[Transaction], None], extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(code, message, extra=extra)
        self.store = store


Check = Callable[[Arrival, Proof], Awaitable[Proof]]
"""Runs before a session is granted, and answers the proof with what it saw besides; raises what the caller is told."""

Follower = Callable[[Transaction, Arrival, Proof], None]
"""Runs in the transaction that stores the session."""


class SignIn:
    """Granting sessions, for one server."""

    def __init__(
        self,
        engine: Engine,
        sessions: Sessions,
        users: Users,
        registry: Registry,
        events: Events,
        admin_emails: Iterable[str] = (),
    ) -> None:
        self._engine = engine
        self._sessions = sessions
        self._users = users
        self._registry = registry
        self._events = events
        self._merge = Merge(engine, users)
        self._admin_emails = frozenset(email.strip().lower() for email in admin_emails)
        self.before: list[Check] = []
        self.after: list[Follower] = []
        self.granted: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    async def complete(
        self, arrival: Arrival, proof: Proof, also: Callable[[Transaction], None] | None = None
    ) -> Grant:
        """A session for who proved to be this user. `also` runs in its transaction. Raises MAINTENANCE, ACCOUNT_LOCKED,
        and what the checks raise."""
        self._registry.check(proof.method, arrival.session.identity)
        row = self._users.get(proof.user_id)
        if row is not None and is_locked(row):
            await self.failed(arrival, proof.method, proof.user_id, "ACCOUNT_LOCKED")
            raise PylonError("ACCOUNT_LOCKED", "This account is locked")
        try:
            for check in self.before:
                proof = await check(arrival, proof)
        except MoreNeeded as more:
            await self._hold(arrival, more, also)
            raise
        guest = arrival.session if arrival.session.identity.is_guest else None
        grant = self._sessions.grant(
            proof.user_id,
            method=proof.method,
            device=arrival.device,
            ip=arrival.ip,
            tenant_id=proof.tenant_id,
            factors=proof.factors,
        )

        def store(tx: Transaction) -> Grant:
            if also is not None:
                also(tx)
            if guest is not None and guest.identity.user_id is not None:
                moved = self._merge.run(tx, guest.identity.user_id, proof.user_id)
                _record_merge(tx, arrival, proof.user_id, guest.identity.user_id, moved)
                self._sessions.end_all(tx, guest.identity.user_id)
            self._granted(tx, arrival, proof, grant)
            return grant

        try:
            await self._engine.run(arrival.caller, store, authority=Authority.TRUSTED)
        except PylonError as problem:
            if guest is None or problem.status >= 500 or problem.code not in _MERGE_REFUSED:
                raise
            # The guest's rows stay the guest's, and its session stays: who signs in isn't kept out by what it left.
            log.warning("a guest's rows could not be given to its user", code=problem.code, user=proof.user_id)
            grant = await self._without_merge(arrival, proof, grant, also, problem)
        self._sessions.take_up()
        self.granted[proof.method] += 1
        return grant

    async def _hold(self, arrival: Arrival, more: MoreNeeded, also: Callable[[Transaction], None] | None) -> None:
        """Use the first proof up and keep what the second is bound to: no session yet."""

        def store(tx: Transaction) -> None:
            if also is not None:
                also(tx)
            more.store(tx)

        await self._engine.run(arrival.caller, store, authority=Authority.TRUSTED)
        self._sessions.take_up()

    async def _without_merge(
        self,
        arrival: Arrival,
        proof: Proof,
        grant: Grant,
        also: Callable[[Transaction], None] | None,
        problem: PylonError,
    ) -> Grant:
        def store(tx: Transaction) -> None:
            if also is not None:
                also(tx)
            guest_id = arrival.session.identity.user_id or ""
            record(tx, arrival, Event.ANONYMOUS_MERGE, proof.user_id, failure=problem.code, from_user_id=guest_id)
            self._granted(tx, arrival, proof, grant)

        await self._engine.run(arrival.caller, store, authority=Authority.TRUSTED)
        return grant

    def _granted(self, tx: Transaction, arrival: Arrival, proof: Proof, grant: Grant) -> None:
        self._promote(tx, arrival, proof.user_id)
        for follow in self.after:
            follow(tx, arrival, proof)
        self._sessions.put(tx, grant)
        if proof.is_new:
            record(tx, arrival, Event.SIGN_UP, proof.user_id, method=proof.method)
        record(
            tx,
            arrival,
            Event.SIGN_IN,
            proof.user_id,
            tenant=proof.tenant_id,
            method=proof.method,
            session=grant.record.id,
            **proof.extra,
        )

    async def failed(self, arrival: Arrival, method: str, user_id: str | None, reason: str) -> None:
        """Record a sign-in that failed. `user_id` is None for an address that nobody has: it is not written down."""
        self.failures[method] += 1
        await self._events.record(arrival, Event.SIGN_IN_FAILED, user_id, failure=reason, method=method)

    async def upgrade(self, arrival: Arrival, user_id: str) -> dict[str, int]:
        """Turn a guest's session into one of this user, with its rows; how many rows went over, by field. Raises
        UPGRADE_FAILED, and what the merge raises."""
        session = arrival.session
        if not session.id:
            raise PylonError("UPGRADE_FAILED", "There is no session to upgrade")
        guest_id = session.identity.user_id if session.identity.is_guest else None

        def store(tx: Transaction) -> dict[str, int]:
            moved = self._merge.run(tx, guest_id, user_id) if guest_id is not None else {}
            if not self._sessions.alter(tx, session.id, user_id=user_id, is_guest=False):
                raise PylonError("UPGRADE_FAILED", "The session is over")
            if guest_id is not None:
                self._sessions.end_all(tx, guest_id)
                _record_merge(tx, arrival, user_id, guest_id, moved)
            return moved

        moved = (await self._engine.run(arrival.caller, store, authority=Authority.TRUSTED)).value
        self._sessions.take_up()
        return moved

    async def sign_out(self, arrival: Arrival) -> bool:
        """End the session that the caller came with; whether there was one."""
        session = arrival.session
        if not session.id:
            return False

        def remove(tx: Transaction) -> bool:
            found = tx.session.identity.find(SessionRecord, id=session.id)
            self._sessions.end(tx, found)
            if found:
                record(tx, arrival, Event.SIGN_OUT, session.identity.user_id, session=session.id)
            return bool(found)

        done = (await self._engine.run(arrival.caller, remove, authority=Authority.TRUSTED)).value
        self._sessions.take_up()
        return done

    # -- admins by address ---------------------------------------------------------------------------------------

    def _promote(self, tx: Transaction, arrival: Arrival, user_id: str) -> None:
        """PYLON_ADMIN_EMAILS: who proved to own a listed address is an admin."""
        field = self._engine.plans.auth.user.admin_field
        if not self._admin_emails or field is None or not self._users.has("emailVerified"):
            return
        row = tx.get(self._users.plan, user_id)
        if row is None or row.email not in self._admin_emails or not row.emailVerified:
            return
        value = admin_value(self._users, field, getattr(row, field))
        if value is not None:
            self._users.update(tx, user_id, {field: value})
            record(tx, arrival, Event.ADMIN_PROMOTE, user_id)

    async def promote_all(self, arrival: Arrival) -> None:
        """The same at start, for those who have accounts already."""
        if not self._admin_emails or not self._users.is_declared or not self._users.has("email"):
            return

        def promote(tx: Transaction) -> None:
            for email in self._admin_emails:
                row = self._users.find(tx, email=email)
                if row is not None:
                    self._promote(tx, arrival, row.id)

        await self._engine.run(arrival.caller, promote, authority=Authority.TRUSTED)


_MERGE_REFUSED = frozenset({"UPDATE_FAILED", "MERGE_TOO_LARGE", "INVALID_DATA", "INVALID_COLUMN", "READONLY_FIELD"})


def _record_merge(tx: Transaction, arrival: Arrival, user_id: str, guest_id: str, moved: dict[str, int]) -> None:
    record(
        tx,
        arrival,
        Event.ANONYMOUS_MERGE,
        user_id,
        from_user_id=guest_id,
        rows_updated=sum(moved.values()),
        entities=",".join(f"{name}:{count}" for name, count in sorted(moved.items())),
    )


def admin_value(users: Users, field: str, now: Any) -> Any | None:
    """What the admin field becomes for an admin; None when it says so already."""
    declared = users.plan.spec.field(field)
    kind = None if declared is None else declared.kind.value
    if kind == "bool":
        return None if now is True else True
    if kind == "json":
        roles = list(now) if isinstance(now, list) else []
        return None if "admin" in roles else [*roles, "admin"]
    return None if now == "admin" else "admin"
