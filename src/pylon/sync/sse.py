"""Server-sent events (spec 02 §12): the same events as over WebSocket, for clients that only listen.

On the main port a stream is an ASGI response; on the extra port of older clients it is a connection of its own.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast
from urllib.parse import parse_qs

from pylon.model.errors import PylonError
from pylon.plugins.requests import PluginRequest
from pylon.sync.connection import Credential, Kind
from pylon.sync.door import Door
from pylon.sync.events import Frames
from pylon.sync.handshake import Handshake, ask
from pylon.sync.refusal import refuse, send_refusal
from pylon.sync.subset import Subset
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


class SseProtocol(asyncio.Protocol):
    """One connection to the SSE port: any path. `door` and `needs_session` are set by `sse_protocol`."""

    __slots__ = (
        "_asking",
        "_head",
        "_is_open",
        "_timer",
        "_transport",
        "credential",
        "id",
        "ip",
        "opened_at",
        "sent_bytes",
        "sent_events",
    )
    kind: Kind = "sse"
    door: Door
    needs_session = False

    def __init__(self) -> None:
        self._head: bytes | None = b""
        self._asking: asyncio.Task[None] | None = None
        self._is_open = False
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.credential: Credential
        self.ip = ""
        self.id = self.sent_events = self.sent_bytes = 0
        self.opened_at = 0.0

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
        request, headers = parse_head(head)
        target = request.split(" ")[1] if request.count(" ") >= 2 else "/"
        path, _, query = target.partition("?")
        peer = self._transport.get_extra_info("peername")
        self.ip = self.door.client_ip(peer[0] if peer else "", headers.get("x-forwarded-for"))
        token = parse_qs(query).get("token", [None])[0]
        handshake = Handshake(path, query, headers, self.ip, token, self.needs_session)
        try:
            credential, subset = handshake.admitted(self.door)
        except PylonError as error:
            self._refuse(error)
            return
        if self.door.plugins is None:
            self._accept(credential, subset)
        else:
            self._asking = asyncio.create_task(
                ask(self.door.plugins, self.door, handshake, credential, self._accept, self._refuse, 200)
            )

    def _accept(self, credential: Credential, subset: Subset | None) -> None:
        assert self._transport is not None
        self._cancel_timer()
        self.credential = credential
        lines = "".join(f"{name}: {value}\r\n" for name, value in _HEADERS.items())
        self._transport.write(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + _CONNECTED)
        self._is_open = True
        self.door.enter(self, subset)

    def _refuse(self, error: PylonError) -> None:
        self._cancel_timer()
        if self._transport is not None:
            refuse(self._transport, error)

    def deliver(self, frames: Frames) -> None:
        """Send what a turn brought; end the stream when it can't keep up."""
        data = frames.sse
        self.sent_events += frames.number
        self.sent_bytes += len(data)
        self._write(data)

    @property
    def unsent_bytes(self) -> int:
        """What waits in the transport."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

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
        """End the stream behind what was written, soon; the client reconnects and pulls."""
        if not self._is_open:
            return
        self._leave()
        self._close()
        self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._abort)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _leave(self) -> None:
        if self._is_open:
            self._is_open = False
            self.door.leave(self)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._asking is not None:
            self._asking.cancel()
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
        self.id = self.sent_events = self.sent_bytes = 0
        self.opened_at = 0.0
        self.waiting: deque[bytes] = deque()
        self.unsent_bytes = 0
        self.news = asyncio.Event()
        self.is_ended = False
        self.sending: asyncio.Task[None] | None = None

    def deliver(self, frames: Frames) -> None:
        data = frames.sse
        self.sent_events += frames.number
        self.sent_bytes += len(data)
        self._put(data)

    def probe(self) -> None:
        self._put(_KEEPALIVE)

    def _put(self, data: bytes) -> None:
        if self.is_ended:
            return
        self.waiting.append(data)
        self.unsent_bytes += len(data)
        if self.unsent_bytes > self.door.max_buffer:
            self.door.slow_consumers += 1
            self.give_up()
        self.news.set()

    def end(self, code: int, reason: str) -> None:
        if self.is_ended:
            return
        self.is_ended = True
        self.news.set()
        if self.sending is not None:  # it may be waiting for a client that takes nothing
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.sending.cancel)

    def give_up(self) -> None:
        """End without what waits: nobody takes it."""
        self.waiting.clear()
        self.end(1013, "too slow")

    async def send_all(self, send: Any) -> None:
        """Send what comes, until the end."""
        while self.waiting or not self.is_ended:
            await self.news.wait()
            self.news.clear()
            while self.waiting:
                data = self.waiting.popleft()
                self.unsent_bytes -= len(data)
                await send({"type": "http.response.body", "body": data, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


class EventStream:
    """`GET /api/sync/events` as an ASGI handler."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Stream until the client goes or the door ends it."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        query = scope["query_string"].decode("latin-1")
        client = scope.get("client")
        ip = self._door.client_ip(client[0] if client else "", headers.get("x-forwarded-for"))
        token = parse_qs(query).get("token", [None])[0]
        handshake = Handshake(scope["path"], query, headers, ip, token)
        plugins = self._door.plugins
        asked: PluginRequest | None = None
        try:
            credential, subset = handshake.admitted(self._door)
            if plugins is not None:
                asked = handshake.as_request(credential)
                await plugins.request(asked)
                credential, subset = handshake.admitted(self._door)
        except PylonError as error:
            await send_refusal(send, error)
            if plugins is not None and asked is not None:
                await plugins.response(asked, error.status)
            return
        stream = _AsgiStream(self._door, credential, ip)
        answer = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items() if name != "Connection"]
        await send({"type": "http.response.start", "status": 200, "headers": answer})
        await send({"type": "http.response.body", "body": _CONNECTED, "more_body": True})
        self._door.enter(stream, subset)
        if plugins is not None and asked is not None:
            await plugins.response(asked, 200)
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
    stream.give_up()
