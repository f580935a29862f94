"""What fan-out alone costs: deliveries a second from `Hub.publish` to `transport.write`, by kind of audience.

No network and no store, so it is the ceiling that `benchmarks.fanout` works under. Run it as
`python -m benchmarks.fanout_micro`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from pylon.auth.sessions import Session
from pylon.model.change import Change
from pylon.model.identity import Identity
from pylon.model.rows import compile_rows
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind, PolicySpec
from pylon.policy.rules import compile_entity_policy
from pylon.sync.audiences import View
from pylon.sync.deciding import Question
from pylon.sync.door import Door
from pylon.sync.hub import Hub
from pylon.sync.websocket import socket_protocol

SOCKETS = 200
TURNS = 2000
PER_TURN = 16
"""Changes that one loop turn brings: as many as posters keep in flight in the end-to-end benchmark."""

ITEM = EntitySpec(
    name="Item",
    fields=(
        Field(name="title", kind=Kind.STRING),
        Field(name="owner", kind=Kind.STRING, optional=True),
        Field(name="n", kind=Kind.INT, optional=True),
    ),
)
TYPES = compile_rows(ITEM)
AUDIENCES = {
    "everyone": "true",
    "by identity": "auth.userId != null",
    "by key, one reader": "auth.userId == data.owner",
    "per class": "data.n > 0 && auth.userId != data.owner",
}
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer %d\r\n\r\n"
)


class Sink(asyncio.Transport):
    """A transport that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.writes = 0

    def write(self, data: Any) -> None:
        self.bytes += len(data)
        self.writes += 1

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default


async def nothing(questions: Sequence[Question]) -> list[bool]:
    """No rule here asks the store."""
    return []


def changes(first: int) -> list[Change]:
    """One turn's inserts."""
    made = []
    for seq in range(first, first + PER_TURN):
        row = TYPES.row(id=f"{seq:040x}", title="a title of usual length", owner=f"u{seq % SOCKETS}", n=seq)
        made.append(Change(TYPES, "Item", f"{seq:040x}", "insert", row, TYPES.encode(row), seq=seq))
    return made


async def run(expression: str) -> tuple[float, float]:
    """(deliveries, changes) a second, every socket being a user of its own."""
    policy = PolicySpec(name="p", entity="Item", allow_read=expression)
    rule = compile_entity_policy(AppSpec(name="x", entities=(ITEM,), policies=(policy,)), ITEM).read
    hub = Hub({"Item": View(rule, None)}, nothing)

    def resolve(token: str | None) -> Session:
        return Session(Identity(user_id=f"u{token}"))

    door = Door(hub, resolve, cookie_name="s", trusted_origin=lambda origin, host: True, per_ip=0)
    protocol = socket_protocol(door, main_port=True)
    for i in range(SOCKETS):
        socket = protocol()
        socket.connection_made(Sink())
        socket.data_received(HANDSHAKE % i)
    batches = [changes(1 + turn * PER_TURN) for turn in range(TURNS)]
    reached = PER_TURN if "== data.owner" in expression else PER_TURN * SOCKETS
    began = time.perf_counter()
    for batch in batches:
        hub.publish(batch)
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    seconds = time.perf_counter() - began
    return TURNS * reached / seconds, TURNS * PER_TURN / seconds


def main() -> None:
    """Print the table."""
    print(f"{SOCKETS} sockets of {SOCKETS} users, {PER_TURN} changes a turn")
    for name, expression in AUDIENCES.items():
        deliveries, changed = asyncio.run(run(expression))
        print(f"{name:20} {deliveries:14,.0f} deliveries/s {changed:12,.0f} changes/s")


if __name__ == "__main__":
    main()
