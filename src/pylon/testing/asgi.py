"""One HTTP exchange with an ASGI app in this process, exactly as a server would hold it, without a port."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple


class Exchanged(NamedTuple):
    """What came back; header names are in lower case, and lines of the same name stand one below the other."""

    status: int
    headers: dict[str, str]
    body: bytes


async def exchange(
    app: Any, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> Exchanged:
    """Send one request to the app and read its whole answer."""
    path, _, query = target.partition("?")
    sent = [(b"host", b"test"), (b"content-length", b"%d" % len(body))]
    sent += [(name.lower().encode(), value.encode("latin-1")) for name, value in (headers or {}).items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": sent,
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
    }
    waiting: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]
    status = 0
    told: dict[str, str] = {}
    pieces: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            for name, value in message["headers"]:
                key, text = name.decode("latin-1").lower(), value.decode("latin-1")
                told[key] = f"{told[key]}\n{text}" if key in told else text
        else:
            pieces.append(message.get("body", b""))

    await app(scope, receive, send)
    return Exchanged(status, told, b"".join(pieces))
