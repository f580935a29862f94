"""When a row was made and last changed, kept by the server whoever writes."""

from __future__ import annotations

from collections.abc import Sequence

from pylon.model.schema import AppSpec, Field, Kind
from pylon.plugins.declaring import EntityName, entity_names, with_field
from pylon.plugins.spec import Plugin
from pylon.plugins.write import Write


class Timestamps(Plugin):
    """`Timestamps("Note")` gives an entity the fields `createdAt` and `updatedAt` where it lacks them; without entities
    it keeps the fields of those that declare them. Clients can't set either; what server code or an admin gives as
    time of creation stays, so that imports keep theirs."""

    name = "timestamps"

    def __init__(
        self,
        *named: EntityName,
        entities: Sequence[EntityName] = (),
        created: str = "createdAt",
        updated: str = "updatedAt",
    ) -> None:
        self._named = (*named, *entities)
        self._created = created
        self._updated = updated
        self._with_created: frozenset[str] = frozenset()
        self._with_updated: frozenset[str] = frozenset()

    def declare(self, app: AppSpec) -> AppSpec:
        for entity in entity_names(app, self._named, self.name):
            for field in (self._created, self._updated):
                app = with_field(app, entity, Field(name=field, kind=Kind.DATETIME, optional=True, readonly=True))
        wanted = entity_names(app, self._named, self.name) or tuple(e.name for e in app.entities)
        kept = [e for e in app.entities if e.name in wanted]
        self._with_created = frozenset(e.name for e in kept if e.field(self._created) is not None)
        self._with_updated = frozenset(e.name for e in kept if e.field(self._updated) is not None)
        self.entities = self._with_created | self._with_updated
        return app

    def before_insert(self, write: Write) -> None:
        for field, entities in ((self._created, self._with_created), (self._updated, self._with_updated)):
            if write.entity in entities and (write[field] is None or not write.is_server):
                write[field] = write.now

    def before_update(self, write: Write) -> None:
        if write.entity in self._with_created and not write.is_server and write.changes(self._created):
            write[self._created] = getattr(write.old, self._created)
        if write.entity in self._with_updated:
            write[self._updated] = write.now
