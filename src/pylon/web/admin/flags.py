"""Feature flags over HTTP."""

from __future__ import annotations

from typing import Literal

import falcon.asgi
import msgspec

from pylon.engine.limits.flags import Flag
from pylon.web.admin.body import decode_body
from pylon.web.described import describes
from pylon.web.request import Request, Resource, require_admin


class FlagList(Resource):
    """`/api/admin/flags`."""

    @describes({"flags": list[Flag]}, who="admin")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """All flags by name."""
        require_admin(req)
        resp.data = msgspec.json.encode({"flags": req.doors.engine.flags.all()})


class FlagItem(Resource):
    """`/api/admin/flags/{name}`."""

    @describes(Flag, body=Flag, who="admin", errors=("INVALID_DATA", "CONFLICT"))
    async def on_put(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        """Define it or change it."""
        require_admin(req)
        wanted = msgspec.structs.replace(decode_body(await req.body(), Flag), name=name)
        resp.data = msgspec.json.encode(await req.doors.engine.flags.put(req.caller, wanted))

    @describes({"deleted": Literal[True]}, who="admin", errors=("NOT_FOUND",))
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        """Forget it."""
        require_admin(req)
        await req.doors.engine.flags.delete(req.caller, name)
        resp.data = b'{"deleted":true}'


ROUTES: dict[str, object] = {
    "/api/admin/flags": FlagList(),
    "/api/admin/flags/{name}": FlagItem(),
}
