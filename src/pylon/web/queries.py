"""Queries over HTTP: filters, graphs, lookups, aggregates, counts, cursors and the door of search (spec 01 §5)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import falcon.asgi
import msgspec

from pylon.engine.reads import client_scope
from pylon.model.errors import PylonError
from pylon.model.filters import Scope
from pylon.model.rows import decode_json
from pylon.store.selection import Selection
from pylon.web.described import ANYTHING, LISTED, READS, Ref, describes
from pylon.web.list_parameters import list_selection, typed
from pylon.web.request import Request, Resource, whole_number

CURSOR_DEFAULT = 20


class GraphNode(msgspec.Struct):
    """One level of a graph query, as it is described."""

    where: dict[str, Any] | None = None
    include: dict[str, GraphNode] | None = None
    order: dict[str, Literal["asc", "desc"]] | None = None
    limit: Annotated[int, msgspec.Meta(ge=0)] | None = None
    offset: Annotated[int, msgspec.Meta(ge=0)] | None = None
    fields: list[str] | None = None


class GroupKey(msgspec.Struct):
    """A key of groups: the span of time that a field falls into."""

    field: str
    bucket: Literal["minute", "hour", "day", "week", "month", "year"] = "day"
    timezone: str | None = None


class AggregateSpec(msgspec.Struct, rename="camel"):
    """What to compute, as it is described (`model.aggregates` reads it)."""

    count: str | None = None
    sum: list[str] | None = None
    avg: list[str] | None = None
    min: list[str] | None = None
    max: list[str] | None = None
    count_distinct: list[str] | None = None
    group_by: list[str | GroupKey] | None = None
    where: dict[str, Any] | None = None
    having: dict[str, Any] | None = None
    order_by: dict[str, Literal["asc", "desc"]] | None = None
    limit: Annotated[int, msgspec.Meta(ge=0)] | None = None
    offset: Annotated[int, msgspec.Meta(ge=0)] | None = None


class Filtered(Resource):
    """`/api/query/{entity}`: a filter object in, a bare array out."""

    @describes([Ref("{}")], body=Ref("{}Filter"), who="policy", errors=(*READS, "SEARCH_NOT_CONFIGURED"))
    async def on_post(self, req: Request, resp: falcon.asgi.Response, entity: str) -> None:
        """Rows that match. JSON that is no object counts as an empty filter."""
        conditions = decode_json(await req.body())
        reads = req.doors.engine.reads
        selection = reads.filter(req.caller, entity, conditions if isinstance(conditions, dict) else {})
        resp.data, _ = await reads.rows(req.caller, entity, selection)


class Graph(Resource):
    """`/api/query`: rows of several entities with what is related to them."""

    @describes(
        dict[str, list[dict[str, Any]]],
        body=dict[str, GraphNode],
        who="policy",
        errors=(*READS, "RELATION_NOT_FOUND", "SEARCH_NOT_CONFIGURED"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The rows by entity."""
        spec = decode_json(await req.body())
        resp.data = await req.doors.engine.queries.graph(req.caller, spec)


class Lookup(Resource):
    """`/api/lookup/{entity}/{field}/{value}`."""

    @describes(Ref("{}"), who="policy", errors=(*READS, "NOT_FOUND"))
    async def on_get(self, req: Request, resp: falcon.asgi.Response, entity: str, field: str, value: str) -> None:
        """The first row with this value."""
        types = req.doors.engine.plans.for_read(entity, req.session.identity).types
        resp.data = await req.doors.engine.reads.lookup(req.caller, entity, field, typed(types, field, value))


class Aggregate(Resource):
    """`/api/aggregate/{entity}`."""

    @describes({"rows": list[dict[str, Any]]}, body=AggregateSpec, who="policy", errors=READS)
    async def on_post(self, req: Request, resp: falcon.asgi.Response, entity: str) -> None:
        """The groups."""
        spec = decode_json(await req.body())
        resp.data = b'{"rows":%b}' % await req.doors.engine.queries.aggregate(req.caller, entity, spec)


class Count(Resource):
    """`/api/entities/{entity}/count`."""

    @describes({"count": int}, who="policy", query=LISTED, errors=(*READS, "SEARCH_NOT_CONFIGURED", "INVALID_JSON"))
    async def on_get(self, req: Request, resp: falcon.asgi.Response, entity: str) -> None:
        """How many rows a list with the same parameters would hold without its window."""
        engine = req.doors.engine
        plan = engine.plans.for_read(entity, req.caller.identity)
        selection = list_selection(req, plan, client_scope(req.caller.identity), engine.reads)
        resp.data = b'{"count":%d}' % await engine.queries.count(req.caller, entity, selection)


class Cursor(Resource):
    """`/api/entities/{entity}/cursor`: pages that stay right while rows come and go."""

    @describes(
        {"data": [Ref("{}Part")], "has_more": bool, "next_cursor": str | None},
        who="policy",
        query={**LISTED, "after": str, "limit": int},
        errors=(*READS, "CURSOR_INVALID", "SEARCH_NOT_CONFIGURED", "INVALID_JSON"),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response, entity: str) -> None:
        """Rows behind `after`, by id or in the order of `sort`."""
        engine = req.doors.engine
        plan = engine.plans.for_read(entity, req.caller.identity)
        selection = list_selection(req, plan, Scope.CLIENT, engine.reads)
        limit = whole_number(req.get_param("limit"), CURSOR_DEFAULT)
        after = req.get_param("after") or ""
        rows, has_more, last = await engine.queries.cursor(req.caller, entity, selection, after, limit or 0)
        more = b"true" if has_more else b"false"
        next_cursor = b"null" if last is None else b'"%b"' % last.encode()
        resp.data = b'{"data":[%b],"has_more":%b,"next_cursor":%b}' % (b",".join(rows), more, next_cursor)


class SearchDoor(Resource):
    """`/api/search/{entity}`."""

    @describes(
        dict[str, Any], body=dict[str, Any], who="policy", errors=(*READS, "ENTITY_NOT_FOUND", "SEARCH_NOT_CONFIGURED")
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, entity: str) -> None:
        """Hits and facets, once the server has a search."""
        reads = req.doors.engine.reads
        try:
            plan = reads.plan(req.caller, entity)
        except PylonError as error:
            if error.code == "ENTITY_NOT_FOUND":
                raise PylonError("ENTITY_NOT_FOUND", f"Unknown entity: {entity[:100]}") from None
            raise
        reads.readable(plan, req.caller.identity, Selection())
        resp.data = await reads.search.faceted(req.caller, plan, await req.body())


class SearchOfNothing(Resource):
    """`/api/search`."""

    @describes(ANYTHING, errors=("MISSING_ENTITY",))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Raises MISSING_ENTITY."""
        raise PylonError("MISSING_ENTITY", "search path is /api/search/<Entity>")


ROUTES: dict[str, object] = {
    "/api/entities/{entity}/count": Count(),
    "/api/entities/{entity}/cursor": Cursor(),
    "/api/query": Graph(),
    "/api/query/{entity}": Filtered(),
    "/api/lookup/{entity}/{field}/{value:path}": Lookup(),
    "/api/aggregate/{entity}": Aggregate(),
    "/api/search": SearchOfNothing(),
    "/api/search/{entity}": SearchDoor(),
}
