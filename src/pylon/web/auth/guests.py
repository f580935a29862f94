"""Guests over HTTP (spec 03 §2.2, §6)."""

from __future__ import annotations

from typing import Literal

import falcon.asgi
import msgspec

from pylon.auth.sessions import Grant
from pylon.model.errors import PylonError
from pylon.web.auth.arriving import arrival, granted, json_body
from pylon.web.auth.cookies import give_cookie, wants_cookie
from pylon.web.auth.resource import MethodResource
from pylon.web.described import GRANT, describes
from pylon.web.request import Request

METHOD = "guest"


async def _enter(req: Request) -> Grant:
    grant: Grant = await req.doors.identity.registry.get(METHOD).enter(arrival(req))
    return grant


class Guest(MethodResource):
    """`/api/auth/guest`."""

    method = METHOD

    @describes(
        {"guest": Literal[True], "token": str, "user_id": str},
        status=201,
        errors=("METHOD_NOT_CONFIGURED", "API_KEY_AUTH_FORBIDDEN"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A new guest."""
        grant = await _enter(req)
        if wants_cookie(req):
            give_cookie(req, resp, grant.token, grant.record.expires_at)
        resp.status = 201
        resp.data = msgspec.json.encode({"guest": True, "token": grant.token, "user_id": grant.record.user_id})


class Anonymous(MethodResource):
    """`/api/auth/anonymous`: guests in the shape of other clients."""

    method = METHOD

    @describes({**GRANT, "is_guest": Literal[True]}, errors=("METHOD_NOT_CONFIGURED", "API_KEY_AUTH_FORBIDDEN"))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A new guest."""
        granted(req, resp, await _enter(req), is_guest=True)


class Upgrade(MethodResource):
    """`/api/auth/upgrade`."""

    method = "session"

    @describes(
        {"upgraded": Literal[True], "user_id": str},
        body={"user_id": str},
        errors=(
            "FORBIDDEN",
            "MISSING_USER_ID",
            "UPGRADE_FAILED",
            "METHOD_NOT_CONFIGURED",
            "AUTH_REQUIRED",
            "MERGE_TOO_LARGE",
            "ACCOUNT_LOCKED",
        ),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Make the caller's session one of another user, with what the guest made: in dev mode, or with an admin's
        own session."""
        if not req.doors.dev and not req.session.identity.is_admin:
            raise PylonError("FORBIDDEN", "sessions are upgraded in dev mode or by an admin only")
        user_id = (await json_body(req)).get("user_id")
        if not isinstance(user_id, str) or not user_id or len(user_id) > 255 or user_id.startswith(("__", "guest_")):
            raise PylonError("MISSING_USER_ID", "user_id is required: a string of at most 255 characters")
        await req.doors.identity.sign_in.upgrade(arrival(req), user_id)
        resp.data = msgspec.json.encode({"upgraded": True, "user_id": user_id})


ROUTES: dict[str, object] = {
    "/api/auth/guest": Guest(),
    "/api/auth/anonymous": Anonymous(),
    "/api/auth/upgrade": Upgrade(),
}
