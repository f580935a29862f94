"""Erasing a user from every entity and store (spec 03 §20): first whatever it signs in with, then its rows portion by
portion through the write path, its own row last.

What was done so far stands in the store, written with each portion: what is interrupted, by a crash too, goes on with
the next start, and its report counts every row. While it stands there the user can't sign in.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.events import Event, record
from pylon.auth.forgetting import forget_user
from pylon.auth.foundation import Foundation
from pylon.auth.organisations.departure import depart, orphans
from pylon.auth.organisations.rows import OrgRows
from pylon.auth.privacy.references import Fate, Reference, references
from pylon.auth.privacy.report import Line, Report, left
from pylon.auth.sign_in import Proof
from pylon.auth.users import timestamp
from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.plan import EntityPlan
from pylon.engine.transaction import Authority, RowAccess, Transaction
from pylon.model.errors import PylonError
from pylon.model.timestamps import iso_seconds
from pylon.store.filters import Scope, compile_filter
from pylon.store.identity import AccountRecord, ApiKeyRecord, OneTimeRecord, SessionRecord
from pylon.store.mail import MailRecord

PORTION = 200
"""Rows of one transaction: the writer is held for some milliseconds at a time."""
MAX_ERRORS = 100

KIND = "erasure"
"""Records of erasures under way, by user id."""

_NAMED = {SessionRecord: "sessions", ApiKeyRecord: "API keys", AccountRecord: "accounts with providers"}


class _Count(msgspec.Struct):
    """Rows by what became of them."""

    deleted: int = 0
    cleared: int = 0
    kept: int = 0
    documents: int = 0


class _Progress(msgspec.Struct):
    """An erasure so far: who asked for it, keys and organisations by name, rows by `Entity.field`, and rows that could
    not go."""

    caller: Caller = SYSTEM
    agent: str | None = None
    keys: dict[str, int] = {}
    departed: dict[str, int] = {}
    counts: dict[str, _Count] = {}
    errors: list[str] = []


class Erasure:
    """The erasing of users, for one server."""

    def __init__(self, foundation: Foundation) -> None:
        self._engine = foundation.engine
        self._sessions = foundation.sessions
        self._users = foundation.users
        self._settings = foundation.settings
        self._orgs = OrgRows(foundation.engine)
        self._references = references(foundation.engine.plans)
        self._unfinished = foundation.unfinished
        foundation.unfinished.add(KIND, self._finish_erasing)
        foundation.sign_in.before.append(self._keep_out)

    async def check_own(self, arrival: Arrival) -> None:
        """Whether a user may delete its own account. Raises LAST_OWNER, naming the organisations, while others are in
        one that it alone owns."""
        user = arrival.session.identity.user_id or ""
        plans = self._engine.plans
        left_behind = await self._engine.reads.read(
            lambda session: orphans(self._orgs, RowAccess(session, plans), user), arrival.caller, "list", "orgs"
        )
        _refuse(left_behind)

    async def delete_own(self, arrival: Arrival) -> Report:
        """Erase the caller. Raises LAST_OWNER."""
        user = arrival.session.identity.user_id or ""

        def begin(tx: Transaction) -> None:
            _refuse(orphans(self._orgs, tx, user))
            self._begin(tx, arrival, user)

        return await self._erase(arrival, user, begin)

    async def purge(self, arrival: Arrival, user_id: str) -> Report:
        """Erase any user, for an operator. An organisation that only this user owned goes to another member. A user
        that there isn't has nothing to erase."""
        return await self._erase(arrival, user_id, lambda tx: self._begin(tx, arrival, user_id))

    # -- the steps -----------------------------------------------------------------------------------------------

    async def _erase(self, arrival: Arrival, user_id: str, begin: Any) -> Report:
        await self._run(arrival, begin)
        self._sessions.take_up()
        found: Report = await self._unfinished.finish(KIND, user_id)
        return found

    async def _keep_out(self, arrival: Arrival, proof: Proof) -> Proof:
        """Nobody signs in to an account that is being erased."""
        if self._engine.reads.record(KIND, proof.user_id) is not None:
            raise PylonError("ACCOUNT_LOCKED", "This account is being deleted")
        return proof

    async def _finish_erasing(self, user_id: str) -> Report:
        """Everything after the beginning, whoever began it."""
        begun = await self._run(Arrival(caller=SYSTEM), lambda tx: _start_over(tx, user_id))
        arrival = Arrival(caller=begun.caller, agent=begun.agent)
        for reference in self._references:
            await self._rows(arrival, reference, user_id)
        progress, ended = await self._run(arrival, lambda tx: self._finish(tx, arrival, user_id))
        self._sessions.take_up()
        return self._report(user_id, progress, ended)

    def _report(self, user_id: str, progress: _Progress, ended: dict[str, int]) -> Report:
        lines = []
        for reference in self._references:
            name = f"{reference.entity}.{reference.field}"
            count = progress.counts.get(name, _Count())
            lines.append(
                Line(
                    store=name,
                    deleted=count.deleted,
                    cleared=count.cleared,
                    kept=count.kept,
                    why="The field is required in an organisation, which is its members'." if count.kept else "",
                )
            )
        keys, departed = progress.keys, progress.departed
        lines += [
            Line(store=f"{self._users_name}.id", deleted=ended.pop("row")),
            Line(store="shared documents", deleted=sum(count.documents for count in progress.counts.values())),
            *(Line(store=name, deleted=count) for name, count in keys.items()),
            Line(store="organisations", deleted=departed["deleted"], cleared=departed["handed_over"]),
            Line(store="memberships", deleted=departed["left"] + departed["deleted"]),
            *(Line(store=name, deleted=count) for name, count in ended.items()),
        ]
        lines += left(self._settings.change_log_retain_days, self._settings.audit_retain_days)
        return Report(
            user_id=user_id,
            rows_deleted=sum(line.deleted for line in lines if "." in line.store) + departed["left"],
            sessions_revoked=keys["sessions"],
            api_keys_revoked=keys["API keys"],
            accounts_unlinked=keys["accounts with providers"],
            errors=tuple(progress.errors),
            lines=tuple(lines),
            purged_at=iso_seconds(self._engine.now()),
        )

    def _begin(self, tx: Transaction, arrival: Arrival, user_id: str) -> None:
        """Nobody acts as this user any more, no organisation waits for it, and what is to be done stands in the
        store."""
        departed = depart(self._orgs, tx, arrival, user_id)
        ended = forget_user(tx, user_id)
        keys = Counter({name: ended.pop(kind) for kind, name in _NAMED.items()})
        keys["passkeys, factors, devices and codes"] = ended.total()
        progress = _progress(tx, user_id)
        progress.caller, progress.agent = arrival.caller, arrival.agent
        for name, count in keys.items():
            progress.keys[name] = progress.keys.get(name, 0) + count
        for name, count in departed.items():
            progress.departed[name] = progress.departed.get(name, 0) + count
        _note(tx, user_id, progress)

    async def _rows(self, arrival: Arrival, reference: Reference, user_id: str) -> None:
        """Every row that names the user in this field."""
        plan, last = self._engine.plans[reference.entity], ""
        while True:
            last = await self._run(arrival, lambda tx, after=last: _portion(tx, plan, reference, user_id, after))
            if not last:
                return

    def _finish(self, tx: Transaction, arrival: Arrival, user_id: str) -> tuple[_Progress, dict[str, int]]:
        """The user's own row, what stands under its id and address in other stores, and the record of all."""
        progress = _progress(tx, user_id)
        row = tx.get(self._users.plan, user_id) if self._users.is_declared else None
        email = getattr(row, "email", None)
        gone = 0
        if row is not None:
            try:
                tx.delete(self._users.plan, user_id)
                gone = 1
            except PylonError as error:
                progress.errors.append(f"{self._users_name}/{user_id}: {error.code}")
        ended = {"row": gone, **self._invitations(tx, email)}
        tables = tx.session.identity
        codes = tables.remove(OneTimeRecord, subject=email) if email else []
        ended["codes and links"] = len(codes)
        ended["mail"] = len(tables.remove(MailRecord, user_id=user_id))
        ended |= tx.session.forget_principal(user_id)
        deleted = sum(count.deleted for count in progress.counts.values()) + gone
        tx.session.delete_record(KIND, user_id)
        record(
            tx,
            arrival,
            Event.ACCOUNT_DELETE,
            user_id,
            failure="INCOMPLETE" if progress.errors else "",
            rows=deleted,
            at=timestamp(tx),
        )
        return progress, ended

    def _invitations(self, tx: Transaction, email: str | None) -> dict[str, int]:
        if not email or not self._orgs.is_declared:
            return {}
        found = list(self._orgs.invites(tx, email=email.strip().lower()))
        for invite in found:
            tx.delete(self._orgs.invite, invite.id)
        return {"invitations to the address": len(found)}

    @property
    def _users_name(self) -> str:
        return self._engine.plans.auth.user.entity

    async def _run(self, arrival: Arrival, operation: Any) -> Any:
        return (await self._engine.run(arrival.caller, operation, authority=Authority.TRUSTED)).value


