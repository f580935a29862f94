"""The app says who may be in which room: asked at every door, and again whenever the answer may be another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from pylon import App, Context, Entity, Id, field
from pylon.compute.recorder import Recorder
from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.limits.flags import Flag
from pylon.engine.transaction import Authority
from pylon.model.errors import PylonError
from pylon.model.findings import DeclarationError
from pylon.model.identity import Identity
from pylon.model.room_names import RoomNames
from pylon.server import Server
from pylon.sync import room_guard
from pylon.sync.room_guard import RoomGuard
from pylon.sync.rooms import Rooms
from pylon.testing.app import open_server, sign_in
from pylon.testing.process import ADMIN_TOKEN
from pylon.testing.waiting import comes_true as until
from tests.rooms.doors import Visitor, visiting

app = App("ruled")


class Doc(Entity, crdt=False):
    title: str
    owner: Id[User] = field(owner=True)  # noqa: F821 - as an app writes it
    readers: list[str] = []

    class Policy:
        allow = "auth.userId == data.owner"


@app.room("doc:{doc}")
def doc_room(ctx: Context, doc: Id[Doc]) -> bool:
    row = ctx.db.get(Doc, doc)
    return row is not None and (row.owner == ctx.auth.user_id or ctx.auth.user_id in row.readers)


@app.room("org:{org}")
def org_room(ctx: Context, org: str) -> bool:
    return ctx.auth.tenant_id == org


@app.room("seat:{number}")
def seat(ctx: Context, number: int) -> bool:
    return number < 10


@app.room("broken")
def broken(ctx: Context) -> bool:
    raise ValueError("secret")


@app.room("beta")
def beta(ctx: Context) -> bool:
    return ctx.flags.enabled("beta")


DENIED = (403, "POLICY_DENIED")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with open_server(app) as server:
        yield server


class Cast:
    """Whoever the test needs, each by a session of his own."""

    def __init__(self, server: Server, stack: AsyncExitStack) -> None:
        self._server = server
        self._stack = stack

    async def __call__(self, user: str, tenant: str | None = None) -> Visitor:
        token = await sign_in(self._server, user, tenant_id=tenant)
        return await self._stack.enter_async_context(visiting(self._server, token))

    async def admin(self) -> Visitor:
        return await self._stack.enter_async_context(visiting(self._server, ADMIN_TOKEN))


@pytest.fixture
async def cast(server: Server) -> AsyncIterator[Cast]:
    async with AsyncExitStack() as stack:
        yield Cast(server, stack)


async def made(server: Server, *readers: str) -> str:
    """A doc of alice's, as the name of its room."""
    caller = Caller(identity=Identity(user_id="alice"))
    plan = server.engine.plans["Doc"]
    row = plan.types.convert_insert({"title": "T", "owner": "alice", "readers": list(readers)})
    change = (await server.engine.run(caller, lambda tx: tx.insert(plan, row))).value
    return f"doc:{change.row_id}"


async def update(server: Server, room: str, **patch: Any) -> None:
    plan = server.engine.plans["Doc"]
    await server.engine.run(SYSTEM, lambda tx: tx.update(plan, room[4:], patch), authority=Authority.TRUSTED)


async def test_the_rule_lets_in_and_everything_else_is_denied_alike(server: Server, cast: Cast) -> None:
    room = await made(server, "bob")
    alice, bob, eve = await cast("alice"), await cast("bob"), await cast("eve")
    for visitor in (alice, bob):
        assert (await visitor.post("join", room))[0] == 200
    refused = [room, "doc:" + "0" * 40, "doc:", "doc:a:b", f"{room}/x", "broken", "lobby", "seat:10", "seat:x"]
    assert [await eve.post("join", name) for name in refused] == [DENIED] * len(refused)
    assert (await eve.post("join", "seat:9"))[0] == 200
    assert (await eve.post("join", "x" * 300)) == (400, "INVALID_DATA")


