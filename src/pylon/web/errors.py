"""Every failure as `{"error": {"code", "message", "hint"?}}`. What is unexpected is logged and told as INTERNAL."""

from __future__ import annotations

from typing import Any

import falcon
import falcon.asgi
import msgspec

from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.web.maintenance import maintenance_page
from pylon.web.request import Request

log = Log("pylon.http")

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_ENDPOINTS = (
    "Available endpoints: /api/entities/<entity>, /api/query/<entity>, /api/lookup/<entity>/<field>/<value>, "
    "/api/fn/<name>, /api/auth/*, /api/sync/*, /api/batch, /api/transact, /api/manifest, /health, /readyz, /metrics"
)


def write_error(resp: falcon.asgi.Response, error: PylonError) -> None:
    """Fill the response with an error."""
    resp.status = error.status
    resp.content_type = "application/json"
    resp.data = msgspec.json.encode(error.envelope())
    for name, value in (error.headers or {}).items():
        resp.set_header(name, value)


def no_route(path: str, *, hint: bool) -> PylonError:
    """NOT_FOUND for a path that nothing answers."""
    if not hint:
        return PylonError("NOT_FOUND", "Not found")
    return PylonError("NOT_FOUND", f"No API route matches {path[:200]}", hint=_ENDPOINTS)


async def on_pylon_error(req: Request, resp: falcon.asgi.Response, error: PylonError, params: Any) -> None:
    """An error with a code; maintenance as a page for a browser that asks for one."""
    write_error(resp, error)
    if (
        error.code == "MAINTENANCE"
        and not req.path.startswith("/api/")
        and "text/html" in (req.get_header("Accept") or "")
    ):
        resp.content_type = "text/html; charset=utf-8"
        resp.data = maintenance_page(error).encode()


async def on_http_error(req: Request, resp: falcon.asgi.Response, error: falcon.HTTPError, params: Any) -> None:
    """falcon's own: no such route, no such method, a request it can't read."""
    if isinstance(error, falcon.HTTPMethodNotAllowed):
        write_error(resp, PylonError("METHOD_NOT_ALLOWED", "Method not allowed", headers=dict(error.headers or {})))
    elif req.method not in _METHODS:
        allowed = {"Allow": ", ".join(_METHODS)}
        write_error(resp, PylonError("METHOD_NOT_ALLOWED", "Method not allowed", headers=allowed))
    elif error.status_code == 404:
        write_error(resp, no_route(req.path, hint=req.doors.dev))
    else:
        write_error(resp, PylonError("INVALID_QUERY", error.title or "Bad request", status=error.status_code))


async def on_unexpected(req: Request, resp: falcon.asgi.Response, error: Exception, params: Any) -> None:
    """A bug: everything to the log, nothing to the client."""
    log.exception("request failed", method=req.method, path=req.path, request_id=req.request_id)
    write_error(resp, PylonError("INTERNAL", "Internal error", hint=f"request id {req.request_id}"))
