"""Rooms as the app's own code reaches them, by `ctx.rooms` (`pylon.compute.rooms`)."""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.sync.room_data import check_name, encoded
from pylon.sync.rooms import Rooms

log = Log("pylon.sync")


class RoomDesk:
    """The rooms of one process, for its functions."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def members(self, room: str) -> list[tuple[str, bytes, int]]:
        """(user, data as JSON, Unix seconds of joining) of everybody in a room."""
        return self._rooms.look(room)

    def of(self, user: str) -> list[tuple[str, int]]:
        """The rooms that a user is in, each with its number of members."""
        return self._rooms.of(user)

    def check_topic(self, topic: str) -> None:
        """Raises INVALID_DATA."""
        if not isinstance(topic, str) or not topic:
            raise PylonError("INVALID_DATA", "topic is a string that isn't empty")
        check_name(self._rooms.limits, topic, "topic")

    def checked(self, data: Any) -> msgspec.Raw:
        """Data as JSON. Raises PAYLOAD_TOO_LARGE, INVALID_JSON, INVALID_DATA."""
        try:
            return encoded(self._rooms.limits, data)
        except (TypeError, ValueError) as error:
            raise PylonError("INVALID_DATA", f"the data is not JSON: {error}"[:300]) from None

    def say(self, room: str, topic: str, payload: msgspec.Raw) -> None:
        """Send a message to all who follow a room."""
        self._rooms.say(room, topic, payload)

    def show(self, room: str, user: str, data: msgspec.Raw) -> None:
        """Set a member's data; what a full room doesn't take is logged, since nobody waits for an answer."""
        try:
            self._rooms.show(room, user, data)
        except PylonError as error:
            log.warning("a function's presence was not taken", code=error.code, room=room[:100])

    def remove(self, room: str, user: str) -> None:
        """Send a member out."""
        self._rooms.remove(room, user, "REMOVED_FROM_ROOM")
