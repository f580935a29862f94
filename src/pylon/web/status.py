"""What operators and load balancers ask: alive, ready, metrics; and what the app declares."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import re
from typing import Any, Literal

import falcon.asgi
import msgspec

from pylon.model.errors import PylonError
from pylon.model.manifest import public_manifest, to_manifest
from pylon.signals.exposition import CONTENT_TYPE, prometheus_text
from pylon.web.described import ANYTHING, Asked, Media, describes
from pylon.web.request import Request, Resource, is_asked

_LOOPBACK = frozenset({"127.0.0.1", "::1", "::ffff:127.0.0.1"})
_FORWARDING = frozenset(
    {b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-real-ip", b"forwarded", b"via"}
)
"""A proxy on this machine calls from loopback too; what it passes on is not a local request."""

_HOST = re.compile(rb"(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?\Z")
_READY_SECONDS = 1.5


class Health(Resource):
    """`/health`: the process answers."""

    @describes({"status": Literal["ok"], "uptime_secs": int, "version": str})
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Always 200."""
        doors = req.doors
        uptime = int(doors.traffic.uptime())
        resp.data = msgspec.json.encode({"status": "ok", "uptime_secs": uptime, "version": doors.version})


class Ready(Resource):
    """`/readyz`: the store takes writes, and the server is not stopping."""

    @describes({"status": Literal["ready", "unavailable"], "reason?": str}, status=(200, 503))
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """200, or 503 with the reason's code."""
        reason = await req.doors.readiness()
        if reason is None:
            resp.data = b'{"status":"ready"}'
            return
        resp.status = 503
        resp.set_header("Retry-After", "1")
        resp.data = msgspec.json.encode({"reason": reason, "status": "unavailable"})


class Metrics(Resource):
    """`/metrics`: Prometheus text, or JSON. Open in dev mode and, where nothing stands in front, on loopback."""

    @describes((ANYTHING, Media(("text/plain",))), errors=("UNAUTHORIZED",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The form that Accept asks for."""
        if not self._may(req):
            raise PylonError("UNAUTHORIZED", "/metrics requires PYLON_ADMIN_TOKEN or PYLON_METRICS_TOKEN bearer")
        doors = req.doors
        with contextlib.suppress(TimeoutError):  # a store that does not answer is told as such, not waited for
            async with asyncio.timeout(_READY_SECONDS):
                await doors.readiness()
        accept = req.get_header("Accept") or ""
        if "text/plain" in accept or "application/openmetrics-text" in accept:
            resp.content_type = CONTENT_TYPE
            resp.data = prometheus_text(doors.registry).encode()
        else:
            resp.data = msgspec.json.encode(doors.traffic.report(doors.sections()))

    def _may(self, req: Request) -> bool:
        if req.doors.dev or req.session.identity.is_admin:
            return True
        expected, token = req.doors.settings.metrics_token, req.token
        if expected is not None and token is not None and hmac.compare_digest(expected.encode(), token.encode()):
            return True
        return _is_local(req)


def _is_local(req: Request) -> bool:
    """Whether a program on this machine asks, not a proxy on it, nor a page whose name was rebound to loopback."""
    peer = req.scope.get("client")
    headers = req._asgi_headers
    if peer is None or peer[0] not in _LOOPBACK or any(name in headers for name in _FORWARDING):
        return False
    return _HOST.match(headers.get(b"host", b"localhost")) is not None


class Manifest(Resource):
    """`/api/manifest`: what the app declares, its policies by name only."""

    @describes(dict[str, Any], query={"full": Asked}, status=(200, 304))
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The public form; the full one for an admin who asks with `full=1`."""
        app = req.doors.engine.app
        is_full = is_asked(req, "full") and req.session.identity.is_admin
        resp.data = msgspec.json.encode(to_manifest(app) if is_full else public_manifest(app))
