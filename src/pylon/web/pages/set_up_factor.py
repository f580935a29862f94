"""Setting a second factor up where everybody needs one: what a session that has shown none is led to."""

from __future__ import annotations

from typing import Any

import falcon.asgi

from pylon.web.pages.entry import Page
from pylon.web.pages.forms import form, go, pass_cookies, safe_return
from pylon.web.request import Request


class SetUpFactor(Page):
    """`/auth/second-factor/set-up`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """What there is to set up, or to show."""
        back = safe_return(req, req.get_param("return_to"))
        if not req.session.is_user:
            go(resp, "/auth/sign-in", return_to=back)
        elif not req.doors.identity.demanded_factor.holds(req.session):
            go(resp, back)
        else:
            self._show(req, resp, back)

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Begin with an app, or send a code of one."""
        sent = await form(req)
        back = safe_return(req, sent.get("return_to"))
        if not req.session.is_user:
            go(resp, "/auth/sign-in", return_to=back)
            return
        is_code = sent.get("action") == "verify"
        path, body = ("verify", {"code": sent.get("code", "")}) if is_code else ("enroll", {})
        answer = await self._api.call(req, "POST", f"/api/auth/totp/{path}", body)
        pass_cookies(resp, answer)
        if not answer.is_ok:
            error = self._renderer.words(req).error(answer.code, answer.message)
            pending = {"qr": "", "secret": ""} if is_code else None
            self._show(req, resp, back, error=error, status=answer.status, enrolling=pending)
        elif not is_code:
            self._show(req, resp, back, enrolling=answer.json)
        elif codes := answer.json.get("backup_codes"):
            self._show(req, resp, back, codes=codes)
        else:
            go(resp, back)

    def _show(
        self,
        req: Request,
        resp: falcon.asgi.Response,
        back: str,
        *,
        error: str = "",
        status: int = 200,
        enrolling: dict[str, Any] | None = None,
        codes: list[str] | None = None,
    ) -> None:
        missing = req.doors.identity.demanded_factor.missing(req.session).extra or {}
        self._renderer.show(
            req,
            resp,
            "set_up_factor",
            status=status,
            error=error,
            return_to=back,
            there_are=missing["set_up"],
            has_passkeys=req.doors.identity.registry.is_on("passkey"),
            enrolling=enrolling,
            codes=codes or [],
        )
