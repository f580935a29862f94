"""Erasing a user from every entity and store (spec 03 §20): first whatever it signs in with, then its rows portion by
portion through the write path, its own row last. What is interrupted is done again from the start, at no harm."""

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
from pylon.auth.users import timestamp
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

_NAMED = {SessionRecord: "sessions", ApiKeyRecord: "API keys", AccountRecord: "accounts with providers"}


class _Portion(msgspec.Struct, frozen=True):
    last: str
    deleted: int
    cleared: int
    documents: int
    kept: int
    errors: list[str]


class Erasure:
    """The erasing of users, for one server."""

    def __init__(self, foundation: Foundation) -> None:
        self._engine = foundation.engine
        self._sessions = foundation.sessions
        self._users = foundation.users
        self._settings = foundation.settings
        self._orgs = OrgRows(foundation.engine)
        self._references = references(foundation.engine.plans)

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

        def begin(tx: Transaction) -> tuple[Counter[str], dict[str, int]]:
            _refuse(orphans(self._orgs, tx, user))
            return self._begin(tx, arrival, user)

        return await self._erase(arrival, user, begin)

    async def purge(self, arrival: Arrival, user_id: str) -> Report:
        """Erase any user, for an operator. An organisation that only this user owned goes to another member. A user
        that there isn't has nothing to erase."""
        return await self._erase(arrival, user_id, lambda tx: self._begin(tx, arrival, user_id))

    # -- the steps -----------------------------------------------------------------------------------------------

    async def _erase(self, arrival: Arrival, user_id: str, begin: Any) -> Report:
        keys, departed = await self._run(arrival, begin)
        self._sessions.take_up()
        lines, errors, documents = [], [], 0
        for reference in self._references:
            total = await self._rows(arrival, reference, user_id)
            lines.append(
                Line(
                    store=f"{reference.entity}.{reference.field}",
                    deleted=total.deleted,
                    cleared=total.cleared,
                    kept=total.kept,
                    why="The field is required in an organisation, which is its members'." if total.kept else "",
                )
            )
            errors += total.errors
            documents += total.documents
        ended, problem = await self._run(arrival, lambda tx: self._finish(tx, arrival, user_id, lines))
        self._sessions.take_up()
        errors += problem
        own = Line(store=f"{self._users_name}.id", deleted=ended.pop("row"))
        lines += [
            own,
            Line(store="shared documents", deleted=documents),
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
            errors=tuple(errors[:MAX_ERRORS]),
            lines=tuple(lines),
            purged_at=iso_seconds(self._engine.now()),
        )

    def _begin(self, tx: Transaction, arrival: Arrival, user_id: str) -> tuple[Counter[str], dict[str, int]]:
        """Nobody acts as this user any more, and no organisation waits for it."""
        departed = depart(self._orgs, tx, arrival, user_id)
        ended = forget_user(tx, user_id)
        keys = Counter({name: ended.pop(kind) for kind, name in _NAMED.items()})
        keys["passkeys, factors, devices and codes"] = ended.total()
        return keys, departed

    async def _rows(self, arrival: Arrival, reference: Reference, user_id: str) -> _Portion:
        """Every row that names the user in this field."""
        plan = self._engine.plans[reference.entity]
        total = _Portion("", 0, 0, 0, 0, [])
        while True:
            done = await self._run(arrival, lambda tx, after=total.last: _portion(tx, plan, reference, user_id, after))
            total = _Portion(
                done.last,
                total.deleted + done.deleted,
                total.cleared + done.cleared,
                total.documents + done.documents,
                total.kept + done.kept,
                (total.errors + done.errors)[:MAX_ERRORS],
            )
            if not done.last:
                return total

    def _finish(
        self, tx: Transaction, arrival: Arrival, user_id: str, lines: list[Line]
    ) -> tuple[dict[str, int], list[str]]:
        """The user's own row, what stands under its id and address in other stores, and the record of all."""
        row = tx.get(self._users.plan, user_id) if self._users.is_declared else None
        email = getattr(row, "email", None)
        gone, errors = 0, []
        if row is not None:
            try:
                tx.delete(self._users.plan, user_id)
                gone = 1
            except PylonError as error:
                errors.append(f"{self._users_name}/{user_id}: {error.code}")
        ended = {"row": gone, **self._invitations(tx, email)}
        tables = tx.session.identity
        codes = tables.remove(OneTimeRecord, subject=email) if email else []
        ended["codes and links"] = len(codes)
        ended["mail"] = len(tables.remove(MailRecord, user_id=user_id))
        ended |= tx.session.forget_principal(user_id)
        deleted = sum(line.deleted for line in lines) + gone
        record(
            tx,
            arrival,
            Event.ACCOUNT_DELETE,
            user_id,
            failure="INCOMPLETE" if errors else "",
            rows=deleted,
            at=timestamp(tx),
        )
        return ended, errors

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


def _portion(tx: Transaction, plan: EntityPlan, reference: Reference, user_id: str, after: str) -> _Portion:
    wanted = {reference.field: user_id, "id": {"$gt": after}, "$order": {"id": "asc"}, "$limit": PORTION}
    found = tx.select(plan, compile_filter(plan.types, wanted, Scope.SERVER))
    last = found[-1].id if len(found) == PORTION else ""
    if reference.fate is Fate.KEEP:
        return _Portion(last, 0, 0, 0, len(found), [])
    deleted = cleared = documents = 0
    errors = []
    for row in found:
        if tx.get(plan, row.id) is None:  # went with one before it
            continue
        has_document = tx.session.document_head(plan.name, row.id) is not None
        try:
            if reference.fate is Fate.DELETE:
                tx.delete(plan, row.id)
                deleted += 1
                documents += has_document
            else:
                tx.update(plan, row.id, {reference.field: None})
                cleared += 1
        except PylonError as error:  # one row that can't go doesn't keep the others
            errors.append(f"{plan.name}/{row.id}: {error.code}")
    return _Portion(last, deleted, cleared, documents, 0, errors)
