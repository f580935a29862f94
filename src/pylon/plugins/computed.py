"""Fields that are worked out from others whenever a row is written; they filter, sort and replicate like any."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pylon.model.schema import AppSpec
from pylon.plugins.declaring import EntityName, check_field, entity_name
from pylon.plugins.spec import Plugin
from pylon.plugins.write import Write


class Computed(Plugin):
    """`Computed(Note, words=lambda row: len(row.body.split()))`. The functions get the row as it will be, by wire
    names, and run in their order: later ones see what earlier ones found. What somebody else writes to such a field is
    overwritten. They must depend on nothing but the row; rows written before are worked out when next written."""

    name = "computed"

    def __init__(self, entity: EntityName, **fields: Callable[[Any], Any]) -> None:
        self._entity = entity
        self._fields = fields
        shown = entity if isinstance(entity, str) else entity.__name__
        self.name = f"computed:{shown}"

    def declare(self, app: AppSpec) -> AppSpec:
        entity = entity_name(app, self._entity, self.name)
        for field in self._fields:
            check_field(app, entity, field, self.name)
        self.entities = (entity,)
        return app

    def before_insert(self, write: Write) -> None:
        for field, compute in self._fields.items():
            write[field] = compute(write.row)

    def before_update(self, write: Write) -> None:
        for field, compute in self._fields.items():
            value = compute(write.row)
            if value != write[field]:
                write[field] = value
