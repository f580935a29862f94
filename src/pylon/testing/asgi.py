"""One HTTP exchange with an ASGI app in this process, exactly as a server would hold it, without a port."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

Headers = Mapping[str, str] | Iterable[tuple[bytes, bytes]]


class Exchanged(NamedTuple):
    """What came back; header names are in lower case, and lines of the same name stand one below the other."""

    status: int
    headers: dict[str, str]
    body: bytes


async def exchange(app: Any, method: str, target: str, body: bytes = b"", headers: Headers | None = None) -> Exchanged:
    """Send one request to the app and read its whole answer."""
    named = headers.items() if isinstance(headers, Mapping) else ()
    sent = [(b"host", b"test"), (b"content-length", b"%d" % len(body))]
    sent += [(name.lower().encode(), value.encode("latin-1")) for name, value in named]
    return await converse(app, method, target.encode(), [body], sent)


async def converse(
    app: Any,
    method: str,
    target: bytes,
    pieces: Sequence[bytes] = (b"",),
    headers: Iterable[tuple[bytes, bytes]] = (),
    *,
    stays: float | None = None,
) -> Exchanged:
    """The same with every byte chosen: the body comes in pieces, and headers are sent as they are, names in lower
    case. The client hangs up `stays` seconds after its last piece, None for never; without pieces, in the middle of a
    body that it began to send. Status 0 is no answer."""
    raw_path, _, query = target.partition(b"?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": unquote(raw_path.decode("ascii")),
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": list(headers),
        "client": ("127.0.0.1", 1),
        "server": ("test", 80),
    }
    last = len(pieces) - 1
    waiting: list[dict[str, Any]] = [
        {"type": "http.request", "body": piece, "more_body": number < last} for number, piece in enumerate(pieces)
    ]
    if not waiting:
        waiting = [{"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"}]
    waiting.reverse()
    status = 0
    told: dict[str, str] = {}
    answered: list[bytes] = []

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop()
        await (asyncio.Event().wait() if stays is None else asyncio.sleep(stays))
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
            for name, value in message["headers"]:
                key, text = name.decode("latin-1").lower(), value.decode("latin-1")
                told[key] = f"{told[key]}\n{text}" if key in told else text
        else:
            answered.append(message.get("body", b""))

    await app(scope, receive, send)
    return Exchanged(status, told, b"".join(answered))
