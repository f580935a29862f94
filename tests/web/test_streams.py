"""Streams beside the ordinary answers: their headers, and that they end with their listener and with the server."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pylon.testing.process import ServerProcess
from pylon.web.dev import Live
from tests.web.exchange import request

ORIGIN = "https://app.example.com"


def head_of(server: ServerProcess, path: str, origin: str) -> str:
    """The response head of a stream that doesn't end."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\n\r\n".encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(4096)
    return received.split(b"\r\n\r\n")[0].decode().lower()


def test_the_event_stream_may_be_read_by_trusted_origins_only(production: ServerProcess) -> None:
    trusted = head_of(production, "/api/sync/events", ORIGIN)
    assert f"access-control-allow-origin: {ORIGIN}" in trusted
    assert "access-control-allow-credentials: true" in trusted
    assert "access-control-allow-origin" not in head_of(production, "/api/sync/events", "https://evil.example")


def test_the_event_stream_has_the_headers_of_every_answer(server: ServerProcess) -> None:
    head = head_of(server, "/api/sync/events", ORIGIN)
    for header in ("content-type: text/event-stream", "x-frame-options: deny", "x-request-id: "):
        assert head.count(header) == 1
    assert "cache-control: no-cache" in head


def test_a_preflight_has_the_headers_of_every_answer(server: ServerProcess) -> None:
    answer = request(server, "OPTIONS", "/api/entities/Post", headers={"X-Request-Id": "abc-1"})
    assert (answer.headers["x-request-id"], answer.headers["cache-control"]) == ("abc-1", "no-store")


class Browser:
    """A listener to the dev stream: leaves when told to."""

    def __init__(self) -> None:
        self.left = asyncio.Event()
        self.doors = SimpleNamespace(stopping=asyncio.Event())

    async def _receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}


@pytest.mark.parametrize("end", ["left", "stopping"])
async def test_the_dev_stream_ends_with_its_browser_and_with_the_server(tmp_path: Path, end: str) -> None:
    browser, answer = Browser(), SimpleNamespace(set_header=lambda *header: None)
    await Live(tmp_path / "none.json").on_get(browser, answer)  # type: ignore[arg-type]
    assert b"event: hello" in await anext(answer.stream)
    (browser.left if end == "left" else browser.doors.stopping).set()
    assert [event async for event in answer.stream] == []
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
