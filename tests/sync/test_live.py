"""Live queries: subscribed to over a socket, run again when what they read changes, pushed when the result changed."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from pylon import App, Context, Entity, field
from pylon.auth.sessions import NOBODY, Session
from pylon.compute.functions import Functions
from pylon.engine.engine import Engine
from pylon.engine.limits.flags import Flag
from pylon.engine.limits.switch import Scope
from pylon.model.identity import ADMIN, Identity
from pylon.sync.door import Door
from pylon.sync.hub import Hub
from pylon.sync.live import PER_CONNECTION, LiveQueries
from pylon.sync.reruns import LiveLimits
from pylon.testing.engine import open_engine
from pylon.testing.waiting import comes_true
from tests.conftest import ADMINISTRATOR
from tests.sync.test_asgi_socket import Peer


class Note(Entity, crdt=False):
    title: str
    tag: str | None = None
    n: int = 0
    owner: str | None = field(owner=True)

    class Policy:
        allow = "false"


class Watched(Entity, crdt=False, audit_reads=True):
    title: str

    class Policy:
        allow = "false"


app = App("live", entities=[Note, Watched])
runs: list[str] = []
gates: dict[str, threading.Event] = {}


@app.query(auth="public")
def by_tag(ctx: Context, tag: str) -> list[str]:
    runs.append(tag)
    if (gate := gates.get(tag)) is not None:
        gate.wait(5)
    return [note.title for note in ctx.db.query(Note, tag=tag, order="title")]


@app.query(auth="public")
def who(ctx: Context) -> dict[str, Any]:
    return {"user": ctx.auth.user_id, "tenant": ctx.auth.tenant_id, "count": ctx.db.count(Note, tag="who")}


@app.query(auth="public")
def fragile(ctx: Context) -> str:
    note = ctx.db.one(Note, tag="fragile")
    if note is not None and note.title == "bad":
        raise RuntimeError("a secret")
    return "fine" if note is None else note.title


@app.query(auth="public")
def flagged(ctx: Context) -> bool:
    return ctx.flags.enabled("new")


@app.query(auth="public")
def huge(ctx: Context) -> str:
    return "x" * 300_000


@app.query(auth="public", timeout=0.05)
def endless(ctx: Context) -> None:
    is_stuck = ctx.db.count(Note, tag="endless") == 0
    while is_stuck:
        pass


@app.query
def secrets(ctx: Context) -> list[str]:
    return [row.title for row in ctx.db.query(Watched)]


@app.query
def members(ctx: Context) -> str:
    return "hello"


@app.query(internal=True, auth="public")
def hidden(ctx: Context) -> str:
    return "hidden"


@app.mutation(auth="public")
def add(ctx: Context) -> None:
    ctx.db.insert(Note, title="from a subscription")


USERS = {
    "a": Session(Identity(user_id="a"), b"a"),
    "b": Session(Identity(user_id="b"), b"b"),
    "admin": Session(ADMIN, b"admin"),
}


class Client:
    """The other side of a socket under ASGI."""

    def __init__(self, live: Live, token: str | None) -> None:
        headers = [] if token is None else [(b"authorization", f"Bearer {token}".encode())]
        self._peer = Peer(live.door, headers=headers)
        self._live = live
        self._read = 1

    def say(self, **message: Any) -> None:
        self._peer.incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

    def subscribe(self, sub_id: str, name: str, **args: Any) -> None:
        self.say(type="reactive-subscribe", sub_id=sub_id, fn_name=name, args=args)

    async def next(self) -> dict[str, Any]:
        """The next frame of a live query."""
        await comes_true(lambda: len(self._peer.sent) > self._read)
        self._read += 1
        message = self._peer.sent[self._read - 1]
        assert message["type"] == "websocket.send", message
        frame: dict[str, Any] = json.loads(message["text"])
        return frame

    async def result(self) -> Any:
        frame = await self.next()
        assert frame["type"] == "reactive-result", frame
        return frame["result"]

    async def code(self) -> str:
        frame = await self.next()
        assert frame["type"] == "reactive-error", frame
        code: str = frame["code"]
        return code

    @property
    def unread(self) -> int:
        return len(self._peer.sent) - self._read

    @property
    def last(self) -> dict[str, Any]:
        return self._peer.sent[-1]

    async def leave(self) -> None:
        self._peer.free.set()
        self._peer.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
        await self._peer.task


class Live:
    """A server's live queries in this process."""

    def __init__(self, engine: Engine, limits: LiveLimits) -> None:
        async def decide(questions: Any) -> list[bool]:
            return []

        self.engine = engine
        self.door = Door(
            Hub({}, decide),
            lambda token: USERS.get(token or "", NOBODY),
            cookie_name="s",
            trusted_origin=lambda origin, host: False,
            max_buffer=400_000,
        )
        self.queries = LiveQueries(engine, Functions(engine, app.spec().functions), self.door, limits)
        self._clients: list[Client] = []

    def client(self, token: str | None = None) -> Client:
        self._clients.append(Client(self, token))
        return self._clients[-1]

    async def write(self, title: str, tag: str | None = None, **values: Any) -> str:
        body = json.dumps({"title": title, "tag": tag, **values}).encode()
        return (await self.engine.insert(ADMINISTRATOR, "Note", body)).row_id

    async def quiet(self) -> None:
        """Wait until nothing runs nor is about to."""
        states = self.queries._queries.values
        await comes_true(lambda: all(query.state.value == "idle" for query in states()))

    async def stop(self) -> None:
        for client in self._clients:
            await client.leave()
        await self.queries.stop()


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Callable[..., Live]]:
    runs.clear()
    gates.clear()
    made: list[Live] = []
    async with open_engine(app.spec(), tmp_path, read_threads=4) as engine:

        def build(**limits: Any) -> Live:
            made.append(Live(engine, LiveLimits(**{"share": 0.0, **limits})))
            return made[-1]

        yield build
        for gate in gates.values():
            gate.set()
        for live in made:
            await live.stop()


