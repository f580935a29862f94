"""What `pylon.web.uvicorn_server` and the socket protocol rely on in uvicorn; its minor version is pinned for this."""

from __future__ import annotations

import asyncio
import inspect

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import Server, ServerState

from pylon.web.uvicorn_server import HttpProtocol, HttpServer, _JoinedWrites


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
        "handle_websocket_upgrade",
        "send_400_response",
        "shutdown",
    ):
        assert name in vars(HttpToolsProtocol), name
    assert issubclass(HttpProtocol, HttpToolsProtocol)
    source = inspect.getsource(HttpToolsProtocol)
    assert "transport=self.transport" in source
    assert "protocol.connection_made(self.transport)" in source


def test_a_head_and_a_body_are_two_writes_in_uvicorn_and_one_in_ours() -> None:
    assert inspect.getsource(RequestResponseCycle.send).count("self.transport.write(") >= 3

    class Transport:
        def __init__(self) -> None:
            self.written: list[bytes] = []

        def write(self, data: bytes) -> None:
            self.written.append(data)

        def close(self) -> None:
            self.written.append(b"closed")

    async def run() -> list[bytes]:
        transport = Transport()
        joined = _JoinedWrites(transport, asyncio.get_running_loop())  # type: ignore[arg-type]
        joined.write(b"HTTP/1.1 200 OK\r\n\r\n")
        joined.write(b"body")
        joined.write(b"more")
        joined.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        await asyncio.sleep(0)
        joined.write(b"HTTP/1.1 500\r\n\r\n")
        joined.close()
        return transport.written

    assert asyncio.run(run()) == [
        b"HTTP/1.1 200 OK\r\n\r\nbody",
        b"more",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 500\r\n\r\n",
        b"closed",
    ]
