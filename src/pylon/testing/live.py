"""What a live connection would be sent, in the order in which it would be sent."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import msgspec

from pylon.sync.events import Frames

Row = dict[str, Any]


class Listener:
    """A subscriber of the hub that keeps what it is sent."""

    def __init__(self) -> None:
        self.messages: list[Row] = []
        self.closed: tuple[int, str] | None = None

    def deliver(self, frames: Frames) -> None:
        """Keep what the turn brought."""
        self.messages += [msgspec.json.decode(message) for message in frames.messages]

    def end(self, code: int, reason: str) -> None:
        """The server closes the connection."""
        self.closed = code, reason


class Live:
    """A connection of one identity, for a `with` block."""

    def __init__(
        self, listener: Listener, begin: Callable[[], None], settle: Callable[[], None], end: Callable[[], None]
    ) -> None:
        self._listener = listener
        self._begin = begin
        self._settle = settle
        self._end = end

    def __enter__(self) -> Live:
        self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    @property
    def events(self) -> list[Row]:
        """The change events so far."""
        self._settle()
        return [message for message in self._listener.messages if "seq" in message]

    @property
    def closed(self) -> tuple[int, str] | None:
        """The close code and reason, None while it is open."""
        self._settle()
        return self._listener.closed
