"""What holds for every write of organisations and memberships, whichever door it comes through: the rules of
`rules`, an owner for each organisation, and nothing left of one that is gone."""

from __future__ import annotations

from typing import Any

from pylon.auth.demanded_factor import DemandedFactor
from pylon.auth.organisations import rules
from pylon.auth.organisations.removal import Removal
from pylon.auth.organisations.rows import OrgRows
from pylon.auth.profiles import DEMAND_FIELD
from pylon.auth.user_stage import is_client
from pylon.engine.plan import EntityPlan
from pylon.engine.stages import Stage
from pylon.engine.transaction import Transaction
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.store.identity import SessionRecord

MESSAGES = {
    "FORBIDDEN": "Your role in this organisation does not allow this",
    "LAST_OWNER": "An organisation keeps at least one owner",
}


def allow(code: str | None) -> None:
    """Raise what a rule answered, unless it was None."""
    if code is not None:
        raise PylonError(code, MESSAGES[code])


class OrgStage(Stage):
    """The stage of organisations."""

    def __init__(self, rows: OrgRows, demand: DemandedFactor, removal: Removal) -> None:
        self._rows = rows
        self._demand = demand
        self._removal = removal

    def inserting(self, transaction: Transaction, plan: EntityPlan, row: Any) -> None:
        """Demanding nothing of anybody yet."""
        if is_client(transaction) and self._rows.demands_factor(row):
            raise _closed(plan)

    def updating(self, transaction: Transaction, plan: EntityPlan, old: Any, patch: dict[str, Any]) -> None:
        """Whoever manages it. What it demands is changed by the route of organisations alone."""
        if is_client(transaction):
            allow(rules.managing(_role(self._rows, self._demand, transaction, old.id)))
            if DEMAND_FIELD in patch and bool(patch[DEMAND_FIELD]) != self._rows.demands_factor(old):
                raise _closed(plan)

    def deleting(self, transaction: Transaction, plan: EntityPlan, old: Any) -> None:
        """Owners."""
        if is_client(transaction):
            allow(rules.deleting(_role(self._rows, self._demand, transaction, old.id)))

    def written(self, transaction: Transaction, plan: EntityPlan, change: Change) -> None:
        """Who makes one through the app's own doors owns it; one that is gone has no members or invitations."""
        rows, trusted = self._rows, transaction.trusted()
        if change.kind == "insert" and is_client(transaction):
            identity = transaction.caller.identity
            if identity.user_id is None or identity.is_guest:
                raise PylonError("AUTH_REQUIRED", "Sign in to make an organisation")
            rows.insert(trusted, rows.member, {"orgId": change.row_id, "userId": identity.user_id, "role": rules.OWNER})
        elif change.kind == "delete":
            self._removal.of(trusted, change.row_id)


class MemberStage(Stage):
    """The stage of memberships."""

    def __init__(self, rows: OrgRows, demand: DemandedFactor, roles: tuple[str, ...]) -> None:
        self._rows = rows
        self._demand = demand
        self._roles = roles

    def inserting(self, transaction: Transaction, plan: EntityPlan, row: Any) -> None:
        """Once for each user; by a client only as its role allows."""
        if is_client(transaction):
            self._check_role(row.role)
            allow(rules.inviting(_role(self._rows, self._demand, transaction, row.orgId), row.role))
        if self._rows.membership(transaction, row.orgId, row.userId) is not None:
            raise PylonError("ALREADY_MEMBER", "This user is a member of the organisation already")

    def updating(self, transaction: Transaction, plan: EntityPlan, old: Any, patch: dict[str, Any]) -> None:
        """A membership stays its user's in its organisation; its role changes as the rules allow."""
        for name in ("orgId", "userId"):
            if name in patch and patch[name] != getattr(old, name):
                raise PylonError("READONLY_FIELD", f"{plan.name}.{name} stays: remove the member and add another")
        if "role" not in patch or patch["role"] == old.role:
            return
        role, owners = patch["role"], self._rows.owners(transaction, old.orgId)
        if is_client(transaction):
            self._check_role(role)
            allow(rules.changing(_role(self._rows, self._demand, transaction, old.orgId), old.role, role, owners))
        else:
            allow(rules.losing_owner(old.role, role, owners))

    def deleting(self, transaction: Transaction, plan: EntityPlan, old: Any) -> None:
        """As the rules allow, unless the organisation itself is gone."""
        if transaction.get(self._rows.org, old.orgId) is None:
            return
        owners = self._rows.owners(transaction, old.orgId)
        if is_client(transaction):
            user = transaction.caller.identity.user_id
            actor = _role(self._rows, self._demand, transaction, old.orgId)
            allow(rules.removing(actor, old.role, owners, is_self=user == old.userId))
        else:
            allow(rules.losing_owner(old.role, None, owners))

    def written(self, transaction: Transaction, plan: EntityPlan, change: Change) -> None:
        """Who is no member any more has no session in the organisation: none left that a later membership would
        bring back to life."""
        if change.kind == "delete":
            leave(transaction, change.row.userId, change.row.orgId)

    def _check_role(self, role: str) -> None:
        check_role(role, self._roles)


def check_role(role: Any, roles: tuple[str, ...]) -> str:
    """A role that the app has. Raises BAD_ROLE."""
    if not isinstance(role, str) or role not in roles:
        raise PylonError("BAD_ROLE", f"role must be one of: {', '.join(roles)}")
    return role


def leave(tx: Transaction, user_id: str, org_id: str) -> None:
    """Take the organisation out of a user's sessions."""
    tables = tx.session.identity
    held = [session.id for session in tables.find(SessionRecord, user_id=user_id) if session.tenant_id == org_id]
    for identifier in held:
        tables.change(SessionRecord, {"tenant_id": None}, id=identifier)
    if held:
        tables.renew_sessions(held, int(tx.now.timestamp()))


def _role(rows: OrgRows, demand: DemandedFactor, tx: Transaction, org_id: str) -> str:
    """The caller's role. A guest has none, whatever rows name it, nor has who lacks a second factor that is
    demanded."""
    identity = tx.caller.identity
    found = None if identity.is_guest else rows.membership(tx, org_id, identity.user_id)
    if found is None or (rows.demands_factor(tx.get(rows.org, org_id)) and not demand.caller_has_shown(tx)):
        return ""
    return str(found.role)


def _closed(plan: EntityPlan) -> PylonError:
    return PylonError(
        "READONLY_FIELD", f"{plan.name}.{DEMAND_FIELD} is set with PATCH /api/auth/orgs/<id>, by an owner"
    )
