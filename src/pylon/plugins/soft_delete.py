"""Deleting that can be undone: a deleted row goes to the bin, out of everybody's sight but the admins', and comes back
or is purged."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pylon.compute.database import Database
from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError
from pylon.model.schema import Action, AppSpec, Field, Kind
from pylon.plugins.declaring import EntityName, entity_names, narrowed, with_field
from pylon.plugins.requests import PluginRequest, Route
from pylon.plugins.server import PluginServer
from pylon.plugins.spec import Plugin
from pylon.plugins.write import Write

PURGE_EVERY = 600.0
"""Seconds between looks for rows that are due."""

BATCH = 200
"""Rows purged in one transaction."""


class SoftDelete(Plugin):
    """`SoftDelete("Note", purge_days=30)`: deleting such a row, whatever the door, sets its `deletedAt` instead, and
    for its readers it is deleted: its policies also demand `data.deletedAt == null`. The delete policy decides as
    before. `POST /api/entities/<E>/<id>/restore` brings it back for whom the update policy lets change it. Deleting it
    once more, as an admin or in a function, deletes it for good, and so does time: after `purge_days`, or never (None).
    """

    name = "soft-delete"

    def __init__(
        self,
        *named: EntityName,
        entities: Sequence[EntityName] = (),
        field: str = "deletedAt",
        purge_days: float | None = None,
    ) -> None:
        self._named = (*named, *entities)
        if not self._named:
            raise ValueError("SoftDelete names the entities whose rows it keeps")
        self._field = field
        self._purge_days = purge_days
        self._server: PluginServer | None = None

    def declare(self, app: AppSpec) -> AppSpec:
        self.entities = entity_names(app, self._named, self.name)
        here = f"data.{self._field} == null"
        for entity in self.entities:
            app = with_field(app, entity, Field(name=self._field, kind=Kind.DATETIME, optional=True, readonly=True))
            app = narrowed(app, entity, self.name, dict.fromkeys(Action, here))
        return app

    def before_delete(self, write: Write) -> None:
        since = getattr(write.old, self._field)
        if since is None or write.is_nested:  # a row that goes with another one stays in the bin if it is there
            write.update_instead(**{self._field: since or write.now})

    def routes(self) -> list[Route]:
        return [Route("POST", "/api/entities/{entity}/{row_id}/restore", self.restore)]

    def start(self, server: PluginServer) -> None:
        self._server = server
        if self._purge_days is not None:
            server.spawn("soft-delete purge", self._purge)

    async def restore(self, request: PluginRequest) -> Any:
        """Bring a row back. Raises NOT_FOUND, POLICY_DENIED, and what the update raises."""
        assert self._server is not None
        engine, caller = self._server.engine, request.caller
        plan = engine.plans.for_write(request.params["entity"], caller.identity)
        if plan.name not in (self.entities or ()):
            raise PylonError("NOT_FOUND", f"Deleted rows of {plan.name} are not kept")

        def bring_back(transaction: Transaction) -> None:
            row_id = request.params["row_id"]
            row = transaction.get(plan, row_id)
            if row is None:
                transaction.update(plan, row_id, {})  # says of a row that isn't there what any update says
                return
            restored = copy.copy(row)
            setattr(restored, self._field, None)
            transaction.judge_update(plan, restored)
            if getattr(row, self._field) is not None:
                transaction.trusted().update(plan, row_id, {self._field: None})

        await engine.run(caller, bring_back)
        return {"restored": True}

    async def _purge(self) -> None:
        assert self._server is not None
        while True:
            more = await self._server.write(self._purge_some) == BATCH
            await asyncio.sleep(0 if more else PURGE_EVERY)

    def _purge_some(self, db: Database) -> int:
        assert self._server is not None
        assert self._purge_days is not None
        before = self._server.engine.now() - timedelta(days=self._purge_days)
        purged = 0
        for entity in self.entities or ():
            due = db.query(entity, {self._field: {"$lt": before}}, limit=BATCH - purged)
            for row in due:
                purged += db.delete(entity, row.id)
        return purged
