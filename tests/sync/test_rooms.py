"""Rooms: who is together, what they are told, and when they must go. The law: whoever follows the frames from a
snapshot on knows exactly who is there."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from pylon.engine.caller import Caller
from pylon.model.errors import PylonError
from pylon.model.identity import ADMIN, Identity
from pylon.sync import rooms as rooms_module
from pylon.sync.events import Frames
from pylon.sync.room_state import RoomLimits
from pylon.sync.rooms import Rooms


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Socket:
    """A socket that remembers what it was sent, and can be too slow for anything more."""

    def __init__(self, number: int = 1, on_deliver: Callable[[Socket], None] | None = None) -> None:
        self.id = number
        self.sent: list[dict[str, Any]] = []
        self.writes = 0
        self.frames: list[Frames] = []
        self.on_deliver = on_deliver

    def deliver(self, frames: Frames) -> None:
        self.writes += 1
        self.frames.append(frames)
        self.sent += [json.loads(message) for message in frames.messages]
        if self.on_deliver is not None:
            self.on_deliver(self)


def caller(user: str, session: bytes | None = None) -> Caller:
    return Caller(identity=Identity(user_id=user), session=session)


def opened(**limits: Any) -> tuple[Rooms, Clock]:
    clock = Clock()
    return Rooms(RoomLimits(**limits), clock=clock, monotonic=clock), clock


def enter(rooms: Rooms, user: str, room: str = "doc", data: Any = msgspec.UNSET, session: bytes | None = None) -> None:
    rooms.join(caller(user, session), room, data, user)


def follow(rooms: Rooms, user: str, room: str = "doc", number: int = 1) -> Socket:
    socket = Socket(number)
    assert rooms.subscribe(caller(user), socket, room, user)
    return socket


def names(rooms: Rooms, room: str = "doc") -> list[str]:
    return [peer.user_id for peer in rooms.members(Caller(identity=ADMIN), room)]


async def test_joining_tells_who_was_in_before_and_the_others_who_came() -> None:
    rooms, _ = opened()
    enter(rooms, "alice", data={"color": "red"})
    socket = follow(rooms, "alice")
    peers = rooms.join(caller("bob"), "doc", msgspec.UNSET, "bob")
    [peer] = peers
    assert (peer.user_id, bytes(peer.data), peer.joined_at) == ("alice", b'{"color":"red"}', "1000Z")
    rooms.flush()
    assert socket.sent == [
        {
            "type": "room-snapshot",
            "room": "doc",
            "members": [{"user_id": "alice", "data": {"color": "red"}, "joined_at": "1000Z"}],
        },
        {"type": "room-update", "room": "doc", "action": "join", "member": {"user_id": "bob"}},
    ]


async def test_the_frames_of_a_turn_are_encoded_once_and_leave_in_one_write() -> None:
    rooms, _ = opened()
    for user in ("alice", "bob"):
        enter(rooms, user)
    sockets = [follow(rooms, "alice"), follow(rooms, "bob")]
    for x in range(50):
        rooms.presence(caller("alice"), "doc", {"x": x}, "alice")
    await asyncio.sleep(0)
    assert [socket.writes for socket in sockets] == [2, 2]  # the snapshot, and the turn
    assert sockets[0].frames[1] is sockets[1].frames[1]
    assert len(sockets[0].sent) == 51


async def test_a_member_with_two_sockets_leaves_with_the_last() -> None:
    rooms, _ = opened()
    for user in ("alice", "bob"):
        enter(rooms, user)
    laptop, phone, bob = follow(rooms, "alice", number=1), follow(rooms, "alice", number=2), follow(rooms, "bob")
    rooms.disconnected(laptop)
    assert names(rooms) == ["alice", "bob"]
    rooms.disconnected(phone)
    rooms.flush()
    assert names(rooms) == ["bob"]
    assert bob.sent[1:] == [
        {"type": "presence", "event": "disconnect", "clientId": 1},
        {"type": "room-update", "room": "doc", "action": "leave", "member": {"user_id": "alice"}},
        {"type": "presence", "event": "disconnect", "clientId": 2},
    ]


async def test_a_disconnect_is_heard_in_shared_rooms_only() -> None:
    rooms, _ = opened()
    enter(rooms, "alice", "red")
    enter(rooms, "bob", "blue")
    alice, bob = follow(rooms, "alice", "red"), follow(rooms, "bob", "blue")
    rooms.disconnected(alice)
    rooms.flush()
    assert [frame["type"] for frame in bob.sent] == ["room-snapshot"]


async def test_who_leaves_hears_it_on_his_other_socket_and_then_nothing_more() -> None:
    rooms, _ = opened()
    for user in ("alice", "bob"):
        enter(rooms, user)
    socket = follow(rooms, "alice")
    assert rooms.leave("doc", "alice")
    assert not rooms.leave("doc", "alice")
    rooms.broadcast(caller("bob"), "doc", "secret", 1, "bob")
    rooms.flush()
    assert [frame.get("action") for frame in socket.sent] == [None, "leave"]


async def test_a_silent_member_is_let_go_and_the_others_are_told() -> None:
    rooms, clock = opened(idle=120)
    enter(rooms, "alice")
    enter(rooms, "bob")
    enter(rooms, "carol")
    socket = follow(rooms, "alice")
    clock.now += 100
    rooms.members(caller("bob"), "doc")  # polling is a sign of life
    clock.now += 21
    assert rooms.sweep() == 1
    assert names(rooms) == ["alice", "bob"]  # alice has a socket
    rooms.flush()
    assert socket.sent[-1] == {"type": "room-update", "room": "doc", "action": "leave", "member": {"user_id": "carol"}}
    rooms.unsubscribe(socket, "doc", "alice")
    clock.now += 121
    assert rooms.sweep() == 2
    assert len(rooms) == 0
    assert rooms.statistics.members == rooms.statistics.subscriptions == 0


async def test_the_sweep_takes_a_bounded_number_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms_module, "SWEPT", 3)
    rooms, clock = opened(idle=1)
    for n in range(5):
        enter(rooms, f"u{n}")
    clock.now += 2
    assert [rooms.sweep(), rooms.sweep(), rooms.sweep()] == [3, 2, 0]


async def test_a_revoked_session_takes_its_member_along_unless_another_holds_him() -> None:
    rooms, _ = opened()
    enter(rooms, "alice", session=b"laptop")
    enter(rooms, "bob", session=b"bob")
    rooms.members(caller("alice", b"phone"), "doc")
    rooms.revoke([b"laptop", b"unknown"])
    assert names(rooms) == ["alice", "bob"]
    rooms.revoke([b"phone"])
    assert names(rooms) == ["bob"]


async def test_strangers_see_no_room_and_no_member() -> None:
    rooms, _ = opened()
    enter(rooms, "alice", "secret")
    assert rooms.members(caller("eve"), "secret") == rooms.members(caller("eve"), "nowhere") == []
    assert rooms.members(Caller(), "secret") == []
    assert rooms.of("eve") == []
    assert rooms.of("alice") == rooms.all(10) == [("secret", 1)]
    assert not rooms.subscribe(caller("eve"), Socket(), "secret", "eve")
    assert not rooms.relay(caller("eve"), "secret", {"type": "topic", "topic": "x"}, "eve")
    assert not rooms.presence(caller("eve"), "secret", {}, "eve")
    assert not rooms.broadcast(caller("eve"), "secret", "x", 1, "eve")


async def test_who_sent_a_frame_is_the_servers_word() -> None:
    rooms, _ = opened()
    enter(rooms, "alice")
    socket = follow(rooms, "alice")
    rooms.relay(caller("alice"), "doc", {"type": "topic", "topic": "t", "from": "admin", "room": "x"}, "alice")
    rooms.relay(caller("alice"), "doc", {"type": "presence", "data": {"x": 1}, "from": "__admin__"}, "alice")
    rooms.flush()
    assert socket.sent[1:] == [
        {"type": "topic", "topic": "t", "from": "alice", "room": "doc"},
        {"type": "presence", "event": "update", "data": {"x": 1}, "from": "alice", "room": "doc"},
    ]
    assert json.loads(bytes(rooms.members(caller("alice"), "doc")[0].data)) == {"x": 1}


async def test_a_members_frame_can_not_pass_for_a_change_of_a_row() -> None:
    rooms, _ = opened()
    enter(rooms, "mallory")
    socket = follow(rooms, "mallory")
    forged = {"seq": 9, "entity": "Todo", "row_id": "1", "kind": "delete", "clientId": 3, "members": []}
    rooms.relay(caller("mallory"), "doc", {"type": "topic", "topic": "t", "data": 1, **forged}, "mallory")
    rooms.flush()
    assert socket.sent[1:] == [{"type": "topic", "topic": "t", "data": 1, "from": "mallory", "room": "doc"}]


async def test_a_socket_that_falls_behind_while_another_subscribes_or_goes_is_counted_once() -> None:
    rooms, _ = opened()
    enter(rooms, "alice")
    slow = Socket(9)
    rooms.subscribe(caller("alice"), slow, "doc", "alice")
    slow.on_deliver = rooms.disconnected
    rooms.broadcast(caller("alice"), "doc", "t", 1, "alice")
    assert not rooms.subscribe(caller("alice"), Socket(10), "doc", "alice")  # the slow one took him along
    assert (len(rooms), rooms.statistics.members, rooms.statistics.subscriptions) == (0, 0, 0)
    enter(rooms, "alice")
    slow = Socket(11)
    rooms.subscribe(caller("alice"), slow, "doc", "alice")
    slow.on_deliver = rooms.disconnected
    rooms.broadcast(caller("alice"), "doc", "t", 1, "alice")
    rooms.unsubscribe(slow, "doc", "alice")
    assert (len(rooms), rooms.statistics.members, rooms.statistics.subscriptions) == (0, 0, 0)


def refusal(act: Callable[[], Any]) -> str:
    with pytest.raises(PylonError) as caught:
        act()
    return caught.value.code


async def test_every_limit_refuses_and_leaves_nothing_behind() -> None:
    rooms, _ = opened(rooms=2, members=2, rooms_per_user=2, name=4, data=20)
    enter(rooms, "alice", "r1")
    enter(rooms, "alice", "r2")
    enter(rooms, "bob", "r1")
    assert refusal(lambda: enter(rooms, "bob", "r3")) == "ROOM_LIMIT_REACHED"
    assert refusal(lambda: enter(rooms, "carol", "r1")) == "ROOM_LIMIT_REACHED"
    rooms.leave("r2", "alice")
    enter(rooms, "bob", "r2")
    rooms.leave("r1", "alice")
    assert refusal(lambda: enter(rooms, "bob", "r4")) == "ROOM_LIMIT_REACHED"
    assert refusal(lambda: enter(rooms, "eve", "äää")) == "INVALID_DATA"
    assert refusal(lambda: enter(rooms, "eve", "r1", "x" * 19)) == "PAYLOAD_TOO_LARGE"
    assert refusal(lambda: rooms.presence(caller("bob"), "r1", ["x" * 20], "bob")) == "PAYLOAD_TOO_LARGE"
    assert refusal(lambda: rooms.broadcast(caller("bob"), "r1", "long topic", 1, "bob")) == "INVALID_DATA"
    frame = {"type": "topic", "topic": "t", "data": "x" * 20}
    assert refusal(lambda: rooms.relay(caller("bob"), "r1", frame, "bob")) == "PAYLOAD_TOO_LARGE"
    assert (names(rooms, "r1"), names(rooms, "r2"), rooms.statistics.refused) == (["bob"], ["bob"], 3)


async def test_the_data_of_a_room_is_bounded_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms_module, "ROOM_DATA_BYTES", 100)
    rooms, _ = opened()
    enter(rooms, "alice", data="x" * 80)
    assert refusal(lambda: enter(rooms, "bob", data="x" * 30)) == "ROOM_LIMIT_REACHED"
    assert names(rooms) == ["alice"]
    rooms.presence(caller("alice"), "doc", None, "alice")
    enter(rooms, "bob", data="x" * 30)
    assert names(rooms) == ["alice", "bob"]


def test_deep_nesting_is_refused() -> None:
    rooms, _ = opened()
    for depth in (200, 5000):
        data: Any = []
        for _ in range(depth):
            data = [data]
        assert refusal(lambda data=data: enter(rooms, "alice", data=data)) == "INVALID_JSON"  # type: ignore[misc]


async def test_a_socket_that_falls_behind_while_it_is_told_leaves_cleanly() -> None:
    rooms, _ = opened()
    for user in ("alice", "bob"):
        enter(rooms, user)
    bob = follow(rooms, "bob")
    slow = Socket(9)
    rooms.subscribe(caller("alice"), slow, "doc", "alice")
    slow.on_deliver = rooms.disconnected
    rooms.leave("doc", "alice")
    rooms.flush()
    assert names(rooms) == ["bob"]
    assert rooms.statistics.subscriptions == rooms.statistics.members == 1
    assert bob.sent[-1]["type"] == "presence"


async def test_frames_leave_through_the_seam_a_bus_will_use() -> None:
    carried: list[tuple[str, bytes]] = []
    rooms = Rooms(publish=lambda room, frame: carried.append((room, frame)))
    enter(rooms, "alice")
    socket = follow(rooms, "alice")
    rooms.broadcast(caller("alice"), "doc", "t", 1, "alice")
    rooms.flush()
    assert len(socket.sent) == 1
    for room, frame in carried:
        rooms.deliver(room, frame)
    rooms.flush()
    assert [frame["action"] for frame in socket.sent[1:]] == ["join", "broadcast"]


USERS = st.sampled_from(["alice", "bob", "carol"])
ROOMS = st.sampled_from(["red", "blue"])
DATA = st.sampled_from([msgspec.UNSET, None, 1, {"x": 1}, {"x": 2}])


class Follower(Socket):
    """Keeps what its frames say of who is in which room."""

    def __init__(self, number: int, user: str) -> None:
        super().__init__(number)
        self.user = user
        self.seen: dict[str, dict[str, Any]] = {}
        self.is_slow = False
        self.falls_behind: Callable[[Follower], None] = lambda follower: None

    def deliver(self, frames: Frames) -> None:
        for message in frames.messages:
            self.apply(json.loads(message))
        if self.is_slow:
            self.falls_behind(self)

    def apply(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "room-snapshot":
            self.seen[frame["room"]] = {m["user_id"]: m["data"] for m in frame["members"]}
        elif frame["type"] == "presence" and frame["event"] == "update":
            self.seen[frame["room"]][frame["from"]] = frame.get("data")
        elif frame["type"] == "room-update":
            members, user = self.seen[frame["room"]], frame["member"]["user_id"]
            match frame["action"]:
                case "join":
                    members[user] = frame["member"].get("data")
                case "presence":
                    members[user] = frame["data"]
                case "leave":
                    del members[user]
                    if user == self.user:
                        del self.seen[frame["room"]]


class RoomMachine(RuleBasedStateMachine):
    """Any order of what members, sockets, sessions and time do."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        asyncio.events._set_running_loop(self.loop)
        self.rooms, self.clock = opened(idle=10, members=2, rooms_per_user=2)
        self.sockets: list[Follower] = []

    def teardown(self) -> None:
        self.the_turn_ends()
        asyncio.events._set_running_loop(None)
        self.loop.close()

    def session(self, user: str) -> Caller:
        return caller(user, user.encode())

    @rule(user=USERS, room=ROOMS, data=DATA)
    def join(self, user: str, room: str, data: Any) -> None:
        with contextlib.suppress(PylonError):  # a room is full
            self.rooms.join(self.session(user), room, data, user)

    @rule(user=USERS, room=ROOMS)
    def leave(self, user: str, room: str) -> None:
        self.rooms.leave(room, user)

    @rule(user=USERS, room=ROOMS, data=DATA.filter(lambda d: d is not msgspec.UNSET))
    def presence(self, user: str, room: str, data: Any) -> None:
        self.rooms.presence(self.session(user), room, data, user)

    @rule(user=USERS, room=ROOMS, data=DATA.filter(lambda d: d is not msgspec.UNSET))
    def socket_presence(self, user: str, room: str, data: Any) -> None:
        self.rooms.relay(self.session(user), room, {"type": "presence", "data": data}, user)

    @rule(user=USERS, room=ROOMS)
    def subscribe(self, user: str, room: str) -> None:
        socket = Follower(len(self.sockets), user)
        socket.falls_behind = self.fallen_behind
        if self.rooms.subscribe(self.session(user), socket, room, user):
            self.sockets.append(socket)

    @rule(pick=st.integers(0, 50), room=ROOMS)
    def subscribe_also(self, pick: int, room: str) -> None:
        if self.sockets:
            socket = self.sockets[pick % len(self.sockets)]
            self.rooms.subscribe(self.session(socket.user), socket, room, socket.user)

    @rule(pick=st.integers(0, 50), room=ROOMS)
    def unsubscribe(self, pick: int, room: str) -> None:
        if self.sockets:
            socket = self.sockets[pick % len(self.sockets)]
            self.rooms.unsubscribe(socket, room, socket.user)
            socket.seen.pop(room, None)

    @rule(pick=st.integers(0, 50))
    def disconnect(self, pick: int) -> None:
        if self.sockets:
            self.rooms.disconnected(self.sockets.pop(pick % len(self.sockets)))

    def fallen_behind(self, socket: Follower) -> None:
        """Too slow for what it was sent: the server closes it, in the middle of telling all the others."""
        if socket in self.sockets:
            self.sockets.remove(socket)
        self.rooms.disconnected(socket)

    @rule(pick=st.integers(0, 50))
    def slow_down(self, pick: int) -> None:
        if self.sockets:
            self.sockets[pick % len(self.sockets)].is_slow = True

    @rule(user=USERS)
    def revoke(self, user: str) -> None:
        self.rooms.revoke([user.encode()])

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds
        self.rooms.sweep()

    @rule()
    def the_turn_ends(self) -> None:
        """Every follower knows who is there, and the counts are what is there."""
        self.rooms.flush()
        for socket in self.sockets:
            for room, seen in socket.seen.items():
                there = {p.user_id: json.loads(bytes(p.data)) for p in self.rooms.members(Caller(identity=ADMIN), room)}
                assert seen == there, (socket.id, room)
        all_rooms = self.rooms.all(10)
        assert self.rooms.statistics.members == sum(members for _, members in all_rooms)
        assert self.rooms.statistics.subscriptions == sum(len(socket.seen) for socket in self.sockets)
        assert all(0 < members <= 2 for _, members in all_rooms)


TestRoomMachine = RoomMachine.TestCase
TestRoomMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
