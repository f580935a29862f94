"""Signing in to Studio and out of it, and which operators are signed in."""

from __future__ import annotations

import math
from typing import Any, Literal

import falcon.asgi
import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.operators import LIFETIME_SECONDS, Operator
from pylon.model.errors import PylonError
from pylon.model.identity import ADMIN, ANONYMOUS
from pylon.model.rows import decode_object
from pylon.signals.logs import Log
from pylon.web.described import REVOKED, describes
from pylon.web.request import Request, Resource, require_admin
from pylon.web.studio.attempts import Attempts
from pylon.web.studio.cookie import operator_of, require_studio, set_cookie

log = Log("pylon.studio")

SIGN_INS_PER_MINUTE = 10
_NOTED_PER_MINUTE = 60
_LONGEST = 4096


class SessionDoor(Resource):
    """`/studio/session`."""

    def __init__(self) -> None:
        self._attempts = Attempts(SIGN_INS_PER_MINUTE, 60.0)
        self._noted = Attempts(_NOTED_PER_MINUTE, 60.0)

    @describes(dict[str, Any])
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Who is signed in; never an error, since every page asks first."""
        resp.set_header("Cache-Control", "no-store")
        resp.data = msgspec.json.encode(_described(req, operator_of(req)))

    @describes(
        dict[str, Any],
        body={"token?": str, "username?": str, "password?": str, "code?": str},
        errors=("FORBIDDEN", "UNAUTHORIZED", "CSRF_REJECTED"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Exchange an admin token, or an operator's name and password, for a cookie."""
        require_studio(req)
        wait = self._attempts.wait(req.ip)
        if wait:
            raise PylonError(
                "RATE_LIMITED",
                "Too many attempts to sign in from this address",
                hint=f"Try again in {math.ceil(wait)} s.",
                headers={"Retry-After": str(math.ceil(wait))},
            )
        sent = decode_object(await req.body())
        if "username" in sent:
            opened = await self._by_name(req, sent)
            refusal = ("Name, password or code is wrong", "`pylon admin passwd NAME` sets another password.")
        else:
            opened = await self._by_token(req, sent.get("token"))
            refusal = (
                "This is not an admin token of this server",
                "It is the value of PYLON_ADMIN_TOKEN, or one made with `pylon admin token`.",
            )
        if opened is None:
            await self._note_failure(req)
            raise PylonError("UNAUTHORIZED", refusal[0], hint=refusal[1])
        secret, operator = opened
        resp.set_header("Cache-Control", "no-store")
        resp.append_header("Set-Cookie", set_cookie(req, secret, LIFETIME_SECONDS))
        resp.data = msgspec.json.encode(_described(req, operator))

    @describes({"signed_in": Literal[False]}, errors=("FORBIDDEN",))
    async def on_delete(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Sign out."""
        require_studio(req)
        resp.append_header("Set-Cookie", set_cookie(req, "", 0))
        operator = operator_of(req)
        if operator is not None:
            await req.doors.operators.sign_out(req.caller, operator.id)
        resp.data = b'{"signed_in":false}'

    async def _by_token(self, req: Request, token: Any) -> tuple[str, Operator] | None:
        if not isinstance(token, str):
            return None
        caller = msgspec.structs.replace(req.caller, identity=ADMIN, door="studio")
        return await req.doors.operators.sign_in(caller, token.strip(), agent=req.get_header("User-Agent") or "")

    async def _by_name(self, req: Request, sent: dict[str, Any]) -> tuple[str, Operator] | None:
        name, password, code = (sent.get(key) or "" for key in ("username", "password", "code"))
        if not all(isinstance(text, str) and len(text) <= _LONGEST for text in (name, password, code)):
            return None
        caller = msgspec.structs.replace(req.caller, identity=ANONYMOUS, door="studio")
        arrival = Arrival(caller=caller, agent=req.get_header("User-Agent"))
        return await req.doors.operators.sign_in_by_name(arrival, name.strip(), password, code)

    async def _note_failure(self, req: Request) -> None:
        """Record a wrong token. Strangers must not fill the audit log, so what is too much goes to the log alone."""
        log.warning("a sign-in to Studio failed", ip=req.ip, request_id=req.request_id)
        if not self._noted.wait(""):
            caller = msgspec.structs.replace(req.caller, door="studio")
            try:
                await req.doors.engine.audit.note(caller, "studio.sign-in-failed")
            except PylonError as error:  # the visitor is refused either way
                log.warning("a failed sign-in could not be recorded", error=error.message)


class SessionList(Resource):
    """`/api/admin/studio/sessions`."""

    @describes({"sessions": list[dict[str, Any]]}, who="admin")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The operators who are signed in."""
        require_admin(req)
        own = operator_of(req)
        sessions = [_shown(one) | {"current": one == own} for one in req.doors.operators.open_sessions()]
        resp.data = msgspec.json.encode({"sessions": sessions})


class OneSession(Resource):
    """`/api/admin/studio/sessions/{id}`."""

    @describes(REVOKED, who="admin", errors=("NOT_FOUND",))
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, identifier: str) -> None:
        """Sign an operator out."""
        require_admin(req)
        if not await req.doors.operators.sign_out(req.caller, identifier, action="studio.revoke"):
            raise PylonError("NOT_FOUND", "There is no such operator's session")
        resp.data = b'{"revoked":true}'


def _described(req: Request, operator: Operator | None) -> dict[str, Any]:
    app = req.doors.engine.app
    methods = req.doors.operators.methods
    said: dict[str, Any] = {"signed_in": operator is not None, "methods": methods, "dev": req.doors.dev}
    said["app"] = {"name": app.name}
    if operator is not None:
        said["operator"] = _shown(operator)
        said["version"] = req.doors.version
        said["app"] |= {
            "entities": sorted(req.doors.engine.plans),
            "functions": sorted(function.name for function in app.functions),
            "docs": req.doors.settings.docs_page,
        }
    return said


def _shown(operator: Operator) -> dict[str, Any]:
    return {
        "id": operator.id,
        "name": operator.name,
        "ip": operator.ip,
        "agent": operator.agent,
        "created_at": operator.created_at,
        "expires_at": operator.expires_at,
    }
