"""The live replica against a real server: follows, queues, survives, and tells the truth about what was refused."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from pylon.client import ApiError, AsyncClient, Client, ClientError, Conflict, Replica, RoomEvent
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from pylon.testing.waiting import comes_true as until
from pylon.testing.waiting import eventually
from tests.client.conftest import QUICK
from tests.client.test_client import Own, Todo


@pytest.fixture
def fresh(app_file: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    """A server of the test's own, to be killed."""
    with ServerProcess(app_file, tmp_path / "server") as process:
        yield process


@asynccontextmanager
async def replica_of(
    server: ServerProcess, path: Path | None = None, *, token: str | None = None, **options: Any
) -> AsyncIterator[Replica]:
    async with (
        AsyncClient(server.url, token, backoff=QUICK) as client,
        client.replica(path, **options) as replica,
    ):
        yield replica


def titles(replica: Replica, entity: Any = "Todo") -> list[str]:
    return [row["title"] for row in replica.rows(entity, order="title")]


async def test_a_replica_holds_what_may_be_read_and_follows_it(server: ServerProcess) -> None:
    erin, bob = server.token_of("erin"), server.token_of("bob")
    async with replica_of(server, token=erin) as replica, AsyncClient(server.url, bob) as other:
        await replica.ready()
        row_id = await other.insert(Todo, title="from bob", n=1)
        await other.insert(Own, title="bob's own")
        await until(lambda: replica.get(Todo, row_id) is not None)
        todo = replica.get(Todo, row_id)
        assert todo == Todo(id=row_id, title="from bob", n=1)
        await other.delete(Todo, row_id)
        await until(lambda: replica.get(Todo, row_id) is None)
        assert replica.rows(Own) == []


async def test_a_change_shows_at_once_and_reaches_the_server_once(server: ServerProcess) -> None:
    async with replica_of(server) as replica, AsyncClient(server.url) as other:
        row_id = replica.insert(Todo, title="mine")
        replica.update(Todo, row_id, n=7)
        assert replica.get(Todo, row_id) == Todo(id=row_id, title="mine", n=7)
        assert [change.kind for change in replica.waiting] == ["insert", "update"]
        await replica.quiet()
        assert replica.waiting == []
        assert await other.get(Todo, row_id) == replica.get(Todo, row_id)
        replica.delete(Todo, row_id)
        assert replica.get(Todo, row_id) is None
        await replica.quiet()
        assert await other.get(Todo, row_id) is None


async def test_live_queries_give_the_rows_again_after_each_change(server: ServerProcess) -> None:
    async with replica_of(server) as replica, AsyncClient(server.url) as other:
        await replica.ready()
        query = replica.live(Todo, {"n": {"$gte": 10}}, order="-n", limit=2)
        seen = aiter(query)
        assert await anext(seen) == []
        low = await other.insert(Todo, title="live", n=1)
        ten = await other.insert(Todo, title="live", n=10)
        assert [todo.n for todo in await anext(seen)] == [10]
        replica.insert(Todo, title="live", n=12)
        assert [todo.n for todo in await anext(seen)] == [12, 10]
        await other.update(Todo, low, n=11)
        await until(lambda: [todo.n for todo in query.rows] == [12, 11])
        await other.delete(Todo, ten)
        called: list[list[Todo]] = []
        query.on_change = called.append
        await other.update(Todo, low, n=0)
        await until(lambda: bool(called) and [todo.n for todo in called[-1]] == [12])
        query.close()
        assert [rows async for rows in query] == []


