"""Organisations and their members (spec 03 §12): making, naming, deleting and choosing one, changing roles, handing it
over, removing and leaving. Each is one transaction, recorded for the organisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.declared import epoch
from pylon.auth.events import Event, record
from pylon.auth.foundation import Foundation
from pylon.auth.organisations import rules
from pylon.auth.organisations.invites import Invites
from pylon.auth.organisations.removal import Removal
from pylon.auth.organisations.rows import OrgRows
from pylon.auth.organisations.stage import MemberStage, OrgStage, allow, check_role
from pylon.auth.profiles import DEMAND_FIELD
from pylon.auth.users import timestamp
from pylon.engine.transaction import Authority, RowAccess, Transaction
from pylon.model.errors import PylonError
from pylon.store.identity import AccountRecord
from pylon.store.protocol import ReadSession

T = TypeVar("T")

MAX_NAME = 200


class Org(msgspec.Struct, frozen=True):
    """An organisation as one of its members sees it."""

    id: str
    name: str
    created_at: int | None
    role: str
    second_factor_required: bool = False


class Member(msgspec.Struct, frozen=True):
    """One member, with what its user's row says."""

    user_id: str
    role: str
    joined_at: int | None
    email: str | None
    name: str | None
    avatar_url: str | None


class Organisations:
    """The organisations of one server. The caller of everything here is a signed-in user, `arrival.session`."""

    def __init__(self, foundation: Foundation) -> None:
        self._engine = foundation.engine
        self._sessions = foundation.sessions
        self._users = foundation.users
        self._demand = foundation.demanded_factor
        self._roles = foundation.block.roles
        self.rows = rows = OrgRows(foundation.engine)
        if rows.is_declared:
            rows.org.stages.append(
                OrgStage(rows, self._demand, Removal(foundation.engine, rows, foundation.unfinished))
            )
            rows.member.stages.append(MemberStage(rows, self._demand, self._roles))
        self.invites = Invites(foundation, rows)

    # -- organisations -------------------------------------------------------------------------------------------

    async def create(self, arrival: Arrival, name: Any) -> Org:
        """A new organisation whose owner the caller is. Raises MISSING_NAME, ORG_CREATE_FAILED, ORG_LIMIT_REACHED."""
        self.rows.require("ORG_CREATE_FAILED")
        named, user = _name(name, "MISSING_NAME"), _user(arrival)

        def make(tx: Transaction) -> Org:
            rows = self.rows
            self.invites.room_for(tx, user)
            now = timestamp(tx)
            try:
                row = rows.insert(tx, rows.org, {"name": named, "createdBy": user, "createdAt": now})
            except PylonError as error:
                raise PylonError("ORG_CREATE_FAILED", error.message, hint=error.hint) from error
            rows.insert(tx, rows.member, {"orgId": row.id, "userId": user, "role": rules.OWNER, "joinedAt": now})
            record(tx, arrival, Event.ORG_CREATE, user, tenant=row.id)
            return Org(row.id, named, int(tx.now.timestamp()), rules.OWNER)

        return await self._run(arrival, make)

    async def of_user(self, arrival: Arrival) -> list[Org]:
        """The caller's organisations."""
        user = _user(arrival)

        def read(rows: RowAccess, _: ReadSession) -> list[Org]:
            found = []
            for member in self.rows.memberships(rows, user):
                org = rows.get(self.rows.org, member.orgId)
                if org is not None:
                    found.append(self._shown(org, member.role))
            return found

        return await self._read(arrival, read)

    async def get(self, arrival: Arrival, org_id: str) -> Org:
        """One of them. Raises ORG_NOT_FOUND."""

        def read(rows: RowAccess, _: ReadSession) -> Org:
            role = self._role(rows, arrival, org_id)
            return self._shown(rows.get(self.rows.org, org_id), role)

        return await self._read(arrival, read)

    async def rename(self, arrival: Arrival, org_id: str, name: Any) -> str:
        """Give it another name; the name. Raises INVALID_NAME, FORBIDDEN, ORG_NOT_FOUND."""
        self.rows.require()
        named = _name(name, "INVALID_NAME")

        def change(tx: Transaction) -> str:
            allow(rules.managing(self._role(tx, arrival, org_id)))
            self.rows.update(tx, self.rows.org, org_id, {"name": named})
            record(tx, arrival, Event.ORG_UPDATE, _user(arrival), tenant=org_id)
            return named

        return await self._run(arrival, change)

    async def demand_factor(self, arrival: Arrival, org_id: str, demanded: Any) -> bool:
        """Demand a second factor of every member, or no longer; whether it does. Only by an owner who shows one. Raises
        INVALID_DATA, FORBIDDEN, ORG_NOT_FOUND, ORG_NOT_CONFIGURED, SECOND_FACTOR_MISSING."""
        self.rows.require()
        if not isinstance(demanded, bool):
            raise PylonError("INVALID_DATA", f"{DEMAND_FIELD} is true or false")
        if not self.rows.may_demand_factor:
            raise PylonError(
                "ORG_NOT_CONFIGURED",
                "Organisations of this app demand no second factor",
                hint=f"Declare {self.rows.org.name}.{DEMAND_FIELD}: bool",
            )
        if not self._demand.has_shown(arrival.session):
            raise self._demand.missing(arrival.session)

        def change(tx: Transaction) -> bool:
            allow(rules.demanding(self._role(tx, arrival, org_id)))
            self.rows.update(tx, self.rows.org, org_id, {DEMAND_FIELD: demanded})
            record(tx, arrival, Event.ORG_UPDATE, _user(arrival), tenant=org_id, second_factor_required=demanded)
            return demanded

        return await self._run(arrival, change)

    async def delete(self, arrival: Arrival, org_id: str) -> None:
        """Delete it with its members and invitations. Raises FORBIDDEN, ORG_NOT_FOUND."""

        def remove(tx: Transaction) -> None:
            allow(rules.deleting(self._role(tx, arrival, org_id)))
            tx.delete(self.rows.org, org_id)
            record(tx, arrival, Event.ORG_DELETE, _user(arrival), tenant=org_id)

        await self._run(arrival, remove)

    async def select(self, arrival: Arrival, org_id: str | None) -> None:
        """Make it the session's active organisation, None for none: policies see it with the next request. Raises
        NOT_A_MEMBER, SECOND_FACTOR_MISSING."""
        user = _user(arrival)
        if org_id is not None:
            self.rows.require()

        def choose(tx: Transaction) -> None:
            if org_id is not None:
                if self.rows.membership(tx, org_id, user) is None:
                    raise PylonError("NOT_A_MEMBER", "You are not a member of this organisation", status=403)
                self._role(tx, arrival, org_id)
            self._sessions.alter(tx, arrival.session.id, tenant_id=org_id)
            record(tx, arrival, Event.ORG_SELECT, user, tenant=org_id)

        await self._engine.run(arrival.caller, choose, authority=Authority.TRUSTED)
        self._sessions.take_up()

    # -- members -------------------------------------------------------------------------------------------------

    async def members(self, arrival: Arrival, org_id: str) -> list[Member]:
        """Everybody in it. Raises ORG_NOT_FOUND."""

        def read(rows: RowAccess, session: ReadSession) -> list[Member]:
            self._role(rows, arrival, org_id)
            return [self._member(rows, session, member) for member in self.rows.members(rows, org_id)]

        return await self._read(arrival, read)

    async def set_role(self, arrival: Arrival, org_id: str, user_id: str, role: Any) -> str:
        """Give a member a role; the role. Raises BAD_ROLE, FORBIDDEN, LAST_OWNER, NOT_A_MEMBER, ORG_NOT_FOUND."""
        self.rows.require()
        wanted = check_role(role, self._roles)

        def change(tx: Transaction) -> str:
            actor = self._role(tx, arrival, org_id)
            member = self._of(tx, actor, org_id, user_id)
            allow(rules.changing(actor, member.role, wanted, self.rows.owners(tx, org_id)))
            self._change_role(tx, arrival, member, wanted)
            return wanted

        return await self._run(arrival, change)

    async def transfer(self, arrival: Arrival, org_id: str, user_id: str) -> None:
        """Make another member the owner and the caller an admin. Raises FORBIDDEN, NOT_A_MEMBER, ORG_NOT_FOUND."""

        def change(tx: Transaction) -> None:
            actor = self._role(tx, arrival, org_id)
            allow(rules.transferring(actor, is_self=user_id == _user(arrival)))
            self._change_role(tx, arrival, self._of(tx, actor, org_id, user_id), rules.OWNER)
            self._change_role(tx, arrival, self._of(tx, actor, org_id, _user(arrival)), rules.ADMIN)

        await self._run(arrival, change)

    async def remove(self, arrival: Arrival, org_id: str, user_id: str) -> None:
        """Remove a member; anybody may remove itself. Raises FORBIDDEN, LAST_OWNER, NOT_A_MEMBER, ORG_NOT_FOUND."""

        def remove(tx: Transaction) -> None:
            actor = self._role(tx, arrival, org_id)
            member = self._of(tx, actor, org_id, user_id)
            owners = self.rows.owners(tx, org_id)
            allow(rules.removing(actor, member.role, owners, is_self=user_id == _user(arrival)))
            tx.delete(self.rows.member, member.id)
            record(tx, arrival, Event.ORG_MEMBER_REMOVE, user_id, tenant=org_id, role=member.role)

        await self._run(arrival, remove)

    # -- parts ---------------------------------------------------------------------------------------------------

    def _change_role(self, tx: Transaction, arrival: Arrival, member: Any, role: str) -> None:
        self.rows.update(tx, self.rows.member, member.id, {"role": role})
        record(
            tx,
            arrival,
            Event.ORG_ROLE_CHANGE,
            member.userId,
            tenant=member.orgId,
            role=role,
            before=member.role,
        )

    def _role(self, rows: RowAccess, arrival: Arrival, org_id: str) -> str:
        """The caller's role. Raises ORG_NOT_FOUND alike for no organisation and for one of others."""
        return self.invites.role(rows, arrival, org_id)

    def _of(self, rows: RowAccess, actor: str, org_id: str, user_id: str) -> Any:
        member = self.rows.membership(rows, org_id, user_id)
        if member is None:
            raise PylonError("NOT_A_MEMBER", "This user is not a member of the organisation")
        return member

    def _shown(self, org: Any, role: str) -> Org:
        created = epoch(getattr(org, "createdAt", None))
        return Org(org.id, org.name, created, role, self.rows.demands_factor(org))

    def _member(self, rows: RowAccess, session: ReadSession, member: Any) -> Member:
        user = rows.get(self._users.plan, member.userId) if self._users.is_declared else None
        pictures = (a.avatar_url for a in session.identity.find(AccountRecord, user_id=member.userId))
        return Member(
            user_id=member.userId,
            role=member.role,
            joined_at=epoch(getattr(member, "joinedAt", None)),
            email=getattr(user, "email", None),
            name=getattr(user, "displayName", None),
            avatar_url=next((url for url in pictures if url is not None and url.startswith("https://")), None),
        )

    async def _read(self, arrival: Arrival, operation: Callable[[RowAccess, ReadSession], T]) -> T:
        self.rows.require()
        plans = self._engine.plans
        return await self._engine.reads.read(
            lambda session: operation(RowAccess(session, plans), session), arrival.caller, "list", "organisations"
        )

    async def _run(self, arrival: Arrival, operation: Callable[[Transaction], T]) -> T:
        self.rows.require()
        return (await self._engine.run(arrival.caller, operation, authority=Authority.TRUSTED)).value


def _user(arrival: Arrival) -> str:
    user = arrival.session.identity.user_id
    assert user is not None
    return user


def _name(name: Any, code: str) -> str:
    if not isinstance(name, str) or not name.strip() or len(name.strip()) > MAX_NAME or not name.isprintable():
        raise PylonError(code, f"name is required: a line of at most {MAX_NAME} characters")
    return name.strip()
