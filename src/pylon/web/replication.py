"""Pull and push over HTTP (spec 02 §5, §6)."""

from __future__ import annotations

from typing import Any

import falcon.asgi
import msgspec

from pylon.engine.caller import Caller
from pylon.sync.pull import parse_position
from pylon.sync.push import PushRequest
from pylon.web.described import describes
from pylon.web.request import Request, Resource, whole_number

_ROWS = 1000
_LONGEST = len(str(2**64 - 1))
_DONE = b'"has_more":false}'


def _syncing(req: Request) -> Caller:
    return msgspec.structs.replace(req.caller, door="sync")


def _cursor(text: str | None) -> int:
    """A cursor, of 64 bits without a sign; anything else counts as 0 (spec 02 §5). The largest are no log's."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > _LONGEST:
        return 0
    return min(int(text), 2**63 - 1)


class PullDoor(Resource):
    """`/api/sync/pull`."""

    @describes(
        {"changes": list[dict[str, Any]], "cursor": {"last_seq": int}, "has_more": bool, "snapshot_after?": str | None},
        query={"since": int, "limit": int, "scope": str, "snapshot_after": str, "page_size": int},
        errors=(
            "RESYNC_REQUIRED",
            "INVALID_SCOPE",
            "SNAPSHOT_CURSOR_INVALID",
            "QUERY_TIMEOUT",
            "BUDGET_EXCEEDED",
            "POLICY_DENIED",
        ),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The log after `since`; at 0 the snapshot, streamed whole or in pages for a client that asks for them. With
        `scope`, of a part alone."""
        pull, caller = req.doors.pull, _syncing(req)
        gate = req.doors.engine.gate
        gate.pull(caller)
        subset = pull.subset(caller, req.get_param("scope"))
        since = _cursor(req.get_param("since"))
        limit = whole_number(req.get_param("limit"), None)
        if since or limit == 0:
            resp.data = await pull.delta(caller, since, limit, subset)
            if resp.data.endswith(_DONE):
                gate.pulled(caller)
            return
        token = req.get_param("snapshot_after") or None
        page_size = whole_number(req.get_param("page_size"), None)
        if token is None and page_size is None:
            resp.stream = await pull.snapshot(caller, subset)
            gate.pulled(caller)
            return
        position = None if token is None else parse_position(token)
        resp.data = await pull.page(caller, position, page_size or _ROWS, subset)


class PushDoor(Resource):
    """`/api/sync/push`."""

    @describes(
        {
            "applied": int,
            "deduped": int,
            "errors": list[str],
            "results": list[dict[str, Any]],
            "cursor": {"last_seq": int},
        },
        body=PushRequest,
        errors=("INVALID_DATA", "BUDGET_EXCEEDED", "STORAGE_UNAVAILABLE", "STORAGE_FULL"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Apply the queue of an offline client."""
        resp.data = await req.doors.push.push(_syncing(req), await req.body())
