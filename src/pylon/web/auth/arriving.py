"""From a request to what the auth room is told of it, and from what that grants to the answer."""

from __future__ import annotations

from typing import Any

import falcon.asgi
import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.sessions import Grant, Session
from pylon.model.errors import PylonError
from pylon.model.rows import decode_object
from pylon.web.auth.cookies import give_cookie, wants_cookie
from pylon.web.request import Request

TRUSTED_DEVICE_COOKIE = "pylon_trusted_device"


def arrival(req: Request) -> Arrival:
    """Who is at the door."""
    devices = req.get_cookie_values(TRUSTED_DEVICE_COOKIE) if b"cookie" in req._asgi_headers else None
    return Arrival(
        caller=req.caller,
        agent=req.get_header("User-Agent"),
        session=req.session,
        trusted_device=devices[0] if devices else None,
        accept_language=req.get_header("Accept-Language"),
    )


def granted(req: Request, resp: falcon.asgi.Response, grant: Grant, **also: Any) -> None:
    """Answer a sign-in: `{"token","user_id","expires_at"}`, and the cookie where there is a browser.
    `second_factor_missing` is true for a session that can do nothing before it has one."""
    record = grant.record
    if wants_cookie(req):
        give_cookie(req, resp, grant.token, record.expires_at)
    body = {"expires_at": record.expires_at, "token": grant.token, "user_id": record.user_id, **also}
    if req.doors.identity.demanded_factor.holds_record(record):
        body["second_factor_missing"] = True
    resp.data = msgspec.json.encode(dict(sorted(body.items())))


def went_on(req: Request, resp: falcon.asgi.Response, grant: Grant | None) -> dict[str, Any]:
    """What a session that was held until now goes on with, as fields of the answer, and as the cookie of a browser."""
    if grant is None:
        return {}
    if wants_cookie(req):
        give_cookie(req, resp, grant.token, grant.record.expires_at)
    return {"token": grant.token, "expires_at": grant.record.expires_at}


async def json_body(req: Request) -> dict[str, Any]:
    """The body as an object; an empty one is `{}`. Raises INVALID_JSON."""
    body = await req.body()
    return decode_object(body) if body.strip() else {}


def text(body: dict[str, Any], name: str, code: str, *, longest: int = 1024) -> str:
    """A text of the body. Raises `code` when it is missing, empty or no text."""
    value = body.get(name)
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        raise PylonError(code, f"{name} is required")
    return value


def require_user(req: Request) -> Session:
    """The session of a signed-in user. Raises AUTH_REQUIRED for anybody else, guests and admin tokens too, and
    API_KEY_AUTH_FORBIDDEN for an API key (spec 03 §6, §11)."""
    session = req.session
    if session.api_key_id is not None:
        raise PylonError("API_KEY_AUTH_FORBIDDEN", "An API key may not do this")
    if not session.is_user:
        raise PylonError("AUTH_REQUIRED", "authenticated session required")
    return session


def require_session(req: Request) -> Session:
    """The same, guests included."""
    session = req.session
    if session.api_key_id is not None:
        raise PylonError("API_KEY_AUTH_FORBIDDEN", "An API key may not do this")
    if not session.id:
        raise PylonError("AUTH_REQUIRED", "authenticated session required")
    return session


def require_recent(req: Request) -> Session:
    """The session of a user who signed in within the last quarter of an hour. Raises REAUTHENTICATION_REQUIRED."""
    session = require_user(req)
    if not session.is_recent(req.doors.engine.clock()):
        raise PylonError("REAUTHENTICATION_REQUIRED", "Sign in again to do this")
    return session
