"""What a room and its members are; what happens to them is in `rooms`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import msgspec

from pylon.sync import room_frames
from pylon.sync.events import Event, Frames


class Socket(Protocol):
    """A connection that may be subscribed."""

    id: int

    def deliver(self, frames: Frames) -> None:
        """Send what a turn brought."""


@dataclass(frozen=True, slots=True)
class RoomLimits:
    """How many rooms there may be, and how large. Sizes are in bytes of UTF-8; data and messages are measured as JSON.
    `idle` is in seconds."""

    rooms: int = 10_000
    members: int = 1000
    rooms_per_user: int = 100
    name: int = 256
    data: int = 16_384
    idle: float = 120.0


DEFAULT_LIMITS = RoomLimits()


class Statistics(msgspec.Struct):
    """What rooms have done. `idle` are members that left because they showed no life, `refused` what a limit refused,
    `deliveries` turns' worth of frames handed to sockets."""

    members: int = 0
    subscriptions: int = 0
    messages: int = 0
    deliveries: int = 0
    idle: int = 0
    refused: int = 0


class Member:
    """One user in one room. `sessions` are those he came by, `sockets` what follows the room for him, each by which
    session; `active_at` is his last sign of life on a clock that nobody sets, `data` what the others see of him."""

    __slots__ = ("active_at", "data", "is_leaving", "joined_at", "room", "sessions", "sockets", "user")

    def __init__(self, room: Room, user: str) -> None:
        self.room = room
        self.user = user
        self.data: msgspec.Raw | None = None
        self.joined_at = 0
        self.active_at = 0.0
        self.sessions: dict[bytes, None] = {}
        self.sockets: dict[Socket, bytes | None] = {}
        self.is_leaving = False

    @property
    def size(self) -> int:
        """Bytes of his data."""
        return 0 if self.data is None else len(memoryview(self.data))

    def peer(self) -> room_frames.Peer:
        """He as others see him."""
        return room_frames.Peer(self.user, room_frames.NULL if self.data is None else self.data, f"{self.joined_at}Z")


class Room:
    """Its members by user, and the frames of this turn."""

    __slots__ = ("data_bytes", "members", "name", "pending")

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: dict[str, Member] = {}
        self.data_bytes = 0
        self.pending: list[Event] = []
