"""The thread that talks to the server, so that keys are taken while it waits for an answer."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pylon.cli.remote import Remote, RemoteError, Unreachable, segment
from pylon.cli.top import OVERVIEW
from pylon.cli.top.state import THROTTLE_SECONDS, Act, Action, Document

REASONS = {Act.THROTTLE: "writes are throttled by the operator", Act.BLOCK: "blocked by the operator"}
"""Shown to those whom it hits."""


@dataclass(frozen=True, slots=True)
class Fresh:
    """New figures."""

    document: Document


@dataclass(frozen=True, slots=True)
class Lost:
    """The server does not answer; it is asked again."""

    why: str


@dataclass(frozen=True, slots=True)
class Done:
    """The server did what it was asked to; `switch` is the id of what it turned on."""

    action: Action
    switch: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It did not."""

    action: Action
    why: str


Event = Fresh | Lost | Done | Refused


class Worker:
    """Asks for the overview every `interval` seconds and does what it is told in between. `wake` is called, on the
    worker's thread, whenever there is an event. It is a daemon thread: a server that does not answer holds up nobody
    who wants to leave."""

    def __init__(self, remote: Remote, interval: float, wake: Callable[[], None]) -> None:
        self._remote = remote
        self._interval = interval
        self._wake = wake
        self._actions: queue.SimpleQueue[Action] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="pylon-top", daemon=True)

    def start(self) -> None:
        """Start asking."""
        self._thread.start()

    def do(self, action: Action) -> None:
        """Have something done as soon as the server is free to answer."""
        self._actions.put(action)

    def events(self) -> list[Event]:
        """What has come since the last call."""
        found: list[Event] = []
        while not self._events.empty():
            found.append(self._events.get())
        return found

    def _run(self) -> None:
        due = time.monotonic() + self._interval
        while True:
            try:
                action = self._actions.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                due = time.monotonic() + self._interval
            else:
                self._tell(self._attempt(action))
            self._tell(self._look())

    def _look(self) -> Event:
        try:
            return Fresh(self._remote.get(OVERVIEW))
        except RemoteError as error:
            return Lost(error.message)

    def _attempt(self, action: Action) -> Event:
        try:
            return Done(action, perform(self._remote, action))
        except Unreachable:
            return Refused(action, "no server answers")
        except RemoteError as error:
            return Refused(action, f"{error.code}: {error.message}")

    def _tell(self, event: Event) -> None:
        self._events.put(event)
        self._wake()


def perform(remote: Remote, action: Action) -> str:
    """Have the server do it; the id of the switch that it turned on, if any. Raises RemoteError."""
    target = action.target
    if action.act is Act.UNDO:
        remote.delete(f"/api/admin/switches/{segment(action.switch)}")
        return ""
    if action.act is Act.KICK:
        remote.post("/api/admin/sockets/kick", {target.scope: target.name})
        return ""
    body: dict[str, object] = {"scope": target.scope, "target": target.name, "reason": REASONS[action.act]}
    if action.act is Act.THROTTLE:
        body |= {"blocks": "writes", "expires_in": THROTTLE_SECONDS}
    else:
        body |= {"blocks": "all"}
    return str(remote.post("/api/admin/switches", body).get("id", ""))
