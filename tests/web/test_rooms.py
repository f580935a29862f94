"""Rooms through their doors: HTTP and sockets of a real server, as in the transcript of spec 02 §17.7."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from websockets.sync.client import ClientConnection, connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from pylon.testing.waiting import eventually as until

ENV = {
    "PYLON_ROOM_DATA_MAX_BYTES": "1000",
    "PYLON_ROOMS_PER_USER_MAX": "20",
    "PYLON_ROOM_PUBLISHES_PER_USER": "50",
    "PYLON_ROOM_PUBLISHES_PER_USER_BURST": "100",
}


@pytest.fixture(scope="module")
def server(app_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(app_folder / "app.py", tmp_path_factory.mktemp("rooms") / "data", env=ENV) as process:
        yield process


class Person:
    """A signed-in user with a socket."""

    def __init__(self, server: ServerProcess, token: str | None, socket: ClientConnection) -> None:
        self.server = server
        self.token = token
        self.socket = socket

    def post(self, action: str, **body: Any) -> Any:
        return self.server.request("POST", f"/api/rooms/{action}", body, token=self.token)[1]

    def get(self, room: str = "") -> Any:
        path = f"/api/rooms/{quote(room, safe='')}" if room else "/api/rooms"
        return self.server.request("GET", path, token=self.token)[1]

    def say(self, **frame: Any) -> None:
        self.socket.send(json.dumps(frame))

    def heard(self) -> Any:
        return json.loads(self.socket.recv(timeout=10))

    def hears_nothing_more(self, room: str) -> None:
        """What was said before this is all that was sent: the answer to a question comes behind it."""
        self.say(type="room-subscribe", room="no such room")
        assert self.heard() == {"type": "error", "code": "NOT_IN_ROOM", "room": "no such room"}


Meet = Callable[[str | None], Person]


@contextlib.contextmanager
def meeting(server: ServerProcess) -> Iterator[Meet]:
    with contextlib.ExitStack() as stack:

        def meet(user: str | None) -> Person:
            token = None if user is None else server.token_of(user)
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            socket = connect(f"ws://127.0.0.1:{server.port}/", proxy=None, compression=None, additional_headers=headers)
            return Person(server, token, stack.enter_context(socket))

        yield meet


@pytest.fixture
def meet(server: ServerProcess) -> Iterator[Meet]:
    with meeting(server) as meet:
        yield meet


def test_join_presence_broadcast_and_leave_as_older_clients_know_them(server: ServerProcess, meet: Meet) -> None:
    alice, bob, carol = (meet(user) for user in ("alice", "bob", "carol"))
    answer = alice.post("join", room="doc", data={"color": "red"})
    assert answer == {"joined": "doc", "snapshot": {"peers": [], "room": "doc", "type": "snapshot"}}
    [peer] = bob.post("join", room="doc", data={"color": "blue"})["snapshot"]["peers"]
    assert (peer["user_id"], peer["data"], peer["joined_at"][-1]) == ("alice", {"color": "red"}, "Z")

    alice.say(type="room-subscribe", room="doc")
    snapshot = alice.heard()
    assert (snapshot["type"], [m["user_id"] for m in snapshot["members"]]) == ("room-snapshot", ["alice", "bob"])
    bob.say(type="room-subscribe", room="doc")
    bob.heard()
    carol.say(type="room-subscribe", room="doc")
    assert carol.heard() == {"code": "NOT_IN_ROOM", "room": "doc", "type": "error"}

    assert alice.post("presence", room="doc", data={"x": 1}) == {"updated": True}
    member = {"user_id": "alice"}
    told = {"action": "presence", "data": {"x": 1}, "member": member, "room": "doc", "type": "room-update"}
    assert alice.heard() == bob.heard() == told
    assert bob.post("broadcast", room="doc", topic="ping", data={"hello": 1}) == {"broadcasted": True}
    data = {"payload": {"hello": 1}, "topic": "ping"}
    told = {"action": "broadcast", "data": data, "member": {"user_id": "bob"}, "room": "doc", "type": "room-update"}
    assert alice.heard() == bob.heard() == told
    alice.say(type="topic", topic="chat", room="doc", data={"m": "hi"})
    told = {"data": {"m": "hi"}, "from": "alice", "room": "doc", "topic": "chat", "type": "topic"}
    assert alice.heard() == bob.heard() == told
    alice.say(type="presence", room="doc", event="typing", data=True)
    assert bob.heard() == {"type": "presence", "event": "typing", "data": True, "from": "alice", "room": "doc"}
    alice.heard()

    assert carol.post("presence", room="doc") == {"updated": False, "reason": "not_in_room"}
    assert carol.post("broadcast", room="doc", topic="t") == {"broadcasted": False, "reason": "not_in_room"}
    assert bob.get("doc")["count"] == 2
    assert bob.get() == [{"name": "doc", "members": 2}]
    assert carol.get("doc") == {"room": "doc", "count": 0, "members": []}
    assert carol.get() == []

    assert bob.post("leave", room="doc") == {"left": "doc", "was_present": True}
    assert bob.post("leave", room="doc") == {"left": "doc", "was_present": False}
    left = {"action": "leave", "member": {"user_id": "bob"}, "room": "doc", "type": "room-update"}
    assert alice.heard() == left
    assert bob.heard() == left
    alice.post("presence", room="doc")
    bob.hears_nothing_more("doc")
    alice.socket.close()
    until(lambda: server.request("GET", "/api/rooms", token=ADMIN_TOKEN)[1] == [])


def test_the_others_hear_of_a_closed_socket_and_strangers_do_not(server: ServerProcess, meet: Meet) -> None:
    alice, bob, carol = (meet(user) for user in ("alice", "bob", "carol"))
    for person, room in ((alice, "call"), (bob, "call"), (carol, "other")):
        person.post("join", room=room)
        person.say(type="room-subscribe", room=room)
        person.heard()
    alice.socket.close()
    frames = [bob.heard(), bob.heard()]
    assert frames[0] == {"action": "leave", "member": {"user_id": "alice"}, "room": "call", "type": "room-update"}
    assert (frames[1]["type"], frames[1]["event"]) == ("presence", "disconnect")
    carol.hears_nothing_more("other")


def test_anonymous_callers_are_in_no_room_and_say_nothing(server: ServerProcess, meet: Meet) -> None:
    alice, nobody = meet("alice"), meet(None)
    alice.post("join", room="quiet")
    alice.say(type="room-subscribe", room="quiet")
    alice.heard()
    for kind in ("room-subscribe", "presence", "topic"):
        nobody.say(type=kind, room="quiet", topic="t", data=1, user_id="alice")
        assert nobody.heard() == {"type": "error", "code": "NOT_IN_ROOM", "room": "quiet"}
    for action in ("join", "leave", "presence", "broadcast"):
        assert nobody.post(action, room="quiet", topic="t")["error"]["code"] == "AUTH_REQUIRED"
    assert nobody.get("quiet")["error"]["code"] == "AUTH_REQUIRED"
    alice.hears_nothing_more("quiet")


def test_a_forged_user_is_ignored_but_from_an_admin(server: ServerProcess, meet: Meet) -> None:
    alice = meet("alice")
    alice.post("join", room="bots")
    mallory = meet("mallory")
    mallory.post("join", room="bots", user_id="alice", data="I am alice")
    assert {m["user_id"]: m["data"] for m in alice.get("bots")["members"]} == {"alice": None, "mallory": "I am alice"}
    server.request("POST", "/api/rooms/join", {"room": "bots", "user_id": "helper"}, token=ADMIN_TOKEN)
    server.request("POST", "/api/rooms/join", {"room": "bots"}, token=ADMIN_TOKEN)
    assert [m["user_id"] for m in alice.get("bots")["members"]] == ["alice", "mallory", "helper", "__admin__"]


def test_a_silent_member_goes_and_a_polling_one_stays(app_folder: Path, tmp_path: Path) -> None:
    with (
        ServerProcess(app_folder / "app.py", tmp_path / "data", env={"PYLON_ROOM_IDLE_SECS": "0.7"}) as server,
        meeting(server) as meet,
    ):
        polls, silent = meet("polls"), meet("silent")
        for person in (silent, polls):
            person.post("join", room="idle")
        until(lambda: [m["user_id"] for m in polls.get("idle")["members"]] == ["polls"])


def test_a_revoked_session_leaves_its_rooms_at_once(server: ServerProcess, meet: Meet) -> None:
    alice, bob = meet("alice"), meet("bob")
    for person in (alice, bob):
        person.post("join", room="revoked")
    bob.say(type="room-subscribe", room="revoked")
    bob.heard()
    server.request("DELETE", "/api/auth/session", token=alice.token)
    assert bob.heard()["action"] == "leave"
    assert [m["user_id"] for m in bob.get("revoked")["members"]] == ["bob"]


def test_a_guest_who_becomes_a_user_leaves_as_a_guest(server: ServerProcess, meet: Meet) -> None:
    bob = meet("bob")
    _, answer = server.request("POST", "/api/auth/guest")
    with connect(
        f"ws://127.0.0.1:{server.port}/",
        proxy=None,
        compression=None,
        close_timeout=1,
        additional_headers={"Authorization": f"Bearer {answer['token']}"},
    ) as socket:
        guest = Person(server, answer["token"], socket)
        for person in (bob, guest):
            person.post("join", room="upgraded")
            person.say(type="room-subscribe", room="upgraded")
            person.heard()
        assert bob.heard()["action"] == "join"
        server.request("POST", "/api/auth/upgrade", {"user_id": "ula"}, token=answer["token"])
        told = {"action": "leave", "member": {"user_id": answer["user_id"]}, "room": "upgraded", "type": "room-update"}
        assert bob.heard() == told
        assert [m["user_id"] for m in bob.get("upgraded")["members"]] == ["bob"]


def test_names_may_hold_anything_and_bad_requests_say_what_is_wrong(server: ServerProcess, meet: Meet) -> None:
    alice = meet("alice")
    for room in ("a/b c?d#e", "join", "ünïcode", "100%"):
        alice.post("join", room=room)
        assert alice.get(room)["count"] == 1, room
        alice.post("leave", room=room)
    for body, code in (
        ({}, "MISSING_ROOM"),
        ({"room": ""}, "MISSING_ROOM"),
        ({"room": 7}, "MISSING_ROOM"),
        ({"room": "x" * 257}, "INVALID_DATA"),
        ({"room": "x", "data": "x" * 1001}, "PAYLOAD_TOO_LARGE"),
    ):
        assert alice.post("join", **body)["error"]["code"] == code
    assert server.request("POST", "/api/rooms/join", b"nonsense", token=alice.token)[1]["error"]["code"] == (
        "INVALID_JSON"
    )
    assert alice.post("broadcast", room="x")["error"]["code"] == "MISSING_TOPIC"


def test_thousands_of_rooms_of_one_user_stop_at_the_cap_and_the_rate(server: ServerProcess, meet: Meet) -> None:
    greedy = meet("greedy")
    codes = [greedy.post("join", room=f"r{n}").get("error", {}).get("code") for n in range(25)]
    assert codes == [None] * 20 + ["ROOM_LIMIT_REACHED"] * 5
    for n in range(300):
        greedy.say(type="topic", topic="t", room="r0", data=n)
    greedy.say(type="room-subscribe", room="the last word")
    frame = greedy.heard()
    while greedy.heard()["room"] != "the last word":
        pass
    assert (frame["code"], frame["room"], frame["retry_after_secs"] >= 1) == ("RATE_LIMITED", "r0", True)
    status, answer = server.request("POST", "/api/rooms/presence", {"room": "r0"}, token=greedy.token)
    assert (status, answer["error"]["code"]) == (429, "RATE_LIMITED")


def test_junk_about_rooms_leaves_the_socket_open(server: ServerProcess, meet: Meet) -> None:
    alice = meet("alice")
    alice.post("join", room="junk")
    for frame in (
        {"type": "room-subscribe"},
        {"type": "room-subscribe", "room": 7},
        {"type": "room-unsubscribe", "room": ["x"]},
        {"type": "presence", "event": "x"},
        {"type": "topic", "topic": 7, "room": "junk"},
    ):
        alice.say(**frame)
    alice.say(type="presence", room="junk", data="x" * 2000)
    assert alice.heard()["code"] == "PAYLOAD_TOO_LARGE"
    alice.say(type="presence", room="x" * 5000)
    assert len(alice.heard()["room"]) == 256


def test_switches_close_rooms(server: ServerProcess, meet: Meet) -> None:
    alice, bob = meet("alice"), meet("bob")
    for person in (alice, bob):
        person.post("join", room="switched")
    for switch, code in (
        ({"scope": "user", "target": "bob", "blocks": "writes"}, "RATE_LIMITED"),
        ({"scope": "user", "target": "bob"}, "BLOCKED"),
        ({"scope": "read-only"}, "MAINTENANCE"),
        ({"scope": "sync"}, "MAINTENANCE"),
        ({"scope": "server"}, "MAINTENANCE"),
    ):
        status, made = server.request("POST", "/api/admin/switches", switch, token=ADMIN_TOKEN)
        assert status == 201, made
        try:
            assert bob.post("presence", room="switched")["error"]["code"] == code, switch
            if code == "BLOCKED":
                assert [m["user_id"] for m in alice.get("switched")["members"]] == ["alice"]
        finally:
            server.request("DELETE", f"/api/admin/switches/{made['id']}", token=ADMIN_TOKEN)


def test_metrics_tell_of_rooms(server: ServerProcess, meet: Meet) -> None:
    meet("alice").post("join", room="measured")
    _, text = server.request("GET", "/metrics", headers={"Accept": "text/plain"})
    assert "pylon_rooms_open " in text
    assert "pylon_room_members 0\n" not in text
