"""What holds for every write of the user entity, whichever door it comes through: addresses are stored in their normal
form, nobody but an admin or server code marks an address verified or a user an admin, and a deleted user leaves nothing
that signs in."""

from __future__ import annotations

from typing import Any

from pylon.auth.forgetting import forget_user
from pylon.auth.profiles import means_admin
from pylon.auth.users import Users
from pylon.engine.plan import EntityPlan
from pylon.engine.stages import Stage
from pylon.engine.transaction import Authority, Transaction
from pylon.model.change import Change
from pylon.model.errors import PylonError


class UserStage(Stage):
    """The stage of the user entity."""

    def __init__(self, users: Users, admin_field: str | None) -> None:
        self._admin_field = admin_field
        guarded = ("emailVerified", "phoneVerified", "totpVerified", "scimActive", admin_field)
        self._names = tuple(name for name in guarded if name is not None and users.has(name))
        self._has_email = users.has("email")
        self._has_verified = users.has("emailVerified")

    def inserting(self, transaction: Transaction, plan: EntityPlan, row: Any) -> None:
        """Normal form; nothing guarded."""
        if is_client(transaction):
            self._guard(plan, {name: getattr(row, name) for name in self._names}, plan.types.row())
        if self._has_email and isinstance(row.email, str):
            row.email = row.email.strip().lower()

    def updating(self, transaction: Transaction, plan: EntityPlan, old: Any, patch: dict[str, Any]) -> None:
        """The same; an address that a client changes is not verified any more."""
        if self._has_email and isinstance(patch.get("email"), str):
            patch["email"] = patch["email"].strip().lower()
        if not is_client(transaction):
            return
        self._guard(plan, {name: patch[name] for name in self._names if name in patch}, old)
        if self._has_verified and "email" in patch and patch["email"] != old.email and old.emailVerified:
            patch["emailVerified"] = None

    def written(self, transaction: Transaction, plan: EntityPlan, change: Change) -> None:
        """A user that is gone is signed out, and so is what it signed in with."""
        if change.kind == "delete":
            forget_user(transaction, change.row_id)

    def _guard(self, plan: EntityPlan, values: dict[str, Any], before: Any) -> None:
        for name, value in values.items():
            if value is None or value == getattr(before, name):
                continue
            if name != self._admin_field or means_admin(value):
                raise PylonError("READONLY_FIELD", f"{plan.name}.{name} is set by the server")


def is_client(transaction: Transaction) -> bool:
    """Whether a client writes: neither server code nor an admin."""
    return transaction.authority is Authority.CALLER and not transaction.caller.identity.is_admin
