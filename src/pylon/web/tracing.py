"""A span for every request, where the server traces (PYLON_OTEL_ENDPOINT). Outermost of the middleware."""

from __future__ import annotations

from typing import Any

import falcon.asgi

from pylon.signals.redaction import redact_path
from pylon.signals.tracing import Tracer, Value
from pylon.web.request import Request


class Tracing:
    """falcon middleware; only there when there is a tracer."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    async def process_request(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Begin the span, under the trace that the caller names (W3C traceparent)."""
        headers = req._asgi_headers
        req.context.span = self._tracer.begin(_text(headers, b"traceparent"), _text(headers, b"tracestate"))

    async def process_response(self, req: Request, resp: falcon.asgi.Response, resource: Any, succeeded: bool) -> None:
        """End it with what is known by now."""
        route, status = req.uri_template or "other", resp.status_code
        attributes: dict[str, Value] = {
            "http.request.method": req.method,
            "http.route": route,
            "http.response.status_code": status,
            "url.path": redact_path(req.path),
            "client.address": req.ip,
            "pylon.request_id": req.request_id,
        }
        self._tracer.end(req.context.span, f"{req.method} {route}", attributes, failed=status >= 500)


def _text(headers: dict[bytes, bytes], name: bytes) -> str | None:
    value = headers.get(name)
    return None if value is None else value.decode("latin-1")