async def test_who_may_not_join_learns_nothing_of_members_and_messages(server: Server, cast: Cast) -> None:
    room, nowhere = await made(server), "doc:nowhere"
    alice, eve = await cast("alice"), await cast("eve")
    await alice.enter(room)
    for name in (room, nowhere):
        assert await eve.get(f"/{name}") == {"room": name, "count": 0, "members": []}
        assert await eve.post("presence", name, data=1) == (200, {"updated": False, "reason": "not_in_room"})
        assert await eve.post("broadcast", name, topic="t") == (200, {"broadcasted": False, "reason": "not_in_room"})
        for kind, more in (("room-subscribe", {}), ("topic", {"topic": "t"}), ("presence", {"data": 1})):
            await eve.say(kind, name, **more)
            assert await eve.hears("error") == {"type": "error", "code": "NOT_IN_ROOM", "room": name}
    await alice.say("topic", room, topic="t", data="secret")
    await alice.hears("topic")
    assert (await eve.get(), eve.heard) == ([], [])


async def test_who_loses_the_right_is_out_at_once_and_the_others_hear_of_it(server: Server, cast: Cast) -> None:
    room = await made(server, "bob")
    alice, bob = await cast("alice"), await cast("bob")
    await alice.enter(room)
    await bob.enter(room)
    await alice.hears("room-update", action="join")
    await update(server, room, title="other")  # nothing for the rule
    await update(server, room, readers=[])
    await bob.hears("error", code="POLICY_DENIED", room=room)
    await bob.hears("room-update", action="leave", member={"user_id": "bob"})
    await alice.hears("room-update", action="leave", member={"user_id": "bob"})
    await alice.say("topic", room, topic="t", data="secret")
    await alice.hears("topic")
    assert bob.heard == []
    assert await bob.post("join", room) == DENIED
    assert await bob.post("presence", room) == (200, {"updated": False, "reason": "not_in_room"})
    await update(server, room, readers=["bob"])
    await bob.enter(room)


async def test_a_session_that_changes_its_organisation_is_out_and_its_users_other_one_stays(
    server: Server, cast: Cast
) -> None:
    desk, phone = await cast("alice", "acme"), await cast("alice", "acme")
    await desk.enter("org:acme")
    await phone.enter("org:acme")
    session = server.sessions.resolve(phone.token)
    await server.engine.run(
        SYSTEM, lambda tx: server.sessions.alter(tx, session.id, tenant_id="other"), authority=Authority.TRUSTED
    )
    server.sessions.take_up()
    await phone.hears("error", code="POLICY_DENIED", room="org:acme")
    await desk.say("topic", "org:acme", topic="t", data=1)
    await desk.hears("topic")
    assert [frame for frame in phone.heard if frame["type"] == "topic"] == []
    assert await phone.get("/org:acme") == {"room": "org:acme", "count": 0, "members": []}
    assert (await desk.get("/org:acme"))["count"] == 1


async def test_another_session_of_a_member_is_asked_for_itself(server: Server, cast: Cast) -> None:
    member, outside = await cast("alice", "acme"), await cast("alice", "other")
    await member.enter("org:acme")
    assert await outside.post("join", "org:acme") == DENIED
    assert await outside.get("/org:acme") == {"room": "org:acme", "count": 0, "members": []}
    assert await outside.get() == []
    assert await outside.post("broadcast", "org:acme", topic="t") == (
        200,
        {"broadcasted": False, "reason": "not_in_room"},
    )
    for kind, more in (("topic", {"topic": "t"}), ("room-subscribe", {})):  # judged in turn, and answered in turn
        await outside.say(kind, "org:acme", **more)
        await outside.hears("error", code="NOT_IN_ROOM")
    assert member.heard == []
    inside = await cast("alice", "acme")
    for n in range(5):
        await inside.say("topic", "org:acme", topic="t", data=n)
    assert [(await member.hears("topic"))["data"] for _ in range(5)] == list(range(5))


async def test_a_revoked_session_loses_its_rooms(server: Server, cast: Cast) -> None:
    room = await made(server, "bob")
    alice, bob = await cast("alice"), await cast("bob")
    await alice.enter(room)
    await bob.enter(room)
    await server.sessions.revoke_all("bob")
    await alice.hears("room-update", action="leave", member={"user_id": "bob"})
    assert len(server.room_guard) == 1


