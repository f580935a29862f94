"""One row over HTTP: get, put, patch, delete (spec 01 §4.5, §4.7), with entity tags and idempotency keys."""

from __future__ import annotations

from typing import Literal

import falcon.asgi

from pylon.engine.idempotency import Answer
from pylon.engine.plan import EntityPlan
from pylon.engine.replacing import replace
from pylon.engine.transaction import Transaction
from pylon.model.change import Change
from pylon.web.described import CREATED, READS, SEQ, WRITES, AnyOf, Ref, describes
from pylon.web.list_parameters import list_fields
from pylon.web.preconditions import etag_of, is_known
from pylon.web.request import Request, Resource
from pylon.web.writes import created, is_plain, write

_UPDATED = b'{"updated":true}'
_DELETED = b'{"deleted":true}'
UPDATED = {"updated": Literal[True]}


def tell_seq(resp: falcon.asgi.Response, change: Change) -> None:
    """The header by which a client knows when its replica holds what it wrote."""
    resp._headers["x-pylon-change-seq"] = str(change.seq)


class Row(Resource):
    """`/api/entities/{entity}/{row_id}`; the id is everything behind the entity's slash."""

    @describes(
        AnyOf((Ref("{}"), Ref("{}Part"))),
        who="policy",
        status=(200, 304),
        query={"fields": str},
        headers=("ETag",),
        errors=(*READS, "NOT_FOUND"),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response, entity: str, row_id: str) -> None:
        """One row, with its tag; 304 for a client that holds it as it is. A part of a row (`fields`) has no tag."""
        reads = req.doors.engine.reads
        if req.params:
            types = req.doors.engine.plans.for_read(entity, req.caller.identity).types
            if (fields := list_fields(req, types)) is not None:
                resp.data = await reads.get(req.caller, entity, row_id, fields)
                return
        resp.data = await reads.get(req.caller, entity, row_id)
        etag = etag_of(resp.data)
        resp._headers["etag"] = etag
        if (known := req._asgi_headers.get(b"if-none-match")) is not None and is_known(known.decode("latin-1"), etag):
            resp.status = 304
            resp.data = None

    @describes(
        AnyOf((CREATED, UPDATED)),
        body=Ref("{}Insert"),
        who="policy",
        status=(200, 201),
        headers=SEQ,
        errors=(*WRITES, "NOT_FOUND"),
    )
    async def on_put(self, req: Request, resp: falcon.asgi.Response, entity: str, row_id: str) -> None:
        """Make the row, or replace what clients may write of it."""
        body = await req.body()

        def put(transaction: Transaction, plan: EntityPlan) -> Answer:
            _, is_new = replace(transaction, plan, row_id, plan.types.decode_patch(body))
            return created(row_id) if is_new else Answer(_UPDATED)

        await write(req, resp, entity, row_id, body, put)

    @describes(UPDATED, body=Ref("{}Update"), who="policy", headers=SEQ, errors=(*WRITES, "NOT_FOUND"))
    async def on_patch(self, req: Request, resp: falcon.asgi.Response, entity: str, row_id: str) -> None:
        """Change some fields. A patch of none changes nothing and is no error (spec 05 §24.16)."""
        body = await req.body()
        if is_plain(req):
            change = await req.doors.engine.update(req.caller, entity, row_id, body)
            resp.data = _UPDATED
            if change is not None:
                tell_seq(resp, change)
            return

        def patch(transaction: Transaction, plan: EntityPlan) -> Answer:
            transaction.update(plan, row_id, plan.types.decode_patch(body))
            return Answer(_UPDATED)

        await write(req, resp, entity, row_id, body, patch)

    @describes({"deleted": Literal[True]}, who="policy", headers=SEQ, errors=(*WRITES, "NOT_FOUND"))
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, entity: str, row_id: str) -> None:
        """Delete."""
        if is_plain(req):
            tell_seq(resp, await req.doors.engine.delete(req.caller, entity, row_id))
            resp.data = _DELETED
            return

        def delete(transaction: Transaction, plan: EntityPlan) -> Answer:
            transaction.delete(plan, row_id)
            return Answer(_DELETED)

        await write(req, resp, entity, row_id, b"", delete)
