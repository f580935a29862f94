"""Kill-switches over HTTP: list them, turn one on, turn one off."""

from __future__ import annotations

import falcon.asgi
import msgspec

from pylon.engine.limits.switch import DEFAULT_RETRY_SECONDS, Blocks, Scope, Switch
from pylon.model.errors import PylonError
from pylon.web.admin.body import decode_body
from pylon.web.described import describes
from pylon.web.request import Request, Resource, require_admin

MAX_EXPIRY_SECONDS = 366 * 86_400


class SwitchOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body that turns a switch on. `expires_in` and `retry_after` are seconds."""

    scope: Scope
    target: str = ""
    blocks: Blocks = Blocks.ALL
    reason: str = ""
    expires_in: float | None = None
    retry_after: int = DEFAULT_RETRY_SECONDS


class SwitchList(Resource):
    """`/api/admin/switches`."""

    @describes({"switches": list[Switch]}, who="admin")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """All that are on, oldest first."""
        require_admin(req)
        resp.data = msgspec.json.encode({"switches": req.doors.engine.switches.current()})

    @describes(Switch, body=SwitchOrder, who="admin", status=201, errors=("INVALID_DATA", "CONFLICT"))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Turn one on."""
        require_admin(req)
        order = decode_body(await req.body(), SwitchOrder)
        if order.expires_in is not None and not 0 < order.expires_in <= MAX_EXPIRY_SECONDS:
            raise PylonError("INVALID_DATA", f"expires_in is seconds, more than 0 and at most {MAX_EXPIRY_SECONDS}")
        switch = await req.doors.engine.switches.turn_on(
            req.caller,
            order.scope,
            order.target,
            blocks=order.blocks,
            reason=order.reason,
            expires_in=order.expires_in,
            retry_after=order.retry_after,
        )
        resp.status = 201
        resp.data = msgspec.json.encode(switch)


class SwitchItem(Resource):
    """`/api/admin/switches/{switch_id}`."""

    @describes(Switch, who="admin", errors=("NOT_FOUND",))
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, switch_id: str) -> None:
        """Turn it off."""
        require_admin(req)
        resp.data = msgspec.json.encode(await req.doors.engine.switches.turn_off(req.caller, switch_id))


ROUTES: dict[str, object] = {
    "/api/admin/switches": SwitchList(),
    "/api/admin/switches/{switch_id}": SwitchItem(),
}
