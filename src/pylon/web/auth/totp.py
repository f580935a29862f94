"""Authenticator apps over HTTP (spec 03 §16), and the second step of a sign-in."""

from __future__ import annotations

import asyncio
from typing import Literal

import falcon.asgi
import msgspec
import segno

from pylon.auth.methods.totp import Totp
from pylon.web.auth.arriving import arrival, granted, json_body, require_user, text, went_on
from pylon.web.auth.resource import MethodResource
from pylon.web.auth.second_factor import challenge_of, drop_challenge, give_device
from pylon.web.described import GRANT, describes
from pylon.web.request import Request

METHOD = "totp"
REFUSED = (
    "METHOD_NOT_CONFIGURED",
    "INVALID_TOTP_CODE",
    "TOTP_NOT_ENROLLED",
    "MISSING_CODE",
    "REAUTHENTICATION_REQUIRED",
    "SECOND_FACTOR_MISSING",
    "SECOND_FACTOR_DEMANDED",
    "CONFLICT",
)


def _totp(req: Request) -> Totp:
    found: Totp = req.doors.identity.registry.get(METHOD)
    return found


async def _code(req: Request) -> str | None:
    body = await json_body(req)
    return text(body, "code", "MISSING_CODE", longest=64) if body.get("code") is not None else None


class Enroll(MethodResource):
    """`/api/auth/totp/enroll`."""

    method = METHOD

    @describes({"qr": str, "secret": str, "url": str}, body={"code?": str | None}, who="user", errors=REFUSED)
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """What to set an app up with, as text and as a QR code. It is in use once a code of it was verified."""
        require_user(req)
        made = await _totp(req).enroll(arrival(req), await _code(req))
        image = await asyncio.to_thread(lambda: segno.make(made.url, micro=False).svg_data_uri(scale=4, border=2))
        resp.data = msgspec.json.encode({**msgspec.to_builtins(made), "qr": image})


class Verify(MethodResource):
    """`/api/auth/totp/verify`."""

    method = METHOD

    @describes(
        {
            "enrolled": bool,
            "trust_device": bool,
            "verified": Literal[True],
            "backup_codes?": list[str],
            "token?": str,
            "expires_at?": int,
        },
        body={"code": str, "trust_device?": bool},
        who="user",
        errors=REFUSED,
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Check a code of a signed-in user; the first one of a new app puts it to use and answers backup codes.
        A session that was held for the lack of it goes on with a new token."""
        require_user(req)
        body = await json_body(req)
        code = text(body, "code", "MISSING_CODE", longest=64)
        totp = _totp(req)
        found = await totp.verify(arrival(req), code, trust_device=body.get("trust_device") is True)
        shown: dict[str, object] = {
            "enrolled": found.is_new,
            "trust_device": give_device(req, resp, found.device, totp.devices.lifetime),
            "verified": True,
        }
        if found.is_new:
            shown["backup_codes"] = found.codes
        shown |= went_on(req, resp, found.grant)
        resp.data = msgspec.json.encode(shown)


class Login(MethodResource):
    """`/api/auth/totp/login`."""

    method = METHOD

    @describes(
        {**GRANT, "trust_device": bool},
        body={"code": str, "challenge?": str, "trust_device?": bool},
        errors=(*REFUSED, "CHALLENGE_EXPIRED", "ACCOUNT_LOCKED"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The second step of a sign-in: a challenge and a code, for a session."""
        body = await json_body(req)
        code = text(body, "code", "MISSING_CODE", longest=64)
        totp = _totp(req)
        grant, device = await totp.second_factor.answer(
            arrival(req), challenge_of(req, body.get("challenge")), code, trust_device=body.get("trust_device") is True
        )
        drop_challenge(req, resp)
        granted(req, resp, grant, trust_device=give_device(req, resp, device, totp.devices.lifetime))


class Disable(MethodResource):
    """`/api/auth/totp/disable`."""

    method = METHOD

    @describes({"disabled": Literal[True]}, body={"code?": str | None}, who="user", errors=REFUSED)
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Do without an app from now on."""
        require_user(req)
        await _totp(req).disable(arrival(req), await _code(req))
        resp.data = b'{"disabled":true}'


class BackupCodes(MethodResource):
    """`/api/auth/totp/backup-codes/regenerate`."""

    method = METHOD

    @describes({"codes": list[str]}, body={"code?": str | None}, who="user", errors=REFUSED)
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """New backup codes in place of the old ones, shown this once."""
        require_user(req)
        codes = await _totp(req).new_backup_codes(arrival(req), await _code(req))
        resp.data = msgspec.json.encode({"codes": codes})


class Status(MethodResource):
    """`/api/auth/totp`."""

    method = METHOD
    open_responders = frozenset({"on_get", "on_head"})

    @describes({"enrolled": bool, "backup_codes_left": int}, who="user")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Whether the caller has an app, and how many backup codes are left."""
        user_id = require_user(req).identity.user_id or ""
        totp = _totp(req)
        shown = {"enrolled": totp.is_enrolled(user_id), "backup_codes_left": totp.codes_left(user_id)}
        resp.data = msgspec.json.encode(shown)


ROUTES: dict[str, object] = {
    "/api/auth/totp": Status(),
    "/api/auth/totp/enroll": Enroll(),
    "/api/auth/totp/verify": Verify(),
    "/api/auth/totp/login": Login(),
    "/api/auth/totp/disable": Disable(),
    "/api/auth/totp/backup-codes/regenerate": BackupCodes(),
}
