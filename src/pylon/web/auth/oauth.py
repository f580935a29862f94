"""Signing in elsewhere over HTTP (spec 03 §10.2), and the accounts that a user has linked.

The state is bound to the browser by a cookie that other sites can't set. A provider that leads back with a form of its
own page needs one that is sent from there as well.
"""

from __future__ import annotations

import re
from typing import Any, Literal
from urllib.parse import parse_qs, quote, urlencode

import falcon.asgi
import msgspec

from pylon.auth.methods.oauth.accounts import Accounts
from pylon.auth.sign_in import MoreNeeded
from pylon.auth.vault import new_secret
from pylon.model.errors import PylonError
from pylon.web.auth.arriving import arrival, granted, json_body, require_recent, require_user, text
from pylon.web.auth.cookies import give_cookie
from pylon.web.auth.second_factor import carry
from pylon.web.described import ANYTHING, GRANT, AnyOf, Media, describes
from pylon.web.request import Request, Resource

METHOD = "oauth"
NATIVE_PROVIDERS = ("apple", "google")
COOKIE_SECONDS = 600
FORM = "application/x-www-form-urlencoded"
LONGEST = 8192
AWAY = {"redirect": str, "state": str}
BEGIN = (
    "MISSING_CALLBACK",
    "PROVIDER_NOT_FOUND",
    "METHOD_NOT_CONFIGURED",
    "UNTRUSTED_REDIRECT",
    "PUBLIC_URL_MISSING",
    "OAUTH_PROVIDER_BROKEN",
)
FINISH = (
    "PROVIDER_NOT_FOUND",
    "METHOD_NOT_CONFIGURED",
    "OAUTH_INVALID_STATE",
    "OAUTH_DENIED",
    "OAUTH_TOKEN_EXCHANGE_FAILED",
    "OAUTH_ID_TOKEN_INVALID",
    "OAUTH_NO_EMAIL",
    "OAUTH_PROVIDER_BROKEN",
    "MISSING_FIELD",
    "ACCOUNT_NOT_FOUND",
    "ACCOUNT_LINK_REQUIRED",
    "ACCOUNT_TAKEN",
    "ACCOUNT_LOCKED",
    "SECOND_FACTOR_REQUIRED",
    "LAST_METHOD",
    "NO_REFRESH_TOKEN",
    "REFRESH_FAILED",
    "SESSION_EXPIRED",
)
MOST_FIELDS = 100
CONNECTION_PREFIX = "connection:"
_LONGEST_LOGOUT = 40_000
_COOKIE_VALUE = re.compile(r"[A-Za-z0-9_-]{43}\Z")


def _service(req: Request, provider: str) -> Any:
    """Signing in elsewhere. Raises PROVIDER_NOT_FOUND where nothing is set up."""
    registry = req.doors.identity.registry
    if not registry.is_built(METHOD):
        raise PylonError(
            "PROVIDER_NOT_FOUND",
            "This provider is not set up here",
            hint="Set PYLON_OAUTH_<NAME>_CLIENT_ID and PYLON_OAUTH_<NAME>_CLIENT_SECRET." if req.doors.dev else None,
        )
    service = registry.get(METHOD)
    service.flow.source(provider)
    return service


def is_browser(req: Request) -> bool:
    headers = req._asgi_headers
    return b"origin" in headers or b"sec-fetch-site" in headers


def _cookie_name(req: Request, *, cross_site: bool) -> str:
    prefix = "__Host-" if req.doors.settings.cookie_secure or cross_site else ""
    return f"{prefix}pylon_oauth{'_form' if cross_site else ''}"


def kept_secret(req: Request, *, cross_site: bool) -> str:
    """The browser's secret, empty when it has none."""
    values = req.get_cookie_values(_cookie_name(req, cross_site=cross_site)) if b"cookie" in req._asgi_headers else None
    return values[0] if values and _COOKIE_VALUE.match(values[0]) else ""


