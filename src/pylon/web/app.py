"""The ASGI app: routes by area, and what surrounds them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import falcon
import falcon.asgi
import msgspec

from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.plugins.requests import Route
from pylon.signals import tracing
from pylon.signals.logs import request_id as logged_request_id
from pylon.sync.refusal import send_refusal
from pylon.web import (
    admin,
    auth,
    bulk,
    calls,
    dev,
    documents,
    entities,
    plugins,
    queries,
    replication,
    rooms,
    rows,
    static,
    status,
    transfer,
)
from pylon.web.api_page.document import OpenApi
from pylon.web.api_page.page import DOCS
from pylon.web.api_page.page import pages as docs_pages
from pylon.web.doors import AsgiHandler, Doors
from pylon.web.edge import SECURITY_HEADERS, Edge
from pylon.web.errors import on_http_error, on_pylon_error, on_unexpected
from pylon.web.limits import leave
from pylon.web.openapi import openapi
from pylon.web.origins import Origins
from pylon.web.pages.routes import routes as page_routes
from pylon.web.request import Request, Resource, choose_request_id
from pylon.web.studio.pages import doors as studio_doors
from pylon.web.studio.pages import pages as studio_pages
from pylon.web.tracing import Tracing

EVENTS_PATH = "/api/sync/events"
DIAGNOSTICS_FILE = "dev-diagnostics.json"
_PACKAGED = ("pylon.js", "pylon.d.ts", "pylon-react.js", "pylon-react.d.ts", "pylon-sw.js")
_VERSIONS = frozenset({"1.0", "1.1", "2", "3"})
_LARGEST_PACKAGED = 2**23
"""Bytes: every file of pylon.js is kept in memory, the WebAssembly of shared texts too."""


def create_app(doors: Doors, origins: Origins) -> AsgiHandler:
    """The app of one server: a plain ASGI callable, to be served or mounted anywhere."""
    bound = type("BoundRequest", (Request,), {"__slots__": (), "doors": doors})
    middleware: list[Any] = [
        Edge(
            origins,
            doors.traffic,
            doors.engine,
            doors.limits,
            doors.identity.gates,
            doors.admin_use,
            compresses=doors.settings.http_compress,
        )
    ]
    if doors.plugins.on_request or doors.plugins.on_response:
        middleware.append(plugins.Hooks(doors.plugins))
    if tracing.tracer is not None:
        middleware.insert(0, Tracing(tracing.tracer))
    app: falcon.asgi.App[Any, Any] = falcon.asgi.App(
        request_type=bound, middleware=middleware, media_type="application/json"
    )
    app.req_options.strip_url_path_trailing_slash = True
    app.req_options.auto_parse_qs_csv = False
    app.add_error_handler(Exception, on_unexpected)
    app.add_error_handler(falcon.HTTPError, on_http_error)
    app.add_error_handler(PylonError, on_pylon_error)
    _add_routes(app, doors)

    async def asgi(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await doors.sockets(scope, receive, send)
            return
        if scope["type"] == "http":
            if scope["method"] == "OPTIONS":
                await _preflight(scope, send, origins)
                return
            if scope["http_version"] not in _VERSIONS:  # a parser takes any number there, falcon raises
                await send_refusal(_surrounded(scope, send, origins), PylonError("INVALID_QUERY", "Speak HTTP/1.1"))
                return
            if scope["path"] == EVENTS_PATH and scope["method"] == "GET":
                await doors.events(scope, receive, _surrounded(scope, send, origins))
                return
        try:
            await app(scope, receive, send)
        finally:
            leave(scope)

    if doors.settings.auth_pages:
        for path, page in page_routes(asgi, doors.engine.app.name, doors.web_folder).items():
            app.add_route(path, page)
    return asgi


def api_routes() -> dict[str, object]:
    """Everything that is described in `/api/openapi.json`, by path; the routes of plugins aside."""
    return {
        "/health": status.Health(),
        "/readyz": status.Ready(),
        "/metrics": status.Metrics(),
        "/api/manifest": status.Manifest(),
        "/api/entities/{entity}": entities.Collection(),
        "/api/entities/{entity}/{row_id:path}": rows.Row(),
        "/api/transact": bulk.Transact(),
        "/api/batch": bulk.BatchWrites(),
        **auth.ROUTES,
        "/api/fn": calls.FunctionList(),
        "/api/fn/{name}": calls.Call(),
        "/api/fn-streams/{stream_id}": calls.ResumeStream(),
        "/api/sync/pull": replication.PullDoor(),
        "/api/sync/push": replication.PushDoor(),
        **documents.ROUTES,
        **queries.ROUTES,
        **rooms.ROUTES,
        **transfer.ROUTES,
        **admin.ROUTES,
        **studio_doors(),
        "/api/openapi.json": OpenApi(lambda: b"{}"),
    }


def describe(app: AppSpec, added: Sequence[Route] = (), *, cookie: str = "pylon_session") -> bytes:
    """`/api/openapi.json` of an app, with the routes that its plugins add."""
    return msgspec.json.encode(openapi(app, api_routes(), added, cookie=cookie))


def _add_routes(app: Any, doors: Doors) -> None:
    added = [route for _, route in doors.plugins.routes]
    routes = api_routes()
    routes["/api/openapi.json"] = OpenApi(lambda: describe(doors.engine.app, added, cookie=doors.cookie_name))
    if doors.plugins.routes:
        routes = plugins.with_routes(routes, doors.plugins.routes)
    packaged = static.Folder(Path(__file__).parent / "static", largest=_LARGEST_PACKAGED)
    for name in _PACKAGED:
        routes[f"/{name}"] = static.PackagedFile(packaged, name)
    routes[EVENTS_PATH] = _EventsHead()
    routes["/pylon/{path:path}"] = static.PackagedFolder(packaged, "pylon")
    if doors.dev:
        diagnostics = doors.settings.data_dir / DIAGNOSTICS_FILE
        routes["/_pylon/dev/diagnostics"] = dev.Diagnostics(diagnostics)
        routes["/_pylon/dev/live"] = dev.Live(diagnostics)
    routes |= studio_pages()
    folder = doors.web_folder
    site = static.Site(static.Folder(folder) if folder is not None else None)
    if doors.settings.docs_page and not any(path == DOCS or path.startswith(f"{DOCS}/") for path in routes):
        routes |= docs_pages(site)
    for path, resource in routes.items():
        app.add_route(path, resource)
    app.add_sink(site.__call__, prefix="/")


class _EventsHead(Resource):
    """`/api/sync/events` for every method but GET, which never comes here: HEAD, and 405 for the others."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The stream's head alone."""
        resp.content_type = "text/event-stream"


