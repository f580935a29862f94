"""An entity's rows over HTTP: list, page and insert (spec 01 §4)."""

from __future__ import annotations

from dataclasses import replace

import falcon.asgi

from pylon.engine.idempotency import Answer
from pylon.engine.plan import EntityPlan
from pylon.engine.reads import client_scope
from pylon.engine.transaction import Transaction
from pylon.web.described import CREATED, LISTED, READS, SEQ, WRITES, AnyOf, Ref, describes
from pylon.web.list_parameters import list_selection
from pylon.web.request import Request, Resource, whole_number
from pylon.web.rows import tell_seq
from pylon.web.writes import created, is_plain, write

PAGE_DEFAULT = 25
_LAST_OFFSET = 2**63 - 1
WINDOW = {"limit": int, "offset": int, "page": int, "per_page": int}
PAGE = {"data": [Ref("{}Part")], "count": int, "limit": int | None, "offset": int}
NUMBERED_PAGE = {"data": [Ref("{}Part")], "page": int, "per_page": int, "total": int}


class Collection(Resource):
    """`/api/entities/{entity}`."""

    @describes(
        AnyOf((PAGE, NUMBERED_PAGE)),
        who="policy",
        query={**LISTED, **WINDOW},
        errors=(*READS, "INVALID_JSON", "SEARCH_NOT_CONFIGURED"),
    )
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

    @describes(CREATED, body=Ref("{}Insert"), who="policy", status=201, headers=SEQ, errors=WRITES)
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


def _page(req: Request) -> tuple[int | None, int]:
    page = whole_number(req.get_param("page"), None)
    per_page = whole_number(req.get_param("per_page"), None)
    if page is None and per_page is None:
        return None, 0
    return 1 if page is None else page, PAGE_DEFAULT if per_page is None else per_page