async def test_a_flag_that_goes_takes_its_members_along(server: Server, cast: Cast) -> None:
    alice = await cast("alice")
    assert await alice.post("join", "beta") == DENIED
    await server.engine.flags.put(SYSTEM, Flag(name="beta", on=True))
    await alice.enter("beta")
    await server.engine.flags.put(SYSTEM, Flag(name="beta"))
    await alice.hears("error", code="POLICY_DENIED", room="beta")


async def test_admins_pass_and_may_bring_others_in(server: Server, cast: Cast) -> None:
    admin, eve = await cast.admin(), await cast("eve")
    assert (await admin.post("join", "anything"))[0] == 200
    assert (await admin.post("join", "anything", user_id="eve"))[0] == 200
    assert await eve.get("/anything") == {"room": "anything", "count": 0, "members": []}
    assert (await admin.get("/anything"))["count"] == 2


async def test_members_without_a_socket_are_asked_about_as_well(server: Server, cast: Cast) -> None:
    room = await made(server, "bob")
    alice, bob = await cast("alice"), await cast("bob")
    await alice.enter(room)
    assert (await bob.post("join", room))[0] == 200
    plan = server.engine.plans["Doc"]
    await server.engine.run(SYSTEM, lambda tx: tx.delete(plan, room[4:]), authority=Authority.TRUSTED)
    await alice.hears("error", code="POLICY_DENIED")
    await until(lambda: len(server.rooms) == len(server.room_guard) == 0)
    assert await bob.get(f"/{room}") == {"room": room, "count": 0, "members": []}


class Rules:
    """Rules that a test answers by itself."""

    are_declared = True

    def __init__(self) -> None:
        self.answer: Any = True
        self.asked = 0
        self.meanwhile: Any = lambda: None

    async def admits(self, caller: Caller, room: str, recorder: Recorder) -> bool:
        self.asked += 1
        recorder.seq = 0
        self.meanwhile()
        await asyncio.sleep(0)
        if isinstance(self.answer, Exception):
            raise self.answer
        return bool(self.answer)


ALICE = Caller(identity=Identity(user_id="alice"), session=b"s")


@contextlib.asynccontextmanager
async def guarded(rules: Rules) -> AsyncIterator[RoomGuard]:
    guard = RoomGuard(Rooms(), rules)
    task = asyncio.create_task(guard.run())
    try:
        yield guard
    finally:
        task.cancel()


async def test_a_change_while_the_rule_is_asked_is_not_missed(server: Server) -> None:
    room = await made(server)
    plan = server.engine.plans["Doc"]
    rules = Rules()
    changes: list[Any] = []
    server.engine.subscribe(changes.extend)
    await update(server, room, title="x")

    async def reads(caller: Caller, name: str, recorder: Recorder) -> bool:
        answer = bool(rules.answer)
        recorder.seq = changes[-1].seq - 1
        recorder.point(plan.types, room[4:])
        guard.changed(changes[-1:])  # committed behind the snapshot
        rules.asked += 1
        if rules.asked > 1:
            recorder.seq += 1
        rules.answer = False
        return answer

    rules.admits = reads  # type: ignore[method-assign]
    async with guarded(rules) as guard:
        await guard.join(ALICE, room, None, "alice")
        await until(lambda: len(guard.rooms) == 0)
        assert rules.asked == 2


