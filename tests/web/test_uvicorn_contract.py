"""What `pylon.web.uvicorn_server` and the socket protocol rely on in uvicorn; its minor version is pinned for this."""

from __future__ import annotations

import asyncio
import inspect
import logging
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState

from pylon.web.uvicorn_server import HttpProtocol, HttpServer, ResponseCycle


def test_the_version_is_the_pinned_one() -> None:
    assert uvicorn.__version__.startswith("0.54.")


def test_the_server_has_the_steps_that_we_run_ourselves() -> None:
    for name in ("startup", "main_loop", "on_tick", "shutdown", "capture_signals"):
        assert callable(getattr(Server, name))
    assert {"connections", "tasks", "default_headers"} <= set(vars(ServerState()))
    assert issubclass(HttpServer, Server)


def test_the_protocol_has_the_hooks_that_we_override() -> None:
    for name in (
        "connection_made",
        "data_received",
        "on_message_begin",
        "on_headers_complete",
        "_start_asgi_task",
        "send_400_response",
        "shutdown",
    ):
        assert name in vars(HttpToolsProtocol), name
    assert issubclass(HttpProtocol, HttpToolsProtocol)
    source = inspect.getsource(HttpToolsProtocol)
    assert "transport=self.transport" in source
    assert "protocol.connection_made(self.transport)" in source


class Connection:
    """What a cycle needs of its connection."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.write_paused = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.written.append(b"closed")


def answered(
    status: int, headers: list[tuple[bytes, bytes]], *bodies: bytes, method: str = "GET", keep_alive: bool = True
) -> tuple[list[bytes], ResponseCycle]:
    async def run() -> tuple[list[bytes], ResponseCycle]:
        connection = Connection()
        cycle = RequestResponseCycle(
            scope={"method": method},  # type: ignore[typeddict-item]
            transport=connection,  # type: ignore[arg-type]
            flow=connection,  # type: ignore[arg-type]
            logger=logging.getLogger("test"),
            access_logger=logging.getLogger("test"),
            access_log=False,
            default_headers=[(b"date", b"now")],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=keep_alive,
            on_response=lambda: connection.write(b"done"),
        )
        cycle.__class__ = ResponseCycle
        assert isinstance(cycle, ResponseCycle)
        await cycle.send({"type": "http.response.start", "status": status, "headers": headers})
        for i, body in enumerate(bodies):
            await cycle.send({"type": "http.response.body", "body": body, "more_body": i < len(bodies) - 1})
        return connection.written, cycle

    return asyncio.run(run())


def test_a_whole_answer_leaves_in_one_write() -> None:
    written, cycle = answered(200, [(b"content-length", b"4"), (b"x-a", b"1")], b"body")
    assert written == [b"HTTP/1.1 200 OK\r\ndate: now\r\ncontent-length: 4\r\nx-a: 1\r\n\r\nbody", b"done"]
    assert cycle.response_complete


@pytest.mark.parametrize(
    ("status", "headers", "bodies", "options"),
    [
        (200, [], (b"a", b"b"), {}),
        (200, [(b"content-length", b"4")], (b"body",), {"method": "HEAD"}),
        (304, [], (b"",), {}),
        (200, [(b"content-length", b"4"), (b"connection", b"close")], (b"body",), {}),
        (200, [(b"content-length", b"4")], (b"body",), {"keep_alive": False}),
    ],
)
def test_every_other_answer_is_left_to_uvicorn(
    status: int, headers: list[tuple[bytes, bytes]], bodies: tuple[bytes, ...], options: dict[str, Any]
) -> None:
    written, cycle = answered(status, headers, *bodies, **options)
    assert written[0].endswith(b"\r\n\r\n")
    assert cycle.response_complete


def test_a_header_that_would_split_the_answer_is_refused() -> None:
    with pytest.raises(RuntimeError, match="Invalid HTTP header value"):
        answered(200, [(b"content-length", b"4"), (b"x-a", b"1\r\nx-evil: 1")], b"body")