@pytest.fixture
def live(make: Callable[..., Live]) -> Live:
    return make()


# -- what is pushed ----------------------------------------------------------------------------------------------


async def test_the_result_comes_at_once_and_again_after_each_change_of_it(live: Live) -> None:
    client = live.client()
    client.subscribe("s1", "by_tag", tag="x")
    assert await client.next() == {"type": "reactive-result", "sub_id": "s1", "result": []}
    row = await live.write("one", "x")
    assert await client.result() == ["one"]
    await live.engine.update(ADMINISTRATOR, "Note", row, b'{"title":"two"}')
    assert await client.result() == ["two"]
    await live.engine.update(ADMINISTRATOR, "Note", row, b'{"tag":"y"}')
    assert await client.result() == []


async def test_a_change_of_other_rows_runs_nothing(live: Live) -> None:
    client = live.client()
    client.subscribe("s1", "by_tag", tag="x")
    await client.result()
    for n in range(20):
        await live.write(f"note {n}", "y")
    await live.write("mine", "x")
    assert await client.result() == ["mine"]
    assert runs == ["x", "x"]
    assert (live.queries.statistics.matched, live.queries.statistics.unmatched) == (1, 20)


async def test_a_run_whose_result_is_as_before_pushes_nothing(live: Live) -> None:
    client = live.client()
    row = await live.write("one", "x")
    client.subscribe("s1", "by_tag", tag="x")
    await client.result()
    await live.engine.update(ADMINISTRATOR, "Note", row, b'{"n":7}')
    await comes_true(lambda: live.queries.statistics.unchanged == 1)
    assert client.unread == 0


async def test_a_burst_of_changes_is_few_runs_and_ends_with_the_last_state(live: Live) -> None:
    client = live.client()
    client.subscribe("s1", "by_tag", tag="x")
    assert await client.result() == []
    await asyncio.gather(*[live.write(f"{n:03}", "x") for n in range(200)])
    while len(await client.result()) < 200:
        pass
    assert len(runs) <= 6


async def test_subscribers_of_one_identity_and_equal_arguments_share_each_run(live: Live) -> None:
    clients = [live.client("a") for _ in range(5)]
    for client in clients:
        client.say(type="reactive-subscribe", sub_id="s", fnName="byTag", args={"tag": "x", "unknown": 1})
    for client in clients:
        assert await client.result() == []
    assert runs == ["x"]
    await live.write("one", "x")
    for client in clients:
        assert await client.result() == ["one"]
    assert runs == ["x", "x"]
    assert (live.queries.shared, live.queries.statistics.subscriptions) == (1, 5)


