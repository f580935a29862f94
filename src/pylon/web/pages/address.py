"""Proving an address, changing it, and choosing a new password by a link in a mail."""

from __future__ import annotations

import falcon.asgi

from pylon.web.pages.entry import Page
from pylon.web.pages.forms import form, go, pass_cookies, safe_return
from pylon.web.request import Request


class Verify(Page):
    """`/auth/verify`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The form."""
        back = safe_return(req, req.get_param("return_to"))
        self._renderer.show(req, resp, "verify", error="", done="", dev_code="", return_to=back)

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The code that was mailed; or, without one, another."""
        sent = await form(req)
        back = safe_return(req, sent.get("return_to"))
        words = self._renderer.words(req)
        if sent.get("again"):
            answer = await self._api.call(req, "POST", "/api/auth/email/send-verification", {})
            shown = {"done": words("verify_again"), "dev_code": (answer.json or {}).get("dev_code", "")}
        else:
            body = {"code": sent.get("code", "").strip()}
            answer = await self._api.call(req, "POST", "/api/auth/email/verify", body)
            shown = {"done": words("verified"), "dev_code": ""}
        if not answer.is_ok:
            self._failed(req, resp, "verify", answer, done="", dev_code="", return_to=back)
        elif sent.get("again"):
            self._renderer.show(req, resp, "verify", error="", return_to=back, **shown)
        else:
            pass_cookies(resp, answer)
            go(resp, back)


class Reset(Page):
    """`/auth/reset`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The form."""
        self._renderer.show(req, resp, "reset", error="", email="", sent_to="")

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Mail a link; the answer is the same whether or not there is an account."""
        email = (await form(req)).get("email", "")
        answer = await self._api.call(req, "POST", "/api/auth/password/reset/request", {"email": email})
        if answer.is_ok:
            self._renderer.show(req, resp, "reset", error="", email="", sent_to=email)
        else:
            self._failed(req, resp, "reset", answer, email=email, sent_to="")


class NewPassword(Page):
    """`/reset-password`, where the link of a mail leads."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The form."""
        self._renderer.show(req, resp, "new_password", error="", token=req.get_param("token") or "")

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Set it, and be signed in."""
        sent = await form(req)
        body = {"token": sent.get("token", ""), "newPassword": sent.get("password", "")}
        answer = await self._api.call(req, "POST", "/api/auth/password/reset/complete", body)
        if not self._entered(req, resp, answer, "/auth/account"):
            self._failed(req, resp, "new_password", answer, token=sent.get("token", ""))


class NewAddress(Page):
    """`/email-change/confirm`, where the link of a mail leads."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """One button: a program that opens links changes nothing."""
        self._renderer.show(req, resp, "new_address", error="", done="", token=req.get_param("token") or "")

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Make the change."""
        token = (await form(req)).get("token", "")
        answer = await self._api.call(req, "POST", "/api/auth/email/change/confirm", {"token": token})
        if not answer.is_ok:
            self._failed(req, resp, "new_address", answer, done="", token=token)
            return
        pass_cookies(resp, answer)
        self._renderer.show(
            req, resp, "new_address", error="", done=self._renderer.words(req)("email_changed"), token=""
        )
