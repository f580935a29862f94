"""Signing in and up: with a password, a code by mail, a passkey, an account elsewhere; and the second factor."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

import falcon.asgi

from pylon.auth.second_factor import CHALLENGE
from pylon.web.auth.cookies import cookie
from pylon.web.auth.second_factor import CHALLENGE_COOKIE
from pylon.web.pages.api import Api, ApiAnswer
from pylon.web.pages.forms import form, go, pass_cookies, safe_return
from pylon.web.pages.rendering import Renderer
from pylon.web.request import Request, Resource

SET_UP_FACTOR = "/auth/second-factor/set-up"


class Page(Resource):
    """What the pages share: their line to the routes, and how they look."""

    def __init__(self, api: Api, renderer: Renderer) -> None:
        self._api = api
        self._renderer = renderer

    def _entered(self, req: Request, resp: falcon.asgi.Response, answer: ApiAnswer, back: str) -> bool:
        """Lead on after a first factor: to where the person wanted, or to showing or setting up the second. False for a
        failure."""
        if answer.code == "SECOND_FACTOR_REQUIRED":
            challenge = str(answer.json["error"].get("challenge", ""))
            resp.append_header("Set-Cookie", cookie(req, CHALLENGE_COOKIE, challenge, CHALLENGE.seconds))
            go(resp, "/auth/second-factor", return_to=back)
            return True
        if not answer.is_ok:
            return False
        pass_cookies(resp, answer)
        if answer.json.get("second_factor_missing"):
            go(resp, SET_UP_FACTOR, return_to=back)
        else:
            go(resp, back)
        return True

    def _failed(self, req: Request, resp: falcon.asgi.Response, page: str, answer: ApiAnswer, **values: Any) -> None:
        """Show the form again with what went wrong."""
        error = self._renderer.words(req).error(answer.code, answer.message)
        if (wait := answer.json.get("error", {}).get("retry_after_secs")) is not None:
            resp.set_header("Retry-After", str(wait))
        self._renderer.show(req, resp, page, status=answer.status, error=error, **values)


class Start(Page):
    """`/auth`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """To the account of who is signed in, else to signing in."""
        go(
            resp,
            "/auth/account" if req.session.is_user else "/auth/sign-in",
            return_to=req.get_param("return_to") or "",
        )


class SignIn(Page):
    """`/auth/sign-in`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The ways in that are open here."""
        await self._show(req, resp, {}, "")

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """With a password."""
        sent = await form(req)
        back = safe_return(req, sent.get("return_to"))
        body = {"email": sent.get("email", ""), "password": sent.get("password", "")}
        answer = await self._api.call(req, "POST", "/api/auth/password/login", body)
        if not self._entered(req, resp, answer, back):
            error = self._renderer.words(req).error(answer.code, answer.message)
            await self._show(req, resp, sent, error, status=answer.status)

    async def _show(
        self, req: Request, resp: falcon.asgi.Response, sent: dict[str, str], error: str, *, status: int = 200
    ) -> None:
        back = safe_return(req, sent.get("return_to") or req.get_param("return_to"))
        failure = req.get_param("oauth_error")
        if failure and not error:
            error = self._renderer.words(req).error(failure, req.get_param("oauth_error_message") or "")
        registry = req.doors.identity.registry
        is_on = {name: registry.is_on(name) for name in ("password", "magic_code", "passkey")}
        self._renderer.show(
            req,
            resp,
            "sign_in",
            status=status,
            error=error,
            email=sent.get("email", ""),
            return_to=back,
            is_on=is_on,
            providers=await self._providers(req),
            leads_to=[],
        )

    async def _providers(self, req: Request) -> list[str]:
        answer = await self._api.get(req, "/api/auth/providers")
        listed = answer.json if answer.is_ok and isinstance(answer.json, list) else []
        return [one["provider"] for one in listed if one.get("auth_url")]


class WithProvider(Page):
    """`/auth/with/{provider}`."""

    async def on_post(self, req: Request, resp: falcon.asgi.Response, provider: str) -> None:
        """To the provider's own page, and from there back."""
        sent = await form(req)
        back = safe_return(req, sent.get("return_to"))
        own = f"{req.scheme}://{req.get_header('Host') or ''}"
        base = req.doors.identity.redirects.public_url or own
        goal = back if urlsplit(back).netloc else f"{base}{back}"
        query = f"callback={quote(goal, safe='')}&error_callback={quote(f'{base}/auth/sign-in', safe='')}"
        resp.status = 303
        resp.set_header("Location", f"/api/auth/login/{quote(provider, safe='')}?{query}&redirect=1")


class SecondFactor(Page):
    """`/auth/second-factor`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The form."""
        back = safe_return(req, req.get_param("return_to"))
        self._renderer.show(req, resp, "second_factor", error="", return_to=back)

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A code of an app, or a backup code."""
        sent = await form(req)
        back = safe_return(req, sent.get("return_to"))
        body = {"code": sent.get("code", ""), "trust_device": sent.get("trust_device") == "on"}
        answer = await self._api.call(req, "POST", "/api/auth/totp/login", body)
        if not self._entered(req, resp, answer, back):
            self._failed(req, resp, "second_factor", answer, return_to=back)


class SendCode(Page):
    """`/auth/code`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The form."""
        back = safe_return(req, req.get_param("return_to"))
        self._renderer.show(req, resp, "code", error="", email="", return_to=back)

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Mail a code."""
        sent = await form(req)
        back, email = safe_return(req, sent.get("return_to")), sent.get("email", "")
        answer = await self._api.call(req, "POST", "/api/auth/magic/send", {"email": email})
        if not answer.is_ok:
            self._failed(req, resp, "code", answer, email=email, return_to=back)
            return
        dev_code = answer.json.get("dev_code", "")
        self._renderer.show(
            req, resp, "enter_code", error="", email=answer.json.get("email", email), return_to=back, dev_code=dev_code
        )


class EnterCode(Page):
    """`/auth/code/enter`."""

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Sign in with it."""
        sent = await form(req)
        back, email = safe_return(req, sent.get("return_to")), sent.get("email", "")
        body = {"email": email, "code": sent.get("code", "").strip()}
        answer = await self._api.call(req, "POST", "/api/auth/magic/verify", body)
        if not self._entered(req, resp, answer, back):
            self._failed(req, resp, "enter_code", answer, email=email, return_to=back, dev_code="")


class SignUp(Page):
    """`/auth/sign-up`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The form."""
        back = safe_return(req, req.get_param("return_to"))
        self._renderer.show(req, resp, "sign_up", error="", email="", name="", return_to=back)

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Make the account, then ask for the code that was mailed."""
        sent = await form(req)
        back = safe_return(req, sent.get("return_to"))
        body = {"email": sent.get("email", ""), "password": sent.get("password", "")}
        if sent.get("name", "").strip():
            body["displayName"] = sent["name"].strip()
        answer = await self._api.call(req, "POST", "/api/auth/password/register", body)
        if not answer.is_ok:
            self._failed(
                req, resp, "sign_up", answer, email=sent.get("email", ""), name=sent.get("name", ""), return_to=back
            )
            return
        pass_cookies(resp, answer)
        dev_code = answer.json.get("dev_code", "")
        self._renderer.show(req, resp, "verify", error="", done="", dev_code=dev_code, return_to=back)


class SignOut(Page):
    """`/auth/sign-out`."""

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """End this session."""
        pass_cookies(resp, await self._api.call(req, "DELETE", "/api/auth/session"))
        go(resp, "/auth/sign-in")
