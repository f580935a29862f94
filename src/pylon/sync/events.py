"""What travels to live connections: change events, framed once for everybody, and notices about the connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from pylon.sync.frames import BINARY, frame

Key = tuple[str, str]
"""Entity and row of an event that a newer one of the same row may replace."""


class Subscriber(Protocol):
    """A socket or stream."""

    def deliver(self, frames: Frames) -> None:
        """Send what this turn brought. Never raises, never blocks."""

    def end(self, code: int, reason: str) -> None:
        """Close, and deliver nothing more: the client catches up by its cursor."""


class Event:
    """One event's JSON, framed once. `key` is set where the entity is throttled."""

    __slots__ = ("_frame", "json", "key", "seq")

    def __init__(self, json: bytes, seq: int = 0, key: Key | None = None) -> None:
        self.json = json
        self.seq = seq
        self.key = key
        self._frame: bytes | None = None

    def frame(self) -> bytes:
        """The WebSocket text frame."""
        if self._frame is None:
            self._frame = frame(self.json)
        return self._frame

    def message(self) -> str | bytes:
        """The JSON text."""
        return self.json.decode()


class BinaryEvent(Event):
    """A binary message among the events of a turn, for sockets only; `json` is its payload."""

    __slots__ = ()

    def frame(self) -> bytes:
        """The WebSocket binary frame."""
        if self._frame is None:
            self._frame = frame(self.json, BINARY)
        return self._frame

    def message(self) -> str | bytes:
        """The payload."""
        return self.json


class Frames:
    """The events of one turn for those who see the same, in the form each kind of connection sends. `websocket` are
    text frames, ready to write: a plain attribute, since it is read for each socket."""

    __slots__ = ("_sse", "events", "number", "websocket")

    def __init__(self, events: list[Event], *, sse: bytes | None = None) -> None:
        self.number = len(events)
        self.websocket = b"".join([event.frame() for event in events])
        self.events = events
        self._sse = sse

    @property
    def messages(self) -> list[str | bytes]:
        """The events one by one, as JSON text; bytes where they are binary."""
        return [event.message() for event in self.events]

    @property
    def sse(self) -> bytes:
        """`data:` lines, ready to write."""
        if self._sse is None:
            self._sse = b"".join([b"data: %b\n\n" % event.json for event in self.events])
        return self._sse


def notice(payload: dict[str, Any]) -> Frames:
    """A frame that is about the connection and not about data; it has a `type` and no seq."""
    return notices([payload])


def notices(payloads: Sequence[dict[str, Any]]) -> Frames:
    """Several of them, sent together."""
    return Frames([Event(msgspec.json.encode(payload)) for payload in payloads])


def reconnect_notice(after_ms: int) -> Frames:
    """Asks a client to come back after so many milliseconds; `EventSource` understands `retry:`."""
    payload = msgspec.json.encode({"type": "reconnect", "after_ms": after_ms})
    return Frames([Event(payload)], sse=b"retry: %d\n\n" % after_ms)
