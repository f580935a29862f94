"""A row as a whole: made, or replaced by what was given (PUT)."""

from __future__ import annotations

from typing import Any

from pylon.engine.plan import EntityPlan
from pylon.engine.transaction import Transaction
from pylon.model.change import Change


def replace(
    transaction: Transaction, plan: EntityPlan, row_id: str, given: dict[str, Any]
) -> tuple[Change | None, bool]:
    """Make the row of this id out of the given fields, or bring the one that is there to exactly them: what isn't given
    goes back to its default, but for what clients don't write. (The change, whether the row is new.) Raises what insert
    and update raise."""
    old = transaction.get(plan, row_id)
    if old is None:
        return transaction.insert(plan, plan.types.convert_insert({**given, "id": row_id})), True
    defaults = dict(plan.types.literal_defaults)
    kept = {*plan.hidden, *plan.readonly, *plan.owner, *plan.stamped_now, *plan.stamped_auth}
    if plan.tenant_field is not None:
        kept.add(plan.tenant_field)
    whole = {
        field.name: given.get(field.name, defaults.get(field.name))
        for field in plan.spec.fields
        if field.name in given or field.name not in kept
    }
    patch = {name: value for name, value in whole.items() if value != getattr(old, name)}
    return transaction.update(plan, row_id, patch), False
