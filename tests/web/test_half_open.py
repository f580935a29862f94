"""A peer that begins a request and does not go on holds its connection for a limited time."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from pylon.web.uvicorn_server import BODY_SECONDS, HEAD_SECONDS, HttpProtocol

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"


class Transport:
    """A connection to nowhere."""

    def get_extra_info(self, name: str) -> None:
        return None

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        pass

    def close(self) -> None:
        pass

    pause_reading = resume_reading = close


async def _app(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.Event().wait()


@pytest.fixture
async def protocol() -> Any:
    config = uvicorn.Config(_app, loop="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    made = HttpProtocol(config, state, {})
    made.connection_made(Transport())  # type: ignore[arg-type]
    yield made
    for task in state.tasks:
        task.cancel()
    await asyncio.gather(*state.tasks, return_exceptions=True)


async def test_a_body_that_never_begins_is_half_open_after_its_time(protocol: HttpProtocol) -> None:
    protocol.data_received(HEAD)
    assert not protocol.is_half_open(time.monotonic() + BODY_SECONDS - 1)
    assert protocol.is_half_open(time.monotonic() + BODY_SECONDS + 1)


async def test_a_whole_request_may_take_as_long_as_its_answer_takes(protocol: HttpProtocol) -> None:
    protocol.data_received(HEAD + b"{}")
    assert not protocol.is_half_open(time.monotonic() + 1e6)


async def test_a_head_that_does_not_end_is_half_open_after_its_time(protocol: HttpProtocol) -> None:
    protocol.data_received(HEAD[:20])
    assert not protocol.is_half_open(time.monotonic() + HEAD_SECONDS - 1)
    assert protocol.is_half_open(time.monotonic() + HEAD_SECONDS + 1)
