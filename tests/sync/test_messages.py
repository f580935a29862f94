"""What clients say on a socket: each type has one handler, and nothing that they send ends the socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pylon.model.errors import PylonError
from pylon.sync.events import BinaryEvent, Frames
from pylon.sync.messages import MAX_MESSAGE, Message, Messages
from tests.sync.test_asgi_socket import Peer, door


class Told:
    """A connection that remembers what it was sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def deliver(self, frames: Any) -> None:
        self.sent += [json.loads(message) for message in frames.messages]


def test_a_message_goes_to_the_handler_of_its_type() -> None:
    messages, seen = Messages(), []
    messages.on("wave", lambda connection, message: seen.append(message["hand"]))
    messages.received(Told(), b'{"type":"wave","hand":"left"}')  # type: ignore[arg-type]
    assert seen == ["left"]


@pytest.mark.parametrize(
    "text",
    [b"", b"junk", b"[]", b"1", b"{}", b'{"type":1}', b'{"type":"unknown"}', b"[" * 100_000, b'{"type":"wave"'],
)
def test_what_no_handler_is_for_is_passed_over(text: bytes) -> None:
    messages, told = Messages(), Told()
    messages.on("wave", lambda connection, message: None)
    messages.received(told, text)  # type: ignore[arg-type]
    assert told.sent == []


def test_an_error_goes_back_and_a_failure_is_only_logged() -> None:
    def refuse(connection: Any, message: Message) -> None:
        raise PylonError("NOT_FOUND", "no such hand")

    def fail(connection: Any, message: Message) -> None:
        raise ZeroDivisionError

    messages, told = Messages(), Told()
    messages.on("refuse", refuse)
    messages.on("fail", fail)
    messages.received(told, b'{"type":"fail"}')  # type: ignore[arg-type]
    messages.received(told, b'{"type":"refuse"}')  # type: ignore[arg-type]
    messages.received(told, b" " * (MAX_MESSAGE + 1))  # type: ignore[arg-type]
    assert [frame["code"] for frame in told.sent] == ["NOT_FOUND", "PAYLOAD_TOO_LARGE"]


async def test_under_asgi_messages_arrive_answers_are_binary_or_text_and_leaving_is_told_once() -> None:
    live, left = door(), []

    def answer(connection: Any, message: Message) -> None:
        connection.deliver(Frames([BinaryEvent(b"\x10\x00")]))

    live.messages.on("ask", answer)
    live.messages.on_leave(lambda connection: left.append(connection.id))
    peer = Peer(live)
    await peer.settle()
    peer.incoming.put_nowait({"type": "websocket.receive", "text": '{"type":"ask"}'})
    assert (await peer.settle())[-1] == {"type": "websocket.send", "bytes": b"\x10\x00"}
    peer.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await peer.task
    assert left == [1]
