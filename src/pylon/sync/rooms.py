"""Rooms: who is together now, and what they tell each other (spec 02 §11).

Nothing here is stored: rooms end with the process, and a room with its last member. A member is a user, however many
sockets of his are subscribed. He stays while one of them is open, else for a while after his last sign of life; he goes
at once when he leaves, when his last subscribed socket closes, when the sessions he came with are revoked, and when an
operator blocks him. All others are told of each of these.

Every change leaves as one frame through `publish`, and who follows the frames from a snapshot on knows exactly what is
here: so frames are all that a bus between nodes will have to carry, with `deliver` as its other end. Everything happens
on the event loop. What the frames of one turn are for a room leaves in one write to each socket.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from pylon.engine.caller import Caller
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.signals.tasks import Task
from pylon.sync import room_frames
from pylon.sync.events import Event, Frames
from pylon.sync.room_data import check_name, encoded
from pylon.sync.room_state import DEFAULT_LIMITS, Member, Room, RoomLimits, Socket, Statistics

log = Log("pylon.sync")

SWEEP_SECONDS = 1.0
SWEPT = 500
"""How often it is looked who shows no life, and how many go in one turn of the loop."""

SESSIONS = 32
"""Sessions remembered of one member: the newest by which he came."""

MEMBERS = 100_000
DATA_BYTES = 64 * 2**20
"""Members of all rooms together, and what their data may take."""

ROOM_DATA_BYTES = 2**20
"""What the data of one room's members may take: a snapshot of it must fit into a socket's buffer."""

RELAYED = ("type", "event", "topic", "data")
"""What of a member's own frame is passed on. Anything else could make it look like a change of a row."""

Publish = Callable[[str, bytes], None]
"""Takes a frame to all who are subscribed to a room, wherever they are connected."""


