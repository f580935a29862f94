"""Server-sent events (spec 02 §12): the same events as over WebSocket, for clients that only listen.

On the main port a stream is an ASGI response; on the extra port of older clients it is a connection of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast
from urllib.parse import parse_qs

import msgspec

from pylon.sync.door import Credential, Door, Kind
from pylon.sync.events import Frames
from pylon.sync.websocket import CLOSE_SECONDS, HANDSHAKE_SECONDS, MAX_HEAD_BYTES, parse_head

_HEADERS = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "Connection": "keep-alive",
    "Access-Control-Allow-Origin": "*",
    "X-Content-Type-Options": "nosniff",
}
_CONNECTED = b": connected\n\n"
_KEEPALIVE = b": keepalive\n\n"
_UNAUTHENTICATED = {"error": {"code": "AUTH_REQUIRED", "message": "authenticated session required"}}
_STOPPING = {"error": {"code": "SHUTTING_DOWN", "message": "The server is stopping"}}
_CROWDED = {"error": {"code": "RATE_LIMITED", "message": "Too many connections from this address"}}


class SseProtocol(asyncio.Protocol):
    """One connection to the SSE port: any path. `door` and `needs_session` are set by `sse_protocol`."""

    __slots__ = ("_head", "_is_open", "_timer", "_transport", "credential", "ip")
    kind: Kind = "sse"
    door: Door
    needs_session = False

    def __init__(self) -> None:
        self._head: bytes | None = b""
        self._is_open = False
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.credential: Credential
        self.ip = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, self._close)

    def data_received(self, data: bytes) -> None:
        if self._head is None:
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end >= 0:
            head, self._head = self._head[:end], None
            self._begin(head)
        elif len(self._head) > MAX_HEAD_BYTES:
            self._close()

    def _begin(self, head: bytes) -> None:
        assert self._transport is not None
        self._cancel_timer()
        request, headers = parse_head(head)
        target = request.split(" ")[1] if request.count(" ") >= 2 else "/"
        query = parse_qs(target.partition("?")[2])
        peer = self._transport.get_extra_info("peername")
        self.ip = self.door.client_ip(peer[0] if peer else "", headers.get("x-forwarded-for"))
        self.credential = self.door.credential(headers, query.get("token", [None])[0])
        if self.needs_session and self.credential.identity.user_id is None:
            self._refuse("401 Unauthorized", _UNAUTHENTICATED)
        elif self.door.is_closing:
            self._refuse("503 Service Unavailable", _STOPPING, "Retry-After: 1\r\n")
        elif not self.door.has_room(self.ip):
            self._refuse("429 Too Many Requests", _CROWDED, "Retry-After: 5\r\n")
        else:
            lines = "".join(f"{name}: {value}\r\n" for name, value in _HEADERS.items())
            self._transport.write(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + _CONNECTED)
            self._is_open = True
            self.door.enter(self)

    def _refuse(self, status: str, body: dict[str, Any], header: str = "") -> None:
        assert self._transport is not None
        content = msgspec.json.encode(body)
        self._transport.write(
            f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n{header}"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
            + content
        )
        self._transport.close()

    def deliver(self, frames: Frames) -> None:
        """Send what a turn brought; end the stream when it can't keep up."""
        self._write(frames.sse)

    def probe(self) -> None:
        """A comment keeps proxies from cutting an idle stream."""
        self._write(_KEEPALIVE)

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or not self._is_open:
            return
        transport.write(data)
        if transport.get_write_buffer_size() > self.door.max_buffer:
            self.door.slow_consumers += 1
            self.end(1013, "too slow")

    def end(self, code: int, reason: str) -> None:
        """End the stream; the client reconnects and pulls."""
        self._leave()
        if code == 1013 and self._transport is not None:
            self._transport.abort()
        else:
            self._close()

    def _leave(self) -> None:
        if self._is_open:
            self._is_open = False
            self.door.leave(self)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        self._leave()
        self._transport = None

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def sse_protocol(door: Door, *, needs_session: bool) -> type[SseProtocol]:
    """The class of this door's streams on the extra port."""
    return type("DoorStream", (SseProtocol,), {"__slots__": (), "door": door, "needs_session": needs_session})


class _AsgiStream:
    """A stream as a subscriber: what it has not sent yet, bounded."""

    kind: Kind = "sse"

    def __init__(self, door: Door, credential: Credential, ip: str) -> None:
        self.door = door
        self.credential = credential
        self.ip = ip
        self.waiting: deque[bytes] = deque()
        self.size = 0
        self.news = asyncio.Event()
        self.is_ended = False
        self.sending: asyncio.Task[None] | None = None

    def deliver(self, frames: Frames) -> None:
        self._put(frames.sse)

    def probe(self) -> None:
        self._put(_KEEPALIVE)

    def _put(self, data: bytes) -> None:
        if self.is_ended:
            return
        self.waiting.append(data)
        self.size += len(data)
        if self.size > self.door.max_buffer:
            self.door.slow_consumers += 1
            self.end(1013, "too slow")
        self.news.set()

    def end(self, code: int, reason: str) -> None:
        if self.is_ended:
            return
        self.is_ended = True
        self.news.set()
        if self.sending is not None:  # it may be waiting for a client that takes nothing
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.sending.cancel)

    async def send_all(self, send: Any) -> None:
        """Send what comes, until the end."""
        while not self.is_ended:
            await self.news.wait()
            self.news.clear()
            while self.waiting and not self.is_ended:
                data = self.waiting.popleft()
                self.size -= len(data)
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class EventStream:
    """`GET /api/sync/events` as an ASGI handler."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Stream until the client goes or the door ends it."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_qs(scope["query_string"].decode("latin-1"))
        client = scope.get("client")
        ip = self._door.client_ip(client[0] if client else "", headers.get("x-forwarded-for"))
        if self._door.is_closing:
            await _json(send, 503, _STOPPING)
            return
        if not self._door.has_room(ip):
            await _json(send, 429, _CROWDED)
            return
        stream = _AsgiStream(self._door, self._door.credential(headers, query.get("token", [None])[0]), ip)
        answer = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items() if name != "Connection"]
        await send({"type": "http.response.start", "status": 200, "headers": answer})
        await send({"type": "http.response.body", "body": _CONNECTED, "more_body": True})
        self._door.enter(stream)
        sending = stream.sending = asyncio.create_task(stream.send_all(send))
        gone = asyncio.create_task(_gone(receive, stream))
        try:
            await asyncio.wait((sending,))
        finally:
            self._door.leave(stream)
            gone.cancel()
            sending.cancel()
        if not sending.cancelled():
            sending.result()


async def _gone(receive: Any, stream: _AsgiStream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end(1000, "gone")


async def _json(send: Any, status: int, body: dict[str, Any]) -> None:
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"5")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": msgspec.json.encode(body)})
