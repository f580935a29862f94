"""Operators' accounts over HTTP: list, make, give another password, remove."""

from __future__ import annotations

from typing import Any, Literal

import falcon.asgi
import msgspec

from pylon.auth.operator_accounts import Shown, described, shown
from pylon.web.admin.body import decode_body
from pylon.web.described import describes
from pylon.web.request import Request, Resource, require_admin

_REFUSED = ("OPERATOR_INVALID", "INVALID_DATA", "WEAK_PASSWORD", "PWNED_PASSWORD")


class NewOperator(msgspec.Struct, forbid_unknown_fields=True):
    """The body that makes one; `second_factor` gives it an authenticator app, whose secret is in the answer."""

    username: str
    password: str
    second_factor: bool = False


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    """The body that changes a password."""

    password: str


class OperatorList(Resource):
    """`/api/admin/operators`."""

    @describes({"operators": list[Shown]}, who="admin")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """All accounts without their secrets."""
        require_admin(req)
        resp.data = msgspec.json.encode({"operators": [shown(one) for one in req.doors.operators.accounts.all()]})

    @describes(dict[str, Any], body=NewOperator, who="admin", status=201, errors=_REFUSED)
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A new one."""
        require_admin(req)
        order = decode_body(await req.body(), NewOperator)
        made, app = await req.doors.operators.accounts.create(
            req.caller, order.username, order.password, with_app=order.second_factor
        )
        resp.status = 201
        resp.set_header("Cache-Control", "no-store")
        resp.data = msgspec.json.encode(described(made, app))


class OneOperator(Resource):
    """`/api/admin/operators/{username}`."""

    @describes({"deleted": Literal[True]}, who="admin", errors=("OPERATOR_NOT_FOUND",))
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, username: str) -> None:
        """Remove it; its sessions end."""
        require_admin(req)
        await req.doors.operators.accounts.remove(req.caller, username)
        resp.data = b'{"deleted":true}'


class Password(Resource):
    """`/api/admin/operators/{username}/password`."""

    @describes(Shown, body=NewPassword, who="admin", errors=(*_REFUSED, "OPERATOR_NOT_FOUND"))
    async def on_put(self, req: Request, resp: falcon.asgi.Response, username: str) -> None:
        """Another password; its sessions end."""
        require_admin(req)
        order = decode_body(await req.body(), NewPassword)
        changed = await req.doors.operators.accounts.change_password(req.caller, username, order.password)
        resp.data = msgspec.json.encode(shown(changed))


ROUTES: dict[str, object] = {
    "/api/admin/operators": OperatorList(),
    "/api/admin/operators/{username}": OneOperator(),
    "/api/admin/operators/{username}/password": Password(),
}
