"""What sockets say about rooms (spec 02 §7.3, §11.3), and how rooms are tied to the rest of a server.

    room-subscribe, room-unsubscribe     be sent a room's frames, for its members
    presence, topic                      say something to a room; without a room nobody hears it

What is not taken comes back as `{"type":"error","code","room"}`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.limits.switch import Blocks, Board, Scope
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.sync import room_frames
from pylon.sync.connection import Connection, Credential
from pylon.sync.door import Door
from pylon.sync.events import Event, Frames
from pylon.sync.messages import Message
from pylon.sync.room_guard import RoomGuard, Rules
from pylon.sync.room_state import RoomLimits
from pylon.sync.rooms import Rooms

log = Log("pylon.sync")

_RELAYED = ("presence", "topic")


WAITING = 32
"""Messages of one socket that wait for what the app says of their sender."""

Act = Callable[[Caller, str, str], bool]
"""Does something as a caller, in a room, for a user; whether he is in."""


def open_rooms(
    door: Door,
    engine: Engine,
    limits: RoomLimits,
    rules: Rules,
    *,
    current: Callable[[bytes], Credential],
    clock: Callable[[], float],
    monotonic: Callable[[], float],
) -> RoomGuard:
    """The rooms of a server behind the app's rules: their sockets come through its door, their publishers through its
    gate, and whom an operator blocks is out."""
    rooms = Rooms(limits, admit=engine.gate.publish, clock=clock, monotonic=monotonic)
    guard = RoomGuard(rooms, rules, current=current, clock=monotonic)
    sockets = RoomSockets(guard)
    door.messages.on("room-subscribe", sockets.subscribe)
    door.messages.on("room-unsubscribe", sockets.unsubscribe)
    for kind in _RELAYED:
        door.messages.on(kind, sockets.relay)
    door.messages.on_leave(sockets.left)
    door.messages.on_moved(lambda connection: rooms.moved(connection, connection.credential.identity.user_id))
    engine.subscribe(guard.changed)
    flags = [engine.flags.generation]

    def refreshed() -> None:
        if flags != [engine.flags.generation]:
            flags[:] = [engine.flags.generation]
            guard.flags_changed()

    def switched(before: Board, after: Board) -> None:
        for switch in after.switches:
            if switch.scope is Scope.USER and switch.blocks is Blocks.ALL:
                rooms.expel(switch.target)

    engine.on_refresh(refreshed)
    engine.switches.subscribe(switched)
    return guard


class RoomSockets:
    """Handles the messages above. One whose sender the app has yet to judge waits for that, and those behind it on the
    same socket wait with it."""

    def __init__(self, guard: RoomGuard) -> None:
        self._guard = guard
        self._rooms = guard.rooms
        self._lines: dict[Connection, deque[tuple[str, Act]]] = {}
        self._tasks: dict[Connection, asyncio.Task[None]] = {}

    def subscribe(self, connection: Connection, message: Message) -> None:
        """Who is in the room, and from then on what happens there."""
        rooms = self._rooms
        self._take(connection, message, lambda caller, room, user: rooms.subscribe(caller, connection, room, user))

    def unsubscribe(self, connection: Connection, message: Message) -> None:
        """Nothing more of the room; there is no answer."""
        if connection in self._lines:
            self._take(connection, message, lambda caller, room, user: self._end(connection, room, user))
            return
        room, user = message.get("room"), connection.credential.identity.user_id
        if isinstance(room, str) and user is not None:
            self._rooms.unsubscribe(connection, room, user)

    def relay(self, connection: Connection, message: Message) -> None:
        """Pass it on in the sender's name."""
        if message["type"] == "topic" and not isinstance(message.get("topic"), str):
            return
        self._take(connection, message, lambda caller, room, user: self._rooms.relay(caller, room, message, user))

    def left(self, connection: Connection) -> None:
        """A socket is gone."""
        self._lines.pop(connection, None)
        if (task := self._tasks.pop(connection, None)) is not None:
            task.cancel()
        self._rooms.disconnected(connection)

    def _end(self, connection: Connection, room: str, user: str) -> bool:
        self._rooms.unsubscribe(connection, room, user)
        return True

    def _take(self, connection: Connection, message: Message, act: Act) -> None:
        """Act for the socket's user in the room that the message names. Older clients say things without a room, which
        is nothing."""
        room, user = message.get("room"), connection.credential.identity.user_id
        if not isinstance(room, str) or not room:
            return
        line = self._lines.get(connection)
        if line is None:
            guard = self._guard
            if not guard.is_on or user is None or not guard.must_ask(_caller(connection), room, user):
                _answer(connection, room, act)
                return
            line = self._lines[connection] = deque()
            self._tasks[connection] = asyncio.get_running_loop().create_task(self._serve(connection, line))
        if len(line) < WAITING:
            line.append((room, act))
        else:
            _refuse(connection, room, "RATE_LIMITED", "1")

    async def _serve(self, connection: Connection, line: deque[tuple[str, Act]]) -> None:
        try:
            while line:
                room, act = line.popleft()
                caller = _caller(connection)
                try:
                    if user := caller.identity.user_id:
                        is_in = await self._guard.admits(caller, room, user)
                    else:
                        is_in = False
                except PylonError as error:
                    _refuse(connection, room, error.code, (error.headers or {}).get("Retry-After"))
                    continue
                if is_in:
                    _answer(connection, room, act)
                else:
                    _refuse(connection, room, "NOT_IN_ROOM", None)
        except Exception:  # a supervised boundary: a socket whose messages can't be judged must not go on
            log.exception("messages to rooms failed")
            connection.end(1011, "internal error")
        finally:
            if self._lines.get(connection) is line:
                del self._lines[connection]
                self._tasks.pop(connection, None)


def _caller(connection: Connection) -> Caller:
    credential = connection.credential
    return Caller(identity=credential.identity, ip=connection.ip, door="live", session=credential.key)


def _answer(connection: Connection, room: str, act: Act) -> None:
    """Act, and tell the socket when that isn't taken."""
    caller = _caller(connection)
    user = caller.identity.user_id
    code, retry_after = "NOT_IN_ROOM", None
    try:
        if user is not None and act(caller, room, user):
            return
    except PylonError as error:
        code, retry_after = error.code, (error.headers or {}).get("Retry-After")
    _refuse(connection, room, code, retry_after)


def _refuse(connection: Connection, room: str, code: str, retry_after: str | None) -> None:
    connection.deliver(Frames([Event(room_frames.refused(code, room[:256], retry_after))]))
