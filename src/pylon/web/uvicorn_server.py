"""uvicorn driven as a library. Every touch of its less public surface on the HTTP side is in this file, and
`tests/web/test_uvicorn_contract.py` holds what it relies on; uvicorn's minor version is pinned.

What it adds: one write for a response's head and body; signals are ours, not uvicorn's; a request's head has a size
and a time limit; and shutting down drains for at most a given time.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

MAX_HEAD_BYTES = 65_536
"""Request line and headers together; more is answered 431."""

HEAD_SECONDS = 15.0
"""Time for a client to send a whole request head; half-open connections end after it."""

BODY_SECONDS = 35.0
"""Time for the rest of a request. The app limits the reading of a body by itself; this ends a connection whose body
never begins, which the app doesn't hear of."""

BODY_STRIDE = 65_536
"""Bytes of a body that begin that time anew."""

KEEP_ALIVE_SECONDS = 75
LATE_REQUEST_SECONDS = 0.1
DRAIN_LOOK_SECONDS = 0.005


_line = b": ".join


class ResponseCycle(RequestResponseCycle):
    """One answer. A complete one, which is nearly all of them, leaves in a single write, with its head built once."""

    _start: Any = None

    async def send(self, message: Any) -> None:
        if not self.response_started and message["type"] == "http.response.start":
            self._start = message
            return
        start, self._start = self._start, None
        if start is not None:
            if (
                not message.get("more_body")
                and self.keep_alive
                and not self.flow.write_paused
                and (head := self._head(start, message.get("body", b""))) is not None
            ):
                self._send_whole(head, message.get("body", b""))
                return
            await super().send(start)
        await super().send(message)

    def _head(self, start: Any, body: bytes) -> bytes | None:
        """Status line and headers, or None for an answer that is not of the plain kind."""
        status = start["status"]
        if status < 200 or status in (204, 304) or self.scope["method"] == "HEAD":
            return None
        headers = [*self.default_headers, *start.get("headers", ())]
        if (b"content-length", b"%d" % len(body)) not in headers:
            return None
        lines = b"\r\n".join(map(_line, headers))
        if b"connection:" in lines or not lines.count(b"\r") == lines.count(b"\n") == len(headers) - 1:
            return None
        return b"%b%b\r\n\r\n" % (STATUS_LINE[status], lines)

    def _send_whole(self, head: bytes, body: bytes) -> None:
        if self.disconnected:
            return
        self.waiting_for_100_continue = False
        self.response_started = self.response_complete = True
        self.expected_content_length = 0
        self.transport.write(head + body)
        self.message_event.set()
        self.on_response()


class HttpProtocol(HttpToolsProtocol):
    """One HTTP connection with limits on the request's head."""

    head_bytes = 0
    head_since: float | None = None
    body_since: float | None = None
    body_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.head_since = time.monotonic()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.__class__ = ResponseCycle
        super()._start_asgi_task(cycle, app)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.head_bytes = 0
        self.head_since = time.monotonic()

    def on_headers_complete(self) -> None:
        self.head_since = None
        self.body_since = time.monotonic()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.body_bytes += len(body)
        if self.body_bytes >= BODY_STRIDE:  # a body that keeps coming may be as long as its reader likes
            self.body_bytes = 0
            self.body_since = time.monotonic()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self.body_since = None
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        if len(data) > MAX_HEAD_BYTES and self._expects_head() and b"\r\n\r\n" not in data[:MAX_HEAD_BYTES]:
            self.refuse(b"431 Request Header Fields Too Large")
            return
        super().data_received(data)
        if self.head_since is not None:
            self.head_bytes += len(data)
            if self.head_bytes > MAX_HEAD_BYTES:
                self.refuse(b"431 Request Header Fields Too Large")

    def _expects_head(self) -> bool:
        return self.head_since is not None or self.cycle is None or self.cycle.response_complete

    def is_half_open(self, now: float) -> bool:
        """Whether the peer has taken too long over a head or a body; `now` is monotonic."""
        head, body = self.head_since, self.body_since
        return (head is not None and head < now - HEAD_SECONDS) or (body is not None and body < now - BODY_SECONDS)

    def refuse(self, status: bytes) -> None:
        """Answer with a bare status and close."""
        self.head_since = None
        self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
        self.transport.close()

    def shutdown(self) -> None:
        """Stop after the running request. A connection whose first request is still on its way gets a moment to send
        it, so that a client that connected in time is answered."""
        if self.cycle is None and not self.transport.is_closing():
            self.loop.call_later(LATE_REQUEST_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            self.refuse(b"400 Bad Request")


class HttpServer(uvicorn.Server):
    """The HTTP server of one process. Run it with `run_until`; nothing here listens to signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Signals belong to `pylon.server`."""
        yield

    async def on_tick(self, counter: int) -> bool:
        """uvicorn's own housekeeping, ten times a second, and once a second a look for half-open requests."""
        if counter % 10 == 5:
            self._drop_half_open(time.monotonic())
        return await super().on_tick(counter)

    def _drop_half_open(self, now: float) -> None:
        for connection in list(self.server_state.connections):
            if isinstance(connection, HttpProtocol) and connection.is_half_open(now):
                connection.transport.close()

    async def run_until(
        self, stop: asyncio.Event, sockets: Sequence[socket.socket], on_started: Callable[[], None]
    ) -> None:
        """Serve on these sockets until `stop` is set, then drain."""
        self.lifespan = self.config.lifespan_class(self.config)
        await self.startup(sockets=list(sockets))
        on_started()
        ticking = asyncio.create_task(self.main_loop())
        await stop.wait()
        ticking.cancel()
        await self.shutdown(sockets=list(sockets))

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, let those that there are finish, for at most the time to drain, and end the rest.
        uvicorn's own looks ten times a second, and a client that waits for the next server would wait for that."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        until = time.monotonic() + (self.config.timeout_graceful_shutdown or 0)
        # Two sets of uvicorn's, which tell nobody when they are empty.
        while (self.server_state.connections or self.server_state.tasks) and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(DRAIN_LOOK_SECONDS)
        for task in self.server_state.tasks:
            task.cancel(msg="the time to drain is over")


def http_server(app: Any, socket_protocol: type[asyncio.Protocol], *, drain_seconds: float) -> HttpServer:
    """A server of this ASGI app whose WebSocket upgrades go to `socket_protocol`."""
    config = uvicorn.Config(
        app,
        http=HttpProtocol,
        ws=socket_protocol,
        loop="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # else it believes X-Forwarded-For of any local peer, whatever PYLON_TRUST_PROXY_HOPS says
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=drain_seconds,  # type: ignore[arg-type]
        backlog=4096,
    )
    config.load()
    return HttpServer(config)
