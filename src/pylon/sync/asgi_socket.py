"""The same hub under another ASGI server, for an app that is mounted rather than started with `pylon start`.

Slower than our own protocol class, since every frame passes through ASGI, but the same events in the same order: what
is not sent yet is bounded, and a consumer that exceeds the bound is closed with 1013.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import Any

from pylon.model.errors import PylonError
from pylon.plugins.requests import PluginRequest
from pylon.sync.connection import Credential, Kind
from pylon.sync.door import Door, bearer_protocol
from pylon.sync.events import Frames
from pylon.sync.handshake import Handshake
from pylon.sync.refusal import send_refusal
from pylon.sync.websocket import CLOSE_SECONDS

PATHS = ("/", "/api/sync/ws")


class _AsgiSocket:
    """One WebSocket as a subscriber."""

    kind: Kind = "ws"

    def __init__(self, door: Door, credential: Credential, ip: str) -> None:
        self.credential = credential
        self.ip = ip
        self._door = door
        self.id = self.sent_events = self.sent_bytes = 0
        self.opened_at = 0.0
        self.waiting: deque[str | bytes] = deque()
        self.unsent_bytes = 0
        self.news = asyncio.Event()
        self.close_code: int | None = None
        self.sending: asyncio.Task[None] | None = None

    def deliver(self, frames: Frames) -> None:
        if self.close_code is not None:
            return
        messages = frames.messages
        size = sum(map(len, messages))
        self.waiting.extend(messages)
        self.unsent_bytes += size
        self.sent_events += frames.number
        self.sent_bytes += size
        if self.unsent_bytes > self._door.max_buffer:
            self._door.slow_consumers += 1
            self.waiting.clear()  # nobody takes it
            self.end(1013, "too slow")
        self.news.set()

    def probe(self) -> None:
        """Pings are the ASGI server's business."""

    def end(self, code: int, reason: str) -> None:
        if self.close_code is not None:
            return
        self.close_code = code
        self.news.set()
        if self.sending is not None:  # it may be waiting for a client that takes nothing
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.sending.cancel)


class AsgiSockets:
    """Handles `websocket` scopes."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Accept, subscribe, send until either side closes."""
        await receive()
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        client = scope.get("client")
        ip = self._door.client_ip(client[0] if client else "", headers.get("x-forwarded-for"))
        bearer = bearer_protocol(headers.get("sec-websocket-protocol", ""))
        query = scope.get("query_string", b"").decode("latin-1")
        handshake = Handshake(scope["path"], query, headers, ip, bearer[1] if bearer else None)
        plugins = self._door.plugins
        asked: PluginRequest | None = None
        try:
            if scope["path"] not in PATHS:
                raise PylonError("NOT_FOUND", "Not found")
            credential, subset = handshake.admitted(self._door)
            if plugins is not None:
                asked = handshake.as_request(credential)
                await plugins.request(asked)
                credential, subset = handshake.admitted(self._door)
        except PylonError as error:
            if plugins is not None and asked is not None:
                await plugins.response(asked, error.status)
            if "websocket.http.response" in scope.get("extensions", {}):
                await send_refusal(send, error, "websocket.http.response")
            else:
                await send({"type": "websocket.close", "code": 1013})
            return
        await send({"type": "websocket.accept", "subprotocol": bearer[0] if bearer else None})
        connection = _AsgiSocket(self._door, credential, ip)
        self._door.enter(connection, subset)
        if plugins is not None and asked is not None:
            await plugins.response(asked, 101)
        sending = connection.sending = asyncio.create_task(self._send(send, connection))
        listening = asyncio.create_task(self._listen(receive, connection))
        try:
            await asyncio.wait((sending,))
        finally:
            self._door.leave(connection)
            sending.cancel()
            listening.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await listening
        if not sending.cancelled():
            sending.result()

    async def _send(self, send: Any, connection: _AsgiSocket) -> None:
        while connection.waiting or connection.close_code is None:
            await connection.news.wait()
            connection.news.clear()
            while connection.waiting:
                data = connection.waiting.popleft()
                connection.unsent_bytes -= len(data)
                kind = "text" if isinstance(data, str) else "bytes"
                await send({"type": "websocket.send", kind: data})
        if connection.close_code:
            await send({"type": "websocket.close", "code": connection.close_code})

    async def _listen(self, receive: Any, connection: _AsgiSocket) -> None:
        while (message := await receive())["type"] != "websocket.disconnect":
            text = message.get("text")
            if text is not None:
                self._door.received(connection, text.encode())
        connection.waiting.clear()
        connection.end(0, "gone")
