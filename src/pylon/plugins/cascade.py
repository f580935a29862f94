"""Rows that go with another one: what is below a row is deleted with it, in the same transaction."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.plugins.declaring import EntityName, check_field, entity_name
from pylon.plugins.spec import Plugin
from pylon.plugins.write import Write

CascadeRule = tuple[EntityName, EntityName, str]
"""Parent, child, and the child's field that holds the parent's id."""

_Row = tuple[str, str]


class Cascade(Plugin):
    """`Cascade((Team, Member, "team"))`: whoever may delete a team deletes its members, and what is below those. The
    lowest goes first, each row through its own hooks, so that what soft delete keeps is kept. More than `limit` rows
    with one are refused, since they would hold up every other writer."""

    name = "cascade"

    def __init__(
        self, *declared: CascadeRule, rules: Sequence[Sequence[str]] = (), limit: int = 10_000, name: str = "cascade"
    ) -> None:
        self.name = name
        self._declared = [*declared, *((parent, child, field) for parent, child, field in rules)]
        self._limit = limit
        self._children: dict[str, list[tuple[str, str]]] = {}
        self._going: set[_Row] = set()

    def declare(self, app: AppSpec) -> AppSpec:
        self._children = {}
        for parent, child, field in self._declared:
            above, below = entity_name(app, parent, self.name), entity_name(app, child, self.name)
            check_field(app, below, field, self.name)
            self._children.setdefault(above, []).append((below, field))
        self.entities = tuple(self._children)
        return app

    def before_delete(self, write: Write) -> None:
        this = (write.entity, write.row_id)
        if this in self._going:
            return
        below = self._below(write, this)
        self._going.update((this, *below))
        try:
            for child, row_id in reversed(below):
                write.db.delete(child, row_id)
        finally:
            self._going.difference_update((this, *below))

    def _below(self, write: Write, this: _Row) -> list[_Row]:
        """Everything that goes with a row, each once and those below it behind it."""
        found = {this: None}
        waiting = deque([this])
        while waiting:
            entity, row_id = waiting.popleft()
            for child, field in self._children.get(entity, ()):
                for row in write.db.query(child, {field: row_id}, limit=self._limit + 1):
                    if (child, row.id) not in found:
                        found[child, row.id] = None
                        waiting.append((child, row.id))
                if len(found) > self._limit + 1:
                    raise PylonError("DELETE_FAILED", f"more than {self._limit} rows go with this one")
        return list(found)[1:]