def bind(req: Request, resp: falcon.asgi.Response, *, cross_site: bool) -> str:
    """The browser's secret, made where it has none, and given to it for as long as a state lives. It is the same for
    sign-ins in two tabs."""
    secret = kept_secret(req, cross_site=cross_site) or new_secret()
    is_secure = req.doors.settings.cookie_secure or cross_site
    same_site = "None" if cross_site else "Lax"
    resp.append_header(
        "Set-Cookie",
        f"{_cookie_name(req, cross_site=cross_site)}={secret}; Path=/; HttpOnly{'; Secure' if is_secure else ''}"
        f"; SameSite={same_site}; Max-Age={COOKIE_SECONDS}",
    )
    return secret


def _fields(encoded: str) -> dict[str, str]:
    """The fields of a query or a form, the first of each name; one that is too long is left out. Raises
    INVALID_QUERY."""
    try:
        found = parse_qs(encoded, max_num_fields=MOST_FIELDS)
    except ValueError:
        raise PylonError("INVALID_QUERY", f"More than {MOST_FIELDS} fields") from None
    return {name: values[0] for name, values in found.items() if len(values[0]) <= LONGEST}


def query_of(req: Request) -> dict[str, str]:
    """The query's parameters; `+` stays `+`."""
    return _fields(req.query_string.replace("+", "%2B"))


class Providers(Resource):
    """`/api/auth/providers`."""

    @describes(list[dict[str, str]])
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The providers that may be used now: `[{"auth_url","provider"}]`."""
        registry = req.doors.identity.registry
        shown = await registry.get(METHOD).flow.shown() if registry.is_on(METHOD) else []
        resp.data = msgspec.json.encode(shown)


class Login(Resource):
    """`/api/auth/login/{provider}`."""

    @describes(
        AWAY,
        status=(200, 302),
        query={"callback": str, "error_callback": str, "redirect": Literal["1", "true"]},
        errors=BEGIN,
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response, provider: str) -> None:
        """Begin a sign-in: `{"redirect","state"}`, or with `redirect=1` off to the provider."""
        service = _service(req, provider)
        query = query_of(req)
        callback = query.get("callback", "")
        if not callback:
            raise PylonError("MISSING_CALLBACK", "callback is required")
        is_redirect = query.get("redirect") in ("1", "true")
        away = await service.flow.begin(
            arrival(req),
            provider,
            callback=callback,
            error_callback=query.get("error_callback", ""),
            browser=bind(req, resp, cross_site=service.flow.source(provider).form_post),
            is_native=not is_redirect and not is_browser(req),
        )
        if is_redirect:
            led_to(resp, away.url)
        else:
            resp.data = msgspec.json.encode({"redirect": away.url, "state": away.state})


class Callback(Resource):
    """`/api/auth/callback/{provider}`."""

    @describes(ANYTHING, status=302, query={"state": str, "code": str, "error": str, "iss": str}, errors=FINISH)
    async def on_get(self, req: Request, resp: falcon.asgi.Response, provider: str) -> None:
        """The browser comes back from the provider, and goes on to where the sign-in leads."""
        names = ("state", "code", "error", "iss")
        query = query_of(req)
        await _navigate(req, resp, provider, {name: query[name] for name in names if name in query})

    @describes(
        AnyOf((GRANT, {"linked": Literal[True], "provider": str})),
        body=({"state": str, "code?": str}, Media((FORM,))),
        status=(200, 302),
        errors=FINISH,
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, provider: str) -> None:
        """The same with a form; or JSON of a client that took the code itself: `{"state","code"}`."""
        if (req.content_type or "").partition(";")[0].strip().lower() == FORM:
            await _navigate(req, resp, provider, _fields((await req.body()).decode("utf-8", "replace")))
            return
        service = _service(req, provider)
        body = await json_body(req)
        sent = {name: value for name, value in body.items() if isinstance(value, str) and len(value) <= LONGEST}
        cross_site = service.flow.source(provider).form_post
        kept = kept_secret(req, cross_site=cross_site)
        done = await service.flow.finish(
            arrival(req),
            provider,
            back_of(sent, kept, is_native=not kept and not is_browser(req), dev=req.doors.dev),
        )
        if done.failure is not None:
            raise done.failure
        if done.grant is None:
            resp.data = msgspec.json.encode({"linked": True, "provider": provider})
        else:
            granted(req, resp, done.grant, provider=provider)


async def _navigate(req: Request, resp: falcon.asgi.Response, provider: str, sent: dict[str, str]) -> None:
    service = _service(req, provider)
    kept = kept_secret(req, cross_site=service.flow.source(provider).form_post)
    done = await service.flow.finish(arrival(req), provider, back_of(sent, kept, is_native=False, dev=False))
    if done.failure is not None:
        if isinstance(done.failure, MoreNeeded):
            carry(req, resp, done.failure)
        led_to(resp, with_failure(done.error_callback, done.failure))
        return
    if done.grant is not None:
        give_cookie(req, resp, done.grant.token, done.grant.record.expires_at)
    led_to(resp, done.callback)


def back_of(sent: dict[str, str], kept: str, *, is_native: bool, dev: bool) -> Any:
    from pylon.auth.methods.oauth.flow import Back  # with the HTTP client that only servers with providers load

    email = sent.get("email", "") if dev and not sent.get("code") else ""
    return Back(
        state=sent.get("state", ""),
        code=sent.get("code", ""),
        error=sent.get("error", ""),
        iss=sent.get("iss", ""),
        name=sent.get("name") if email else _apple_name(sent.get("user", "")),
        browser=kept,
        is_native=is_native,
        dev_email=email,
    )


def _apple_name(sent: str) -> str | None:
    """The name that Apple's form carries at the first sign-in. It is only shown, never believed."""
    try:
        name = msgspec.json.decode(sent)["name"]
        parts = [name.get("firstName"), name.get("lastName")]
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return None
    words = " ".join(part.strip() for part in parts if isinstance(part, str))
    return "".join(c for c in words if c.isprintable()).strip()[:200] or None


