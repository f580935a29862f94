"""What a socket brought and nobody has looked at yet: bounded, so that a reader that is behind holds the socket up."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

import msgspec

from pylon.client.errors import Closed
from pylon.client.sockets import Socket

LIMIT = 10_000
"""Messages that wait: while a snapshot is fetched they pile up here."""

Message = dict[str, Any]


class Inbox:
    """The messages of one socket, taken by as many as there are."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._messages: deque[Message] = deque()
        self._news = asyncio.Event()
        self._space = asyncio.Event()
        self._end: Closed | None = None

    async def run(self) -> None:
        """Read until the socket ends."""
        try:
            while True:
                message = await self._socket.recv()
                if (decoded := _decoded(message)) is not None:
                    self._messages.append(decoded)
                    self._news.set()
                while len(self._messages) >= LIMIT:
                    self._space.clear()
                    await self._space.wait()
        except Closed as end:
            self._end = end
            self._news.set()

    async def take(self) -> list[Message]:
        """All that wait, at least one. Raises Closed behind the last."""
        while not self._messages:
            if self._end is not None:
                raise self._end
            await self._news.wait()
            self._news.clear()
        return self.waiting()

    def waiting(self) -> list[Message]:
        """All that wait, if any do."""
        taken = list(self._messages)
        self._messages.clear()
        self._space.set()
        return taken


def _decoded(message: str | bytes) -> Message | None:
    """A text message that is an object; documents travel in binary ones, which are for others."""
    if isinstance(message, bytes):
        return None
    try:
        decoded = msgspec.json.decode(message)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return decoded if isinstance(decoded, dict) else None
