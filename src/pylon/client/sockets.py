"""The seam to WebSockets: over the network with `websockets`, or into an ASGI app of the same process, for tests."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from pylon.client.errors import ApiError, ClientError, Closed, Unreachable, error_of

MAX_MESSAGE = 64 * 2**20
QUEUED_MESSAGES = 1024
_OPEN_SECONDS = 15.0


class Socket(Protocol):
    """An open WebSocket."""

    async def recv(self) -> str | bytes:
        """The next message. Raises Closed."""

    async def send(self, text: str) -> None:
        """Send a text message. Raises Closed."""


Dial = Callable[[str, Mapping[str, str]], AbstractAsyncContextManager[Socket]]
"""Opens a WebSocket at a URL with these headers. Raises Unreachable, and ApiError where the server declines."""


class _NetworkSocket:
    def __init__(self, connection: Any, closed: type[Exception]) -> None:
        self._connection = connection
        self._closed = closed

    async def recv(self) -> str | bytes:
        try:
            message: str | bytes = await self._connection.recv()
        except self._closed:
            raise self._end() from None
        return message

    async def send(self, text: str) -> None:
        try:
            await self._connection.send(text)
        except self._closed:
            raise self._end() from None

    def _end(self) -> Closed:
        return Closed(self._connection.close_code or 1006, self._connection.close_reason or "")


@asynccontextmanager
async def dial(url: str, sent: Mapping[str, str]) -> AsyncIterator[Socket]:
    """Over the network."""
    try:
        from websockets.asyncio.client import connect
        from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
    except ImportError:
        raise ClientError(
            "EXTRA_MISSING", "A live replica needs websockets.", hint="pip install 'pylon[client]'"
        ) from None
    opening = connect(
        url,
        additional_headers=dict(sent),
        max_size=MAX_MESSAGE,
        max_queue=QUEUED_MESSAGES,
        open_timeout=_OPEN_SECONDS,
        close_timeout=2,
        compression=None,
    )
    async with contextlib.AsyncExitStack() as stack:
        try:
            connection = await stack.enter_async_context(opening)
        except InvalidStatus as error:
            answer = error.response
            raise error_of(
                httpx.Response(
                    answer.status_code, headers=list(answer.headers.raw_items()), content=bytes(answer.body or b"")
                )
            ) from None
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise Unreachable(f"{urlsplit(url)._replace(query='').geturl()}: {error}") from error
        yield _NetworkSocket(connection, ConnectionClosed)


class _AsgiSocket:
    def __init__(self) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()  # to the app
        self.outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()  # from it
        self._end: Closed | None = None

    async def recv(self) -> str | bytes:
        if self._end is not None:
            raise self._end
        message = await self.outgoing.get()
        if message["type"] == "websocket.send":
            text: str | bytes | None = message.get("text")
            return message["bytes"] if text is None else text
        self._end = Closed(message.get("code", 1000), message.get("reason", ""))
        raise self._end

    async def send(self, text: str) -> None:
        if self._end is not None:
            raise self._end
        await self.incoming.put({"type": "websocket.receive", "text": text})


def asgi_dial(app: Any) -> Dial:
    """Into an ASGI app."""

    @asynccontextmanager
    async def open_socket(url: str, headers: Mapping[str, str]) -> AsyncIterator[Socket]:
        parts = urlsplit(url)
        socket = _AsgiSocket()
        socket.incoming.put_nowait({"type": "websocket.connect"})
        scope = {
            "type": "websocket",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "scheme": "ws",
            "path": parts.path,
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(k.lower().encode(), v.encode()) for k, v in {"host": parts.netloc, **headers}.items()],
            "client": ("127.0.0.1", 1),
            "server": (parts.hostname, parts.port or 80),
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }

        async def run() -> None:
            try:
                await app(scope, socket.incoming.get, socket.outgoing.put)
            finally:
                socket.outgoing.put_nowait({"type": "websocket.close", "code": 1006})

        task = asyncio.create_task(run())
        try:
            first = await socket.outgoing.get()
            if first["type"] == "websocket.http.response.start":
                body = (await socket.outgoing.get()).get("body", b"")
                raise error_of(httpx.Response(first["status"], headers=first["headers"], content=body))
            if first["type"] != "websocket.accept":
                raise ApiError("SOCKET_CLOSED", "The app declined the socket", status=503)
            yield socket
        finally:
            socket.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
            with contextlib.suppress(asyncio.TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(task, 2)

    return open_socket
