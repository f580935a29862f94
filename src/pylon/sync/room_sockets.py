"""What sockets say about rooms (spec 02 §7.3, §11.3), and how rooms are tied to the rest of a server.

    room-subscribe, room-unsubscribe     be sent a room's frames, for its members
    presence, topic                      say something to a room; without a room nobody hears it

What is not taken comes back as `{"type":"error","code","room"}`.
"""

from __future__ import annotations

from collections.abc import Callable

from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.limits.switch import Blocks, Board, Scope
from pylon.model.errors import PylonError
from pylon.sync import room_frames
from pylon.sync.connection import Connection
from pylon.sync.door import Door
from pylon.sync.events import Event, Frames
from pylon.sync.messages import Message
from pylon.sync.room_state import RoomLimits
from pylon.sync.rooms import Rooms

_RELAYED = ("presence", "topic")


def open_rooms(
    door: Door,
    engine: Engine,
    limits: RoomLimits,
    *,
    clock: Callable[[], float],
    monotonic: Callable[[], float],
) -> Rooms:
    """The rooms of a server: their sockets come through its door, their publishers through its gate, and whom an
    operator blocks is out."""
    rooms = Rooms(limits, admit=engine.gate.publish, clock=clock, monotonic=monotonic)
    sockets = RoomSockets(rooms)
    door.messages.on("room-subscribe", sockets.subscribe)
    door.messages.on("room-unsubscribe", sockets.unsubscribe)
    for kind in _RELAYED:
        door.messages.on(kind, sockets.relay)
    door.messages.on_leave(rooms.disconnected)
    door.messages.on_moved(lambda connection: rooms.moved(connection, connection.credential.identity.user_id))

    def switched(before: Board, after: Board) -> None:
        for switch in after.switches:
            if switch.scope is Scope.USER and switch.blocks is Blocks.ALL:
                rooms.expel(switch.target)

    engine.switches.subscribe(switched)
    return rooms


class RoomSockets:
    """Handles the messages above."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def subscribe(self, connection: Connection, message: Message) -> None:
        """Who is in the room, and from then on what happens there."""
        _answered(connection, message, lambda caller, room, user: self._rooms.subscribe(caller, connection, room, user))

    def unsubscribe(self, connection: Connection, message: Message) -> None:
        """Nothing more of the room; there is no answer."""
        room, user = message.get("room"), connection.credential.identity.user_id
        if isinstance(room, str) and user is not None:
            self._rooms.unsubscribe(connection, room, user)

    def relay(self, connection: Connection, message: Message) -> None:
        """Pass it on in the sender's name."""
        if message["type"] == "topic" and not isinstance(message.get("topic"), str):
            return
        _answered(connection, message, lambda caller, room, user: self._rooms.relay(caller, room, message, user))


def _answered(connection: Connection, message: Message, act: Callable[[Caller, str, str], bool]) -> None:
    """Act for the socket's user in the room that the message names; tell the socket when that isn't taken. Older
    clients say things without a room, which is nothing."""
    room, credential = message.get("room"), connection.credential
    if not isinstance(room, str) or not room:
        return
    caller = Caller(identity=credential.identity, ip=connection.ip, door="live", session=credential.key)
    user = credential.identity.user_id
    code, retry_after = "NOT_IN_ROOM", None
    try:
        if user is not None and act(caller, room, user):
            return
    except PylonError as error:
        code, retry_after = error.code, (error.headers or {}).get("Retry-After")
    connection.deliver(Frames([Event(room_frames.refused(code, room[:256], retry_after))]))
