"""Every buffer of the live half has a limit, and at it a connection ends: nobody is carried past what it missed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from pylon.model.identity import ANONYMOUS, Identity
from pylon.sync import asgi_socket, sse
from pylon.sync.audiences import View
from pylon.sync.deciding import Question
from pylon.sync.frames import CLOSE, PING, TEXT, FrameError, Message, Parser
from pylon.sync.hub import Hub
from pylon.sync.sse import EventStream
from pylon.sync.websocket import socket_protocol
from tests.sync.test_asgi_socket import Peer, door
from tests.sync.test_frames import masked
from tests.sync.test_hub import Listener, change, decide, rule, settle

EXISTS = "auth.userId == data.owner && exists(Doc where owner == auth.userId)"
ALICE, BOB = Identity(user_id="a"), Identity(user_id="b")


# -- frames ------------------------------------------------------------------------------------------------------


def fed(parser: Parser, stream: bytes) -> list[Message]:
    return list(parser.feed(stream))


def held(parser: Parser) -> int:
    """Bytes that the parser keeps, whatever it keeps them in."""
    parts = [getattr(parser, name) for name in Parser.__slots__]
    kept = [part for part in parts if part and isinstance(part, bytes | bytearray | list)]
    items = [item for part in kept if isinstance(part, list) for item in part]
    return sum(map(sys.getsizeof, [*kept, *items]))


def test_fragments_without_bytes_are_not_kept() -> None:
    parser = Parser(1000)
    fed(parser, masked(b"a", TEXT, final=False))
    for _ in range(100):
        fed(parser, masked(b"", 0, final=False) * 1000)
    assert held(parser) < 1000


def test_tiny_fragments_cost_little_more_than_their_bytes() -> None:
    parser = Parser(2**20)
    fed(parser, masked(b"ab", TEXT, final=False))
    fed(parser, masked(b"ab", 0, final=False) * 50_000)
    assert held(parser) < 200_000
    [message] = fed(parser, masked(b"!", 0))
    assert message == Message(TEXT, b"ab" * 50_001 + b"!")


def test_nothing_is_kept_between_messages() -> None:
    parser = Parser(2**20)
    for piece in (
        masked(b"x" * 70_000)[:100],
        masked(b"x" * 70_000)[100:],
        masked(b"y", TEXT, final=False),
        masked(b"z", 0),
    ):
        fed(parser, piece)
    assert held(parser) == 0


def test_a_ping_inside_a_message_does_not_count_against_its_size() -> None:
    parser = Parser(1000)
    fed(parser, masked(b"x" * 990, TEXT, final=False))
    assert fed(parser, masked(b"p" * 100, PING)) == [Message(PING, b"p" * 100)]
    assert fed(parser, masked(b"x" * 10, 0))[0].payload == b"x" * 1000
    fed(parser, masked(b"x" * 1000, TEXT, final=False))
    with pytest.raises(FrameError) as broken:
        fed(parser, masked(b"x", 0))
    assert broken.value.code == 1009


# -- fan-out that asks the store ---------------------------------------------------------------------------------


def hub_asking(decide: Any) -> Hub:
    return Hub({"Doc": View(rule(EXISTS), None)}, decide)


async def test_after_a_store_failure_nobody_is_sent_a_later_seq() -> None:
    failing = [True]

    async def flaky(questions: Sequence[Question]) -> list[bool]:
        if failing.pop() if failing else False:
            raise TimeoutError
        return [True] * len(questions)

    hub = hub_asking(flaky)
    lost, untouched = Listener(), Listener()
    hub.add(lost, ALICE)
    hub.add(untouched, BOB)
    await settle()
    lost.end = lambda code, reason: (lost.ended.append(code), hub.remove(lost, ALICE))  # type: ignore[method-assign]
    hub.publish([change(1, "insert", {"owner": "a"})])
    await settle()
    hub.publish([change(2, "insert", {"owner": "a"}), change(3, "insert", {"owner": "b"})])
    await settle()
    assert (lost.ended, lost.events) == ([1013], [])
    assert (untouched.ended, [e["seq"] for e in untouched.events]) == ([], [3])


async def test_a_newcomer_whose_tail_cannot_be_decided_is_closed() -> None:
    async def broken(questions: Sequence[Question]) -> list[bool]:
        raise TimeoutError

    hub = hub_asking(broken)
    hub.publish([change(1, "insert", {"owner": "a"})])
    newcomer = Listener()
    hub.add(newcomer, ALICE)
    await settle()
    assert (newcomer.ended, hub.statistics.subscribers) == ([1013], 0)


async def test_who_leaves_while_waiting_for_its_turn_is_not_subscribed() -> None:
    gate = asyncio.Event()

    async def slow(questions: Sequence[Question]) -> list[bool]:
        await gate.wait()
        return [True] * len(questions)

    hub = hub_asking(slow)
    stays = Listener()
    hub.add(stays, ALICE)
    await settle()
    hub.publish([change(1, "insert", {"owner": "a"})])
    await settle()
    leaves = Listener()
    hub.add(leaves, BOB)
    hub.remove(leaves, BOB)
    gate.set()
    await settle()
    assert (hub.statistics.subscribers, leaves.events) == (1, [])


async def test_only_those_whom_the_rule_names_are_asked_about_and_waiting_changes_together() -> None:
    asked: list[int] = []

    async def counting(questions: Sequence[Question]) -> list[bool]:
        asked.append(len(questions))
        await asyncio.sleep(0)
        return [True] * len(questions)

    hub = hub_asking(counting)
    for i in range(50):
        hub.add(Listener(), Identity(user_id=f"u{i}"))
    listener = Listener()
    hub.add(listener, ALICE)
    await settle()
    for seq in range(1, 101):
        hub.publish([change(seq, "insert", {"owner": "a"})])
    await settle()
    assert [e["seq"] for e in listener.events] == list(range(1, 101))
    assert sum(asked) == 100
    assert len(asked) <= 3


# -- clients that take nothing -----------------------------------------------------------------------------------


async def until_done(task: asyncio.Task[Any]) -> None:
    await asyncio.wait_for(asyncio.shield(task), 2)


async def test_a_stream_whose_client_takes_nothing_is_ended_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "CLOSE_SECONDS", 0.01)
    live = door(max_buffer=2000)
    stuck = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        if b"data: " in message.get("body", b""):
            await stuck.wait()

    scope = {
        "path": "/api/sync/events",
        "headers": [(b"authorization", b"Bearer a")],
        "query_string": b"",
        "client": ("127.0.0.1", 1),
    }
    task = asyncio.create_task(EventStream(live)(scope, asyncio.Event().wait, send))
    await settle()
    for seq in range(1, 200):
        live.hub.publish([change(seq, "insert", {"owner": "a"})])
        await asyncio.sleep(0)
    await until_done(task)
    assert (live.slow_consumers, len(live)) == (1, 0)


async def test_an_asgi_socket_whose_client_takes_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asgi_socket, "CLOSE_SECONDS", 0.01)
    live = door(max_buffer=2000)
    peer = Peer(live, headers=[(b"authorization", b"Bearer a")])
    await peer.settle()
    peer.free.clear()
    for seq in range(1, 200):
        live.hub.publish([change(seq, "insert", {"owner": "a"})])
        await asyncio.sleep(0)
    await until_done(peer.task)
    assert (live.slow_consumers, len(live)) == (1, 0)


async def test_an_asgi_socket_that_keeps_up_is_never_too_slow() -> None:
    live = door(max_buffer=400)
    peer = Peer(live, headers=[(b"authorization", b"Bearer a")])
    await peer.settle()
    for seq in range(1, 400):
        live.hub.publish([change(seq, "insert", {"owner": "a"})])
        await peer.settle()
    assert [json.loads(m["text"])["seq"] for m in peer.sent[1:]] == list(range(1, 400))
    assert live.slow_consumers == 0
    live.close(1001, "stopping")
    await peer.task


async def test_no_stream_begins_while_the_server_stops() -> None:
    live = door()
    live.close(1001, "stopping")
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await EventStream(live)({"path": "/", "headers": [], "query_string": b""}, asyncio.Event().wait, send)
    assert sent[0]["status"] == 503


# -- after the close frame ---------------------------------------------------------------------------------------


class Wire(asyncio.Transport):
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else default

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True


async def test_frames_behind_a_close_frame_reach_nobody() -> None:
    live = door()
    received: list[bytes] = []
    live.received = lambda connection, text: received.append(text)  # type: ignore[method-assign]
    socket = socket_protocol(live, main_port=True)()
    wire = Wire()
    socket.connection_made(wire)
    socket.data_received(
        b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    socket.data_received(masked(b"before") + masked(b"\x03\xe8", CLOSE) + masked(b"behind"))
    socket.connection_lost(None)
    assert received == [b"before"]
    assert wire.written.endswith(b"\x88\x02\x03\xe8")
    assert len(live) == 0


async def test_an_everyone_policy_asks_the_store_nothing() -> None:
    hub = Hub({"Doc": View(rule("true"), None)}, decide)
    listener = Listener()
    hub.add(listener, ANONYMOUS)
    hub.publish([change(1, "insert", {"owner": "a"})])
    await asyncio.sleep(0)
    assert [e["seq"] for e in listener.events] == [1]
