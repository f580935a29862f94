"""What an operator has switched off, as the server tells it (spec 07 §10; docs/reference/sync.md).

Each connection is told all that concerns it when it opens, so what is known belongs to one connection. Until the next
one has said how it is, the last word of the one before stands. What ends by itself does so here, too, whether or not
anybody is there to say so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec


class Switch(msgspec.Struct, frozen=True):
    """Something that is off. `scope` is `entity`, `function`, `auth` (a way to sign in), `uploads`, `read-only` (all
    writes), `server` or `sync`; with `user`, `ip` and `anonymous` it is the writes of ours that are suspended. `blocks`
    is `writes` where reading goes on. `until` is None where that is open."""

    scope: str
    target: str = ""
    blocks: str = "all"
    reason: str = ""
    until: datetime | None = None


Switches = tuple[Switch, ...]

_WHOLE = frozenset({"server", "sync", "read-only"})


class SwitchBoard:
    """What is off, for one replica. `changed` is called with all of it whenever it is other than before."""

    def __init__(self, changed: Callable[[Switches], None]) -> None:
        self._changed = changed
        self._told: dict[tuple[str, str], Switch] = {}
        self._is_complete = True
        self._timer: asyncio.TimerHandle | None = None
        self.current: Switches = ()

    def begin(self) -> None:
        """There is a new connection, or somebody else on it: what it tells from now on is all there is."""
        self._told = {}
        self._is_complete = False

    def complete(self) -> None:
        """The connection has said how it is."""
        self._is_complete = True
        self._show()

    def heard(self, frame: Mapping[str, Any]) -> None:
        """A frame of the type `switch` or `maintenance`."""
        scope: str = frame.get("scope", "server")
        if frame["type"] == "maintenance":  # of these there is one at a time
            self._told = {key: one for key, one in self._told.items() if one.scope not in _WHOLE}
        one = Switch(
            scope,
            frame.get("target", ""),
            frame.get("blocks", "writes" if scope == "read-only" else "all"),
            frame.get("reason", ""),
            datetime.fromtimestamp(frame["until"], UTC) if frame.get("until") else None,
        )
        self._told.pop((scope, one.target), None)
        if frame["on"]:
            self._told[scope, one.target] = one
        if self._is_complete:
            self._show()

    def refused(self, reason: str, told: Mapping[str, Any]) -> None:
        """There is no connection for the server's being off."""
        self.begin()
        self.heard({"type": "maintenance", "on": True, "reason": reason} | dict(told))
        self.complete()

    def close(self) -> None:
        """Stop waiting for ends."""
        if self._timer is not None:
            self._timer.cancel()

    def _show(self) -> None:
        self.close()
        now = time.time()
        self._told = {key: one for key, one in self._told.items() if one.until is None or one.until.timestamp() > now}
        ends = [one.until.timestamp() for one in self._told.values() if one.until is not None]
        if ends:
            self._timer = asyncio.get_running_loop().call_later(max(0.01, min(ends) - now), self._show)
        shown = tuple(self._told.values())
        if shown != self.current:
            self.current = shown
            self._changed(shown)
