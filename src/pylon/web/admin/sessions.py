"""Ending sessions over HTTP, for an operator who doesn't know which of them are in the wrong hands."""

from __future__ import annotations

import falcon.asgi
import msgspec

from pylon.web.admin.body import decode_body
from pylon.web.request import Request, Resource, require_admin


class PurgeOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Which sessions: all that match everything given, so `{}` is all. `before` is Unix seconds of their making."""

    user: str | None = None
    before: int | None = None
    guests: bool | None = None


class Purge(Resource):
    """`/api/admin/sessions/purge`."""

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """End them, and their sockets."""
        require_admin(req)
        order = decode_body(await req.body(), PurgeOrder)
        revoked = await req.doors.sessions.purge(
            req.caller, user_id=order.user, created_before=order.before, is_guest=order.guests
        )
        resp.data = msgspec.json.encode({"sessions_revoked": revoked})


ROUTES: dict[str, object] = {"/api/admin/sessions/purge": Purge()}
