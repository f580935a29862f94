"""Our WebSocket: frames go straight to the transport, and an idle socket costs little more than its transport.

uvicorn hands an upgraded connection to this class as its `ws=` setting; the extra port for older clients runs it alone.
A consumer that doesn't keep up is closed with 1013 and catches up by its cursor: an event is never dropped in between.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from typing import Any, cast

from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.sync.connection import Credential, Kind
from pylon.sync.door import Door, bearer_protocol
from pylon.sync.events import Frames
from pylon.sync.frames import CLOSE, PING, PING_FRAME, PONG, TEXT, FrameError, Message, Parser, close_frame, frame
from pylon.sync.handshake import Handshake, ask
from pylon.sync.refusal import refuse
from pylon.sync.subset import Subset

log = Log("pylon.sync")

MAX_HEAD_BYTES = 65_536
MISSED_PINGS = 2
CLOSE_SECONDS = 2.0
HANDSHAKE_SECONDS = 15.0
_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_MAIN_PATHS = ("/", "/api/sync/ws")


class SocketProtocol(asyncio.Protocol):
    """One WebSocket. `door` is set by `socket_protocol`; `main_port` tells apart who wrote the request's head."""

    __slots__ = (
        "_asking",
        "_early",
        "_head",
        "_missed",
        "_parser",
        "_peers",
        "_timer",
        "_transport",
        "credential",
        "id",
        "ip",
        "opened_at",
        "sent_bytes",
        "sent_events",
    )
    kind: Kind = "ws"
    door: Door
    main_port = True

    def __init__(self, config: Any = None, server_state: Any = None, app_state: Any = None, _loop: Any = None) -> None:
        self._peers: set[Any] | None = None if server_state is None else server_state.connections
        self._transport: asyncio.Transport | None = None
        self._parser: Parser | None = None
        self._head: bytes | None = b""
        self._asking: asyncio.Task[None] | None = None
        self._early = b""
        self._timer: asyncio.TimerHandle | None = None
        self._missed = 0
        self.credential: Credential
        self.ip = ""
        self.id = self.sent_events = self.sent_bytes = 0
        self.opened_at = 0.0

    # -- asyncio.Protocol ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if self._peers is not None:
            self._peers.add(self)
        self._timer = asyncio.get_running_loop().call_later(HANDSHAKE_SECONDS, self._abort)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._head is None and self._parser is not None:
            self.door.leave(self)
        if self._peers is not None:
            self._peers.discard(self)
        if self._asking is not None:
            self._asking.cancel()
        self._cancel_timer()
        self._transport = self._parser = None

    def data_received(self, data: bytes) -> None:
        self._missed = 0
        if self._head is not None:
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                if len(self._head) > MAX_HEAD_BYTES:
                    self._abort()
                return
            head, data, self._head = self._head[:end], self._head[end + 4 :], None
            self._handshake(head)
            if not data:
                return
        if self._asking is not None:
            self._early += data  # of one read at most: the transport is paused
            return
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        if self._parser is None:
            return
        try:
            for message in self._parser.feed(data):
                self._received(message)
                if self._parser is None:
                    return  # closing: what came behind is nobody's
        except FrameError as error:
            self.end(error.code, error.reason)

    def eof_received(self) -> None:
        return None

    def shutdown(self) -> None:
        """uvicorn stops."""
        self.end(1001, "server is stopping")

    # -- handshake -----------------------------------------------------------------------------------------------

    def _handshake(self, head: bytes) -> None:
        request, headers = parse_head(head)
        method, _, rest = request.partition(" ")
        path, _, query = rest.partition(" ")[0].partition("?")
        if headers.get("upgrade", "").lower() != "websocket":
            self._abort()
            return
        key = headers.get("sec-websocket-key", "")
        assert self._transport is not None
        peer = self._transport.get_extra_info("peername")
        self.ip = self.door.client_ip(peer[0] if peer else "", headers.get("x-forwarded-for"))
        bearer = bearer_protocol(headers.get("sec-websocket-protocol", ""))
        protocol, token = bearer or (None, None)
        handshake = Handshake(path, query, headers, self.ip, token)
        try:
            self._check(method, path, key, headers)
            credential, subset = handshake.admitted(self.door)
        except PylonError as error:
            self._refuse(error)
            return
        if self.door.plugins is None:
            self._accept(key, protocol, credential, subset)
            return

        def enter(credential: Credential, subset: Subset | None) -> None:
            self._accept(key, protocol, credential, subset)
            self._go_on()

        self._transport.pause_reading()
        self._asking = asyncio.create_task(
            ask(self.door.plugins, self.door, handshake, credential, enter, self._refuse, 101)
        )

    def _check(self, method: str, path: str, key: str, headers: dict[str, str]) -> None:
        if self.main_port and path not in _MAIN_PATHS:
            raise PylonError("NOT_FOUND", "Not found")
        if method != "GET" or not _is_key(key):
            raise PylonError("INVALID_QUERY", "Not a WebSocket handshake")
        if headers.get("sec-websocket-version") != "13":
            version = {"Sec-WebSocket-Version": "13"}
            raise PylonError("INVALID_QUERY", "WebSocket version 13 is required", status=426, headers=version)

    def _accept(self, key: str, protocol: str | None, credential: Credential, subset: Subset | None) -> None:
        assert self._transport is not None
        self._cancel_timer()
        self.credential = credential
        accept = base64.b64encode(hashlib.sha1(key.encode() + _MAGIC, usedforsecurity=False).digest())
        echo = b"Sec-WebSocket-Protocol: %b\r\n" % protocol.encode("latin-1") if protocol is not None else b""
        self._transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n%b\r\n" % (accept, echo)
        )
        self._parser = Parser(self.door.max_frame)
        self.door.enter(self, subset)

    def _go_on(self) -> None:
        """What the client said while plugins were asked comes now."""
        self._asking = None
        early, self._early = self._early, b""
        self._feed(early)
        if self._transport is not None:
            self._transport.resume_reading()

    def _refuse(self, error: PylonError) -> None:
        self._cancel_timer()
        if self._transport is not None:
            refuse(self._transport, error)

    # -- open ----------------------------------------------------------------------------------------------------

    def _received(self, message: Message) -> None:
        if message.opcode == PING:
            self._write(frame(message.payload, PONG))
        elif message.opcode == CLOSE:
            self.end(1000 if message.code == 1005 else message.code, "")
        elif message.opcode == TEXT:
            self.door.received(self, message.payload)

    def deliver(self, frames: Frames) -> None:
        """Send what a turn brought; close the socket when it can't keep up."""
        transport = self._transport
        if transport is None or self._parser is None:
            return
        data = frames.websocket
        self.sent_events += frames.number
        self.sent_bytes += len(data)
        transport.write(data)
        if transport.get_write_buffer_size() > self.door.max_buffer:
            self._fall_behind(transport)

    @property
    def unsent_bytes(self) -> int:
        """What waits in the transport."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or self._parser is None:
            return
        transport.write(data)
        if transport.get_write_buffer_size() > self.door.max_buffer:
            self._fall_behind(transport)

    def _fall_behind(self, transport: asyncio.Transport) -> None:
        self.door.slow_consumers += 1
        log.warning("slow consumer closed", buffered_bytes=transport.get_write_buffer_size())
        self.end(1013, "too slow; catch up by cursor")

    def probe(self) -> None:
        """Ping; a peer that answered neither of the last two is gone."""
        if self._missed >= MISSED_PINGS:
            self._abort()
            return
        self._missed += 1
        self._write(PING_FRAME)

    def end(self, code: int, reason: str) -> None:
        """Send a close frame, stop delivering, and cut the connection soon, whether or not the peer answers."""
        if self._transport is None or self._parser is None:
            self._abort()
            return
        self.door.leave(self)
        self._parser = None
        self._transport.write(close_frame(code, reason))
        self._transport.close()
        self._timer = asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._abort)

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def socket_protocol(door: Door, *, main_port: bool) -> type[SocketProtocol]:
    """The class of this door's sockets, on the main port or on that of older clients."""
    return type("DoorSocket", (SocketProtocol,), {"__slots__": (), "door": door, "main_port": main_port})


def parse_head(head: bytes) -> tuple[str, dict[str, str]]:
    """The request line, and the headers by lower-case name, repeated ones joined."""
    first, *lines = head.decode("latin-1").split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return first, headers


def _is_key(key: str) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        return False
