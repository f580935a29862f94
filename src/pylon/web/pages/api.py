"""The pages' line to the JSON routes: the same app, in this process, as the browser that asked for the page."""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.web.request import Request

_PASSED = frozenset({b"cookie", b"user-agent", b"host", b"origin", b"referer", b"x-forwarded-for", b"x-request-id"})
_HELD = "pylon.held"


class ApiAnswer(msgspec.Struct, frozen=True):
    """What a route answered: its JSON, and the cookies that are the browser's."""

    status: int
    json: Any
    cookies: tuple[str, ...] = ()

    @property
    def is_ok(self) -> bool:
        """Whether it did what it was asked."""
        return self.status < 400

    @property
    def code(self) -> str:
        """The error's code, empty without one."""
        error = self.json.get("error", {}) if isinstance(self.json, dict) else {}
        return str(error.get("code", "")) if isinstance(error, dict) else ""

    @property
    def message(self) -> str:
        """The error's message."""
        error = self.json.get("error", {}) if isinstance(self.json, dict) else {}
        return str(error.get("message", "")) if isinstance(error, dict) else ""


class Api:
    """Calls routes of one app."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def get(self, req: Request, path: str) -> ApiAnswer:
        """GET as whoever `req` is."""
        return await self.call(req, "GET", path)

    async def call(self, req: Request, method: str, path: str, body: dict[str, Any] | None = None) -> ApiAnswer:
        """One request as whoever `req` is."""
        content = b"" if body is None else msgspec.json.encode(body)
        scope = {name: value for name, value in req.scope.items() if name != _HELD}
        scope |= {
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [*_headers(req), (b"content-length", b"%d" % len(content))],
        }
        waiting: list[dict[str, Any]] = [{"type": "http.request", "body": content, "more_body": False}]
        answered: dict[str, Any] = {}
        pieces: list[bytes] = []

        async def receive() -> dict[str, Any]:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                answered.update(message)
            else:
                pieces.append(message.get("body", b""))

        await self._app(scope, receive, send)
        cookies = [value.decode("latin-1") for name, value in answered["headers"] if name.lower() == b"set-cookie"]
        content = b"".join(pieces)
        try:
            decoded = msgspec.json.decode(content) if content else None
        except msgspec.MsgspecError:
            decoded = None
        return ApiAnswer(answered["status"], decoded, tuple(cookies))


def _headers(req: Request) -> list[tuple[bytes, bytes]]:
    """Who the browser is, and never a bearer token: pages are for cookies. A browser that sent no Origin gets this
    server's own, since its page has passed the check of origins already."""
    passed = [(name, value) for name, value in req._asgi_headers.items() if name in _PASSED]
    if b"origin" not in req._asgi_headers:
        passed.append((b"origin", b"http://" + req._asgi_headers.get(b"host", b"")))
    return passed
