"""Passwords over HTTP (spec 03 §9)."""

from __future__ import annotations

from typing import Literal

import falcon.asgi
import msgspec

from pylon.auth.hashing import MAX_PASSWORD_BYTES
from pylon.auth.methods.password import PasswordSignIn, Registration
from pylon.auth.methods.password_reset import PasswordReset
from pylon.model.errors import PylonError
from pylon.web.auth.arriving import arrival, granted, json_body, require_user, text
from pylon.web.auth.cookies import give_cookie, wants_cookie
from pylon.web.auth.magic import MAX_TOKEN, SENDS, SIGNS_IN, answer
from pylon.web.auth.resource import MethodResource
from pylon.web.described import GRANT, AnyOf, describes
from pylon.web.request import Request

MAX_NAME = 200
RULES = ("WEAK_PASSWORD", "PWNED_PASSWORD", "OVERLOADED")
"""What setting a password may answer."""


def secret(body: dict[str, object], name: str, code: str = "MISSING_PASSWORD") -> str:
    """A password of the body, exactly as it was typed. Longer ones than are hashed reach the rules, which say so."""
    value = body.get(name)
    if not isinstance(value, str) or not value or len(value) > 4 * MAX_PASSWORD_BYTES:
        raise PylonError(code, f"{name} is required")
    return value


class Register(MethodResource):
    """`/api/auth/password/register`."""

    method = "password"

    @describes(
        AnyOf(
            (
                {**GRANT, "verification_email_sent": bool, "dev_code?": str},
                {"sent": Literal[True], "verification_required": Literal[True], "dev_code?": str},
            )
        ),
        body={"email": str, "password": str, "displayName?": str, "captchaToken?": str, "code?": str},
        errors=(
            *SENDS,
            *SIGNS_IN,
            *RULES,
            "MISSING_EMAIL",
            "MISSING_PASSWORD",
            "EMAIL_TAKEN",
            "INVALID_CODE",
            "INVALID_DATA",
        ),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Make an account. Where addresses are proved first: send a code, and with `code` make the account."""
        body = await json_body(req)
        name, code = body.get("displayName"), body.get("code")
        if isinstance(name, str) and len(name) > MAX_NAME:
            raise PylonError("INVALID_DATA", f"displayName has at most {MAX_NAME} characters")
        wanted = Registration(
            email=text(body, "email", "MISSING_EMAIL"),
            password=secret(body, "password"),
            display_name=name.strip() if isinstance(name, str) and name.strip() else None,
            captcha=body.get("captchaToken"),
            code=code.strip() if isinstance(code, str) and code.strip() else None,
        )
        passwords: PasswordSignIn = req.doors.identity.registry.get(self.method)
        made = await passwords.register(arrival(req), wanted)
        if made.grant is None:
            answer(resp, {"sent": True, "verification_required": True}, req, dev_code=made.code)
            return
        also = {"dev_code": made.code} if req.doors.dev and made.code is not None else {}
        granted(req, resp, made.grant, verification_email_sent=made.was_mailed, **also)


class Login(MethodResource):
    """`/api/auth/password/login`."""

    method = "password"

    @describes(
        GRANT,
        body={"email": str, "password": str},
        errors=(*SIGNS_IN, "MISSING_EMAIL", "MISSING_PASSWORD", "INVALID_EMAIL", "INVALID_CREDENTIALS", "OVERLOADED"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Sign in."""
        body = await json_body(req)
        email, password = text(body, "email", "MISSING_EMAIL"), secret(body, "password")
        passwords: PasswordSignIn = req.doors.identity.registry.get(self.method)
        granted(req, resp, await passwords.login(arrival(req), email, password))


class Change(MethodResource):
    """`/api/auth/password/change`."""

    method = "password"

    @describes(
        {"changed": Literal[True], "expires_at": int, "revoked_sessions": int, "token": str},
        body={"currentPassword": str, "newPassword": str},
        who="user",
        errors=(
            *RULES,
            "METHOD_NOT_CONFIGURED",
            "API_KEY_AUTH_FORBIDDEN",
            "MISSING_PASSWORD",
            "WRONG_PASSWORD",
            "NO_PASSWORD_SET",
            "USER_NOT_FOUND",
            "SESSION_EXPIRED",
        ),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Change one's own password; every other session ends, and this one gets a new token."""
        require_user(req)
        body = await json_body(req)
        current, new = secret(body, "currentPassword"), secret(body, "newPassword")
        passwords: PasswordSignIn = req.doors.identity.registry.get(self.method)
        grant, ended = await passwords.change(arrival(req), current, new)
        if wants_cookie(req):
            give_cookie(req, resp, grant.token, grant.record.expires_at)
        shown = {
            "changed": True,
            "expires_at": grant.record.expires_at,
            "revoked_sessions": ended,
            "token": grant.token,
        }
        resp.data = msgspec.json.encode(shown)


class ResetRequest(MethodResource):
    """`/api/auth/password/reset/request`."""

    method = "password_reset"

    @describes(
        {"sent": Literal[True], "dev_token?": str},
        body={"email": str},
        errors=("METHOD_NOT_CONFIGURED", "MISSING_EMAIL", "INVALID_EMAIL", "OVERLOADED", "PUBLIC_URL_MISSING"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Send a link, if there is such an account; the answer is the same if not."""
        email = text(await json_body(req), "email", "MISSING_EMAIL")
        reset: PasswordReset = req.doors.identity.registry.get(self.method)
        answer(resp, {"sent": True}, req, dev_token=await reset.request(arrival(req), email))


class ResetComplete(MethodResource):
    """`/api/auth/password/reset/complete`."""

    method = "password_reset"

    @describes(
        {**GRANT, "reset": Literal[True], "revoked_sessions": int},
        body={"token": str, "newPassword": str},
        errors=(*SIGNS_IN, *RULES, "MISSING_FIELD", "INVALID_TOKEN", "USER_NOT_FOUND"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Set the new password and sign in."""
        body = await json_body(req)
        token = text(body, "token", "MISSING_FIELD", longest=MAX_TOKEN)
        new = secret(body, "newPassword", "MISSING_FIELD")
        reset: PasswordReset = req.doors.identity.registry.get(self.method)
        grant, ended = await reset.complete(arrival(req), token, new)
        granted(req, resp, grant, reset=True, revoked_sessions=ended)


ROUTES: dict[str, object] = {
    "/api/auth/password/register": Register(),
    "/api/auth/password/login": Login(),
    "/api/auth/password/change": Change(),
    "/api/auth/password/reset/request": ResetRequest(),
    "/api/auth/password/reset/complete": ResetComplete(),
}
