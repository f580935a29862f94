"""Rows of the user entity, as signing in reads and writes them (spec 03 §1.2): through the one write path, and only
fields that the app declares.

Addresses are compared in their normal form, which is what is stored (`user_stage`). Looking for one and inserting it
happens in one transaction on the writer, so of two sign-ups for one address one finds the other's row.
"""

from __future__ import annotations

from typing import Any

from pylon.auth.declared import declared
from pylon.engine.engine import Engine
from pylon.engine.plan import EntityPlan
from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError
from pylon.model.timestamps import iso_seconds
from pylon.store.filters import Scope, compile_filter

MAX_EMAIL = 254
_IN_HEADERS_ONLY = frozenset('<>()[]\\,;:"')
"""What separates addresses and names in a header: an address with it could be read as another one."""

_PALETTE = (
    "#8b5cf6",
    "#6366f1",
    "#3b82f6",
    "#06b6d4",
    "#10b981",
    "#84cc16",
    "#eab308",
    "#f97316",
    "#ef4444",
    "#ec4899",
)


class Users:
    """The user entity of one app."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._name = engine.plans.auth.user.entity

    @property
    def is_declared(self) -> bool:
        """Whether the app has a user entity; without one, only guests and developers sign in."""
        return self._name in self._engine.plans

    @property
    def plan(self) -> EntityPlan:
        """The entity's plan. Raises USER_ENTITY_MISSING."""
        plan = self._engine.plans.get(self._name)
        if plan is None:
            raise PylonError(
                "USER_ENTITY_MISSING",
                "This app keeps no users",
                hint=f"Declare an entity {self._name} with an `email`, or name yours in the auth block.",
            )
        return plan

    def has(self, field: str) -> bool:
        """Whether the entity declares this field."""
        return self.is_declared and self.plan.spec.field(field) is not None

    def known(self, values: dict[str, Any]) -> dict[str, Any]:
        """The values whose fields the entity declares, as the declared type holds them: a text for a list of lists in
        a json field stays what it is, a number becomes text in a string field."""
        return declared(self.plan, values)

    # -- reading, on the event loop ------------------------------------------------------------------------------

    def get(self, user_id: str) -> Any | None:
        """A user's row, hidden fields included, or None."""
        return self._engine.reads.row(self._name, user_id) if self.is_declared else None

    def by_email(self, email: str) -> Any | None:
        """The row of a normalised address, or None."""
        if not self.has("email"):
            return None
        return self._engine.reads.first(self._name, email=email)

    # -- in a transaction, on the writer thread -------------------------------------------------------------------

    def find(self, tx: Transaction, **values: Any) -> Any | None:
        """The row with these values, or None, as this transaction sees it."""
        plan = self.plan
        found = tx.select(plan, compile_filter(plan.types, {**values, "$limit": 1}, Scope.SERVER))
        return found[0] if found else None

    def insert(self, tx: Transaction, values: dict[str, Any]) -> Any:
        """Insert a user with what the entity declares of these values, `createdAt` included; the row. The transaction
        must be trusted. Raises INSERT_FAILED, EMAIL_TAKEN."""
        plan = self.plan
        email = values.get("email")
        if email is not None and self.has("email") and self.find(tx, email=email) is not None:
            raise PylonError("EMAIL_TAKEN", "An account with this address exists already")
        row = plan.types.convert_insert(self.known({"createdAt": timestamp(tx), **values}))
        return tx.insert(plan, row).row

    def update(self, tx: Transaction, user_id: str, values: dict[str, Any]) -> Any | None:
        """Set what the entity declares of these values; the row, or None when nothing of it is declared."""
        patch = self.known(values)
        if not patch:
            return None
        change = tx.update(self.plan, user_id, self.plan.types.convert_patch(patch))
        return None if change is None else change.row


def timestamp(tx: Transaction) -> str:
    """The time of this transaction, as rows carry it."""
    return iso_seconds(tx.now)


def normal_email(text: str) -> str:
    """An address in the form that is stored and compared: trimmed, lower case. Raises INVALID_EMAIL."""
    email = text.strip().lower()
    local, at, domain = email.rpartition("@")
    is_plain = email.isprintable() and not any(c.isspace() or c in _IN_HEADERS_ONLY for c in email)
    if not at or not local or not domain or "@" in local or len(email) > MAX_EMAIL or not is_plain:
        raise PylonError("INVALID_EMAIL", "This is not an e-mail address")
    return email


def avatar_color(email: str) -> str:
    """The colour of an address: h = h*31 + byte in 32 bits (spec 03 §1.2)."""
    h = 0
    for byte in email.encode():
        h = (h * 31 + byte) & 0xFFFFFFFF
    signed = h - 2**32 if h >= 2**31 else h
    return _PALETTE[abs(signed) % len(_PALETTE)]
