"""Giving what a guest made to the user that it turned out to be (spec 03 §6): every field of type id(User) that names
the guest, through the write path, so that clients see it happen. All of it or nothing."""

from __future__ import annotations

from pylon.auth.profiles import id_fields
from pylon.auth.users import Users
from pylon.engine.engine import Engine
from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError
from pylon.store.filters import Scope, compile_filter

MAX_ROWS = 5_000
"""Rows that one sign-in takes over: more would hold the writer for too long."""


class Merge:
    """The rows of guests, for one app. What refers to users is known at start."""

    def __init__(self, engine: Engine, users: Users) -> None:
        self._plans = engine.plans
        name = users.plan.name if users.is_declared else engine.plans.auth.user.entity
        self._fields = tuple(id_fields(engine, name))

    def run(self, tx: Transaction, guest_id: str, user_id: str) -> dict[str, int]:
        """Rows given over, by `Entity.field`. The transaction must be trusted. Raises MERGE_TOO_LARGE, and what refuses
        a row, such as a unique value that the user has already."""
        tx.session.move_ops(guest_id, user_id)
        moved: dict[str, int] = {}
        total = 0
        for entity, field in self._fields:
            plan = self._plans[entity]
            selection = compile_filter(plan.types, {field: guest_id, "$limit": MAX_ROWS + 1}, Scope.SERVER)
            for row in tx.select(plan, selection):
                total += 1
                if total > MAX_ROWS:
                    raise PylonError("MERGE_TOO_LARGE", f"The guest has more than {MAX_ROWS} rows")
                tx.update(plan, row.id, {field: user_id})
                moved[f"{entity}.{field}"] = moved.get(f"{entity}.{field}", 0) + 1
        return moved
