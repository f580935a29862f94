"""One HTTP request as the routes see it: who calls, from where, and the body within its limit."""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import falcon
import falcon.asgi

from pylon.auth.credentials import OPERATOR
from pylon.auth.sessions import NOBODY, Session
from pylon.engine.caller import Caller
from pylon.engine.limits.requests import Allowance
from pylon.model.addresses import client_address
from pylon.model.errors import PylonError
from pylon.signals.logs import request_id as logged_request_id
from pylon.web.doors import Doors
from pylon.web.studio.cookie import operator_of

BODY_SECONDS = 30.0
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")
_PREFIX = os.urandom(4).hex()
_serial = itertools.count(1)


class Request(falcon.asgi.Request):
    """A request with its door. Its id is the caller's own when that is sane, else a new one; `ip` is the client's
    address: the peer's, or the one that the trusted proxies report."""

    __slots__ = ("_session", "allowance", "began", "door", "ip", "renews_cookie", "request_id")
    doors: Doors

    def __init__(self, scope: Any, receive: Any, first_event: Any = None, options: Any = None) -> None:
        super().__init__(scope, receive, first_event=first_event, options=options)
        self.began = time.perf_counter()
        self._session: Session | None = None
        self.renews_cookie = False
        self.allowance: Allowance | None = None
        self.door = "http"
        client = scope.get("client")
        self.ip: str = client[0] if client else ""
        if hops := self.doors.settings.trust_proxy_hops:
            self.ip = client_address(self.ip, self.get_header("X-Forwarded-For"), hops)
        self.request_id = choose_request_id(self._asgi_headers.get(b"x-request-id"))
        logged_request_id.set(self.request_id)

    @property
    def token(self) -> str | None:
        """The credential: Bearer wins over the session cookie, always (spec 03 §1.4)."""
        header = self._asgi_headers.get(b"authorization")
        if header is not None and is_bearer(header):
            return header[7:].decode("latin-1")
        if b"cookie" not in self._asgi_headers:
            return None
        values = self.get_cookie_values(self.doors.cookie_name)
        return values[0] if values else None

    @property
    def session(self) -> Session:
        """Whose request this is."""
        if self._session is None:
            operator = operator_of(self)
            if operator is not None:
                self.door = "studio"
                self._session = Session(
                    identity=operator.identity, key=operator.key, expires_at=operator.expires_at, method=OPERATOR
                )
            else:
                token = self.token
                self._session = NOBODY if token is None else self._resolve(token)
        return self._session

    def hold(self, session: Session) -> None:
        """Go on with what a gate left of the session."""
        self._session = session

    def _resolve(self, token: str) -> Session:
        sessions = self.doors.sessions
        before = sessions.touches
        session = sessions.resolve(token)
        if sessions.touches != before and b"authorization" not in self._asgi_headers:
            self.renews_cookie = True  # the session was prolonged, and so is its cookie
        return session

    @property
    def has_session_cookie(self) -> bool:
        """Whether the credential is the session cookie."""
        headers = self._asgi_headers
        return (
            not is_bearer(headers.get(b"authorization", b""))
            and b"cookie" in headers
            and bool(self.get_cookie_values(self.doors.cookie_name))
        )

    @property
    def caller(self) -> Caller:
        """The caller, for the rooms below."""
        session = self.session
        return Caller(
            identity=session.identity, request_id=self.request_id, ip=self.ip, door=self.door, session=session.key
        )

    async def body(self) -> bytes:
        """The whole body. Raises PAYLOAD_TOO_LARGE, and INVALID_JSON for one that stops arriving."""
        limit = self.doors.settings.http_body_max_bytes
        declared = self._asgi_headers.get(b"content-length")
        if declared is not None and declared.isdigit() and int(declared) > limit:
            raise PylonError(
                "PAYLOAD_TOO_LARGE",
                f"Content-Length {int(declared)} exceeds max of {limit}",
                headers={"Connection": "close"},
            )
        event = self._first_event
        if event is None:
            return b""
        self._first_event = None
        body: bytes = event.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        if event.get("more_body"):
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    body = await self._rest(body, limit)
            except TimeoutError:
                raise PylonError("INVALID_JSON", "The request body did not arrive in time", status=408) from None
        return body

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it arrives, however large it is. Raises INVALID_JSON for one that stops arriving."""
        event = self._first_event
        self._first_event = None
        while event is not None:
            if event["type"] == "http.disconnect":
                raise PylonError("INVALID_JSON", "The request body ended early")
            if piece := event.get("body", b""):
                yield piece
            if not event.get("more_body"):
                return
            try:
                async with asyncio.timeout(BODY_SECONDS):
                    event = await self._receive()
            except TimeoutError:
                raise PylonError("INVALID_JSON", "The request body did not arrive in time", status=408) from None

    async def _rest(self, first: bytes, limit: int) -> bytes:
        parts, size = [first], len(first)
        while True:
            event = await self._receive()
            if event["type"] == "http.disconnect":
                raise PylonError("INVALID_JSON", "Invalid request body")
            parts.append(event.get("body", b""))
            size += len(parts[-1])
            if size > limit:
                raise _too_large(limit)
            if not event.get("more_body"):
                return b"".join(parts)


class Resource:
    """A route. HEAD is GET without the body, which falcon leaves out."""

    def __init_subclass__(cls) -> None:
        get = cls.__dict__.get("on_get")
        if get is not None:
            cls.on_head = get  # type: ignore[attr-defined]


def is_bearer(header: bytes) -> bool:
    """Whether an Authorization header carries a bearer token, however the scheme is written (RFC 9110 §11.1)."""
    return header.startswith(b"Bearer ") or header[:7].lower() == b"bearer "


def choose_request_id(sent: bytes | None) -> str:
    """The caller's own id when it is sane, else a new one."""
    if sent is not None and _REQUEST_ID.match(text := sent.decode("latin-1")):
        return text
    return f"{_PREFIX}{next(_serial):x}"


def _too_large(limit: int) -> PylonError:
    message = f"Request body exceeds maximum size of {limit} bytes"
    return PylonError("PAYLOAD_TOO_LARGE", message, headers={"Connection": "close"})


def require_admin(req: Request) -> None:
    """Raise FORBIDDEN unless an admin calls."""
    if not req.session.identity.is_admin:
        raise PylonError("FORBIDDEN", "this endpoint requires admin auth (PYLON_ADMIN_TOKEN)")


def is_asked(req: Request, name: str) -> bool:
    """A parameter that is 1 or true, or absent, 0 or false. Raises INVALID_QUERY for anything else: what a slip of the
    pen meant may be the opposite."""
    match req.get_param(name):
        case "1" | "true":
            return True
        case None | "0" | "false":
            return False
    raise PylonError("INVALID_QUERY", f"{name} is 1, true, 0 or false")


def whole_number(text: str | None, default: int | None) -> int | None:
    """A non-negative integer of a query parameter; anything else counts as absent (spec 01 §4.3)."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 18:
        return default
    return int(text)