class Rooms:
    """The rooms of one process. `admit` says whether a caller may publish now, and raises why not; `publish` is where
    frames go, by default to the sockets of this process. `gone` is told of each (room, user) that is no longer in."""

    def __init__(
        self,
        limits: RoomLimits = DEFAULT_LIMITS,
        *,
        admit: Callable[[Caller], None] = lambda caller: None,
        publish: Publish | None = None,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits = limits
        self.statistics = Statistics()
        self.admit = admit
        self._publish = publish or self.deliver
        self._clock = clock
        self._monotonic = monotonic
        self._rooms: dict[str, Room] = {}
        self._users: dict[str, set[Member]] = {}
        self._sessions: dict[bytes, set[Member]] = {}
        self._sockets: dict[Socket, set[Member]] = {}
        self._quiet: dict[Member, None] = {}
        self._data_bytes = 0
        self._dirty: dict[str, Room] = {}
        self.gone: Callable[[str, str], None] = lambda room, user: None
        self._delivered: dict[str, tuple[int, int]] = {}

    def __len__(self) -> int:
        return len(self._rooms)

    # -- what members do -----------------------------------------------------------------------------------------

    def join(self, caller: Caller, room: str, data: Any, user: str) -> list[room_frames.Peer]:
        """Enter, or enter anew with other data; who was in before. `data` is JSON, `msgspec.UNSET` for none. Raises
        INVALID_DATA, PAYLOAD_TOO_LARGE, ROOM_LIMIT_REACHED, and what `admit` says."""
        self.admit(caller)
        check_name(self.limits, room, "room")
        shown = None if data is msgspec.UNSET else encoded(self.limits, data)
        member = self._member(room, user)
        peers = [] if room not in self._rooms else [m.peer() for m in self._rooms[room].members.values()]
        if member is None:
            member = self._enter(room, user, shown)
        else:
            self._hold(member, shown)
        member.joined_at = int(self._clock())
        self._touch(member, caller.session)
        self._tell(room, room_frames.joined(room, user, shown))
        return peers

    def leave(self, room: str, user: str) -> bool:
        """Leave; whether he was in."""
        member = self._member(room, user)
        if member is None:
            return False
        self._remove(member)
        return True

    def presence(self, caller: Caller, room: str, data: Any, user: str) -> bool:
        """Set a member's data; whether he is in. Raises as `join`."""
        member = self._speaking(caller, room, user)
        if member is None:
            return False
        self._show(member, encoded(self.limits, data))
        return True

    def broadcast(self, caller: Caller, room: str, topic: str, payload: Any, user: str) -> bool:
        """Send a message to all who are subscribed; whether he is in. Raises INVALID_DATA, PAYLOAD_TOO_LARGE, and what
        `admit` says."""
        member = self._speaking(caller, room, user)
        if member is None:
            return False
        check_name(self.limits, topic, "topic")
        self._tell(room, room_frames.broadcast(room, user, topic, encoded(self.limits, payload)))
        return True

    def relay(self, caller: Caller, room: str, frame: dict[str, Any], user: str) -> bool:
        """Pass a member's own frame on, to all who are subscribed; whether he is in. A presence frame that is an
        `update` sets his data too. Raises as `presence`."""
        member = self._speaking(caller, room, user)
        if member is None:
            return False
        encoded(self.limits, frame)
        told = {name: frame[name] for name in RELAYED if name in frame}
        if told["type"] == "presence" and told.setdefault("event", "update") == "update":
            self._hold(member, encoded(self.limits, told.get("data")))
        self._tell(room, room_frames.relayed(told, room, user))
        return True

    # -- what the app's own code does ----------------------------------------------------------------------------

    def say(self, room: str, topic: str, payload: msgspec.Raw) -> None:
        """Send a message that no user sent to all who are subscribed."""
        if room in self._rooms:
            self._tell(room, room_frames.broadcast(room, None, topic, payload))

    def show(self, room: str, user: str, data: msgspec.Raw) -> None:
        """Set a member's data; a no-op for somebody who isn't in. Raises ROOM_LIMIT_REACHED."""
        if (member := self._member(room, user)) is not None:
            self._show(member, data)

    def remove(self, room: str, user: str, code: str) -> None:
        """Send a member out, and tell his own sockets why; a no-op for somebody who isn't in."""
        if (member := self._member(room, user)) is not None:
            told = Frames([Event(room_frames.refused(code, room, None))])
            for socket in list(member.sockets):
                socket.deliver(told)
            self._remove(member)

    def exclude(self, room: str, user: str, session: bytes | None, code: str) -> None:
        """One session of a member's may no longer be here: its sockets are told why and follow no more, and he goes if
        he came by no other."""
        member = self._member(room, user)
        if member is None:
            return
        if session is not None:
            self._forget(member, session)
        if not member.sessions:
            self.remove(room, user, code)
            return
        told = Frames([Event(room_frames.refused(code, room, None))])
        for socket, by in list(member.sockets.items()):
            if by == session:
                self._flush(member.room)
                self._detach(member, socket)
                socket.deliver(told)
        if self._member(room, user) is member:  # unless the others were too slow for it
            self._touch(member, None)

    # -- who is there --------------------------------------------------------------------------------------------

    def has(self, room: str, user: str) -> bool:
        """Whether a user is in a room."""
        return self._member(room, user) is not None

    def members(self, caller: Caller, room: str) -> list[room_frames.Peer]:
        """Who is in a room, for its members, whom asking keeps alive, and for admins. For everybody else nobody, as if
        there were no such room."""
        identity = caller.identity
        member = None if identity.user_id is None else self._member(room, identity.user_id)
        if member is not None:
            self._touch(member, caller.session)
        elif not identity.is_admin:
            return []
        found = self._rooms.get(room)
        return [] if found is None else [member.peer() for member in found.members.values()]

    def of(self, user: str) -> list[tuple[str, int]]:
        """The rooms that a user is in, each with its number of members. Any thread may ask."""
        return sorted((m.room.name, len(m.room.members)) for m in tuple(self._users.get(user, ())))

    def look(self, room: str) -> list[tuple[str, bytes, int]]:
        """(user, data as JSON, Unix seconds of joining) of everybody in a room. Any thread may ask."""
        found = self._rooms.get(room)
        members = () if found is None else tuple(found.members.values())
        return [(m.user, b"null" if m.data is None else bytes(m.data), m.joined_at) for m in members]

    def all(self, limit: int) -> list[tuple[str, int]]:
        """The oldest rooms, each with its number of members."""
        return [(room.name, len(room.members)) for room, _ in zip(self._rooms.values(), range(limit), strict=False)]

    # -- sockets -------------------------------------------------------------------------------------------------

    def subscribe(self, caller: Caller, socket: Socket, room: str, user: str) -> bool:
        """Send a member's socket who is in, and from then on every frame of the room; whether he is in. Raises what
        `admit` says."""
        member = self._speaking(caller, room, user)
        if member is None:
            return False
        while member.room.pending:  # the snapshot holds what waits, also of those who leave for being too slow for it
            self._flush(member.room)
        if self._member(room, user) is not member:
            return False  # his last socket was too slow for it
        if socket not in member.sockets:
            member.sockets[socket] = caller.session
            self._sockets.setdefault(socket, set()).add(member)
            self.statistics.subscriptions += 1
        self._quiet.pop(member, None)
        peers = [m.peer() for m in member.room.members.values()]
        frames = Frames([Event(room_frames.snapshot(room, peers))])
        self._count(member, 1, frames)
        socket.deliver(frames)
        return True

    def unsubscribe(self, socket: Socket, room: str, user: str) -> None:
        """Send a socket nothing more of a room. The member stays, as long as he shows life."""
        member = self._member(room, user)
        if member is None or socket not in member.sockets:
            return
        self._flush(member.room)
        if socket in member.sockets:
            self._detach(member, socket)
            self._touch(member, None)

    def disconnected(self, socket: Socket) -> None:
        """A socket is gone: its user leaves the rooms in which it was his last, and the others hear of both. A no-op
        for one that was never subscribed."""
        for member in list(self._sockets.get(socket, ())):
            self._drop(member, socket)

    def moved(self, socket: Socket, user: str | None) -> None:
        """A socket is this user's now: it is gone for whoever had it before."""
        for member in list(self._sockets.get(socket, ())):
            if member.user != user:
                self._drop(member, socket)

    # -- who must go ---------------------------------------------------------------------------------------------

    def sweep(self) -> int:
        """Let go who has shown no life for too long and has no socket, the longest first; how many."""
        before = self._monotonic() - self.limits.idle
        gone = 0
        while self._quiet and gone < SWEPT:
            member = next(iter(self._quiet))
            if member.active_at > before:
                break
            self._remove(member)
            gone += 1
        self.statistics.idle += gone
        return gone

    async def run(self, task: Task) -> None:
        """Sweep until cancelled."""
        pause = SWEEP_SECONDS
        while True:
            await asyncio.sleep(pause)
            try:
                with task.turn():
                    pause = 0.0 if self.sweep() == SWEPT else SWEEP_SECONDS
            except Exception:  # a supervised boundary: one bad member must not keep all others here for ever
                log.exception("sweeping rooms failed")

    def revoke(self, keys: Iterable[bytes]) -> None:
        """Sessions were revoked: whoever came by none but these leaves."""
        for key in keys:
            for member in list(self._sessions.get(key, ())):
                self._forget(member, key)
                if not member.sessions:
                    self._remove(member)

    def expel(self, user: str) -> None:
        """A user leaves every room."""
        for member in list(self._users.get(user, ())):
            self._remove(member)

    # -- frames --------------------------------------------------------------------------------------------------

    def deliver(self, room: str, frame: bytes) -> None:
        """Send a frame to this process's subscribers of a room, with all others of this turn."""
        found = self._rooms.get(room)
        if found is None:
            return
        found.pending.append(Event(frame))
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self.flush)
        self._dirty[room] = found

    def flush(self) -> None:
        """Send what the turn brought."""
        while self._dirty:
            self._flush(next(iter(self._dirty.values())))

    def delivered(self) -> list[tuple[str, int, int]]:
        """(user, frames, bytes) sent since the last time this was asked, for the meters."""
        taken, self._delivered = self._delivered, {}
        return [(user, frames, size) for user, (frames, size) in taken.items()]

    def _tell(self, room: str, frame: bytes) -> None:
        self.statistics.messages += 1
        self._publish(room, frame)

    def _flush(self, room: Room) -> None:
        self._dirty.pop(room.name, None)
        if not room.pending:
            return
        events, room.pending = room.pending, []
        frames = Frames(events)
        for member in list(room.members.values()):
            if not member.sockets:
                continue
            self._count(member, len(member.sockets), frames)
            self.statistics.deliveries += len(member.sockets)
            for socket in list(member.sockets):  # one that is too slow leaves meanwhile
                socket.deliver(frames)

    def _count(self, member: Member, sockets: int, frames: Frames) -> None:
        known = self._delivered.get(member.user, (0, 0))
        sent = len(frames.websocket)
        self._delivered[member.user] = known[0] + sockets * frames.number, known[1] + sockets * sent

    # -- state ---------------------------------------------------------------------------------------------------

    def _show(self, member: Member, data: msgspec.Raw) -> None:
        self._hold(member, data)
        self._tell(member.room.name, room_frames.changed(member.room.name, member.user, data))

    def _member(self, room: str, user: str) -> Member | None:
        found = self._rooms.get(room)
        return None if found is None else found.members.get(user)

    def _speaking(self, caller: Caller, room: str, user: str) -> Member | None:
        """A member who may publish now; what he does shows that he lives."""
        self.admit(caller)
        member = self._member(room, user)
        if member is not None:
            self._touch(member, caller.session if caller.identity.user_id == user else None)
        return member

    def _enter(self, name: str, user: str, data: msgspec.Raw | None) -> Member:
        limits, room = self.limits, self._rooms.get(name)
        if room is None and len(self._rooms) >= limits.rooms:
            raise self._full("There are as many rooms as there may be")
        if room is not None and len(room.members) >= limits.members:
            raise self._full("The room is full")
        if len(self._users.get(user, ())) >= limits.rooms_per_user:
            raise self._full("You are in as many rooms as you may be")
        if self.statistics.members >= MEMBERS:
            raise self._full("There are as many members of rooms as there may be")
        room = room or Room(name)
        member = Member(room, user)
        self._hold(member, data)
        self._rooms[name] = room
        room.members[user] = member
        self._users.setdefault(user, set()).add(member)
        self.statistics.members += 1
        return member

    def _hold(self, member: Member, data: msgspec.Raw | None) -> None:
        grown = (0 if data is None else len(memoryview(data))) - member.size
        if grown > 0 and member.room.data_bytes + grown > ROOM_DATA_BYTES:
            raise self._full("The members' data fills the room")
        if grown > 0 and self._data_bytes + grown > DATA_BYTES:
            raise self._full("The members' data fills all rooms")
        member.data = data
        member.room.data_bytes += grown
        self._data_bytes += grown

    def _touch(self, member: Member, session: bytes | None) -> None:
        """Somebody showed life, by this session: he is last in the line of those who may have to go, unless a socket
        keeps him."""
        member.active_at = self._monotonic()
        self._quiet.pop(member, None)
        if not member.sockets:
            self._quiet[member] = None
        if session is not None and session not in member.sessions:
            if len(member.sessions) >= SESSIONS:
                self._forget(member, next(iter(member.sessions)))
            member.sessions[session] = None
            self._sessions.setdefault(session, set()).add(member)

    def _forget(self, member: Member, session: bytes) -> None:
        member.sessions.pop(session, None)
        _discard(self._sessions, session, member)

    def _drop(self, member: Member, socket: Socket) -> None:
        self._detach(member, socket)
        if not member.sockets:
            self._remove(member)
        if member.room.members:
            self._tell(member.room.name, room_frames.disconnected(socket.id))

    def _detach(self, member: Member, socket: Socket) -> None:
        member.sockets.pop(socket, None)
        _discard(self._sockets, socket, member)
        self.statistics.subscriptions -= 1

    def _remove(self, member: Member) -> None:
        if member.is_leaving:  # his last socket is too slow even to hear of it
            return
        member.is_leaving = True
        room, is_told = member.room, bool(member.sockets)
        if is_told:  # his own sockets hear of it too, and then nothing more
            self._tell(room.name, room_frames.left(room.name, member.user))
            self._flush(room)
            for socket in list(member.sockets):
                self._detach(member, socket)
        del room.members[member.user]
        _discard(self._users, member.user, member)
        for session in list(member.sessions):
            self._forget(member, session)
        self._quiet.pop(member, None)
        self._hold(member, None)
        self.statistics.members -= 1
        if not room.members:
            del self._rooms[room.name]
            self._dirty.pop(room.name, None)
        elif not is_told:
            self._tell(room.name, room_frames.left(room.name, member.user))
        self.gone(room.name, member.user)

    def _full(self, what: str) -> PylonError:
        self.statistics.refused += 1
        return PylonError("ROOM_LIMIT_REACHED", what)


def _discard(index: dict[Any, set[Member]], key: Any, member: Member) -> None:
    found = index.get(key)
    if found is not None:
        found.discard(member)
        if not found:
            del index[key]
