"""`ctx.rooms`: what the app's own code sees of rooms and does in them (docs/guide/rooms.md).

Seeing is at once, on any thread. Doing is at once in an action; what a mutation does is kept until its commit, and none
of it happens when that is undone. Nothing is answered: whoever isn't there hears nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from pylon.model.errors import PylonError

ACTS = 1000
"""What one call may do in rooms."""

Perform = Callable[[Callable[[], None]], None]
"""Takes what is to happen on the event loop, when it may happen."""


class RoomMember(msgspec.Struct, frozen=True):
    """Somebody in a room; `data` is what he shows the others, None without any."""

    user_id: str
    data: Any
    joined_at: datetime


class RoomDoor(Protocol):
    """The rooms of the server. `members`, `of` and what checks may be called on any thread, all else on the loop."""

    def members(self, room: str) -> list[tuple[str, bytes, int]]:
        """(user, data as JSON, Unix seconds of joining) of everybody in a room."""

    def of(self, user: str) -> list[tuple[str, int]]:
        """The rooms that a user is in, each with its number of members."""

    def check_topic(self, topic: str) -> None:
        """Raises INVALID_DATA."""

    def checked(self, data: Any) -> msgspec.Raw:
        """Data as JSON. Raises PAYLOAD_TOO_LARGE, INVALID_JSON, INVALID_DATA."""

    def say(self, room: str, topic: str, payload: msgspec.Raw) -> None:
        """Send a message to all who follow a room."""

    def show(self, room: str, user: str, data: msgspec.Raw) -> None:
        """Set a member's data. Raises ROOM_LIMIT_REACHED."""

    def remove(self, room: str, user: str) -> None:
        """Send a member out."""


class NoRooms:
    """Where there are none: nobody is in any, and nobody hears anything."""

    def members(self, room: str) -> list[tuple[str, bytes, int]]:
        """Nobody."""
        return []

    def of(self, user: str) -> list[tuple[str, int]]:
        """None."""
        return []

    def check_topic(self, topic: str) -> None:
        """Any."""

    def checked(self, data: Any) -> msgspec.Raw:
        """As JSON."""
        return msgspec.Raw(msgspec.json.encode(data))

    def say(self, room: str, topic: str, payload: msgspec.Raw) -> None:
        """To nobody."""

    def show(self, room: str, user: str, data: msgspec.Raw) -> None:
        """To nobody."""

    def remove(self, room: str, user: str) -> None:
        """Nobody."""


class FunctionRooms:
    """The rooms of the server, for one call."""

    __slots__ = ("_acts", "_door", "_perform", "_plain")

    def __init__(self, door: RoomDoor, plain: Callable[[Any], Any], perform: Perform) -> None:
        self._door = door
        self._plain = plain
        self._perform = perform
        self._acts = 0

    def members(self, room: str) -> list[RoomMember]:
        """Who is in a room now, in the order of their coming; nobody for a room that isn't there."""
        return [
            RoomMember(user, msgspec.json.decode(data), datetime.fromtimestamp(joined, UTC))
            for user, data, joined in self._door.members(room)
        ]

    def of(self, user: str) -> list[str]:
        """The names of the rooms that a user is in now."""
        return [name for name, _ in self._door.of(user)]

    def broadcast(self, room: str, topic: str, data: Any = None) -> None:
        """A message to all who follow the room, from the server: no user sent it. Raises INVALID_DATA,
        PAYLOAD_TOO_LARGE, ROOM_LIMIT_REACHED."""
        self._door.check_topic(topic)
        payload = self._door.checked(self._plain(data))
        self._act(lambda: self._door.say(room, topic, payload))

    def presence(self, room: str, user: str, data: Any) -> None:
        """Set what the others see of a member; a no-op for somebody who isn't in. Raises as `broadcast`."""
        shown = self._door.checked(self._plain(data))
        self._act(lambda: self._door.show(room, user, shown))

    def kick(self, room: str, user: str) -> None:
        """Send a member out, with all his sockets; a no-op for somebody who isn't in. He may join again as far as the
        app's rule for the room lets him. Raises ROOM_LIMIT_REACHED."""
        self._act(lambda: self._door.remove(room, user))

    def _act(self, act: Callable[[], None]) -> None:
        self._acts += 1
        if self._acts > ACTS:
            raise PylonError("ROOM_LIMIT_REACHED", f"A call does at most {ACTS} things in rooms")
        self._perform(act)
