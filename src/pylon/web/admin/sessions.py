"""Ending sessions over HTTP, for an operator who doesn't know which of them are in the wrong hands."""

from __future__ import annotations

import falcon.asgi
import msgspec

from pylon.store.identity import SessionFilter
from pylon.web.admin.body import Seconds, decode_body
from pylon.web.described import describes
from pylon.web.request import Request, Resource, require_admin


class PurgeOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Which sessions: all that match everything given, so `{}` is all. `before` and `after` are Unix seconds of their
    making, `method` the way of signing in that made them."""

    user: str | None = None
    before: Seconds | None = None
    after: Seconds | None = None
    guests: bool | None = None
    method: str | None = None


class Purge(Resource):
    """`/api/admin/sessions/purge`."""

    @describes({"sessions_revoked": int}, body=PurgeOrder, who="admin", errors=("INVALID_DATA",))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """End them, and their sockets."""
        require_admin(req)
        order = decode_body(await req.body(), PurgeOrder)
        wanted = SessionFilter(
            user_id=order.user,
            created_before=order.before,
            created_after=order.after,
            is_guest=order.guests,
            method=order.method,
        )
        resp.data = msgspec.json.encode({"sessions_revoked": await req.doors.sessions.purge(req.caller, wanted)})


ROUTES: dict[str, object] = {"/api/admin/sessions/purge": Purge()}
