"""What `pylon dev` tells the browser: reload when the server was replaced, and what is wrong with a broken save."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import falcon.asgi
import msgspec

from pylon.web.request import Request, Resource

_POLL_SECONDS = 0.25
_INSTANCE = f"{os.getpid()}-{time.time_ns()}"
_NOTHING = b'{"errors":[]}'


class Diagnostics(Resource):
    """`/_pylon/dev/diagnostics`."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """What the supervisor wrote last."""
        resp.data = await asyncio.to_thread(read_diagnostics, self._path)


class Live(Resource):
    """`/_pylon/dev/live`: SSE; `hello` carries the server's instance, `diagnostics` what is broken."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The stream."""
        resp.content_type = "text/event-stream"
        resp.set_header("Cache-Control", "no-cache")
        resp.stream = self._until_nobody_listens(req)

    async def _until_nobody_listens(self, req: Request) -> AsyncIterator[bytes]:
        """The events until the browser leaves or the server stops; falcon itself would go on for ever."""
        ends = {asyncio.create_task(_disconnected(req)), asyncio.create_task(req.doors.stopping.wait())}
        try:
            async for event in self._events(ends):
                yield event
        finally:
            for end in ends:
                end.cancel()

    async def _events(self, ends: set[asyncio.Task[Any]]) -> AsyncIterator[bytes]:
        told = await asyncio.to_thread(read_diagnostics, self._path)
        page = _page(told)
        yield f"retry: 500\nevent: hello\ndata: {_INSTANCE}-{page}\n\n".encode()
        if told != _NOTHING:
            yield _diagnostics(told)
        while not any(end.done() for end in ends):
            now = await asyncio.to_thread(read_diagnostics, self._path)
            if _page(now) != page:
                page = _page(now)
                yield f"event: hello\ndata: {_INSTANCE}-{page}\n\n".encode()
            if now != told:
                told = now
                yield _diagnostics(now)
            await asyncio.wait(ends, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)


async def _disconnected(req: Request) -> None:
    while (await req._receive())["type"] != "http.disconnect":
        pass


def _diagnostics(content: bytes) -> bytes:
    return b"event: diagnostics\ndata: %b\n\n" % content.replace(b"\n", b" ")


def _page(content: bytes) -> int:
    """The number of the page's last change, which the supervisor counts up."""
    try:
        page = msgspec.json.decode(content).get("page", 0)
    except (msgspec.MsgspecError, AttributeError):
        return 0
    return page if isinstance(page, int) else 0


def read_diagnostics(path: Path) -> bytes:
    """The supervisor's file, or nothing wrong."""
    try:
        return path.read_bytes() or _NOTHING
    except OSError:
        return _NOTHING