async def test_a_newcomer_is_told_what_is_known_without_a_run(live: Live) -> None:
    first, second = live.client(), live.client()
    first.subscribe("s", "by_tag", tag="x")
    await first.result()
    second.subscribe("other", "by_tag", tag="x")
    assert await second.next() == {"type": "reactive-result", "sub_id": "other", "result": []}
    assert runs == ["x"]


async def test_each_identity_is_answered_in_its_own_name(live: Live) -> None:
    clients = {token: live.client(token) for token in ("a", "b", None)}
    for client in clients.values():
        client.subscribe("s", "who")
    for token, client in clients.items():
        assert (await client.result())["user"] == token


async def test_a_change_committed_while_the_query_runs_is_not_missed(live: Live) -> None:
    gates["x"] = threading.Event()
    client = live.client()
    client.subscribe("s", "by_tag", tag="x")
    await comes_true(lambda: runs == ["x"])  # it has its snapshot
    await live.write("meanwhile", "x")
    gates["x"].set()
    assert await client.result() == []
    assert await client.result() == ["meanwhile"]


async def test_changes_beyond_what_can_be_held_make_the_query_run_again(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pylon.sync.reruns.HELD_CHANGES", 1)
    gates["x"] = threading.Event()
    client = live.client()
    client.subscribe("s", "by_tag", tag="x")
    await comes_true(lambda: runs == ["x"])
    await live.write("meanwhile", "x")
    for _ in range(3):
        await live.write("another")
    gates["x"].set()
    assert await client.result() == []
    assert await client.result() == ["meanwhile"]


async def test_no_write_is_missed_whatever_runs_at_the_time(live: Live) -> None:
    client = live.client()
    tags = [f"t{n}" for n in range(5)]
    for tag in tags:
        client.subscribe(tag, "by_tag", tag=tag)
    expected: dict[str, list[str]] = {tag: [] for tag in tags}

    async def write(n: int) -> None:
        await asyncio.sleep(n % 7 * 0.003)
        await live.write(f"{n:03}", tags[n % 5])
        expected[tags[n % 5]].append(f"{n:03}")

    await asyncio.gather(*[write(n) for n in range(150)])
    last: dict[str, Any] = {}
    while last != {tag: sorted(titles) for tag, titles in expected.items()}:
        frame = await client.next()
        last[frame["sub_id"]] = frame["result"]
    await live.quiet()
    assert client.unread == 0


# -- who may, and what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({}, "MISSING_FN_NAME"),
        ({"fn_name": 7}, "MISSING_FN_NAME"),
        ({"fn_name": "nope"}, "FN_NOT_FOUND"),
        ({"fn_name": "hidden"}, "FN_NOT_FOUND"),
        ({"fn_name": "add"}, "FN_TYPE_MISMATCH"),
        ({"fn_name": "members"}, "AUTH_REQUIRED"),
        ({"fn_name": "by_tag"}, "INVALID_ARGS"),
        ({"fn_name": "by_tag", "args": {"tag": 1}}, "INVALID_ARGS"),
        ({"fn_name": "by_tag", "args": [1]}, "INVALID_ARGS"),
    ],
)
async def test_what_cannot_be_subscribed_to_is_answered_with_its_code(
    live: Live, message: dict[str, Any], code: str
) -> None:
    client = live.client()
    client.say(type="reactive-subscribe", sub_id="s", **message)
    assert await client.code() == code
    assert await live.engine.reads.run(lambda session: session.log_head(), 1.0) == 0


async def test_without_a_sub_id_nothing_is_answered(live: Live) -> None:
    client = live.client()
    for sub_id in (None, 7, "", "x" * 257):
        client.say(type="reactive-subscribe", sub_id=sub_id, fn_name="who")
    client.subscribe("s", "by_tag", tag="x")
    assert (await client.next())["sub_id"] == "s"


async def test_an_app_without_functions_has_no_live_queries(tmp_path: Path) -> None:
    async with open_engine(app.spec(), tmp_path) as engine:
        live = Live(engine, LiveLimits())
        live.queries._functions = Functions(engine, ())
        client = live.client()
        client.subscribe("s", "by_tag", tag="x")
        assert await client.code() == "REACTIVE_UNAVAILABLE"
        await live.stop()


