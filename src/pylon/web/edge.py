"""What every answer gets on its way out: headers, a log line, its place in the metrics. And CSRF on the way in."""

from __future__ import annotations

import time
from typing import Any

import falcon.asgi

from pylon.auth.credentials import OPERATOR
from pylon.auth.gates import Gates
from pylon.engine.engine import Engine
from pylon.engine.limits.requests import headers as allowance_headers
from pylon.model.errors import PylonError
from pylon.model.identity import ADMIN
from pylon.signals.logs import access
from pylon.signals.traffic import Traffic
from pylon.web.admin.use import AdminUse
from pylon.web.auth.cookies import give_cookie
from pylon.web.compression import compress
from pylon.web.expected import HEADER, check_expected
from pylon.web.limits import EdgeLimits
from pylon.web.origins import Origins
from pylon.web.request import Request, is_bearer

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "x-xss-protection": "1; mode=block",
    "referrer-policy": "strict-origin-when-cross-origin",
    "permissions-policy": (
        "accelerometer=(), camera=(), geolocation=(), gyroscope=(), microphone=(), payment=(), usb=()"
    ),
}
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_PATHS = frozenset({"/health", "/readyz", "/metrics", "/studio"})
_OPEN_FOLDERS = ("/api/admin/", "/studio/")
"""What answers whatever is switched off: each has a guard of its own."""

_UPLOADS = "/api/files"
_FORM = b"application/x-www-form-urlencoded"
_PROVIDERS_FORMS = "/api/auth/callback/"
"""Where other sites' pages may post a form to: it proves itself by its state, which is bound to the browser."""

_UNLOGGED = frozenset({"/health", "/readyz", "/metrics", "/api/admin/overview"})


def is_open(path: str) -> bool:
    return path in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS)


class Edge:
    """falcon middleware."""

    def __init__(
        self,
        origins: Origins,
        traffic: Traffic,
        engine: Engine,
        limits: EdgeLimits,
        gates: Gates,
        admin_use: AdminUse,
        *,
        compresses: bool,
    ) -> None:
        self._gates = gates
        self._limits = limits
        self._compresses = compresses
        self._engine = engine
        self._usage = engine.usage
        self._admin_use = admin_use
        self._origins = origins
        self._traffic = traffic
        self._headers = {**SECURITY_HEADERS, **origins.cors_headers(None)}
        self._api_headers = {**self._headers, "cache-control": "no-store"}

    async def process_request(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Refuse what is too much, what a switch turns off, and writes that a strange page sends with its visitor's
        cookie."""
        path = req.path
        if not (path in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS)):  # is_open, without a call for each request
            req.allowance = self._limits.enter(req)
            board = self._engine.switches.board
            if not board.is_quiet:
                self._engine.gate.enter(req.caller)
                if path.startswith(_UPLOADS):
                    board.check_uploads(req.session.identity)
            expected = req._asgi_headers.get(HEADER)
            if expected is not None:
                check_expected(req.session, expected)
        if self._gates.is_on:
            req.hold(self._gates.enter(path, req.session))
        if req.method in _SAFE:
            return
        headers = req._asgi_headers
        if (authorization := headers.get(b"authorization")) is not None and is_bearer(authorization):
            return
        if path.startswith(_PROVIDERS_FORMS) and headers.get(b"content-type", b"").startswith(_FORM):
            return
        if b"origin" in headers or b"referer" in headers or b"sec-fetch-site" in headers:
            origin, site = req.get_header("Origin"), req.get_header("Sec-Fetch-Site")
            if not self._origins.may_write(origin, req.get_header("Referer"), req.get_header("Host") or "", site):
                raise PylonError(
                    "CSRF_REJECTED", "A page of an untrusted origin sent this", hint="Add it to PYLON_CSRF_ORIGINS"
                )

    async def process_response(self, req: Request, resp: falcon.asgi.Response, resource: Any, succeeded: bool) -> None:
        """Headers, metrics, log."""
        path, sent = req.path, req._asgi_headers
        base = self._api_headers if path.startswith("/api/") else self._headers
        resp._headers = headers = {**base, **resp._headers, "x-request-id": req.request_id}
        if b"origin" in sent:
            headers.update(self._origins.cors_headers(sent[b"origin"].decode("latin-1")))
        if (allowance := req.allowance) is not None:
            headers.update(allowance_headers(allowance))
        if b"accept-encoding" in sent and self._compresses:
            await compress(req, resp)
        user = None
        if (session := req._session) is not None:
            identity = session.identity
            user = identity.user_id
            if (identity.is_admin and identity == ADMIN) or session.method == OPERATOR:
                self._admin_use.saw(req.caller, f"{req.method} {req.uri_template or 'other'}")
        if req.renews_cookie and (token := req.token) is not None and req.session.id:
            give_cookie(req, resp, token, req.session.expires_at)
        self._usage.answered(user, 0 if resp.data is None else len(resp.data))
        seconds = time.perf_counter() - req.began
        status = resp.status_code
        self._traffic.answered(req.uri_template or "other", req.method, status, seconds)
        if path not in _UNLOGGED:
            access(f"{req.method} {path} {status}", seconds * 1000, req.ip, req.request_id)
