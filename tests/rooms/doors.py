"""Somebody at the doors of rooms: requests and a socket, to a server in the same process."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx

from pylon.client.sockets import Closed, Socket, asgi_dial
from pylon.server import Server
from pylon.testing.waiting import comes_true


class Visitor:
    """One session, over HTTP and on one socket. `heard` is every frame but changes of rows."""

    def __init__(self, server: Server, token: str, socket: Socket) -> None:
        self.token = token
        self.heard: list[dict[str, Any]] = []
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(server.app), base_url="http://test")
        self._socket = socket
        self._listening = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        with contextlib.suppress(Closed):
            while True:
                message = await self._socket.recv()
                if isinstance(message, str) and "seq" not in (frame := json.loads(message)):
                    self.heard.append(frame)

    async def post(self, what: str, room: str, **body: Any) -> tuple[int, Any]:
        """`what` is join, leave, presence or broadcast; (status, answer or error code)."""
        answer = await self._http.post(
            f"/api/rooms/{what}", json={"room": room, **body}, headers={"Authorization": f"Bearer {self.token}"}
        )
        found = answer.json()
        return answer.status_code, found["error"]["code"] if "error" in found else found

    async def get(self, path: str = "") -> Any:
        """The list of rooms, or one of them."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return (await self._http.get(f"/api/rooms{path}", headers=headers)).json()

    async def say(self, kind: str, room: str, **more: Any) -> None:
        """A message on the socket."""
        await self._socket.send(json.dumps({"type": kind, "room": room, **more}))

    async def hears(self, kind: str, **parts: Any) -> dict[str, Any]:
        """Wait for a frame of this type with these parts, and forget what was heard up to it."""

        def found() -> list[int]:
            return [i for i, frame in enumerate(self.heard) if frame["type"] == kind and parts.items() <= frame.items()]

        await comes_true(lambda: bool(found()))
        at = found()[0]
        frame = self.heard[at]
        del self.heard[: at + 1]
        return frame

    async def enter(self, room: str) -> None:
        """Join, and follow."""
        assert (await self.post("join", room))[0] == 200
        await self.say("room-subscribe", room)
        await self.hears("room-snapshot", room=room)

    async def close(self) -> None:
        self._listening.cancel()
        await self._http.aclose()


@contextlib.asynccontextmanager
async def visiting(server: Server, token: str) -> AsyncIterator[Visitor]:
    """A visitor by this token."""
    dial = asgi_dial(server.app)
    async with dial("ws://test/api/sync/ws", {"Authorization": f"Bearer {token}"}) as socket:
        visitor = Visitor(server, token, socket)
        try:
            yield visitor
        finally:
            await visitor.close()