def led_to(resp: falcon.asgi.Response, url: str) -> None:
    resp.status = 302
    resp.set_header("Location", url)
    resp.set_header("Referrer-Policy", "no-referrer")


def with_failure(url: str, failure: PylonError) -> str:
    """The page that is told of a failure, with its code and what it says."""
    told = {"oauth_error": failure.code, "oauth_error_message": failure.message[:300]}
    page, mark, fragment = url.partition("#")
    joint = "&" if "?" in page else "?"
    return f"{page}{joint}{urlencode(told, quote_via=quote)}{mark}{fragment}"


class Native(Resource):
    """`/api/auth/native/{provider}`."""

    @describes(
        GRANT,
        body={"id_token": str, "name?": str | None},
        errors=(*FINISH, "INVALID_ID_TOKEN", "PROVIDER_KEYS_UNAVAILABLE"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, provider: str) -> None:
        """Sign in with the id_token that a phone gave its app: `{"id_token","name"?}`."""
        if provider not in NATIVE_PROVIDERS:
            raise PylonError("PROVIDER_NOT_FOUND", 'Native sign-in supports "apple" and "google"')
        if not req.doors.identity.registry.is_built(f"{METHOD}:{provider}"):
            raise PylonError("PROVIDER_NOT_FOUND", f"Native {provider} sign-in is not configured on this server")
        body = await json_body(req)
        token = text(body, "id_token", "MISSING_FIELD", longest=32_768)
        name = body.get("name")
        shown = "".join(c for c in name if c.isprintable()).strip()[:200] if isinstance(name, str) else ""
        grant = await _service(req, provider).native.enter(arrival(req), provider, token, shown or None)
        granted(req, resp, grant)


class BackChannelLogout(Resource):
    """`/api/auth/backchannel-logout/{provider}`."""

    @describes(
        {"sessions": int},
        body=Media((FORM,)),
        errors=("PROVIDER_NOT_FOUND", "LOGOUT_TOKEN_INVALID", "PROVIDER_KEYS_UNAVAILABLE"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, provider: str) -> None:
        """A provider says that a user signed out there."""
        resp.set_header("Cache-Control", "no-store")
        body = await req.body()
        if len(body) > _LONGEST_LOGOUT:
            raise PylonError("LOGOUT_TOKEN_INVALID", "The logout token was not accepted")
        sent = parse_qs(body.decode("ascii", "replace"), max_num_fields=MOST_FIELDS).get("logout_token", [""])
        ended = await _service(req, provider).logout.end(arrival(req), provider, sent[0])
        resp.data = msgspec.json.encode({"sessions": ended})


class Refresh(Resource):
    """`/api/auth/oauth/refresh/{provider}`."""

    @describes(dict[str, Any], who="user", errors=("MISSING_PROVIDER", "PROVIDER_NOT_CONFIGURED", *FINISH))
    async def on_post(self, req: Request, resp: falcon.asgi.Response, provider: str = "") -> None:
        """The user's own token at a provider, renewed where it is about to run out."""
        session = require_user(req)
        if not provider:
            raise PylonError("MISSING_PROVIDER", "Name the provider in the path")
        registry = req.doors.identity.registry
        if not registry.is_built(f"{METHOD}:{provider}"):
            raise PylonError("PROVIDER_NOT_CONFIGURED", "This provider is not set up here")
        registry.check(METHOD, session.identity)
        registry.check(f"{METHOD}:{provider}", session.identity)
        service = registry.get(METHOD)
        token = await service.refreshing.token(
            arrival(req), service.flow.source(provider), session.identity.user_id or ""
        )
        resp.data = msgspec.json.encode(token)


class Links(Resource):
    """`/api/auth/link`."""

    @describes(list[dict[str, Any]], who="user")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The accounts elsewhere that the caller has linked."""
        accounts = Accounts(req.doors.identity)
        found = accounts.of(require_user(req).identity.user_id or "")
        resp.data = msgspec.json.encode(
            [
                {
                    "avatar_url": one.avatar_url,
                    "created_at": one.created_at,
                    "email": one.email,
                    "id": one.id,
                    "is_usable": accounts.is_usable(one.provider),
                    "provider": one.provider,
                }
                for one in found
                if not one.provider.startswith(CONNECTION_PREFIX)
            ]
        )


class Link(Resource):
    """`/api/auth/link/{provider}`."""

    @describes(
        AWAY, body={"callback": str, "error_callback?": str}, who="user", errors=(*BEGIN, "REAUTHENTICATION_REQUIRED")
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, provider: str) -> None:
        """Begin to link an account with a provider to the caller: `{"redirect","state"}`."""
        session = require_recent(req)
        service = _service(req, provider)
        body = await json_body(req)
        callback, error_callback = body.get("callback"), body.get("error_callback", "")
        if not isinstance(callback, str) or not callback or not isinstance(error_callback, str):
            raise PylonError("MISSING_CALLBACK", "callback is required")
        away = await service.flow.begin(
            arrival(req),
            provider,
            callback=callback,
            error_callback=error_callback,
            browser=bind(req, resp, cross_site=service.flow.source(provider).form_post),
            is_native=not is_browser(req),
            link=session,
        )
        resp.data = msgspec.json.encode({"redirect": away.url, "state": away.state})

    @describes(
        {"unlinked": Literal[True]},
        who="user",
        query={"id": str},
        errors=(*FINISH, "NOT_FOUND", "REAUTHENTICATION_REQUIRED"),
    )
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, provider: str) -> None:
        """Unlink it, unless nothing else would let the caller in; `?id=` for one of several. Works while the method is
        off."""
        user_id = require_recent(req).identity.user_id or ""
        await Accounts(req.doors.identity).take_away(arrival(req), user_id, provider, req.get_param("id"))
        resp.data = msgspec.json.encode({"unlinked": True})


ROUTES: dict[str, object] = {
    "/api/auth/backchannel-logout/{provider}": BackChannelLogout(),
    "/api/auth/providers": Providers(),
    "/api/auth/login/{provider}": Login(),
    "/api/auth/callback/{provider}": Callback(),
    "/api/auth/native/{provider}": Native(),
    "/api/auth/oauth/refresh": Refresh(),
    "/api/auth/oauth/refresh/{provider}": Refresh(),
    "/api/auth/link": Links(),
    "/api/auth/link/{provider}": Link(),
}
