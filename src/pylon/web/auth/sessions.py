"""Sessions over HTTP (spec 03 §2.2): who am I, list, refresh, revoke, and the dev and admin door to any user."""

from __future__ import annotations

from typing import Any

import falcon.asgi
import msgspec

from pylon.auth.events import Event
from pylon.model.errors import PylonError
from pylon.web.auth.arriving import arrival, granted, json_body, require_session
from pylon.web.auth.context import avatar_url, context, session_shown, user_row
from pylon.web.auth.cookies import take_cookie
from pylon.web.auth.resource import MethodResource
from pylon.web.described import GRANT, REVOKED, Asked, describes
from pylon.web.request import Request, Resource, is_asked

MAX_USER_ID = 255
CONTEXT = {
    "avatar_url": str | None,
    "is_admin": bool,
    "roles": list[str],
    "second_factor_missing?": bool,
    "tenant_id?": str,
    "user_id": str | None,
}


class Me(Resource):
    """`/api/auth/me`: never 401."""

    @describes(CONTEXT)
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The caller's context."""
        shown = {"avatar_url": avatar_url(req), **context(session_shown(req))}
        resp.data = msgspec.json.encode(shown, order="sorted")


class SessionDoor(MethodResource):
    """`/api/auth/session`."""

    method = "session"
    open_responders = frozenset({"on_get", "on_head", "on_delete"})

    @describes(
        {"token": str, "user_id": str},
        body={"user_id": str},
        status=201,
        errors=(
            "FORBIDDEN",
            "API_KEY_AUTH_FORBIDDEN",
            "MISSING_USER_ID",
            "METHOD_NOT_CONFIGURED",
            "ACCOUNT_LOCKED",
            "SECOND_FACTOR_REQUIRED",
        ),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A session for any user id: in dev mode, or for an admin."""
        if not req.doors.dev and not req.session.identity.is_admin:
            raise PylonError("FORBIDDEN", "sessions for any user are made in dev mode or by an admin only")
        if req.session.api_key_id is not None:
            raise PylonError("API_KEY_AUTH_FORBIDDEN", "An API key may not do this")
        user_id = (await json_body(req)).get("user_id")
        if not isinstance(user_id, str) or not user_id or len(user_id) > MAX_USER_ID or user_id.startswith("__"):
            raise PylonError("MISSING_USER_ID", "user_id is required: a string of at most 255 characters")
        grant = await req.doors.identity.registry.get(self.method).enter(arrival(req), user_id)
        resp.status = 201
        resp.data = msgspec.json.encode({"token": grant.token, "user_id": user_id})

    @describes({"avatar_url": str | None, "session": dict[str, Any], "user": dict[str, Any] | None})
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The caller's context, and its user row where there is one."""
        shown = {"avatar_url": avatar_url(req), "session": context(session_shown(req)), "user": await user_row(req)}
        resp.data = msgspec.json.encode(shown)

    @describes(REVOKED)
    async def on_delete(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Sign out."""
        await req.doors.identity.sign_in.sign_out(arrival(req))
        resp.data = b'{"revoked":true}'
        take_cookie(req, resp)


class SessionList(Resource):
    """`/api/auth/sessions`."""

    @describes(list[dict[str, Any]], who="session")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The caller's sessions, newest first. The prefix tells them apart without being a secret."""
        session = require_session(req)
        assert session.identity.user_id is not None
        resp.data = msgspec.json.encode(
            [
                {
                    "id": record.id,
                    "token_prefix": record.id[:12],
                    "user_id": record.user_id,
                    "device": record.device,
                    "method": record.method,
                    "ip": record.ip,
                    "created_at": record.created_at,
                    "last_used_at": record.last_used_at,
                    "expires_at": record.expires_at,
                    "current": record.id == session.id,
                }
                for record in req.doors.sessions.of_user(session.identity.user_id)
            ]
        )

    @describes({"revoked_count": int}, who="session", query={"others": Asked})
    async def on_delete(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Sign out everywhere; with `?others=1` everywhere else."""
        session = require_session(req)
        user = session.identity.user_id
        assert user is not None
        others = is_asked(req, "others")
        revoked = await req.doors.sessions.revoke_all(user, but=session.id if others else "")
        await req.doors.identity.events.record(arrival(req), Event.SESSION_REVOKE, user, sessions=revoked)
        if not others:
            take_cookie(req, resp)
        resp.data = msgspec.json.encode({"revoked_count": revoked})


class OneSession(Resource):
    """`/api/auth/sessions/{session_id}`."""

    @describes(REVOKED, who="session", errors=("NOT_FOUND",))
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, session_id: str) -> None:
        """Sign one of the caller's sessions out."""
        session = require_session(req)
        user = session.identity.user_id
        assert user is not None
        if not await req.doors.sessions.revoke(req.caller, user, session_id):
            raise PylonError("NOT_FOUND", "No such session")
        await req.doors.identity.events.record(arrival(req), Event.SESSION_REVOKE, user, session=session_id)
        if session_id == session.id:
            take_cookie(req, resp)
        resp.data = b'{"revoked":true}'


class Refresh(Resource):
    """`/api/auth/refresh`."""

    @describes(GRANT, errors=("AUTH_REQUIRED", "SESSION_EXPIRED"))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Exchange the token for the next one of the same session."""
        token = req.token
        if token is None:
            raise PylonError("AUTH_REQUIRED", "authenticated session required")
        granted(req, resp, await req.doors.identity.refresh(arrival(req), token))


ROUTES: dict[str, object] = {
    "/api/auth/me": Me(),
    "/api/auth/session": SessionDoor(),
    "/api/auth/sessions": SessionList(),
    "/api/auth/sessions/{session_id}": OneSession(),
    "/api/auth/refresh": Refresh(),
}
