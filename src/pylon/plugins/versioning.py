"""The history of rows: each state that a row was in, written in the same transaction, readable where the row is, and
restored by an ordinary update."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import msgspec

from pylon.engine.plan import EntityPlan
from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec, EntitySpec, Field, Index, Kind
from pylon.plugins.declaring import EntityName, entity_names, with_entity
from pylon.plugins.requests import PluginRequest, Route
from pylon.plugins.server import PluginServer
from pylon.plugins.spec import Plugin
from pylon.plugins.write import Write
from pylon.store.filters import Scope, compile_filter
from pylon.store.protocol import ReadSession

ENTITY = "RowVersion"
_READ_SECONDS = 5.0
_DROPPED = 500
_VERSIONS = EntitySpec(
    name=ENTITY,
    crdt=False,
    sync=False,
    tenant=False,
    fields=(
        Field(name="entity", kind=Kind.STRING),
        Field(name="row", kind=Kind.STRING),
        Field(name="version", kind=Kind.INT),
        Field(name="data", kind=Kind.JSON, server_only=True),
        Field(name="changedBy", kind=Kind.STRING, optional=True),
        Field(name="changedAt", kind=Kind.DATETIME),
    ),
    indexes=(Index(name="by_row", fields=("entity", "row", "version"), unique=True),),
)


class Versioning(Plugin):
    """`Versioning("Page", keep=50)` keeps the newest `keep` states of each row (0 keeps all), the current one included,
    in the closed entity `RowVersion`; encrypted fields are left out.

    `GET /api/entities/<E>/<id>/versions` lists them for who may read the row, each as far as the read policy lets that
    state be read; `/versions/<n>` is one; `POST .../versions/<n>/restore` brings its values back, by the caller's own
    update."""

    name = "versioning"

    def __init__(self, *named: EntityName, entities: Sequence[EntityName] = (), keep: int = 50) -> None:
        self._named = (*named, *entities)
        if not self._named:
            raise ValueError("Versioning names the entities whose rows it follows")
        self._keep = keep
        self._server: PluginServer | None = None

    def declare(self, app: AppSpec) -> AppSpec:
        self.entities = entity_names(app, self._named, self.name)
        return with_entity(app, _VERSIONS)

    def start(self, server: PluginServer) -> None:
        self._server = server

    def routes(self) -> list[Route]:
        versions = "/api/entities/{entity}/{row_id}/versions"
        return [
            Route("GET", versions, self.history),
            Route("GET", versions + "/{version}", self.show),
            Route("POST", versions + "/{version}/restore", self.restore),
        ]

    def after_insert(self, write: Write) -> None:
        self._add(write, write.row)

    def after_update(self, write: Write) -> None:
        if not self._newest(write):  # the row is older than the plugin
            self._add(write, write.old)
        self._add(write, write.row)

    def after_delete(self, write: Write) -> None:
        """A row that is gone for good takes its history along."""
        whose = {"entity": write.entity, "row": write.row_id}
        while versions := write.db.query(ENTITY, whose, limit=_DROPPED):
            for version in versions:
                write.db.delete(ENTITY, version.id)

    # -- writing -------------------------------------------------------------------------------------------------

    def _newest(self, write: Write) -> int:
        rows = write.db.query(ENTITY, {"entity": write.entity, "row": write.row_id}, order="-version", limit=1)
        return rows[0].version if rows else 0

    def _add(self, write: Write, row: Any) -> None:
        version = self._newest(write) + 1
        sealed = {field.name for field in write.plan.spec.fields if field.encrypted}
        data = {name: value for name, value in msgspec.structs.asdict(row).items() if name not in sealed}
        whose = {"entity": write.entity, "row": write.row_id}
        changed = {"changedBy": write.identity.user_id, "changedAt": write.now}
        write.db.insert(ENTITY, **whose, version=version, data=data, **changed)
        if self._keep:
            for old in write.db.query(ENTITY, {**whose, "version": {"$lte": version - self._keep}}, limit=_DROPPED):
                write.db.delete(ENTITY, old.id)

    # -- reading -------------------------------------------------------------------------------------------------

    async def history(self, request: PluginRequest) -> Any:
        """The versions, newest first. Raises NOT_FOUND, POLICY_DENIED."""
        return {"versions": await self._readable(request, {})}

    async def show(self, request: PluginRequest) -> Any:
        """One version. Raises NOT_FOUND, POLICY_DENIED."""
        found = await self._readable(request, {"version": _number(request)})
        if not found:
            raise _no_version()
        return found[0]

    async def restore(self, request: PluginRequest) -> Any:
        """Bring the values of a version back, as far as its reader may write them. Raises what an update raises."""
        assert self._server is not None
        engine, caller, row_id = self._server.engine, request.caller, request.params["row_id"]
        version = _number(request)
        plan = engine.plans.for_write(request.params["entity"], caller.identity)
        await engine.reads.get(caller, plan.name, row_id)

        def bring_back(transaction: Transaction) -> None:
            versions = transaction.plans[ENTITY]
            where = {"entity": plan.name, "row": row_id, "version": version}
            found = transaction.select(versions, compile_filter(versions.types, where, Scope.SERVER))
            row = transaction.get(plan, row_id)
            state = _state(plan, row, found[0].data) if found and row is not None else None
            now, identity = transaction.now, caller.identity
            may_read = plan.policy.read.allows(identity, state, now=now, exists=transaction.session.exists)
            if state is None or not may_read:
                raise _no_version()
            transaction.update(plan, row_id, _patch(plan, row, state))

        await engine.run(caller, bring_back)
        return {"restored": True, "version": version}

    async def _readable(self, request: PluginRequest, where: dict[str, Any]) -> Any:
        assert self._server is not None
        engine, caller, row_id = self._server.engine, request.caller, request.params["row_id"]
        plan = engine.reads.plan(caller, request.params["entity"])
        await engine.reads.get(caller, plan.name, row_id)  # who may not read the row may not read what it was
        versions = engine.plans[ENTITY]
        conditions = {"entity": plan.name, "row": row_id, **where, "$order": {"version": "desc"}, "$limit": 1000}
        selection = compile_filter(versions.types, conditions, Scope.SERVER)

        def read(session: ReadSession) -> list[dict[str, Any]]:
            row = _row(plan, session, row_id)
            shown = []
            for values in session.select(ENTITY, selection):
                version = versions.types.load(values)
                state = _state(plan, row, version.data)
                if plan.policy.read.allows(caller.identity, state, now=engine.now(), exists=session.exists):
                    shown.append(_shown(plan, version, state))
            return shown

        return await engine.reads.run(read, _READ_SECONDS, caller=caller, what="versions")


def _row(plan: EntityPlan, session: ReadSession, row_id: str) -> Any:
    values = session.get(plan.name, row_id)
    return plan.types.row(id=row_id) if values is None else plan.types.load(values)


def _state(plan: EntityPlan, row: Any, data: dict[str, Any]) -> Any:
    """The row as a version has it; fields that no version keeps, and those declared since, as they are now."""
    state = copy.copy(row)
    for name, value in data.items():
        if name in plan.types.columns:
            setattr(state, name, value)
    return state


def _shown(plan: EntityPlan, version: Any, state: Any) -> dict[str, Any]:
    return {
        "version": version.version,
        "changedBy": version.changedBy,
        "changedAt": version.changedAt,
        "data": msgspec.Raw(plan.types.encode_replica(state, plan.types.encode(state))),
    }


def _patch(plan: EntityPlan, row: Any, state: Any) -> dict[str, Any]:
    fixed = {*plan.hidden, *plan.readonly, *plan.owner, *plan.stamped_auth, plan.tenant_field, "id"}
    return {
        name: getattr(state, name)
        for name in plan.types.columns
        if name not in fixed and getattr(state, name) != getattr(row, name)
    }


def _number(request: PluginRequest) -> int:
    text = request.params["version"]
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise _no_version()
    return int(text)


def _no_version() -> PylonError:
    return PylonError("NOT_FOUND", "The row has no such version")