async def _preflight(scope: Any, send: Any, origins: Origins) -> None:
    headers = _outer_headers(scope) | origins.preflight_headers(_header(scope, b"origin"))
    await send({"type": "http.response.start", "status": 204, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": b""})


def _surrounded(scope: Any, send: Any, origins: Origins) -> Callable[[Any], Awaitable[None]]:
    """`send` for a handler beside falcon: its answer gets the headers that `Edge` gives to every other, and its own
    word on origins doesn't count."""
    headers = _outer_headers(scope) | origins.cors_headers(_header(scope, b"origin"))

    async def send_surrounded(message: Any) -> None:
        if message["type"] == "http.response.start":
            own = {name: value for name, value in message["headers"] if name != b"access-control-allow-origin"}
            message = {**message, "headers": list((dict(_encoded(headers)) | own).items())}
        await send(message)

    return send_surrounded


def _outer_headers(scope: Any) -> dict[str, str]:
    sent = _header(scope, b"x-request-id")
    identifier = choose_request_id(None if sent is None else sent.encode("latin-1"))
    logged_request_id.set(identifier)
    headers = {**SECURITY_HEADERS, "x-request-id": identifier}
    return headers | {"cache-control": "no-store"} if scope["path"].startswith("/api/") else headers


def _header(scope: Any, name: bytes) -> str | None:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), None)


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