async def test_a_session_that_ends_or_changes_while_the_rule_is_asked_is_judged_as_it_is_then() -> None:
    rules = Rules()
    held = {"identity": Identity(user_id="alice", tenant_id="acme"), "key": b"s"}

    class Held:
        expires_at = 0

        @property
        def identity(self) -> Any:
            return held["identity"]

        @property
        def key(self) -> Any:
            return held["key"]

    guard = RoomGuard(Rooms(), rules, current=lambda key: Held())
    asked: list[str | None] = []
    admits = rules.admits

    async def admits_acme(caller: Caller, room: str, recorder: Recorder) -> bool:
        asked.append(caller.identity.tenant_id)
        return caller.identity.tenant_id == "acme" and await admits(caller, room, recorder)

    rules.admits = admits_acme  # type: ignore[method-assign]
    acme = Caller(identity=Identity(user_id="alice", tenant_id="acme"), session=b"s")
    for name, value in (("identity", Identity(user_id="alice", tenant_id="other")), ("key", None)):
        before = held[name]
        rules.meanwhile = lambda name=name, value=value: held.update({name: value})
        with pytest.raises(PylonError, match="denied"):
            await guard.join(acme, "org:acme", None, "alice")
        held[name] = before
    assert (asked, len(guard.rooms), len(guard)) == (["acme", "other", "acme"], 0, 0)
    rules.meanwhile = lambda: None
    await guard.join(acme, "org:acme", None, "alice")
    assert len(guard) == 1
    other = Caller(identity=Identity(user_id="alice", tenant_id="other"), session=b"s")
    held["identity"] = other.identity
    assert not await guard.admits(other, "org:acme", "alice")  # before anybody told that the session has changed


async def test_a_rule_that_can_not_be_asked_keeps_for_a_while_and_then_denies(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room_guard, "TRIES", 1)
    rules = Rules()
    async with guarded(rules) as guard:
        await guard.join(ALICE, "a", None, "alice")
        rules.answer = PylonError("OVERLOADED", "busy")
        with pytest.raises(PylonError, match="busy"):
            await guard.join(ALICE, "b", None, "alice")
        guard.reidentified([b"s"], [])
        await until(lambda: rules.asked == 3)
        assert guard.rooms.has("a", "alice")
        await until(lambda: not guard.rooms.has("a", "alice"))
        rules.answer = True
        await guard.join(ALICE, "a", None, "alice")
        rules.answer = RuntimeError("boom")
        guard.reidentified([], ["alice"])
        await until(lambda: not guard.rooms.has("a", "alice"))


async def test_a_member_who_leaves_leaves_no_pass_behind() -> None:
    async with guarded(Rules()) as guard:
        for n in range(40):
            await guard.join(Caller(identity=Identity(user_id="alice"), session=str(n).encode()), "a", None, "alice")
        assert len(guard) == 32
        assert guard.rooms.leave("a", "alice")
        assert (len(guard), len(guard.rooms), guard._sessions, len(guard._dependencies)) == (0, 0, {}, 0)


def test_names_are_read_in_one_way() -> None:
    names = RoomNames(app.spec().rooms)
    matched = names.match("seat:7")
    assert matched is not None
    assert (matched.function.name, matched.arguments) == ("seat", {"number": 7})
    for name in ("seat:", "seat:7:8", "seat:7/8", "seat:1.5", "Seat:7", "beta\n", ""):
        assert names.match(name) is None


@pytest.mark.parametrize(
    ("pattern", "takes", "mend"),
    [
        ("doc:{doc}", "ctx, id: str", "names doc, and the function takes id"),
        ("doc", "ctx, id: str", "names nothing"),
        ("{a}{b}", "ctx, a: str, b: str", "nothing separates"),
        ("{a}:{a}", "ctx, a: str", "can't be read"),
        ("{a", "ctx", "can't be read"),
        ("{1}", "ctx", "can't be read"),
        ("", "ctx", "a text such as"),
    ],
)
def test_a_rule_that_can_not_be_read_stops_the_start(pattern: str, takes: str, mend: str) -> None:
    scope: dict[str, Any] = {}
    exec(f"def rule({takes}):\n    return True", scope)
    with pytest.raises(DeclarationError, match=mend):
        App("bad").room(pattern)(scope["rule"])


def test_a_rule_does_not_wait_and_stands_alone() -> None:
    async def waits(ctx: Context) -> bool:
        return True

    def stays(ctx: Context) -> bool:
        return True

    bad = App("bad")
    with pytest.raises(DeclarationError, match="plain def"):
        bad.room("a")(waits)
    bad.room("a")(stays)
    with pytest.raises(DeclarationError, match="already"):
        bad.room("a")(stays)
