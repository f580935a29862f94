"""A client in rooms: it joins, says things and leaves, and knows by the frames it is sent who else is there (spec 02
§11)."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import msgspec

from tests.simulation.client import Client
from tests.simulation.network import Lost, Row
from tests.simulation.world import World

ROOMS = ("hall", "den")


class Guest:
    """One client's rooms. `views` has, of each room that this connection is subscribed to, the data of its members."""

    def __init__(self, world: World, client: Client) -> None:
        self.views: dict[str, dict[str, Any]] = {}
        self._wanted: set[str] = set()
        self._asked: dict[str, float] = {}
        self._world = world
        self.client = client
        self._serial = itertools.count(1)

    # -- what the connection brings ------------------------------------------------------------------------------

    def connected(self) -> None:
        """Rooms end with the connection: join some of them again."""
        self._wanted = {room for room in sorted(self._wanted) if self._world.happens(0.6)}
        self.views.clear()
        self._asked.clear()

    def applied(self, event: Row) -> None:
        """Changes of rows."""

    def binary(self, payload: bytes) -> None:
        """Documents."""

    def heard(self, message: Row) -> None:
        """A frame of a room."""
        room = message.get("room")
        if room is None:
            return
        if message["type"] == "room-snapshot":
            self.views[room] = {member["user_id"]: member["data"] for member in message["members"]}
            return
        if message["type"] == "error":
            self._asked.pop(room, None)
            return
        view = self.views.get(room)
        assert view is not None, f"{self.client.name} is not in {room}, and hears {message}"
        if message["type"] == "room-update":
            self._updated(room, view, message)
        elif message["type"] == "presence" and message["event"] == "update":
            view[message["from"]] = message["data"]
        assert self.client.user in view or message.get("action") == "leave", f"{message} to who is not in {room}"

    def _updated(self, room: str, view: dict[str, Any], message: Row) -> None:
        user = message["member"]["user_id"]
        if message["action"] == "join":
            view[user] = message["member"].get("data")
        elif message["action"] == "presence":
            view[user] = message["data"]
        elif message["action"] == "leave":
            del view[user]
            if user == self.client.user:  # here, or on another device
                del self.views[room]
                self._wanted.discard(room)

    # -- what the client does ------------------------------------------------------------------------------------

    async def roam(self) -> None:
        """Be in rooms, until told to stop; then only stay where it is."""
        chance = self._world.chance
        while True:
            await asyncio.sleep(self._world.between(0.05, 0.5))
            client = self.client
            if client.is_live_since is None or client.token is None:
                continue
            try:
                for room in sorted(self._wanted - self.views.keys()):
                    await self._enter(room)
                if client.is_writing:
                    await self._act(chance.choice(ROOMS))
            except Lost:
                continue

    async def _enter(self, room: str) -> None:
        asked_at = self._asked.get(room)
        if asked_at is not None and self._world.time() - asked_at < 2.0:
            return
        if await self._post("join", {"room": room, "data": self._said()}):
            self._asked[room] = self._world.time()
            self.client.say({"type": "room-subscribe", "room": room})

    async def _act(self, room: str) -> None:
        roll = self._world.chance.random()
        if room not in self._wanted:
            if roll < 0.5:
                self._wanted.add(room)
        elif roll < 0.1:
            self._wanted.discard(room)
            await self._post("leave", {"room": room})
        elif roll < 0.4:
            await self._post("presence", {"room": room, "data": self._said()})
        elif roll < 0.7:
            self.client.say({"type": "presence", "room": room, "event": "update", "data": self._said()})
        else:
            self.client.say({"type": "topic", "room": room, "topic": "chat", "data": self._said()})

    def _said(self) -> str:
        return f"{self.client.name}-{next(self._serial)}"

    async def _post(self, what: str, body: Row) -> bool:
        status, _ = await self.client.link.request(
            "POST", f"/api/rooms/{what}", msgspec.json.encode(body), token=self.client.token
        )
        return status == 200

    # -- what holds in the end -----------------------------------------------------------------------------------

    async def wrong(self) -> str | None:
        """What is not as it must be after quiet, None when all is."""
        if self._wanted - self.views.keys():
            return f"{self.client.name} does not come into {self._wanted - self.views.keys()}"
        for room, view in self.views.items():
            answer = await self.client.link.host.ask("GET", f"/api/rooms/{room}")
            there = {member["user_id"]: member["data"] for member in answer["members"]}
            if there != view:
                return f"{self.client.name} sees {view} in {room}, where {there} are"
        return None
