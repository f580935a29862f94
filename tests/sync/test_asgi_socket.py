"""The hub under another ASGI server: the same events, in order, within bounds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from pylon.auth.sessions import NOBODY, Session
from pylon.model.identity import Identity
from pylon.sync.asgi_socket import AsgiSockets
from pylon.sync.audiences import View
from pylon.sync.deciding import Question
from pylon.sync.door import Door
from pylon.sync.hub import Hub
from tests.sync.test_hub import change, rule

SCOPE = {"type": "websocket", "path": "/", "client": ("127.0.0.1", 1), "headers": []}


async def decide(questions: Sequence[Question]) -> list[bool]:
    return []


def door(**options: Any) -> Door:
    def resolve(token: str | None) -> Session:
        return Session(Identity(user_id="a"), b"key") if token == "a" else NOBODY

    hub = Hub({"Doc": View(rule("auth.userId == data.owner"), None)}, decide)
    return Door(hub, resolve, cookie_name="s", trusted_origin=lambda origin, host: False, **options)


class Peer:
    """The other side of an ASGI WebSocket."""

    def __init__(self, live: Door, **scope: Any) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.free = asyncio.Event()
        self.free.set()
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(AsgiSockets(live)({**SCOPE, **scope}, self.incoming.get, self.send))

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)
        await self.free.wait()

    async def settle(self) -> list[dict[str, Any]]:
        for _ in range(20):
            await asyncio.sleep(0)
        return self.sent


async def test_events_come_as_text_and_the_subprotocol_is_echoed() -> None:
    live = door()
    peer = Peer(live, headers=[(b"sec-websocket-protocol", b"chat, bearer.a")])
    await peer.settle()
    live.hub.publish([change(1, "insert", {"owner": "a"}), change(2, "insert", {"owner": "b"})])
    accepted, event = await peer.settle()
    assert accepted == {"type": "websocket.accept", "subprotocol": "bearer.a"}
    assert json.loads(event["text"])["seq"] == 1
    peer.incoming.put_nowait({"type": "websocket.receive", "text": "junk"})
    peer.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await peer.task
    assert len(live) == 0


async def test_a_session_that_changes_is_told_so_and_sent_nothing_a_second_time() -> None:
    live = door()
    peer = Peer(live, headers=[(b"authorization", b"Bearer a")])
    await peer.settle()
    live.hub.publish([change(1, "insert", {"owner": "a"})])
    await peer.settle()
    live.hub.publish([change(2, "insert", {"owner": "a"})])
    live.identify_by(lambda key: Session(Identity(user_id="a", tenant_id="t"), key))
    live.reidentify({b"key"}, set())
    live.hub.publish([change(3, "insert", {"owner": "a"})])
    texts = [json.loads(message["text"]) for message in (await peer.settle())[1:]]
    assert [text.get("type", text.get("seq")) for text in texts] == [1, 2, "session-changed", 3]
    peer.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await peer.task


async def test_a_revoked_session_is_closed_with_1008() -> None:
    live = door()
    peer = Peer(live, headers=[(b"authorization", b"Bearer a")])
    await peer.settle()
    live.revoke([b"key"])
    assert (await peer.settle())[-1] == {"type": "websocket.close", "code": 1008}
    await peer.task


async def test_a_consumer_that_does_not_take_its_frames_is_closed_with_1013() -> None:
    live = door(max_buffer=2000)
    peer = Peer(live, headers=[(b"authorization", b"Bearer a")])
    await peer.settle()
    peer.free.clear()
    for seq in range(1, 60):
        live.hub.publish([change(seq, "insert", {"owner": "a"})])
        await asyncio.sleep(0)
    peer.free.set()
    assert (await peer.settle())[-1] == {"type": "websocket.close", "code": 1013}
    assert live.slow_consumers == 1
    await peer.task


async def test_other_paths_and_crowded_addresses_are_not_accepted() -> None:
    live = door(per_ip=1)
    held = Peer(live)
    assert (await held.settle())[0]["type"] == "websocket.accept"
    for scope in ({"path": "/nope"}, {}):
        refused = Peer(live, **scope)
        assert (await refused.settle())[0]["type"] == "websocket.close"
    live.close(1001, "stopping")
    await held.task
