"""Sessions over HTTP (spec 03 §2.2): guests, the dev and admin door to any user, who am I, list, refresh, revoke."""

from __future__ import annotations

from typing import Any

import falcon.asgi
import msgspec

from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.model.rows import decode_object
from pylon.web.request import Request, Resource

MAX_USER_ID = 255


def context(identity: Identity) -> dict[str, Any]:
    """The auth context of spec 03 §1.3."""
    shown: dict[str, Any] = {
        "avatar_url": None,
        "is_admin": identity.is_admin,
        "roles": list(identity.roles),
        "user_id": identity.user_id,
    }
    if identity.is_guest:
        shown["is_guest"] = True
    if identity.tenant_id is not None:
        shown["tenant_id"] = identity.tenant_id
    return shown


class Me(Resource):
    """`/api/auth/me`: never 401."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The caller's context."""
        resp.data = msgspec.json.encode(context(req.session.identity))


class SessionDoor(Resource):
    """`/api/auth/session`."""

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A session for any user id: in dev mode, or for an admin."""
        if not req.doors.dev and not req.session.identity.is_admin:
            raise PylonError("FORBIDDEN", "sessions for any user are made in dev mode or by an admin only")
        _check_method(req, "session")
        user_id = decode_object(await req.body()).get("user_id")
        if not isinstance(user_id, str) or not user_id or len(user_id) > MAX_USER_ID or user_id.startswith("__"):
            raise PylonError("MISSING_USER_ID", "user_id is required: a string of at most 255 characters")
        token = await req.doors.sessions.create(user_id)
        resp.status = 201
        resp.data = msgspec.json.encode({"token": token, "user_id": user_id})

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The caller's context, and its user row where there is one."""
        identity = req.session.identity
        user = await _user_row(req, identity)
        resp.data = msgspec.json.encode({"avatar_url": None, "session": context(identity), "user": user})

    async def on_delete(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Sign out."""
        if (token := req.token) is not None and req.session.key is not None:
            await req.doors.sessions.revoke(token)
        resp.data = b'{"revoked":true}'
        secure = "; Secure" if req.doors.settings.cookie_secure else ""
        resp.append_header("Set-Cookie", f"{req.doors.cookie_name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax{secure}")


class Guest(Resource):
    """`/api/auth/guest`."""

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A new guest."""
        _check_method(req, "guest")
        token, user_id = await req.doors.sessions.create_guest()
        resp.status = 201
        resp.data = msgspec.json.encode({"guest": True, "token": token, "user_id": user_id})


class Anonymous(Resource):
    """`/api/auth/anonymous`: guests in the shape of other clients."""

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A new guest."""
        _check_method(req, "guest")
        token, user_id = await req.doors.sessions.create_guest()
        expires_at = req.doors.sessions.resolve(token).expires_at
        resp.data = msgspec.json.encode(
            {"expires_at": expires_at, "is_guest": True, "token": token, "user_id": user_id}
        )


class SessionList(Resource):
    """`/api/auth/sessions`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The caller's sessions. The prefix tells them apart without being a secret."""
        user_id = _signed_in(req)
        resp.data = msgspec.json.encode(
            [
                {
                    "token_prefix": f"key_{record.key.hex()[:8]}",
                    "user_id": record.user_id,
                    "device": record.device,
                    "created_at": record.created_at,
                    "expires_at": record.expires_at,
                }
                for record in req.doors.sessions.of_user(user_id)
            ]
        )

    async def on_delete(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Sign out everywhere."""
        revoked = await req.doors.sessions.revoke_all(_signed_in(req))
        resp.data = msgspec.json.encode({"revoked_count": revoked})


class Refresh(Resource):
    """`/api/auth/refresh`."""

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Exchange the token for a new one."""
        token = req.token
        if token is None:
            raise PylonError("AUTH_REQUIRED", "authenticated session required")
        fresh, user_id, expires_at = await req.doors.sessions.refresh(token)
        resp.data = msgspec.json.encode({"expires_at": expires_at, "token": fresh, "user_id": user_id})


def _check_method(req: Request, method: str) -> None:
    """Whether this way of signing in is on. Raises MAINTENANCE."""
    board = req.doors.engine.switches.board
    if not board.is_quiet:
        board.check_auth(method, req.session.identity)


def _signed_in(req: Request) -> str:
    session = req.session
    if session.identity.user_id is None or session.key is None or session.identity.is_admin:
        raise PylonError("AUTH_REQUIRED", "authenticated session required")
    return session.identity.user_id


async def _user_row(req: Request, identity: Identity) -> Any:
    entity = req.doors.engine.app.raw.get("auth", {}).get("user", {}).get("entity", "User")
    if identity.user_id is None or identity.is_guest or identity.is_admin or entity not in req.doors.engine.plans:
        return None
    try:
        row = msgspec.json.decode(await req.doors.engine.reads.get(req.caller, entity, identity.user_id))
    except PylonError:
        return None
    return {name: value for name, value in row.items() if name != "passwordHash" and not name.startswith("_")}
