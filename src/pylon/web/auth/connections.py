"""Connections over HTTP (spec 03 §10.7): what the caller granted the app at providers, granting it, and taking it
back. Their tokens are for the app's functions (`ctx.connection`), and reach no client."""

from __future__ import annotations

from typing import Any, Literal

import falcon.asgi
import msgspec

from pylon.model.errors import PylonError
from pylon.web.auth.arriving import arrival, json_body, require_user
from pylon.web.auth.oauth import (
    AWAY,
    BEGIN,
    FINISH,
    back_of,
    bind,
    is_browser,
    kept_secret,
    led_to,
    query_of,
    with_failure,
)
from pylon.web.described import ANYTHING, describes
from pylon.web.request import Request, Resource

REFUSED = ("CONNECTION_UNKNOWN", "CONNECTIONS_NOT_CONFIGURED", "CONNECTION_NOT_LINKED")


def _connections(req: Request) -> Any:
    registry = req.doors.identity.registry
    if not registry.is_built("oauth"):
        raise PylonError("CONNECTIONS_NOT_CONFIGURED", "No provider is set up here")
    return registry.get("oauth").connections


class ConnectionList(Resource):
    """`/api/connections`."""

    @describes(list[dict[str, Any]], who="user", errors=REFUSED)
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The app's connections, and which of them the caller has linked."""
        user = require_user(req).identity.user_id or ""
        resp.data = msgspec.json.encode(_connections(req).of_user(user))


class OneConnection(Resource):
    """`/api/connections/{name}`."""

    @describes({"unlinked": Literal[True]}, who="user", errors=REFUSED)
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        """Take the grant back here; the provider's own page ends it there."""
        require_user(req)
        await _connections(req).unlink(arrival(req), name)
        resp.data = b'{"unlinked":true}'


class AuthUrl(Resource):
    """`/api/connections/{name}/auth-url`."""

    @describes(AWAY, body={"callback": str, "error_callback?": str}, who="user", errors=(*BEGIN, *REFUSED))
    async def on_post(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        """Begin to link: `{"redirect","state"}`; send the browser there."""
        session = require_user(req)
        flow, provider = _connections(req).flow(name)
        body = await json_body(req)
        callback, error_callback = body.get("callback"), body.get("error_callback", "")
        if not isinstance(callback, str) or not callback or not isinstance(error_callback, str):
            raise PylonError("MISSING_CALLBACK", "callback is required")
        away = await flow.begin(
            arrival(req),
            provider,
            callback=callback,
            error_callback=error_callback,
            browser=bind(req, resp, cross_site=flow.source(provider).form_post),
            is_native=not is_browser(req),
            link=session,
        )
        resp.data = msgspec.json.encode({"redirect": away.url, "state": away.state})


class Callback(Resource):
    """`/api/connections/{name}/callback`."""

    @describes(
        ANYTHING,
        status=302,
        query={"state": str, "code": str, "error": str, "iss": str},
        errors=(*FINISH, *REFUSED),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response, name: str) -> None:
        """The browser comes back from the provider, and goes on to where it was to lead."""
        flow, provider = _connections(req).flow(name)
        query = query_of(req)
        names: tuple[str, ...] = ("state", "code", "error", "iss")
        sent = {field: query[field] for field in names if field in query}
        secret = kept_secret(req, cross_site=flow.source(provider).form_post)
        done = await flow.finish(arrival(req), provider, back_of(sent, secret, is_native=False, dev=False))
        if done.failure is not None:
            led_to(resp, with_failure(done.error_callback, done.failure))
        else:
            led_to(resp, done.callback)


ROUTES: dict[str, object] = {
    "/api/connections": ConnectionList(),
    "/api/connections/{name}": OneConnection(),
    "/api/connections/{name}/auth-url": AuthUrl(),
    "/api/connections/{name}/callback": Callback(),
}
