"""The app's entities of organisations, their members and invitations: which there are, and reading and writing their
rows in a transaction (spec 03 §12.1)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pylon.auth.declared import declared
from pylon.auth.organisations.rules import OWNER
from pylon.auth.profiles import DEMAND_FIELD, demanding_entity
from pylon.engine.engine import Engine
from pylon.engine.plan import EntityPlan
from pylon.engine.transaction import RowAccess, Transaction
from pylon.model.errors import PylonError
from pylon.store.filters import Scope, compile_filter

_NEEDED = {
    "entity": ("name",),
    "member_entity": ("orgId", "userId", "role"),
    "invite_entity": ("orgId", "email", "role", "tokenHash", "expiresAt", "acceptedAt"),
}
_PAGE = 1000


class OrgRows:
    """The rows of one app's organisations."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._block = engine.plans.auth.org
        self._demanding = demanding_entity(engine)
        self.missing = tuple(_missing(engine))

    @property
    def is_declared(self) -> bool:
        """Whether the app has organisations."""
        return not self._block.disabled and not self.missing

    @property
    def org(self) -> EntityPlan:
        """The plan of organisations."""
        return self._engine.plans[self._block.entity]

    @property
    def member(self) -> EntityPlan:
        """The plan of memberships."""
        return self._engine.plans[self._block.member_entity]

    @property
    def invite(self) -> EntityPlan:
        """The plan of invitations."""
        return self._engine.plans[self._block.invite_entity]

    def require(self, code: str = "ORG_NOT_CONFIGURED") -> None:
        """Raise ORG_NOT_CONFIGURED where organisations are turned off, and `code` where the app lacks an entity."""
        if self._block.disabled:
            raise PylonError("ORG_NOT_CONFIGURED", "This app has no organisations")
        if self.missing:
            raise PylonError(code, "This app keeps no organisations", hint=f"Declare {'; '.join(self.missing)}.")

    @property
    def may_demand_factor(self) -> bool:
        """Whether organisations may demand a second factor of their members."""
        return self._demanding is not None

    @staticmethod
    def demands_factor(org: Any) -> bool:
        """Whether this one does."""
        return bool(getattr(org, DEMAND_FIELD, False))

    def membership(self, rows: RowAccess, org_id: str, user_id: str | None) -> Any | None:
        """A user's membership, or None."""
        return None if user_id is None else self._first(rows, self.member, userId=user_id, orgId=org_id)

    def members(self, rows: RowAccess, org_id: str) -> Iterator[Any]:
        """Every membership of an organisation, by id."""
        return self._every(rows, self.member, orgId=org_id)

    def memberships(self, rows: RowAccess, user_id: str) -> Iterator[Any]:
        """Every membership of a user, by id."""
        return self._every(rows, self.member, userId=user_id)

    def invites(self, rows: RowAccess, **values: Any) -> Iterator[Any]:
        """The invitations with these values, by id."""
        return self._every(rows, self.invite, **values)

    def invite_of(self, rows: RowAccess, token_hash: str) -> Any | None:
        """The invitation whose token has this hash."""
        return self._first(rows, self.invite, tokenHash=token_hash)

    def owners(self, rows: RowAccess, org_id: str) -> int:
        """How many owners there are."""
        return self._count(rows, self.member, orgId=org_id, role=OWNER)

    def count_members(self, rows: RowAccess, **values: Any) -> int:
        """How many memberships have these values."""
        return self._count(rows, self.member, **values)

    def count_invites(self, rows: RowAccess, org_id: str) -> int:
        """How many invitations of an organisation are open."""
        return self._count(rows, self.invite, orgId=org_id, acceptedAt=None)

    @staticmethod
    def insert(tx: Transaction, plan: EntityPlan, values: dict[str, Any]) -> Any:
        """Insert what the entity declares of these values; the row."""
        return tx.insert(plan, plan.types.convert_insert(declared(plan, values))).row

    @staticmethod
    def update(tx: Transaction, plan: EntityPlan, row_id: str, values: dict[str, Any]) -> None:
        """Set what the entity declares of these values."""
        tx.update(plan, row_id, plan.types.convert_patch(declared(plan, values)))

    @staticmethod
    def _first(rows: RowAccess, plan: EntityPlan, **values: Any) -> Any | None:
        found = rows.select(plan, compile_filter(plan.types, {**values, "$limit": 1}, Scope.SERVER))
        return found[0] if found else None

    @staticmethod
    def _count(rows: RowAccess, plan: EntityPlan, **values: Any) -> int:
        return rows.count(plan, compile_filter(plan.types, values, Scope.SERVER))

    @staticmethod
    def _every(rows: RowAccess, plan: EntityPlan, **values: Any) -> Iterator[Any]:
        last = ""
        while True:
            wanted = {**values, "id": {"$gt": last}, "$order": {"id": "asc"}, "$limit": _PAGE}
            page = rows.select(plan, compile_filter(plan.types, wanted, Scope.SERVER))
            yield from page
            if len(page) < _PAGE:
                return
            last = page[-1].id


def _missing(engine: Engine) -> Iterator[str]:
    block = engine.plans.auth.org
    for key, fields in _NEEDED.items():
        name = getattr(block, key)
        plan = engine.plans.get(name)
        absent = [field for field in fields if plan is None or plan.spec.field(field) is None]
        if absent:
            yield f"{name} with {', '.join(absent)}"
