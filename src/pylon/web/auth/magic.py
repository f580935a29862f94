"""Codes and links by mail over HTTP (spec 03 §7, §8)."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import parse_qs

import falcon.asgi
import msgspec

from pylon.auth.methods.magic_link import MagicLinks
from pylon.auth.proofs import LINK
from pylon.auth.sign_in import MoreNeeded
from pylon.model.errors import PylonError
from pylon.web.auth.arriving import arrival, granted, json_body, text
from pylon.web.auth.cookies import cookie, give_cookie
from pylon.web.auth.link_page import confirm_page
from pylon.web.auth.resource import MethodResource
from pylon.web.auth.second_factor import carry
from pylon.web.described import GRANT, Media, describes
from pylon.web.request import Request

BROWSER_COOKIE = "pylon_link"
"""Tells the browser that asked for a link from others that open it."""

MAX_TOKEN = 128
SENDS = ("METHOD_NOT_CONFIGURED", "INVALID_EMAIL", "DISPOSABLE_EMAIL", "CAPTCHA_FAILED", "OVERLOADED")
SIGNS_IN = ("METHOD_NOT_CONFIGURED", "ACCOUNT_LOCKED", "SECOND_FACTOR_REQUIRED", "USER_ENTITY_MISSING", "INSERT_FAILED")
"""What sending a letter, and what the end of a sign-in may answer."""

_PREFETCH = ("prefetch", "preview", "prerender")


class MagicSend(MethodResource):
    """`/api/auth/magic/send`."""

    method = "magic_code"

    @describes(
        {"email": str, "sent": Literal[True], "dev_code?": str},
        body={"email": str, "captchaToken?": str},
        errors=(*SENDS, "MISSING_EMAIL"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Send a code."""
        body = await json_body(req)
        address = text(body, "email", "MISSING_EMAIL")
        codes = req.doors.identity.registry.get(self.method)
        email, code = await codes.send(arrival(req), address, body.get("captchaToken"))
        answer(resp, {"email": email, "sent": True}, req, dev_code=code)


class MagicVerify(MethodResource):
    """`/api/auth/magic/verify`."""

    method = "magic_code"

    @describes(
        GRANT,
        body={"email": str, "code": str},
        errors=(*SIGNS_IN, "MISSING_EMAIL", "MISSING_CODE", "INVALID_EMAIL", "INVALID_CODE"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Sign in with a code."""
        body = await json_body(req)
        address, code = text(body, "email", "MISSING_EMAIL"), text(body, "code", "MISSING_CODE", longest=64)
        codes = req.doors.identity.registry.get(self.method)
        granted(req, resp, await codes.verify(arrival(req), address, code.strip()))


class LinkSend(MethodResource):
    """`/api/auth/magic-link/send`."""

    method = "magic_link"

    @describes(
        {"sent": Literal[True], "dev_token?": str, "dev_url?": str},
        body={"email": str, "captchaToken?": str, "returnTo?": str},
        errors=(*SENDS, "UNTRUSTED_REDIRECT", "PUBLIC_URL_MISSING"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Send a link; the browser that asks is known again by a cookie."""
        body = await json_body(req)
        address = text(body, "email", "INVALID_EMAIL")
        page = body.get("returnTo")
        links: MagicLinks = req.doors.identity.registry.get(self.method)
        sent = await links.send(
            arrival(req), address, body.get("captchaToken"), page if isinstance(page, str) else None
        )
        if b"origin" in req._asgi_headers:
            resp.append_header("Set-Cookie", cookie(req, BROWSER_COOKIE, sent.browser, LINK.seconds))
        answer(resp, {"sent": True}, req, dev_token=sent.token, dev_url=sent.url)


class LinkVerify(MethodResource):
    """`/api/auth/magic-link/verify`: what the link in the mail opens."""

    method = "magic_link"

    @describes(
        Media(("text/html",)),
        query={"token": str},
        status=(200, 303),
        errors=(*SIGNS_IN, "MISSING_TOKEN", "INVALID_TOKEN"),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Sign the browser in that asked for the link, and ask any other to confirm: whoever looks at the links of a
        mail before its reader does, uses none up."""
        token = req.get_param("token")
        if not token or len(token) > MAX_TOKEN:
            raise PylonError("MISSING_TOKEN", "token is required")
        links: MagicLinks = req.doors.identity.registry.get(self.method)
        held = req.get_cookie_values(BROWSER_COOKIE)
        link = await links.look(arrival(req), token, held[0] if held else None)
        purpose = (req.get_header("Sec-Purpose") or req.get_header("Purpose") or "").lower()
        is_ahead = any(word in purpose for word in _PREFETCH) or req.method == "HEAD"
        if link.is_same_browser and not is_ahead:
            await self._enter(req, resp, links, token, link.leads_to)
        else:
            confirm_page(resp, req.doors.engine.app.name, link, token)

    @describes(
        GRANT,
        body=({"token": str}, Media(("application/x-www-form-urlencoded",))),
        status=(200, 303),
        errors=(*SIGNS_IN, "MISSING_TOKEN", "INVALID_TOKEN"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Sign in with the token: the page's form, or JSON."""
        links: MagicLinks = req.doors.identity.registry.get(self.method)
        is_form = (req.content_type or "").startswith("application/x-www-form-urlencoded")
        if not is_form:
            token = text(await json_body(req), "token", "MISSING_TOKEN", longest=MAX_TOKEN)
            grant, _ = await links.verify(arrival(req), token)
            granted(req, resp, grant)
            return
        raw = (await req.body())[:4096].decode("utf-8", "replace")
        tokens = parse_qs(raw, max_num_fields=8).get("token", [])
        if not tokens or len(tokens[0]) > MAX_TOKEN:
            raise PylonError("MISSING_TOKEN", "token is required")
        link = await links.look(arrival(req), tokens[0], None)
        await self._enter(req, resp, links, tokens[0], link.leads_to)

    async def _enter(
        self, req: Request, resp: falcon.asgi.Response, links: MagicLinks, token: str, leads_to: str
    ) -> None:
        try:
            grant, _ = await links.verify(arrival(req), token)
        except MoreNeeded as more:  # the page that it leads to asks for the second factor
            carry(req, resp, more)
        else:
            give_cookie(req, resp, grant.token, grant.record.expires_at)
        resp.append_header("Set-Cookie", cookie(req, BROWSER_COOKIE, "", 0))
        resp.set_header("Referrer-Policy", "no-referrer")
        resp.status = 303
        resp.set_header("Location", leads_to)


def answer(resp: falcon.asgi.Response, body: dict[str, Any], req: Request, **in_dev: str | None) -> None:
    """Answer what was sent; in dev mode with what the letter says."""
    shown = {name: value for name, value in in_dev.items() if value is not None} if req.doors.dev else {}
    resp.data = msgspec.json.encode(dict(sorted((body | shown).items())))


ROUTES: dict[str, object] = {
    "/api/auth/magic/send": MagicSend(),
    "/api/auth/magic/verify": MagicVerify(),
    "/api/auth/magic-link/send": LinkSend(),
    "/api/auth/magic-link/verify": LinkVerify(),
}
