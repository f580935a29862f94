"""`{"type":"scope"}` on a socket: what the client wants from now on, all or a part."""

from __future__ import annotations

import time
from collections.abc import Callable

from pylon.model.errors import PylonError
from pylon.sync.connection import Connection
from pylon.sync.door import Door
from pylon.sync.events import notice
from pylon.sync.messages import Message
from pylon.sync.subset import Subsets

PER_SECOND = 10
"""Changes of mind of one socket; each makes the hub send early what waits."""


class Scopes:
    """Answers `scope` at one door, and reads it off the URLs of sockets and streams."""

    def __init__(self, door: Door, subsets: Subsets, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._door = door
        self._subsets = subsets
        self._clock = clock
        self._spent: dict[Connection, tuple[int, int]] = {}
        door.parse_subset = subsets.parse
        door.messages.on("scope", self.change)
        door.messages.on_leave(self._forget)

    def change(self, connection: Connection, message: Message) -> None:
        """`{"type":"scope","entities":{...}|null}`; the answer is `{"type":"scoped","seq":N}`: what is above N follows
        the new scope, and the client pulls for the rest. Raises INVALID_SCOPE, RATE_LIMITED."""
        self._take(connection)
        if "entities" not in message:
            raise PylonError("INVALID_SCOPE", "scope: entities is missing; null asks for everything")
        identity = connection.credential.identity
        subset = self._subsets.of(message["entities"], identity)

        def scoped(seq: int) -> None:
            connection.deliver(notice({"type": "scoped", "seq": seq}))

        self._door.hub.switch(connection, identity, subset, scoped)

    def _forget(self, connection: Connection) -> None:
        self._spent.pop(connection, None)

    def _take(self, connection: Connection) -> None:
        second = int(self._clock())
        since, spent = self._spent.get(connection, (second, 0))
        if since != second:
            spent = 0
        if spent >= PER_SECOND:
            raise PylonError("RATE_LIMITED", f"A scope may change {PER_SECOND} times a second")
        self._spent[connection] = second, spent + 1
