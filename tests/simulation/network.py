"""The simulated network: what is sent may be late, lost, sent twice, or arrive after its answer was given up."""

from __future__ import annotations

import asyncio
from collections import deque
from random import Random
from typing import Any, Protocol

import msgspec

from tests.simulation.host import Down, Host
from tests.simulation.world import World, owner

HANDSHAKE = (
    b"GET /api/sync/ws%b HTTP/1.1\r\nHost: simulated\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: bearer.%b\r\n\r\n"
)
CLOSE_FRAME = 0x88


class Lost(Exception):
    """No answer came; whether the request arrived is not known."""


class Link:
    """One client's way to the server; `user` is whom its requests must be answered as, None for whomever."""

    def __init__(self, world: World, host: Host) -> None:
        self.world = world
        self.host = host
        self.is_cut = False
        self.loss = 0.0
        self.twice = 0.0
        self.user: str | None = None

    async def request(self, method: str, target: str, body: bytes = b"", *, token: str | None) -> tuple[int, bytes]:
        """One request over this link. Raises Lost."""
        world = self.world
        await _pass(world, 0.0005, 0.02)
        if self.is_cut or world.happens(self.loss):
            await _pass(world, 0.05, 0.5)
            raise Lost
        if target.startswith(("/api/sync/", "/api/crdt/")) and world.happens(
            self.twice
        ):  # what may be repeated is repeated
            world.create_task(self._again(method, target, body, token))
        try:
            answer = await self.host.request(method, target, body, token=token, user=self.user)
        except Down:
            await _pass(world, 0.0, 0.2)
            raise Lost from None
        await _pass(world, 0.0005, 0.02)
        if self.is_cut or world.happens(self.loss):
            await _pass(world, 0.05, 0.5)
            raise Lost
        return answer

    async def _again(self, method: str, target: str, body: bytes, token: str | None) -> None:
        await _pass(self.world, 0.0, 0.3)
        try:
            await self.host.request(method, target, body, token=token, user=self.user)
        except Down:
            return


async def _pass(world: World, low: float, high: float) -> None:
    await asyncio.sleep(world.between(low, high))


class Listener(Protocol):
    """The client's end of a wire."""

    def received(self, wire: Wire, data: bytes, written_at: float) -> None:
        """Bytes, in order."""

    def closed(self, wire: Wire) -> None:
        """The connection is gone."""


class Wire:
    """One WebSocket connection: bytes stay in order, and any moment may be its last."""

    def __init__(self, link: Link, client: Listener, token: str, query: str) -> None:
        self.token = token
        self.is_closing = False
        self.is_gone = False
        self.is_stalled = False
        self.is_accepted = False
        self.is_revoked = False
        self._link = link
        self._world = link.world
        # Its own dice: the order in which a server writes to its sockets is that of addresses in memory.
        self._chance = Random(link.world.chance.getrandbits(64))
        self._client = client
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._is_moving = False
        self._protocol, self._transport = link.host.accept(self)
        link.host.wires.append(self)
        self._reaches_at = 0.0
        self._say(HANDSHAKE % (query.encode(), token.encode()))

    def say(self, message: Any) -> None:
        """The client sends a message."""
        payload = msgspec.json.encode(message)
        size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
        self._say(b"\x81" + size + b"\0\0\0\0" + payload)

    def _say(self, data: bytes) -> None:
        self._reaches_at = max(self._reaches_at + 1e-6, self._world.time() + self._chance.uniform(0.0005, 0.02))
        self._world.call_at(self._reaches_at, self._reach, data)

    def _reach(self, data: bytes) -> None:
        if self._link.is_cut:
            self.cut()
        if not self.is_gone:
            self._link.host.as_server(self._protocol.data_received, data)

    # -- the server's end ----------------------------------------------------------------------------------------

    def written(self, data: bytes) -> None:
        """The server writes."""
        if self.is_gone:
            return
        if self.is_revoked and data[0] != CLOSE_FRAME:
            raise AssertionError("something was sent to a socket whose session had been revoked")
        self.is_accepted = True
        self._waiting.append((self._world.time(), data))
        self._transport.held += len(data)
        self._move()

    def close(self) -> None:
        """The server closes once all is sent."""
        self.is_closing = True
        if not self._waiting:
            self.cut()

    def cut(self) -> None:
        """The connection breaks, for both ends."""
        if self.is_gone:
            return
        self.is_gone = self.is_closing = True
        self._link.host.wires.remove(self)
        token = owner.set(self._link.host)
        try:
            self._world.call_soon(self._protocol.connection_lost, None)
        finally:
            owner.reset(token)
        self._world.call_later(self._chance.uniform(0.0, 0.3), self._client.closed, self)

    # -- on its way ----------------------------------------------------------------------------------------------

    def stall(self, seconds: float) -> None:
        """The client reads nothing for a while."""
        self.is_stalled = True
        self._world.call_later(seconds, self._go_on)

    def _go_on(self) -> None:
        self.is_stalled = False
        self._move()

    def _move(self) -> None:
        if self._waiting and not self._is_moving and not self.is_stalled:
            self._is_moving = True
            self._world.call_later(self._chance.uniform(0.0005, 0.02), self._arrive)

    def _arrive(self) -> None:
        self._is_moving = False
        if self.is_gone or self.is_stalled:
            return
        written_at, data = self._waiting.popleft()
        if len(data) > 1 and self._chance.random() < 0.1:  # TCP knows no frames
            at = self._chance.randrange(1, len(data))
            data, rest = data[:at], data[at:]
            self._waiting.appendleft((written_at, rest))
        self._transport.held -= len(data)
        self._client.received(self, data, written_at)
        if self.is_closing and not self._waiting:
            self.cut()
        self._move()


def messages(buffer: bytearray) -> list[tuple[int, bytes]]:
    """The complete frames at the front of what a client received: (opcode, payload); they are taken out of it."""
    found = []
    while len(buffer) >= 2:
        size, start = buffer[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < start + size or (start > 2 and len(buffer) < start):
            break
        found.append((buffer[0] & 0x0F, bytes(buffer[start : start + size])))
        del buffer[: start + size]
    return found


Row = dict[str, Any]
