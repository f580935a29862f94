"""References between rows (`field(on_delete=…)`): what a field names must exist, and a deleted row takes along, lets go
of, or is kept by the rows that name it.

All of it follows from the write that asked for it and shares its fate: each row that goes or changes is a write of its
own, with its event and its audit record, made with server code's rights. Whoever may not read a row can't find out by
referring to it whether it exists: to him it doesn't.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from pylon.engine.plan import EntityPlan, Plans
from pylon.engine.stages import Stage
from pylon.engine.transaction import Transaction
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.filters import Every, Operator, Query, Test
from pylon.model.schema import OnDelete
from pylon.store.filters import compile_query

CASCADE_ROWS = 10_000
"""Rows that one delete takes along or changes, at most."""

_PAGE = 500


class _Reference(NamedTuple):
    """A field of one entity that names rows of another."""

    plan: EntityPlan
    field: str
    target: EntityPlan
    rule: OnDelete


def watch_references(plans: Plans) -> None:
    """Have the entities that refer, and those that are referred to, keep to the rules that their fields declare."""
    found = [
        _Reference(plan, field.name, plans[field.target], field.on_delete)
        for plan in plans.values()
        for field in plan.spec.fields
        if field.on_delete is not None and field.target is not None and field.target in plans
    ]
    for plan in plans.values():
        outgoing = [reference for reference in found if reference.plan is plan]
        if outgoing:
            plan.stages.append(_Existence(outgoing))
    targets = {reference.target.name: reference.target for reference in found}
    if targets:
        cascade = _Cascade({name: [r for r in found if r.target is plan] for name, plan in targets.items()})
        for plan in targets.values():
            plan.stages.append(cascade)


class _Existence(Stage):
    """Looks up what a written row refers to: once the policy has allowed the row, so that this tells nobody else."""

    def __init__(self, references: Sequence[_Reference]) -> None:
        self._references = references

    def written(self, transaction: Transaction, plan: EntityPlan, change: Change) -> None:
        """Raises REFERENCE_NOT_FOUND."""
        if change.kind == "delete":
            return
        for reference in self._references:
            if change.kind == "update" and reference.field not in change.fields:
                continue
            row_id = getattr(change.row, reference.field)
            if row_id is None or (change.old is not None and row_id == getattr(change.old, reference.field)):
                continue
            row = transaction.get(reference.target, row_id)
            is_own = row_id == transaction.caller.identity.user_id  # who one is oneself is no secret
            if row is None or not (is_own or transaction.may_read(reference.target, row)):
                raise PylonError(
                    "REFERENCE_NOT_FOUND",
                    f"{plan.name}.{reference.field}: refers to no row of {reference.target.name}",
                )


class _Cascade(Stage):
    """Follows the deletes of rows that others refer to. The first delete of a request works off what follows from it,
    however deep it goes and in whatever circles; what keeps a row is looked at last, since it may have gone as well."""

    def __init__(self, references: dict[str, list[_Reference]]) -> None:
        self._references = references
        self._waiting: deque[tuple[str, str]] = deque()
        self._batch: list[Change] | None = None  # whose deletes are followed now; another's left nothing behind

    def written(self, transaction: Transaction, plan: EntityPlan, change: Change) -> None:
        """Raises REFERENCED, CASCADE_TOO_LARGE, and what the entities' other stages raise."""
        if change.kind != "delete":
            return
        if self._batch is transaction.changes:
            self._waiting.append((plan.name, change.row_id))
            return
        try:
            self._batch, self._waiting = transaction.changes, deque([(plan.name, change.row_id)])
            self._follow(transaction, self._waiting)
        finally:
            self._batch = None

    def _follow(self, transaction: Transaction, waiting: deque[tuple[str, str]]) -> None:
        trusted = transaction.trusted()
        first = len(transaction.changes)
        gone = []
        while waiting:
            name, row_id = waiting.popleft()
            for reference in self._references[name]:
                if reference.rule is OnDelete.RESTRICT:
                    gone.append((reference, row_id))
                    continue
                after = ""
                while rows := _referring(trusted, reference, row_id, after, _PAGE):
                    after = rows[-1].id
                    for child in rows:
                        if len(transaction.changes) - first >= CASCADE_ROWS:
                            raise PylonError(
                                "CASCADE_TOO_LARGE", f"The delete would take more than {CASCADE_ROWS} rows along"
                            )
                        if reference.rule is OnDelete.CASCADE:
                            # a stage of an earlier row of this page may have taken it along already
                            if trusted.get(reference.plan, child.id) is not None:
                                trusted.delete(reference.plan, child.id)
                        else:
                            trusted.update(reference.plan, child.id, {reference.field: None})
        for reference, row_id in gone:
            for row in _referring(trusted, reference, row_id, "", 1):
                shown = transaction.may_read(reference.plan, row)
                by = f"a row of {reference.plan.name} refers" if shown else "other rows refer"
                raise PylonError("REFERENCED", f"The row can't be deleted: {by} to it")


def _referring(transaction: Transaction, reference: _Reference, row_id: str, after: str, most: int) -> list[Any]:
    """Rows that name this one by the field, by id, behind an id: one that a stage kept is not come upon twice."""
    where = Every((Test(reference.field, Operator.EQ, row_id), Test("id", Operator.GT, after)))
    return transaction.select(reference.plan, compile_query(Query(where, limit=most)))