@pytest.mark.parametrize(
    "where",
    [
        {"n": None},
        {"n": 2},
        {"n": {"$not": 2}},
        {"n": {"$not": None}},
        {"n": {"$not": {"$gt": 2}}},
        {"n": {"$gt": 1, "$lte": 3}},
        {"n": {"$in": [1, 3, None]}},
        {"n": {"$nin": [1, 3]}},
        {"n": {"$exists": False}},
        {"title": {"$like": "AP"}},
        {"title": {"$like": "äp"}},
        {"title": {"$startsWith": "Ap"}},
        {"$or": [{"n": 1}, {"title": {"$like": "pear"}}]},
        {"$and": [{"n": {"$gte": 1}}, {"done": True}]},
        {"$not": {"n": {"$gt": 1}}},
    ],
)
async def test_a_filter_answers_here_as_on_the_server(orchard: Orchard, where: dict[str, Any]) -> None:
    client, replica = orchard
    for order in ("n", "-n", ["-done", "title"]):
        there = await client.query("Todo", where, order=order)
        assert replica.rows("Todo", where, order=order) == there
        assert replica.rows("Todo", where, order=order, limit=2) == there[:2]


Orchard = tuple[AsyncClient, Replica]


@pytest.fixture
async def orchard(orchard_server: ServerProcess) -> AsyncIterator[Orchard]:
    async with AsyncClient(orchard_server.url) as client, client.replica() as replica:
        await replica.ready()
        yield client, replica


