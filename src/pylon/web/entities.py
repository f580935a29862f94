"""Rows over HTTP: list, page, get, insert, patch and delete (spec 01 §4)."""

from __future__ import annotations

from dataclasses import replace

import falcon.asgi

from pylon.engine.reads import client_scope
from pylon.model.change import Change
from pylon.web.list_parameters import list_fields, list_selection
from pylon.web.request import Request, Resource, whole_number

PAGE_DEFAULT = 25
_LAST_OFFSET = 2**63 - 1


def _changed(resp: falcon.asgi.Response, change: Change) -> None:
    resp.set_header("X-Pylon-Change-Seq", str(change.seq))


class Collection(Resource):
    """`/api/entities/{entity}`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response, entity: str) -> None:
        """List, or with `page`/`per_page` one page and the total."""
        caller, reads = req.caller, req.doors.engine.reads
        plan = req.doors.engine.plans.for_read(entity, caller.identity)
        selection = list_selection(req, plan, client_scope(caller.identity), reads)
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
        change = await req.doors.engine.insert(req.caller, entity, await req.body())
        resp.status = 201
        resp.data = b'{"id":"%b"}' % change.row_id.encode()
        _changed(resp, change)


class Row(Resource):
    """`/api/entities/{entity}/{row_id}`; the id is everything behind the entity's slash."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response, entity: str, row_id: str) -> None:
        """One row."""
        fields = (
            list_fields(req, req.doors.engine.plans.for_read(entity, req.caller.identity).types) if req.params else None
        )
        resp.data = await req.doors.engine.reads.get(req.caller, entity, row_id, fields)

    async def on_patch(self, req: Request, resp: falcon.asgi.Response, entity: str, row_id: str) -> None:
        """Change some fields. A patch of none changes nothing and is no error (spec 05 §24.16)."""
        change = await req.doors.engine.update(req.caller, entity, row_id, await req.body())
        resp.data = b'{"updated":true}'
        if change is not None:
            _changed(resp, change)

    async def on_delete(self, req: Request, resp: falcon.asgi.Response, entity: str, row_id: str) -> None:
        """Delete."""
        change = await req.doors.engine.delete(req.caller, entity, row_id)
        resp.data = b'{"deleted":true}'
        _changed(resp, change)


def _page(req: Request) -> tuple[int | None, int]:
    page = whole_number(req.get_param("page"), None)
    per_page = whole_number(req.get_param("per_page"), None)
    if page is None and per_page is None:
        return None, 0
    return 1 if page is None else page, PAGE_DEFAULT if per_page is None else per_page
