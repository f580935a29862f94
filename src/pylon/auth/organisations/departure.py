"""A user leaving every organisation at once, because its account goes: none is left without an owner."""

from __future__ import annotations

from typing import Any

from pylon.auth.arrival import Arrival
from pylon.auth.declared import epoch
from pylon.auth.events import Event, record
from pylon.auth.organisations import rules
from pylon.auth.organisations.rows import OrgRows
from pylon.engine.transaction import RowAccess, Transaction


def orphans(rows: OrgRows, access: RowAccess, user_id: str) -> list[str]:
    """The organisations whose only owner this user is while others are in them."""
    if not rows.is_declared:
        return []
    owned = [member.orgId for member in rows.memberships(access, user_id) if member.role == rules.OWNER]
    return [org for org in owned if rows.owners(access, org) == 1 and rows.count_members(access, orgId=org) > 1]


def depart(rows: OrgRows, tx: Transaction, arrival: Arrival, user_id: str) -> dict[str, int]:
    """Leave all of them: one without other members is deleted, one without another owner goes to its longest-standing
    admin, else member. How many were `left`, `deleted` and `handed_over`. The transaction must be trusted."""
    counts = {"left": 0, "deleted": 0, "handed_over": 0}
    if not rows.is_declared:
        return counts
    for member in list(rows.memberships(tx, user_id)):
        org = member.orgId
        others = rows.count_members(tx, orgId=org) - 1
        if not others and tx.get(rows.org, org) is not None:
            tx.delete(rows.org, org)
            record(tx, arrival, Event.ORG_DELETE, user_id, tenant=org)
            counts["deleted"] += 1
            continue
        if member.role == rules.OWNER and others and rows.owners(tx, org) == 1:
            heir = min((other for other in rows.members(tx, org) if other.id != member.id), key=_seniority)
            rows.update(tx, rows.member, heir.id, {"role": rules.OWNER})
            record(tx, arrival, Event.ORG_ROLE_CHANGE, heir.userId, tenant=org, role=rules.OWNER, before=heir.role)
            counts["handed_over"] += 1
        tx.delete(rows.member, member.id)
        record(tx, arrival, Event.ORG_MEMBER_REMOVE, user_id, tenant=org, role=member.role)
        counts["left"] += 1
    return counts


def _seniority(member: Any) -> tuple[bool, int, str]:
    return member.role != rules.ADMIN, epoch(getattr(member, "joinedAt", None)) or 0, member.id
