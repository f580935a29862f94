"""What the app's own rows say about a user: e-mail, admin or not, role in the active organisation, locked or not.

Read when it is first needed and remembered until one of the rows changes, in the same commit's publish step: so roles
and addresses are those of now, not of the sign-in (spec 03 §1.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from pylon.engine.engine import Engine
from pylon.model.change import Change
from pylon.model.schema import Kind

MAX_USERS = 50_000
DEMAND_FIELD = "secondFactorRequired"

_LOCKS = (
    "disabledAt",
    "deletedAt",
    "_deletedAt",
    "lockedAt",
    "bannedAt",
    "suspendedAt",
    "disabled",
    "locked",
    "banned",
    "suspended",
)
"""Fields of the user's row that lock it when they are set."""


class Profile(msgspec.Struct, frozen=True):
    """One user in one organisation, or in none. `is_member` is None where no organisation was asked for; `is_verified`
    is false for a row whose address is not proved, where the app keeps a note of that; `demands_factor` whether the
    organisation demands a second factor."""

    email: str | None = None
    is_admin: bool = False
    is_locked: bool = False
    roles: tuple[str, ...] = ()
    is_member: bool | None = None
    is_verified: bool = True
    demands_factor: bool = False


class Profiles:
    """The profiles of one server. Use on its loop."""

    def __init__(self, engine: Engine) -> None:
        self._reads = engine.reads
        block = engine.plans.auth
        self._entity = block.user.entity if block.user.entity in engine.plans else None
        self._admin_field = block.user.admin_field
        self._member = self._member_entity(engine)
        self._org = self._org_entity(engine)
        self._demanding = demanding_entity(engine) is not None
        plan = None if self._entity is None else engine.plans[self._entity]
        self._notes_verified = plan is not None and plan.spec.field("emailVerified") is not None
        self._known: dict[str, dict[str | None, Profile]] = {}
        self._on_changed: list[Callable[[set[str]], None]] = []
        engine.subscribe(self._changed)

    def _member_entity(self, engine: Engine) -> str | None:
        plan = engine.plans.get(engine.plans.auth.org.member_entity)
        names = () if plan is None else tuple(f.name for f in plan.spec.fields)
        return plan.name if plan is not None and {"userId", "orgId", "role"} <= set(names) else None

    def _org_entity(self, engine: Engine) -> str | None:
        """The entity of organisations, where memberships say that they are of its rows."""
        block = engine.plans.auth.org
        member = None if self._member is None or block.disabled else engine.plans[self._member].spec.field("orgId")
        is_reference = member is not None and member.target == block.entity and block.entity in engine.plans
        return block.entity if is_reference or demanding_entity(engine) is not None else None

    def on_changed(self, callback: Callable[[set[str]], None]) -> None:
        """Call back with the ids of users whose profile may have changed."""
        self._on_changed.append(callback)

    def of(self, user_id: str, tenant_id: str | None) -> Profile:
        """The profile of a user with this organisation active. A user without a row has an empty one."""
        known = self._known.get(user_id)
        if known is None:
            if len(self._known) >= MAX_USERS:
                del self._known[next(iter(self._known))]
            known = self._known[user_id] = {}
        profile = known.get(tenant_id)
        if profile is None:
            profile = known[tenant_id] = self._read(user_id, tenant_id)
        return profile

    def _read(self, user_id: str, tenant_id: str | None) -> Profile:
        row = None if self._entity is None else self._reads.row(self._entity, user_id)
        is_member: bool | None = None
        roles: tuple[str, ...] = ()
        org = None if tenant_id is None or self._org is None else self._reads.row(self._org, tenant_id)
        if tenant_id is not None and self._member is not None:
            is_gone = self._org is not None and org is None
            found = None if is_gone else self._reads.first(self._member, userId=user_id, orgId=tenant_id)
            is_member, roles = found is not None, () if found is None or not found.role else (found.role,)
        return Profile(
            email=_text(row, "email"),
            is_admin=row is not None and self._admin_field is not None and means_admin(_of(row, self._admin_field)),
            is_locked=row is not None and is_locked(row),
            roles=roles,
            is_member=is_member,
            is_verified=row is None or not self._notes_verified or bool(row.emailVerified),
            demands_factor=org is not None and self._demanding and bool(org.secondFactorRequired),
        )

    def _changed(self, changes: list[Change]) -> None:
        users: set[str] = set()
        for change in changes:
            if change.entity == self._entity:
                users.add(change.row_id)
            elif change.entity == self._member:
                users |= {row.userId for row in (change.row, change.old) if row is not None and row.userId}
            elif change.entity == self._org:
                users |= {user for user, profiles in self._known.items() if change.row_id in profiles}
        if users:
            for user in users:
                self._known.pop(user, None)
            for callback in self._on_changed:
                callback(users)


def demanding_entity(engine: Engine) -> str | None:
    """The entity of organisations, where its rows may demand a second factor of members."""
    block = engine.plans.auth.org
    plan = None if block.disabled else engine.plans.get(block.entity)
    return None if plan is None or plan.spec.field(DEMAND_FIELD) is None else plan.name


def is_locked(row: Any) -> bool:
    """Whether a user's row forbids its user to be signed in."""
    return any(_of(row, name) for name in _LOCKS) or _of(row, "scimActive") is False


def means_admin(value: Any) -> bool:
    """Whether this value of the admin field makes its user an admin (spec 03 §1.1)."""
    return value is True or value == "admin" or (isinstance(value, list) and "admin" in value)


def _of(row: Any, name: str) -> Any:
    return getattr(row, name, None)


def _text(row: Any, name: str) -> str | None:
    value = _of(row, name)
    return value if isinstance(value, str) and value else None


def id_fields(engine: Engine, target: str) -> Iterable[tuple[str, str]]:
    """Every (entity, field) of type id(target), the target itself left out."""
    for name, plan in engine.plans.items():
        if name != target:
            for field in plan.spec.fields:
                if field.kind is Kind.ID and field.target == target:
                    yield name, field.name
