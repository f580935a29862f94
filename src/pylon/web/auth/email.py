"""The address of an account over HTTP (spec 03 §9.1, §9.2)."""

from __future__ import annotations

from typing import Literal

import falcon.asgi
import msgspec

from pylon.auth.methods.email import EmailAddress
from pylon.web.auth.arriving import arrival, granted, json_body, require_user, text
from pylon.web.auth.magic import MAX_TOKEN, SENDS, SIGNS_IN, answer
from pylon.web.auth.resource import MethodResource
from pylon.web.described import GRANT, describes
from pylon.web.request import Request


class SendVerification(MethodResource):
    """`/api/auth/email/send-verification`."""

    method = "email"

    @describes(
        {"email": str, "sent": Literal[True], "dev_code?": str},
        who="user",
        errors=("METHOD_NOT_CONFIGURED", "API_KEY_AUTH_FORBIDDEN", "USER_NOT_FOUND", "MISSING_EMAIL", "OVERLOADED"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Send a code to one's own address."""
        require_user(req)
        address: EmailAddress = req.doors.identity.registry.get(self.method)
        email, code = await address.send_verification(arrival(req))
        answer(resp, {"email": email, "sent": True}, req, dev_code=code)


class Verify(MethodResource):
    """`/api/auth/email/verify`."""

    method = "email"

    @describes(
        {"emailVerified": str, "verified": Literal[True]},
        body={"code": str},
        who="user",
        errors=("METHOD_NOT_CONFIGURED", "API_KEY_AUTH_FORBIDDEN", "USER_NOT_FOUND", "MISSING_CODE", "INVALID_CODE"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Prove to own the address."""
        require_user(req)
        code = text(await json_body(req), "code", "MISSING_CODE", longest=64)
        address: EmailAddress = req.doors.identity.registry.get(self.method)
        at = await address.verify(arrival(req), code.strip())
        resp.data = msgspec.json.encode({"emailVerified": at, "verified": True})


class ChangeRequest(MethodResource):
    """`/api/auth/email/change/request`."""

    method = "email"

    @describes(
        {"sent": Literal[True], "dev_token?": str},
        body={"newEmail": str, "currentPassword?": str},
        who="user",
        errors=(
            *SENDS,
            "API_KEY_AUTH_FORBIDDEN",
            "USER_NOT_FOUND",
            "REAUTHENTICATION_REQUIRED",
            "WRONG_PASSWORD",
            "NO_PASSWORD_SET",
            "PUBLIC_URL_MISSING",
        ),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Send a link to the new address; the answer is the same if somebody has it."""
        require_user(req)
        body = await json_body(req)
        new, password = text(body, "newEmail", "INVALID_EMAIL"), body.get("currentPassword")
        address: EmailAddress = req.doors.identity.registry.get(self.method)
        token = await address.request_change(arrival(req), new, password if isinstance(password, str) else None)
        answer(resp, {"sent": True}, req, dev_token=token)


class ChangeConfirm(MethodResource):
    """`/api/auth/email/change/confirm`."""

    method = "email"

    @describes(
        {**GRANT, "changed": Literal[True], "email": str},
        body={"token": str},
        who="user",
        errors=(*SIGNS_IN, "API_KEY_AUTH_FORBIDDEN", "MISSING_TOKEN", "INVALID_TOKEN", "EMAIL_TAKEN"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Take the new address, with the link's token and a session of the account."""
        require_user(req)
        token = text(await json_body(req), "token", "MISSING_TOKEN", longest=MAX_TOKEN)
        address: EmailAddress = req.doors.identity.registry.get(self.method)
        grant, email = await address.confirm_change(arrival(req), token)
        granted(req, resp, grant, changed=True, email=email)


ROUTES: dict[str, object] = {
    "/api/auth/email/send-verification": SendVerification(),
    "/api/auth/email/verify": Verify(),
    "/api/auth/email/change/request": ChangeRequest(),
    "/api/auth/email/change/confirm": ChangeConfirm(),
}