@pytest.fixture(scope="module")
def orchard_server(app_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(app_file, tmp_path_factory.mktemp("orchard") / "data") as process:
        fruit = [("Apple", 1), ("apricot", 2), ("Pear", None), ("Äpfel", 3), ("grape", 3), ("APPLE pie", 10)]
        for title, n in fruit:
            done = n is not None and n > 2
            process.request("POST", "/api/entities/Todo", {"title": title, "n": n, "done": done})
        yield process


async def test_a_scope_follows_a_part_and_another_scope_starts_over(fresh: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "replica.db"
    async with AsyncClient(fresh.url, backoff=QUICK) as client:
        open_ = await client.insert("Todo", title="open")
        await client.insert("Todo", title="done", done=True)
        await client.insert("Wall", title="brick")
        async with client.replica(file, scope={Todo: {"done": False}}) as replica:
            await replica.ready()
            assert (titles(replica), titles(replica, "Wall")) == (["open"], [])
            later = await client.insert("Todo", title="later")
            await until(lambda: titles(replica) == ["later", "open"])
            await client.update("Todo", open_, done=True)
            await until(lambda: titles(replica) == ["later"])
            mine = replica.insert("Todo", title="out of sight", done=True)
            await replica.quiet()
            assert replica.get("Todo", mine) is None
            assert await client.get("Todo", mine) is not None
        async with client.replica(file, scope={"Wall": {}}) as replica:
            await replica.ready()
            assert (titles(replica), titles(replica, "Wall")) == ([], ["brick"])
        async with client.replica(file) as replica:
            await replica.ready()
            assert replica.get("Todo", later) is not None
        async with client.replica(scope={"Todo": {"nosuch": 1}}) as replica:
            await until(lambda: replica.status.error is not None)
            assert replica.status.error is not None
            assert replica.status.error.code == "INVALID_SCOPE"


async def test_maintenance_is_waited_out_and_a_recycled_connection_comes_back(fresh: ServerProcess) -> None:
    async with replica_of(fresh) as replica:
        await replica.ready()
        _, switch = fresh.request(
            "POST", "/api/admin/switches", {"scope": "server", "retry_after": 1}, token=ADMIN_TOKEN
        )
        await until(lambda: replica.status.state == "offline")
        replica.insert("Todo", title="meanwhile")
        await until(lambda: replica.status.error is not None and replica.status.error.code == "MAINTENANCE")
        fresh.request("DELETE", f"/api/admin/switches/{switch['id']}", token=ADMIN_TOKEN)
        await replica.quiet()
        before = replica.status.reconnects
        fresh.request("POST", "/api/admin/sockets/bounce", {"seconds": 0}, token=ADMIN_TOKEN)
        await until(lambda: replica.status.reconnects > before)
        await replica.ready()
        assert titles(replica) == ["meanwhile"]


class Holding(httpx.AsyncHTTPTransport):
    """Lets no push through while it holds."""

    holds = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.holds and request.url.path == "/api/sync/push":
            raise httpx.ConnectError("held")
        return await super().handle_async_request(request)


async def test_a_session_that_becomes_another_users_takes_its_changes_along(fresh: ServerProcess) -> None:
    wire = Holding()
    async with AsyncClient(fresh.url, transport=wire, backoff=QUICK) as client:
        await client.guest()
        async with client.replica() as replica, AsyncClient(fresh.url, fresh.token_of("ula")) as ula:
            await ula.insert("Own", title="ula's")
            await replica.ready()
            assert titles(replica, "Own") == []
            wire.holds = True
            replica.insert("Todo", title="made as a guest")
            async with replica.room("hall") as room:
                await client.request("POST", "/api/auth/upgrade", {"user_id": "ula"})
                await until(lambda: titles(replica, "Own") == ["ula's"])
                await until(lambda: set(room.members) == {"ula"})
            wire.holds = False
            await replica.quiet()
            assert [row["title"] for row in await ula.query("Todo")] == ["made as a guest"]


async def test_another_token_takes_over_a_live_replica_and_offline_changes_keep_their_own(
    fresh: ServerProcess, tmp_path: Path
) -> None:
    file, wire = tmp_path / "replica.db", Holding()
    ann, ben = fresh.token_of("ann"), fresh.token_of("ben")
    async with AsyncClient(fresh.url, ann, transport=wire, backoff=QUICK) as client, client.replica(file) as replica:
        replica.insert("Own", title="ann's first")
        await replica.quiet()
        wire.holds = True
        replica.insert("Own", title="ann's second")
        client.token = ben
        replica.insert("Own", title="ben's")  # before anybody said who that is
        wire.holds = False
        await replica.quiet()
        assert titles(replica, "Own") == ["ben's"]
    fresh.kill()
    cleo = fresh.token_of  # made when the server is back: nobody has heard of it yet
    async with AsyncClient(fresh.url, "not a session", backoff=QUICK) as client, client.replica(file) as replica:
        replica.insert("Own", title="nobody's")
    fresh.start()
    async with replica_of(fresh, file, token=cleo("cleo")) as replica:
        await replica.quiet()
        assert titles(replica, "Own") == []
    async with replica_of(fresh, file, token=ann) as replica:
        await replica.quiet()
        assert titles(replica, "Own") == ["ann's first", "ann's second"]


async def test_a_session_that_ends_while_changes_are_sent_loses_none_of_them(fresh: ServerProcess) -> None:
    token = fresh.token_of("eve")

    class Revoking(httpx.AsyncHTTPTransport):
        """Ends the session just before a push arrives."""

        times = 1

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/api/sync/push" and self.times:
                self.times = 0
                fresh.request("DELETE", "/api/auth/session", token=token)
            return await super().handle_async_request(request)

    async with (
        AsyncClient(fresh.url, token, transport=Revoking(), backoff=QUICK) as client,
        client.replica() as replica,
    ):
        await replica.ready()
        replica.insert("Own", title="kept")
        await until(lambda: replica.status.state == "signed-out")
        assert titles(replica, "Own") == ["kept"]
        client.token = fresh.token_of("eve")
        await replica.quiet()
        assert [row["title"] for row in await client.query("Own")] == ["kept"]


async def test_a_session_that_ends_while_rows_are_pulled_skips_nothing(fresh: ServerProcess, tmp_path: Path) -> None:
    file, token = tmp_path / "replica.db", fresh.token_of("eve")
    async with replica_of(fresh, file, token=token) as replica:
        replica.insert("Own", title="first")
        await replica.quiet()
    async with AsyncClient(fresh.url, fresh.token_of("eve")) as elsewhere:
        await elsewhere.insert("Own", title="meanwhile")
    answers: list[tuple[str, int]] = []

    class Revoking(httpx.AsyncHTTPTransport):
        """Ends the session just before the pull arrives."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/api/sync/pull":
                fresh.request("DELETE", "/api/auth/session", token=token)
            answer = await super().handle_async_request(request)
            answers.append((request.url.path, answer.status_code))
            return answer

    async with (
        AsyncClient(fresh.url, token, transport=Revoking(), backoff=QUICK) as client,
        client.replica(file) as replica,
    ):
        await until(lambda: replica.status.state == "signed-out")
        assert titles(replica, "Own") == ["first"]
        with pytest.raises(ApiError) as refused:
            await client.query("Todo")
    assert ("/api/sync/pull", 401) in answers
    assert refused.value.code == "SESSION_EXPIRED"
    async with replica_of(fresh, file, token=fresh.token_of("eve")) as replica:
        await replica.ready()
        assert titles(replica, "Own") == ["first", "meanwhile"]


async def test_other_rights_that_came_while_offline_lead_to_other_rows(server: ServerProcess, tmp_path: Path) -> None:
    file, token = tmp_path / "replica.db", server.token_of("ines")
    pulls: list[str] = []

    class Promoting(httpx.AsyncHTTPTransport):
        """Answers with another role than the session was seen with before."""

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/api/sync/pull":
                pulls.append(request.url.params["since"])
            answer = await super().handle_async_request(request)
            if request.url.path != "/api/auth/me":
                return answer
            return httpx.Response(200, json=json.loads(await answer.aread()) | {"roles": ["editor"]})

    async with replica_of(server, file, token=token) as replica:
        replica.insert("Todo", title="there is a log")
        await replica.quiet()
    for is_whole in (True, False):  # everything once, and then what is new
        pulls.clear()
        async with (
            AsyncClient(server.url, token, transport=Promoting(), backoff=QUICK) as client,
            client.replica(file) as replica,
        ):
            await replica.ready()
        assert (pulls[0] == "0") is is_whole


async def test_what_was_written_with_a_dead_token_is_never_sent_as_somebody_else(server: ServerProcess) -> None:
    async with AsyncClient(server.url, "not a session", backoff=QUICK) as client, client.replica() as replica:
        replica.insert("Todo", title="by whom?")
        await until(lambda: replica.status.state == "signed-out")
        client.token = server.token_of("finn")
        await replica.quiet()
        assert "by whom?" not in titles(replica)


def test_without_an_event_loop_a_session_that_ended_is_told_as_well(server: ServerProcess, tmp_path: Path) -> None:
    token = server.token_of("gus")
    with Client(server.url, token, backoff=QUICK) as client, client.replica(tmp_path / "replica.db") as replica:
        replica.insert("Own", title="kept")
        replica.quiet(10)
        server.request("DELETE", "/api/auth/session", token=token)
        eventually(lambda: replica.status.state == "signed-out")
        with pytest.raises(ApiError) as refused:
            client.call("todos")
        assert refused.value.code == "SESSION_EXPIRED"
        replica.insert("Own", title="meanwhile")
        client.token = server.token_of("hal")
        replica.quiet(10)
        assert replica.rows("Own") == []
        client.token = server.token_of("gus")
        replica.quiet(10)
        assert [row["title"] for row in replica.rows("Own", order="title")] == ["kept", "meanwhile"]


async def test_who_is_here_twice_stays_when_one_of_the_two_leaves(server: ServerProcess) -> None:
    token = server.token_of("twin")
    async with (
        replica_of(server, token=token) as one,
        replica_of(server, token=token) as two,
        one.room("twins") as here,
    ):
        async with two.room("twins"):
            await until(lambda: set(here.members) == {"twin"})
        events = aiter(here)
        kinds = [(await anext(events)).kind for _ in range(4)]
        assert kinds[0] == "snapshot"
        assert kinds[-2:] == ["leave", "snapshot"]
        assert set(here.members) == {"twin"}


async def test_without_websockets_the_hint_says_what_to_install(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "websockets.asyncio.client", None)
    async with replica_of(server) as replica:
        await until(lambda: replica.status.error is not None)
        assert replica.status.error is not None
        assert replica.status.error.hint == "pip install 'pylon[client]'"


async def test_a_live_call_gives_its_result_again_when_what_it_read_changed(fresh: ServerProcess) -> None:
    async with replica_of(fresh) as replica, AsyncClient(fresh.url) as other:
        seen = aiter(replica.live_call("todos", list[Todo]))
        assert await anext(seen) == []
        await other.insert("Todo", title="one")
        assert [todo.title for todo in await anext(seen)] == ["one"]
        fresh.kill()
        fresh.start()
        assert [todo.title for todo in await anext(seen)] == ["one"]
        await other.insert("Todo", title="two")
        assert [todo.title for todo in await anext(seen)] == ["one", "two"]
        with pytest.raises(ApiError) as caught:
            await anext(aiter(replica.live_call("nosuch")))
        assert caught.value.code == "FN_NOT_FOUND"


async def test_what_is_done_offline_waits_and_later_changes_refer_to_it(fresh: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "replica.db"
    async with replica_of(fresh, file) as replica:
        replica.insert("Todo", title="before")
        await replica.quiet()
    fresh.kill()
    async with replica_of(fresh, file) as replica:
        assert titles(replica) == ["before"]
        row_id = replica.insert("Todo", title="offline")
        replica.update("Todo", row_id, title="offline, mended")
        assert titles(replica) == ["before", "offline, mended"]
    async with replica_of(fresh, file) as replica:  # another process, later
        assert titles(replica) == ["before", "offline, mended"]
        fresh.start()
        await replica.quiet()
        assert titles(replica) == ["before", "offline, mended"]
    assert [row["title"] for row in fresh.request("POST", "/api/query/Todo", {})[1]] == ["before", "offline, mended"]


CHILD = """
import sys, time
from pylon.client import Client

url, path, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Client(url) as client, client.replica(path) as replica:
    for n in range(count):
        replica.insert("Todo", title=f"{sys.argv[4]}{n}")
        print(n, flush=True)
    time.sleep(60)
"""


async def test_a_client_killed_at_any_point_has_lost_nothing_and_repeats_nothing(
    fresh: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "replica.db"
    promised: list[str] = []
    for round_, lines in enumerate((3, 11, 40)):  # killed while it writes and pushes
        command = [sys.executable, "-c", CHILD, fresh.url, str(file), "500", f"r{round_}-"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:  # noqa: ASYNC220 - nothing else runs
            assert child.stdout is not None
            for _ in range(lines):
                promised.append(f"r{round_}-{child.stdout.readline().strip()}")
            child.send_signal(signal.SIGKILL)
            promised += [f"r{round_}-{line.strip()}" for line in child.stdout]
        if round_ == 1:
            fresh.kill()
            fresh.start()
    async with replica_of(fresh, file) as replica:
        await asyncio.wait_for(replica.quiet(), 20)
        there = [row["title"] for row in fresh.request("POST", "/api/query/Todo", {})[1]]
        assert len(there) == len(set(there))
        assert set(promised) <= set(there)
        assert len(set(there) - set(promised)) <= 3  # kept, but killed before it said so
        assert sorted(there) == titles(replica)


async def test_a_server_killed_while_changes_are_pushed_applies_each_once(fresh: ServerProcess) -> None:
    async with replica_of(fresh) as replica:
        await replica.ready()
        for n in range(1500):
            replica.insert("Todo", title=f"t{n}")
            if n % 400 == 399:
                await asyncio.sleep(0.02)
                fresh.kill()
                fresh.start()
        await asyncio.wait_for(replica.quiet(), 30)
        there = [row["title"] for row in fresh.request("POST", "/api/query/Todo", {"$limit": 10000})[1]]
        assert sorted(there) == sorted(f"t{n}" for n in range(1500))
        assert titles(replica) == sorted(there)


class Losing(httpx.AsyncBaseTransport):
    """Loses the answers of pushes, after the server has acted; passes some requests on twice."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self.pushes = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/sync/push":
            self.pushes += 1
            if self.pushes % 3 != 0:
                body = await request.aread()
                for _ in range(self.pushes % 3):
                    again = httpx.Request(request.method, request.url, headers=request.headers, content=body)
                    answer = await self._inner.handle_async_request(again)
                    await answer.aread()
                raise httpx.ReadError("the answer was lost")
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def test_lost_answers_and_doubled_requests_do_nothing_twice(fresh: ServerProcess) -> None:
    transport = Losing()
    async with AsyncClient(fresh.url, transport=transport, backoff=QUICK) as client, client.replica() as replica:
        row_id = replica.insert("Todo", title="a", n=0)
        for n in range(1, 4):
            await replica.ready()
            replica.update("Todo", row_id, n=n)
        await replica.quiet()
        assert replica.get("Todo", row_id) == {"id": row_id, "title": "a", "n": 3, "done": False}
    assert transport.pushes >= 3
    _, answer = fresh.request("GET", "/api/sync/pull?since=1")
    assert [change["data"]["n"] for change in answer["changes"]] == [1, 2, 3]


async def test_what_the_server_refuses_is_taken_back_or_mended(server: ServerProcess) -> None:
    conflicts: list[Conflict] = []

    def mend(conflict: Conflict) -> dict[str, Any] | None:
        conflicts.append(conflict)
        if conflict.change.kind == "insert":
            return {**(conflict.change.data or {}), "title": "good"}
        return None

    async with replica_of(server, token=ADMIN_TOKEN) as _, replica_of(server, on_conflict=mend) as replica:
        await replica.ready()
        row_id = replica.insert("Wall", title="bad")
        await replica.quiet()
        assert replica.get("Wall", row_id) == {"id": row_id, "title": "good"}
        replica.update("Wall", row_id, title="bad")
        assert replica.get("Wall", row_id) == {"id": row_id, "title": "bad"}
        await replica.quiet()
        assert replica.get("Wall", row_id) == {"id": row_id, "title": "good"}
        assert [(c.change.kind, c.error.code) for c in conflicts] == [
            ("insert", "POLICY_DENIED"),
            ("update", "POLICY_DENIED"),
        ]
        assert conflicts[1].row == {"id": row_id, "title": "good"}
        assert replica.status.refused == 2
    with pytest.raises(ClientError, match="no Todo"):
        async with replica_of(server) as replica:
            replica.update("Todo", "0" * 40, title="x")


async def test_a_conflict_callback_that_fails_or_never_gives_up_does_not_hold_up_the_queue(
    server: ServerProcess,
) -> None:
    def stubborn(conflict: Conflict) -> dict[str, Any] | None:
        if conflict.change.row_id == first:
            raise ZeroDivisionError
        return {"title": "bad"}

    async with replica_of(server, on_conflict=stubborn) as replica:
        first = replica.insert("Wall", title="bad")
        second = replica.insert("Wall", title="bad")
        third = replica.insert("Wall", title="fine")
        await replica.quiet()
        assert [replica.get("Wall", row) is not None for row in (first, second, third)] == [False, False, True]


async def test_a_change_we_cannot_see_is_settled_all_the_same(server: ServerProcess) -> None:
    async with AsyncClient(server.url, server.token_of("alice"), backoff=QUICK) as client, client.replica() as replica:
        await replica.ready()
        before = replica.status.cursor
        row_id = replica.insert("Own", title="seen")
        await replica.quiet()
        assert replica.status.cursor > before
        other = server.token_of("bob")
        _, answer = server.request("POST", "/api/entities/Own", {"title": "bob's"}, token=other)
        replica.delete("Own", row_id)
        await replica.quiet()
        assert replica.get("Own", row_id) is None
        assert replica.get("Own", answer["id"]) is None


async def test_a_cursor_of_another_lifetime_gets_one_clean_resync(fresh: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "replica.db"
    async with replica_of(fresh, file) as replica:
        for n in range(30):
            replica.insert("Todo", title=f"old{n:02}")
        await replica.quiet()
    fresh.stop()
    data = fresh.data
    for path in data.glob("pylon.db*"):  # restored from before all that
        path.unlink()
    fresh.start()
    fresh.request("POST", "/api/entities/Todo", {"title": "new"})
    async with replica_of(fresh, file) as replica:
        assert len(titles(replica)) == 30
        await replica.ready()
        assert titles(replica) == ["new"]
        replica.insert("Todo", title="newer")
        await replica.quiet()
        assert titles(replica) == ["new", "newer"]


async def test_a_snapshot_of_many_pages_arrives_whole_and_resumes(fresh: ServerProcess, tmp_path: Path) -> None:
    operations = [{"op": "insert", "entity": "Todo", "data": {"title": f"t{n:04}"}} for n in range(2500)]
    async with AsyncClient(fresh.url, ADMIN_TOKEN) as admin:
        await admin.transact(operations)
    pulls: list[str] = []

    class Failing(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == "/api/sync/pull":
                pulls.append(request.url.params.get("snapshot_after", ""))
                if len(pulls) == 2:
                    raise httpx.ConnectError("gone for a moment")
            return await super().handle_async_request(request)

    async with (
        AsyncClient(fresh.url, transport=Failing(), backoff=QUICK) as client,
        client.replica(tmp_path / "replica.db") as replica,
    ):
        await replica.ready()
        assert len(titles(replica)) == 2500
    assert pulls[0] == ""
    assert pulls[1] == pulls[2] != ""  # it went on where it had been
    assert len(pulls) <= 6


async def test_another_user_sees_nothing_of_the_one_before_and_sends_nothing_in_his_name(
    server: ServerProcess, tmp_path: Path
) -> None:
    file = tmp_path / "replica.db"
    ann, ben = server.token_of("ann"), server.token_of("ben")
    async with replica_of(server, file, token=ann) as replica:
        kept = replica.insert("Own", title="ann's secret")
        await replica.quiet()
    async with replica_of(server, file, token=ben) as replica:
        await replica.ready()
        assert replica.get("Own", kept) is None
        assert replica.rows("Own") == []
    assert b"ann's secret" not in contents(tmp_path)
    async with replica_of(server, file, token=ann) as replica:
        await replica.ready()
        assert replica.get("Own", kept) is not None


def contents(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("replica.db*"))


def modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.glob("replica.db*")}


async def test_a_file_belongs_to_one_process_and_to_one_server(server: ServerProcess, tmp_path: Path) -> None:
    file = tmp_path / "replica.db"
    async with (
        AsyncClient("http://127.0.0.1:1", backoff=QUICK) as client,
        client.replica(file) as offline,
    ):
        offline.insert("Todo", title="for another server")
        assert modes(tmp_path) == {0o600}
        with pytest.raises(ClientError) as locked:
            client.replica(file).start()
    with pytest.raises(ClientError) as mixed:
        async with replica_of(server, file):
            pass
    assert (locked.value.code, mixed.value.code) == ("REPLICA_LOCKED", "REPLICA_UNREADABLE")


async def test_an_ended_session_keeps_the_rows_and_waits_for_another_token(server: ServerProcess) -> None:
    token = server.token_of("dora")
    async with AsyncClient(server.url, token, backoff=QUICK) as client, client.replica() as replica:
        replica.insert("Own", title="kept")
        await replica.quiet()
        server.request("DELETE", "/api/auth/session", token=token)
        await until(lambda: replica.status.state == "signed-out")
        assert titles(replica, "Own") == ["kept"]
        replica.insert("Own", title="meanwhile")
        client.token = server.token_of("dora")
        await replica.quiet()
        assert titles(replica, "Own") == ["kept", "meanwhile"]


async def test_a_file_that_is_no_replica_is_said_to_be_none(server: ServerProcess, tmp_path: Path) -> None:
    junk = tmp_path / "junk.db"
    junk.write_bytes(b"not a database at all" * 100)
    newer = tmp_path / "newer.db"
    with sqlite3.connect(newer) as db:
        db.execute("PRAGMA user_version = 99")
    for path in (junk, newer, tmp_path / "no" / "such" / "folder.db"):
        with pytest.raises(ClientError) as caught:
            async with replica_of(server, path):
                pass
        assert caught.value.code == "REPLICA_UNREADABLE"


def fill(replica: Replica) -> None:
    for _ in range(1000):
        replica.insert("Todo", title="x" * 500)


async def test_a_full_disk_refuses_changes_keeps_the_rest_and_is_got_over(fresh: ServerProcess, tmp_path: Path) -> None:
    async with replica_of(fresh, tmp_path / "replica.db") as replica, AsyncClient(fresh.url) as other:
        replica.insert("Todo", title="before")
        await replica.quiet()
        assert replica._storage is not None
        disk = replica._storage._db
        pages = disk.execute("PRAGMA page_count").fetchone()[0]
        disk.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(ClientError) as caught:
            fill(replica)
        assert caught.value.code == "REPLICA_UNWRITABLE"
        kept = len(replica.waiting)
        assert len(replica.rows("Todo")) == kept + 1
        await other.insert("Todo", title="y" * 5000)
        await until(lambda: replica.status.error is not None)
        disk.execute("PRAGMA max_page_count = 100000")
        await replica.quiet()
        assert len(await other.query("Todo")) == len(replica.rows("Todo")) == kept + 2


async def test_rooms_tell_who_is_there_and_are_entered_again_after_a_reconnect(fresh: ServerProcess) -> None:
    async with (
        replica_of(fresh, token=fresh.token_of("alice")) as alice,
        replica_of(fresh, token=fresh.token_of("bob")) as bob,
    ):
        await alice.ready()
        await bob.ready()
        async with alice.room("doc", {"color": "red"}) as here:
            assert here.members == {"alice": {"color": "red"}}
            async with bob.room("doc") as there:
                await until(lambda: "bob" in here.members)
                await there.presence({"line": 3})
                await there.send("wave", {"times": 2})
                await until(lambda: here.members["bob"] == {"line": 3})
                seen = aiter(here)
                events: list[RoomEvent] = []
                while not events or events[-1].kind != "topic":
                    events.append(await anext(seen))
                assert [event.kind for event in events] == ["snapshot", "join", "presence", "topic"]
                assert (events[-1].user, events[-1].topic, events[-1].data) == ("bob", "wave", {"times": 2})
                fresh.kill()
                fresh.start()
                await until(lambda: set(here.members) == set(there.members) == {"alice", "bob"})
                await alice.ready()
            await until(lambda: set(here.members) == {"alice"})
        with pytest.raises(ApiError) as caught:
            async with alice.room("x" * 300):
                pass
        assert caught.value.code == "INVALID_DATA"


def test_a_replica_without_an_event_loop(server: ServerProcess) -> None:
    with Client(server.url, backoff=QUICK) as client, client.replica() as replica:
        replica.ready(10)
        row_id = replica.insert(Todo, title="blocking", n=1)
        assert replica.get(Todo, row_id) == Todo(id=row_id, title="blocking", n=1)
        replica.quiet(10)
        seen = replica.live(Todo, title="blocking")
        assert [todo.n for todo in next(seen)] == [1]
        server.request("PATCH", f"/api/entities/Todo/{row_id}", {"n": 2})
        assert [todo.n for todo in next(seen)] == [2]
        seen.close()  # type: ignore[attr-defined]
        replica.delete(Todo, row_id)
        replica.quiet(10)
        assert replica.rows(Todo, title="blocking") == []
        assert (replica.status.state, replica.waiting) == ("live", [])
        assert json.dumps(replica.rows("Todo", limit=1))
