"""Admin tokens over HTTP: list, make, rotate, revoke."""

from __future__ import annotations

from typing import Literal

import falcon.asgi
import msgspec

from pylon.auth.admin_tokens import AdminToken, Rotation
from pylon.model.errors import PylonError
from pylon.web.admin.body import decode_body
from pylon.web.described import describes
from pylon.web.request import Request, Resource, require_admin

MAX_GRACE_SECONDS = 7 * 86_400


class TokenOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body that makes a token."""

    label: str = ""
    expires_in: float | None = None


class RotationOrder(msgspec.Struct, forbid_unknown_fields=True):
    """The body that rotates: `revoke` the token that was `used` for this request, or `all`; they end after
    `grace_secs`."""

    label: str = ""
    revoke: Literal["used", "all"] = "used"
    grace_secs: float = 0.0


class TokenList(Resource):
    """`/api/admin/tokens`."""

    @describes({"tokens": list[AdminToken]}, who="admin")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """All tokens without their secrets."""
        require_admin(req)
        resp.data = msgspec.json.encode({"tokens": req.doors.sessions.admin_tokens.all()})

    @describes(Rotation, body=TokenOrder, who="admin", status=201, errors=("INVALID_DATA", "CONFLICT"))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A new one; its secret is in this answer and nowhere else."""
        require_admin(req)
        order = decode_body(await req.body(), TokenOrder)
        if order.expires_in is not None and order.expires_in <= 0:
            raise PylonError("INVALID_DATA", "expires_in is seconds, more than 0")
        made = await req.doors.sessions.admin_tokens.create(req.caller, label=order.label, expires_in=order.expires_in)
        resp.status = 201
        resp.data = msgspec.json.encode(made)


class TokenRotation(Resource):
    """`/api/admin/tokens/rotate`."""

    @describes(Rotation, body=RotationOrder, who="admin", errors=("INVALID_DATA", "CONFLICT"))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A new one in place of others."""
        require_admin(req)
        order = decode_body(await req.body(), RotationOrder)
        if not 0 <= order.grace_secs <= MAX_GRACE_SECONDS:
            raise PylonError("INVALID_DATA", f"grace_secs is from 0 to {MAX_GRACE_SECONDS}")
        made = await req.doors.sessions.admin_tokens.rotate(
            req.caller, label=order.label, everyone=order.revoke == "all", grace=order.grace_secs
        )
        resp.data = msgspec.json.encode(made)


class TokenItem(Resource):
    """`/api/admin/tokens/{token_id}`."""

    @describes(AdminToken, who="admin", errors=("NOT_FOUND",))
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, token_id: str) -> None:
        """Revoke it."""
        require_admin(req)
        resp.data = msgspec.json.encode(await req.doors.sessions.admin_tokens.revoke(req.caller, token_id))


ROUTES: dict[str, object] = {
    "/api/admin/tokens": TokenList(),
    "/api/admin/tokens/rotate": TokenRotation(),
    "/api/admin/tokens/{token_id}": TokenItem(),
}
