"""Live function queries on the replica's socket: a query's result now, and again when what it read has changed."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

import msgspec

from pylon.client.errors import ApiError, Closed
from pylon.client.replica.inbox import Message
from pylon.client.replica.link import Link
from pylon.client.shapes import load

T = TypeVar("T")


class LiveCall(Generic[T]):
    """`async for notes in replica.live_call("by_tag", list[Note], tag="x")`. Results that come while the caller is busy
    are replaced by the newest. It goes on after a reconnect; an error of the function ends it."""

    def __init__(
        self, link: Link, name: str, arguments: dict[str, Any], into: Any, forget: Callable[[LiveCall[Any]], None]
    ) -> None:
        self._link = link
        self._name = name
        self._arguments = arguments
        self._into = into
        self._forget = forget
        self._news = asyncio.Event()
        self._outcome: Message | None = None
        self._closed = False
        self._asking: asyncio.Task[None] | None = None
        self.sub_id = secrets.token_hex(8)
        self.ask()

    async def __aiter__(self) -> AsyncIterator[T]:
        try:
            while not self._closed:
                await self._news.wait()
                self._news.clear()
                outcome, self._outcome = self._outcome, None
                if outcome is None:
                    continue
                if outcome["type"] == "reactive-error":
                    raise ApiError(outcome["code"], outcome["message"])
                yield load(self._into, outcome["result"])
        finally:
            self.close()

    def close(self) -> None:
        """End."""
        if self._closed:
            return
        self._closed = True
        self._news.set()
        self._forget(self)
        self._say({"type": "reactive-unsubscribe", "sub_id": self.sub_id})

    # -- for the replica -----------------------------------------------------------------------------------------

    def ask(self) -> None:
        """There is a socket: subscribe."""
        asked = {"type": "reactive-subscribe", "sub_id": self.sub_id, "fn_name": self._name, "args": self._arguments}
        self._say(asked)

    def heard(self, message: Message) -> None:
        """A result, or why there is none."""
        self._outcome = message
        self._news.set()

    def _say(self, frame: Message) -> None:
        socket = self._link.socket
        if socket is None:
            return

        async def send() -> None:
            try:
                await socket.send(msgspec.json.encode(frame).decode())
            except Closed:  # the next connection asks again
                return

        self._asking = asyncio.create_task(send())
