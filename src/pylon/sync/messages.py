"""What clients say on a socket (spec 02 §7.3): a table from a message's `type` to its handler, the same for our own
sockets and under ASGI. Rooms of the server add their types while it is put together.

Whatever a client sends, the socket stays open: what isn't a JSON object, or has no type that is known, is passed over;
a handler's PylonError goes back as `{"type":"error","code":…}`, and any other failure is logged.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.sync.connection import Connection
from pylon.sync.events import notice

log = Log("pylon.sync")

MAX_MESSAGE = 262_144
"""Bytes of a message that is looked at: decoding it must not hold up the others."""

Message = dict[str, Any]
Handler = Callable[[Connection, Message], None]
"""Runs on the event loop and must not wait; what takes time it does in a task of its own."""

Leave = Callable[[Connection], None]
Moved = Callable[[Connection], None]


class Messages:
    """The table, and who wants to know of connections that are gone or somebody else's. Use on the event loop."""

    def __init__(self) -> None:
        self._handlers: dict[str, Handler] = {}
        self._leaving: list[Leave] = []
        self._moving: list[Moved] = []

    def on(self, kind: str, handler: Handler) -> None:
        """Handle messages of this type. One handler each: a second one is a mistake in the wiring."""
        assert kind not in self._handlers, kind
        self._handlers[kind] = handler

    def on_leave(self, callback: Leave) -> None:
        """Be told, once, of each connection that is gone, whichever side ended it."""
        self._leaving.append(callback)

    def on_moved(self, callback: Moved) -> None:
        """Be told of each open connection that has another identity now: another tenant, other roles."""
        self._moving.append(callback)

    def received(self, connection: Connection, text: bytes) -> None:
        """A client's text message."""
        if len(text) > MAX_MESSAGE:
            _tell(connection, PylonError("PAYLOAD_TOO_LARGE", f"A message has at most {MAX_MESSAGE} bytes"))
            return
        try:
            message = msgspec.json.decode(text)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return
        if not isinstance(message, dict) or not isinstance(kind := message.get("type"), str):
            return
        handler = self._handlers.get(kind)
        if handler is None:
            return
        try:
            handler(connection, message)
        except PylonError as error:
            _tell(connection, error)
        except Exception:  # a supervised boundary: one client's message must not end its socket, nor another's
            log.exception("a socket's message failed", type=kind)

    def left(self, connection: Connection) -> None:
        """A connection is gone."""
        self._tell_all(self._leaving, connection)

    def moved(self, connection: Connection) -> None:
        """A connection has another identity."""
        self._tell_all(self._moving, connection)

    def _tell_all(self, callbacks: list[Callable[[Connection], None]], connection: Connection) -> None:
        for callback in callbacks:
            try:
                callback(connection)
            except Exception:  # a supervised boundary: the others must be told, too
                log.exception("what hangs on a socket could not follow it")


def _tell(connection: Connection, error: PylonError) -> None:
    connection.deliver(notice({"type": "error", "code": error.code, "message": error.message}))