def _refuse(orgs: list[str]) -> None:
    if orgs:
        raise PylonError(
            "LAST_OWNER",
            "You are the only owner of organisations with other members: make one of them the owner first",
            extra={"orgs": orgs},
        )


def _progress(tx: Transaction, user_id: str) -> _Progress:
    raw = tx.session.record(KIND, user_id)
    return _Progress() if raw is None else msgspec.json.decode(raw, type=_Progress)


def _note(tx: Transaction, user_id: str, progress: _Progress) -> None:
    tx.session.put_record(KIND, user_id, msgspec.json.encode(progress))


def _start_over(tx: Transaction, user_id: str) -> _Progress:
    """What is looked at again is counted again: rows that stay, and those that could not go."""
    progress = _progress(tx, user_id)
    progress.errors = []
    for count in progress.counts.values():
        count.kept = 0
    _note(tx, user_id, progress)
    return progress


def _portion(tx: Transaction, plan: EntityPlan, reference: Reference, user_id: str, after: str) -> str:
    """The rows after this one; the last of them, empty when there are no more."""
    wanted = {reference.field: user_id, "id": {"$gt": after}, "$order": {"id": "asc"}, "$limit": PORTION}
    found = tx.select(plan, compile_filter(plan.types, wanted, Scope.SERVER))
    last = str(found[-1].id) if len(found) == PORTION else ""
    if not found:
        return last
    progress = _progress(tx, user_id)
    count = progress.counts.setdefault(f"{reference.entity}.{reference.field}", _Count())
    if reference.fate is Fate.KEEP:
        count.kept += len(found)
        found = []
    for row in found:
        if tx.get(plan, row.id) is None:  # went with one before it
            continue
        has_document = tx.session.document_head(plan.name, row.id) is not None
        try:
            if reference.fate is Fate.DELETE:
                tx.delete(plan, row.id)
                count.deleted += 1
                count.documents += has_document
            else:
                tx.update(plan, row.id, {reference.field: None})
                count.cleared += 1
        except PylonError as error:  # one row that can't go doesn't keep the others
            if len(progress.errors) < MAX_ERRORS:
                progress.errors.append(f"{plan.name}/{row.id}: {error.code}")
    _note(tx, user_id, progress)
    return last
