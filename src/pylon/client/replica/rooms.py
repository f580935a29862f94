"""Rooms on the replica's socket: who is there, and what is said (docs/guide/rooms.md)."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any

import msgspec

from pylon.client.errors import ApiError, ClientError
from pylon.client.http import Http
from pylon.client.replica.inbox import Message
from pylon.client.replica.link import Link

log = logging.getLogger("pylon.client")

EVENTS = 1000
"""Events kept for a caller that is busy; then the oldest go, and `dropped` counts them. `members` is always right."""


OUT = ("REMOVED_FROM_ROOM", "POLICY_DENIED")
"""Why the server sends somebody out."""


class RoomEvent(msgspec.Struct, frozen=True):
    """What happened. `kind` is `join`, `leave`, `presence`, `snapshot`, a message's topic name as `topic`, or `removed`
    when the app sent us out, which `Room.error` explains; `user` is the server's word, None for the app itself."""

    kind: str
    user: str | None = None
    topic: str | None = None
    data: Any = None


class Room:
    """`async with replica.room("doc:42", {"color": "red"}) as room:`. It is joined again after each reconnect."""

    def __init__(self, http: Http, link: Link, name: str, data: Any, forget: Callable[[Room], None]) -> None:
        self._http = http
        self._link = link
        self._forget = forget
        self._data = data
        self._events: deque[RoomEvent] = deque()
        self._news = asyncio.Event()
        self._closed = False
        self._entered = asyncio.Event()
        self._entering: asyncio.Task[None] | None = None
        self.name = name
        self.members: dict[str, Any] = {}
        self.error: ClientError | None = None
        self.dropped = 0
        self._is_out = False

    async def __aenter__(self) -> Room:
        self.enter()
        await self._entered.wait()
        if self.error is not None:
            await self.leave()
            raise self.error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.leave()

    async def presence(self, data: Any) -> None:
        """Set what the others see of us."""
        self._data = data
        await self._say({"type": "presence", "room": self.name, "event": "update", "data": data})

    async def send(self, topic: str, data: Any = None) -> None:
        """Tell all who are here, ourselves too."""
        await self._say({"type": "topic", "room": self.name, "topic": topic, "data": data})

    async def leave(self) -> None:
        """Go, and end the iteration of events."""
        if self._closed:
            return
        self._closed = True
        self._forget(self)
        self._news.set()
        if self._entering is not None:
            self._entering.cancel()
        try:
            await self._http.call("POST", "/api/rooms/leave", {"room": self.name})
        except ClientError as error:
            log.info("leaving %s: %s", self.name, error)

    async def __aiter__(self) -> AsyncIterator[RoomEvent]:
        while True:
            while self._events:
                yield self._events.popleft()
            if self._closed:
                return
            self._news.clear()
            await self._news.wait()

    # -- for the replica -----------------------------------------------------------------------------------------

    def enter(self) -> None:
        """There is a socket: join, and follow."""
        if self._link.socket is not None and not self._closed and not self._is_out:
            if self._entering is not None:
                self._entering.cancel()
            self._entering = asyncio.create_task(self._enter())

    async def _enter(self) -> None:
        try:
            await self._http.call(
                "POST", "/api/rooms/join", {"room": self.name, "data": self._data}, is_repeatable=True
            )
            await self._say({"type": "room-subscribe", "room": self.name})
        except ClientError as error:  # without a connection the next one brings another try
            if isinstance(error, ApiError):
                self.error = error
                self._entered.set()

    async def _say(self, frame: Message) -> None:
        if self._link.socket is None:
            raise ClientError("SOCKET_CLOSED", "There is no connection at the moment.", status=503)
        await self._link.socket.send(msgspec.json.encode(frame).decode())

    def heard(self, message: Message) -> None:
        """A frame about this room."""
        kind = message.get("type")
        if kind == "room-snapshot":
            self.members = {m["user_id"]: m.get("data") for m in message["members"]}
            self.error = None
            self._entered.set()
            self._add(RoomEvent("snapshot", data=dict(self.members)))
        elif kind == "room-update":
            self._updated(message["action"], message["member"], message.get("data"))
        elif kind == "presence":
            if message.get("event") == "update":
                self.members[message["from"]] = message.get("data")
                self._add(RoomEvent("presence", message["from"], None, message.get("data")))
            else:
                self._add(RoomEvent("presence", message["from"], message.get("event"), message.get("data")))
        elif kind == "topic":
            self._add(RoomEvent("topic", message["from"], message.get("topic"), message.get("data")))
        elif kind == "error":
            code = message["code"]
            self.error = ApiError(code, f"room {self.name}")
            self._entered.set()
            if code in OUT:  # the app may let us in again after a reconnect, unless it named us
                self._is_out = code == "REMOVED_FROM_ROOM"
                self.members = {}
                self._add(RoomEvent("removed"))

    def _updated(self, action: str, member: dict[str, Any], data: Any) -> None:
        user: str = member["user_id"]
        if action == "join":
            self.members[user] = member.get("data")
            self._add(RoomEvent("join", user, None, member.get("data")))
        elif action == "leave":
            self.members.pop(user, None)
            self._add(RoomEvent("leave", user))
            is_out = self.error is not None and self.error.code in OUT
            if user == self._link.user and not is_out:  # another program of ours left, for all of us
                self.enter()
        elif action == "presence":
            self.members[user] = data
            self._add(RoomEvent("presence", user, None, data))
        elif action == "broadcast":
            self._add(RoomEvent("topic", user, data["topic"], data["payload"]))

    def _add(self, event: RoomEvent) -> None:
        if len(self._events) >= EVENTS:
            self._events.popleft()
            self.dropped += 1
        self._events.append(event)
        self._news.set()