async def test_a_connection_has_256_subscriptions_refused_ones_among_them(live: Live) -> None:
    client = live.client()
    client.subscribe("dead", "nope")
    assert await client.code() == "FN_NOT_FOUND"
    for n in range(PER_CONNECTION):
        client.subscribe(f"s{n}", "by_tag", tag="x")
    frames = [await client.next() for _ in range(PER_CONNECTION)]
    refused = [frame for frame in frames if frame["type"] == "reactive-error"]
    assert [(frame["sub_id"], frame["code"]) for frame in refused] == [(f"s{PER_CONNECTION - 1}", "REACTIVE_LIMIT")]
    client.subscribe("s7", "by_tag", tag="y")  # one that it has may be another's
    assert await client.result() == []
    client.say(type="reactive-unsubscribe", sub_id="dead")
    client.subscribe("new", "by_tag", tag="x")
    assert await client.result() == []


async def test_a_user_and_the_server_have_limits_of_their_own(make: Callable[..., Live]) -> None:
    live = make(subscriptions=2, queries=3)
    first, second, other = live.client("a"), live.client("a"), live.client("b")
    first.subscribe("1", "by_tag", tag="1")
    second.subscribe("2", "by_tag", tag="2")
    assert [await first.result(), await second.result()] == [[], []]
    second.subscribe("3", "by_tag", tag="3")
    assert await second.code() == "REACTIVE_LIMIT"
    other.subscribe("1", "by_tag", tag="1")
    assert await other.result() == []
    other.subscribe("2", "by_tag", tag="2")
    assert await other.code() == "REACTIVE_LIMIT"
    await first.leave()
    second.subscribe("3", "by_tag", tag="3")
    assert await second.result() == []


async def test_a_result_that_no_socket_could_take_is_an_error(make: Callable[..., Live]) -> None:
    client = make(bytes=100_000).client()
    client.subscribe("s", "huge")
    assert await client.code() == "REACTIVE_TOO_LARGE"


async def test_who_does_not_read_what_is_pushed_is_closed_with_1013(live: Live) -> None:
    client = live.client()
    await comes_true(lambda: len(live.door) == 1)
    client._peer.free.clear()
    for n in range(3):
        client.subscribe(f"s{n}", "huge")
    await comes_true(lambda: live.door.slow_consumers == 1)
    client._peer.free.set()
    await comes_true(lambda: client.last == {"type": "websocket.close", "code": 1013})
    await comes_true(lambda: live.queries.statistics.subscriptions == 0)


# -- failing and recovering --------------------------------------------------------------------------------------


async def test_a_query_that_raises_says_nothing_of_why_and_recovers_with_the_data(live: Live) -> None:
    client = live.client()
    row = await live.write("bad", "fragile")
    client.subscribe("s", "fragile")
    assert await client.next() == {
        "type": "reactive-error",
        "sub_id": "s",
        "code": "HANDLER_ERROR",
        "message": "Internal handler error",
    }
    await live.engine.update(ADMINISTRATOR, "Note", row, b'{"title":"good"}')
    assert await client.result() == "good"


async def test_a_query_that_takes_too_long_is_tried_again_without_a_change(live: Live) -> None:
    client = live.client()
    client.subscribe("s", "endless")
    assert await client.code() == "FN_TIMEOUT"
    before = live.queries.statistics.runs
    await comes_true(lambda: live.queries.statistics.runs > before)
    await live.write("one", "endless")
    assert await client.result() is None


async def test_a_function_that_is_switched_off_says_so_and_comes_back(live: Live) -> None:
    client, admin = live.client(), live.client("admin")
    for who_asks in (client, admin):
        who_asks.subscribe("s", "by_tag", tag="x")
        await who_asks.result()
    switch = await live.engine.switches.turn_on(ADMINISTRATOR, Scope.FUNCTION, "by_tag")
    assert await client.code() == "MAINTENANCE"
    await live.write("meanwhile", "x")
    assert await admin.result() == ["meanwhile"]
    await live.engine.switches.turn_off(ADMINISTRATOR, switch.id)
    assert await client.result() == ["meanwhile"]


async def test_what_is_refused_while_it_is_switched_off_begins_when_it_is_on(live: Live) -> None:
    switch = await live.engine.switches.turn_on(ADMINISTRATOR, Scope.FUNCTION, "by_tag")
    client = live.client()
    client.subscribe("s", "by_tag", tag="x")
    assert await client.code() == "MAINTENANCE"
    await live.engine.switches.turn_off(ADMINISTRATOR, switch.id)
    assert await client.result() == []


