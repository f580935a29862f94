"""An entity's rows over HTTP: list, page, cursor, insert, query and lookup (spec 01 §4, §5.1, §5.3)."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

import falcon.asgi

from pylon.engine.idempotency import Answer
from pylon.engine.plan import EntityPlan
from pylon.engine.reads import client_scope
from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError
from pylon.model.filters import EVERYTHING, EntityColumns, Order, Query, parse_filter, sort_key
from pylon.model.rows import RowTypes, decode_json
from pylon.model.schema import Kind
from pylon.store.filters import compile_query
from pylon.store.selection import Selection
from pylon.web.request import Request, Resource, whole_number
from pylon.web.rows import tell_seq
from pylon.web.writes import created, is_plain, write

CURSOR_DEFAULT = 20
PAGE_DEFAULT = 25
_LAST_OFFSET = 2**63 - 1


class Collection(Resource):
    """`/api/entities/{entity}`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response, entity: str) -> None:
        """List, or with `page`/`per_page` one page and the total."""
        caller, reads = req.caller, req.doors.engine.reads
        types = req.doors.engine.plans.for_read(entity, caller.identity).types
        selection = _list_selection(req, types)
        page, per_page = _page(req)
        if page is None:
            limit = whole_number(req.get_param("limit"), None)
            offset = whole_number(req.get_param("offset"), 0) or 0
            window = replace(selection, limit=limit, offset=offset)
            rows, count = await reads.rows(caller, entity, window)
            shown = b"null" if limit is None else b"%d" % limit
            resp.data = b'{"count":%d,"data":%b,"limit":%b,"offset":%d}' % (count, rows, shown, offset)
            return
        size = min(max(per_page, 1), req.doors.settings.query_max_limit)
        offset = min((max(page, 1) - 1) * size, _LAST_OFFSET)
        window = replace(selection, limit=size, offset=offset)
        rows, total = await reads.page(caller, entity, window)
        resp.data = b'{"data":%b,"page":%d,"per_page":%d,"total":%d}' % (rows, page, per_page, total)

    async def on_post(self, req: Request, resp: falcon.asgi.Response, entity: str) -> None:
        """Insert."""
        body = await req.body()
        if is_plain(req):
            change = await req.doors.engine.insert(req.caller, entity, body)
            resp.status = 201
            resp.data = b'{"id":"%b"}' % change.row_id.encode()
            tell_seq(resp, change)
            return

        def insert(transaction: Transaction, plan: EntityPlan) -> Answer:
            return created(transaction.insert(plan, plan.types.decode_insert(body)).row_id)

        await write(req, resp, entity, None, body, insert)


class Cursor(Resource):
    """`/api/entities/{entity}/cursor`: pages by id."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response, entity: str) -> None:
        """Rows above `after`."""
        limit = whole_number(req.get_param("limit"), CURSOR_DEFAULT)
        after = req.get_param("after") or ""
        rows, has_more, last = await req.doors.engine.reads.cursor(req.caller, entity, after, limit or 0)
        more = b"true" if has_more else b"false"
        next_cursor = b"null" if last is None else b'"%b"' % last.encode()
        resp.data = b'{"data":[%b],"has_more":%b,"next_cursor":%b}' % (b",".join(rows), more, next_cursor)


class QueryDoor(Resource):
    """`/api/query/{entity}`: a filter object in, a bare array out."""

    async def on_post(self, req: Request, resp: falcon.asgi.Response, entity: str) -> None:
        """Rows that match. JSON that is no object counts as an empty filter."""
        conditions = decode_json(await req.body())
        reads = req.doors.engine.reads
        selection = reads.filter(req.caller, entity, conditions if isinstance(conditions, dict) else {})
        resp.data, _ = await reads.rows(req.caller, entity, selection)


class Lookup(Resource):
    """`/api/lookup/{entity}/{field}/{value}`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response, entity: str, field: str, value: str) -> None:
        """The first row with this value."""
        types = req.doors.engine.plans.for_read(entity, req.session.identity).types
        found = _typed(types, field, value)
        resp.data = await req.doors.engine.reads.lookup(req.caller, entity, field, found)


def _page(req: Request) -> tuple[int | None, int]:
    page = whole_number(req.get_param("page"), None)
    per_page = whole_number(req.get_param("per_page"), None)
    if page is None and per_page is None:
        return None, 0
    return 1 if page is None else page, PAGE_DEFAULT if per_page is None else per_page


def _list_selection(req: Request, types: RowTypes) -> Selection:
    columns = EntityColumns(types, client_scope(req.session.identity))
    tests: list[dict[str, Any]] = []
    order: Order = ()
    for name, value in req.params.items():
        text = value[-1] if isinstance(value, list) else value
        if name.startswith("filter[") and name.endswith("]"):
            field = name[7:-1]
            tests += [{field: _typed(types, field, item)} for item in (value if isinstance(value, list) else [value])]
        elif name == "sort" and text:
            order = ((sort_key(columns, text), (req.get_param("order") or "").lower() == "desc"),)
        elif name == "q" and text:
            raise PylonError("SEARCH_NOT_CONFIGURED", f"Entity {types.entity.name} has no `search:` config")
    return compile_query(Query(parse_filter(columns, {"$and": tests}) if tests else EVERYTHING, order))


def _typed(types: RowTypes, name: str, text: str) -> Any:
    """The text of a URL as a filter's operand: filters read numbers and booleans in text, JSON is read here."""
    field = types.entity.field(name)
    if field is not None and field.kind is Kind.JSON:
        with contextlib.suppress(PylonError):
            return decode_json(text.encode())
    return text