async def test_a_query_that_waits_long_after_failures_runs_at_once_when_there_is_cause(live: Live) -> None:
    client = live.client()
    client.subscribe("s", "by_tag", tag="x")
    await client.result()
    [query] = live.queries._queries.values()
    query.failures = 10  # the next try would be in half a minute
    switch = await live.engine.switches.turn_on(ADMINISTRATOR, Scope.FUNCTION, "by_tag")
    assert await client.code() == "MAINTENANCE"
    await live.write("meanwhile", "x")
    await live.engine.switches.turn_off(ADMINISTRATOR, switch.id)
    assert await client.result() == ["meanwhile"]


async def test_rows_whose_sight_is_recorded_are_recorded_for_each_newcomer(live: Live) -> None:
    body = b'{"title":"secret"}'
    await live.engine.insert(ADMINISTRATOR, "Watched", body)
    seen: list[str | None] = []
    live.engine.audit.shown = lambda caller, entity, row_ids: seen.append(caller.identity.user_id)  # type: ignore[method-assign]
    for _ in range(2):
        client = live.client("a")
        client.subscribe("s", "secrets")
        assert await client.result() == ["secret"]
    assert seen == ["a", "a"]


async def test_a_flag_that_the_query_asked_for_is_followed(live: Live) -> None:
    client = live.client()
    client.subscribe("s", "flagged")
    assert await client.result() is False
    await live.engine.flags.put(ADMINISTRATOR, Flag(name="new", on=True))
    await live.engine.refresh()
    assert await client.result() is True


async def test_who_spent_their_budget_waits_and_others_do_not(make: Callable[..., Live]) -> None:
    live = make(share=0.1, runs=1)
    greedy, modest = live.client("a"), live.client("b")
    live.queries.reruns._budgets.charge("a", 1050)  # milliseconds; a second's worth is what it held
    greedy.subscribe("s", "by_tag", tag="x")
    modest.subscribe("s", "by_tag", tag="x")
    assert await modest.result() == []
    assert greedy.unread == 0
    assert live.queries.statistics.delayed > 0
    assert await greedy.result() == []


# -- who goes ----------------------------------------------------------------------------------------------------


async def test_unsubscribing_and_leaving_end_the_runs(live: Live) -> None:
    client, other = live.client(), live.client()
    client.subscribe("s", "by_tag", tag="x")
    other.subscribe("s", "by_tag", tag="y")
    await client.result()
    await other.result()
    client.say(type="reactive-unsubscribe", sub_id="s")
    client.say(type="reactive-unsubscribe", sub_id="s")
    client.say(type="reactive-unsubscribe")
    await other.leave()
    await comes_true(lambda: live.queries.shared == 0)
    await live.write("one", "x")
    await live.write("two", "y")
    assert live.queries.statistics.subscriptions == 0
    assert len(live.queries.reruns._dependencies) == 0
    assert runs == ["x", "y"]
    assert client.unread == 0


async def test_a_revoked_session_is_sent_nothing_more(live: Live) -> None:
    client = live.client("a")
    client.subscribe("s", "by_tag", tag="x")
    await client.result()
    live.door.revoke([b"a"])
    await live.write("one", "x")
    await comes_true(lambda: client.last == {"type": "websocket.close", "code": 1008})
    assert live.queries.statistics.subscriptions == 0


async def test_a_connection_whose_identity_changed_is_answered_anew(live: Live) -> None:
    client = live.client("a")
    client.subscribe("s", "who")
    assert (await client.result())["tenant"] is None
    live.door.identify_by(lambda key: Session(Identity(user_id="a", tenant_id="org"), key))
    live.door.reidentify({b"a"}, set())
    assert await client.next() == {"type": "session-changed", "tenant_id": "org"}
    assert (await client.result())["tenant"] == "org"
    [connection] = live.door
    connection.credential = Session(Identity(user_id="a", tenant_id="other"), b"a")  # and nobody tells
    await live.write("one", "who")
    assert await client.result() == {"user": "a", "tenant": "other", "count": 1}
    assert client.unread == 0


async def test_what_hangs_on_a_failed_run_goes_on_when_the_server_stops(live: Live) -> None:
    gates["x"] = threading.Event()
    client = live.client()
    client.subscribe("s", "by_tag", tag="x")
    await comes_true(lambda: runs == ["x"])
    stopping = asyncio.create_task(live.queries.stop())
    await asyncio.wait_for(stopping, 5)
