"""The client over HTTP: rows, functions, streams, sessions and errors, against a real server."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
import msgspec
import pytest

import pylon.client
from pylon import Entity, Id, field
from pylon.client import ApiError, AsyncClient, Client, PylonError, RoomEvent, Unreachable, new_id
from pylon.testing.process import ADMIN_TOKEN, ServerProcess, free_port
from pylon.testing.waiting import comes_true, eventually
from tests.client.conftest import QUICK


class Todo(Entity, crdt=False):
    title: str
    n: int | None = None
    done: bool = False


class Own(Entity, crdt=False):
    title: str
    author: Id[User] = field(owner=True, name="authorId")  # noqa: F821 - as an app writes it
    state: Literal["draft", "live"] = "draft"
    at: datetime | None = None


@dataclasses.dataclass
class Titled:
    title: str
    n: int | None = None


class Record(msgspec.Struct):
    id: str
    title: str


async def test_rows_come_as_instances_of_the_apps_own_entities(server: ServerProcess) -> None:
    async with AsyncClient(server.url, server.token_of("alice")) as client:
        noon = datetime(2026, 5, 1, 12, tzinfo=UTC)
        row_id = await client.insert(Own, title="x", state="live", at=noon)
        own = await client.get(Own, row_id)
        assert own == Own(id=row_id, title="x", author="alice", state="live", at=noon)
        await client.update(Own, row_id, title="y", at=None)
        assert await client.query(Own, author="alice") == [Own(id=row_id, title="y", author="alice", state="live")]
        assert await client.delete(Own, row_id)
        assert await client.query(Own) == []


async def test_rows_come_as_dicts_structs_or_dataclasses(server: ServerProcess) -> None:
    async with AsyncClient(server.url) as client:
        row_id = await client.insert("Todo", title="plain", n=1)
        row = await client.get("Todo", row_id)
        assert row is not None
        assert row["title"] == "plain"
        made = await client.call("add", Titled, title="made", n=2)
        assert made == Titled("made", 2)
        found = await client.call("todos", list[Record])
        assert {"plain", "made"} <= {record.title for record in found}
        assert await client.get("Todo", "0" * 40) is None


async def test_queries_have_operators_order_and_windows(server: ServerProcess) -> None:
    async with AsyncClient(server.url) as client:
        for n in range(5):
            await client.insert(Todo, title="q", n=n)
        found = await client.query(Todo, {"n": {"$gte": 2}}, title="q", order="-n", limit=2)
        assert [todo.n for todo in found] == [4, 3]
        assert (await client.query(Todo, title="q", order=["n"], offset=4))[0].n == 4
        first = await client.one(Todo, title="q", order="n")
        assert first is not None
        assert first.n == 0
        assert await client.one(Todo, title="never") is None
        seen = [todo.id async for todo in client.rows(Todo, page=2)]
        assert seen == sorted(set(seen))
        assert len(seen) >= 5


async def test_errors_carry_code_hint_and_status(server: ServerProcess) -> None:
    async with AsyncClient(server.url) as client:
        with pytest.raises(ApiError) as caught:
            await client.call("refuse")
        error = caught.value
        assert (error.code, error.status, error.hint) == ("TOO_LATE", 409, "Come tomorrow.")
        assert isinstance(error, PylonError)
        with pytest.raises(ApiError, match=r"args\.title"):
            await client.call("add", title=3)
        with pytest.raises(ApiError) as caught:
            await client.insert(Own, title="nobody's")
        assert caught.value.code in ("OWNER_REQUIRED", "POLICY_DENIED")


async def test_a_transaction_is_all_or_nothing(server: ServerProcess) -> None:
    async with AsyncClient(server.url, ADMIN_TOKEN) as client:
        one, two = new_id(), new_id()
        operations: list[dict[str, Any]] = [
            {"op": "insert", "entity": Todo, "data": {"id": one, "title": "one"}},
            {"op": "insert", "entity": Todo, "data": {"id": two, "title": "two"}},
        ]
        assert [result["id"] for result in await client.transact(operations)] == [one, two]
        with pytest.raises(ApiError) as caught:
            await client.transact([{"op": "delete", "entity": Todo, "id": one}, operations[1]])
        assert caught.value.code == "CONFLICT"
        assert await client.get(Todo, one) is not None


async def test_guests_users_and_signing_out(server: ServerProcess) -> None:
    async with AsyncClient(server.url) as client:
        assert (await client.me())["user_id"] is None
        user = await client.guest()
        assert (await client.me())["user_id"] == user
        await client.act_as("carol")
        assert (await client.me())["user_id"] == "carol"
        await client.sign_out()
        assert client.token is None
        assert (await client.me())["user_id"] is None


async def test_streams_yield_as_they_come_and_end_with_the_result(server: ServerProcess) -> None:
    async with AsyncClient(server.url) as client:
        stream = client.stream("words", int, text="a b c")
        events = [event async for event in stream]
        assert [event.text for event in events if event.name is None] == ["a", "b", "c"]
        assert events[-1].name == "progress"
        assert events[-1].json() == {"percent": 100}
        assert stream.result == 3
        assert await client.stream("words", text="x y").text() == "xy"
        with pytest.raises(ApiError, match="closed"):
            await client.stream("breaks").text()
        plain = client.stream("todos")
        assert [event async for event in plain] == []
        assert isinstance(plain.result, list)


class Breaking(httpx.AsyncBaseTransport):
    """Cuts each answer off after some bytes, the first few times."""

    def __init__(self, times: int, after: int) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self.times = times
        self._after = after
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = await self._inner.handle_async_request(request)
        if self.times <= 0:
            return answer
        self.times -= 1

        async def cut() -> Any:
            left = self._after
            async for chunk in answer.stream:  # type: ignore[union-attr]
                yield chunk[:left]
                left -= len(chunk)
                if left <= 0:
                    raise httpx.ReadError("cut off")

        return httpx.Response(answer.status_code, headers=answer.headers, content=cut())

    async def aclose(self) -> None:
        await self._inner.aclose()


async def test_a_stream_that_breaks_off_goes_on_where_it_was(server: ServerProcess) -> None:
    broken = Breaking(times=3, after=25)
    async with AsyncClient(server.url, transport=broken, backoff=QUICK) as client:
        stream = client.stream("words", int, text="one two three four five")
        assert [event.text async for event in stream if event.name is None] == ["one", "two", "three", "four", "five"]
        assert stream.result == 5
    assert broken.times <= 0
    assert [request.url.path.startswith("/api/fn-streams/") for request in broken.requests[1:]] == [True] * 3


class Endless(httpx.AsyncByteStream):
    """A stream that goes on until it is closed."""

    def __init__(self) -> None:
        self.is_closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            yield b"data: on and on\n\n"
            await asyncio.sleep(0.01)

    async def aclose(self) -> None:
        self.is_closed = True


def streaming(stream: Endless) -> httpx.MockTransport:
    headers = {"Content-Type": "text/event-stream"}
    return httpx.MockTransport(lambda request: httpx.Response(200, headers=headers, stream=stream))


async def test_who_leaves_a_stream_early_ends_its_request() -> None:
    stream = Endless()
    async with AsyncClient("http://pylon", transport=streaming(stream)) as client:
        async for event in client.stream("words"):
            assert str(event) == "on and on"
            break
        await comes_true(lambda: stream.is_closed)


def test_who_leaves_a_stream_early_ends_its_request_without_an_event_loop_as_well() -> None:
    stream = Endless()
    with Client("http://pylon", transport=streaming(stream)) as client:
        for event in client.stream("words"):
            assert str(event) == "on and on"
            break
        assert stream.is_closed


async def test_a_refusal_for_now_is_tried_again_after_retry_after() -> None:
    answers = [
        httpx.Response(429, headers={"Retry-After": "0"}, json={"error": {"code": "RATE_LIMITED", "message": "slow"}}),
        httpx.Response(503, json={"error": {"code": "OVERLOADED", "message": "busy"}}),
        httpx.Response(200, json={"id": "1"}),
    ]
    transport = httpx.MockTransport(lambda request: answers.pop(0))
    async with AsyncClient("http://pylon", transport=transport, backoff=QUICK) as client:
        assert await client.insert("Todo", title="x") == "1"


async def test_what_is_not_pylon_and_who_does_not_answer_are_said_so() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(502, text="<h1>Bad gateway</h1>"))
    async with AsyncClient("http://proxy", transport=transport, backoff=QUICK) as client:
        with pytest.raises(ApiError) as caught:
            await client.me()
        assert (caught.value.code, caught.value.status) == ("INTERNAL", 502)
    async with AsyncClient(f"http://127.0.0.1:{free_port()}", backoff=QUICK) as client:
        with pytest.raises(Unreachable) as unreachable:
            await client.insert("Todo", title="x")
        assert unreachable.value.code == "UNREACHABLE"


async def test_a_limit_without_an_end_and_a_long_wait_are_told_at_once() -> None:
    answers = [
        httpx.Response(429, json={"error": {"code": "BUDGET_EXCEEDED", "message": "spent"}}),
        httpx.Response(503, headers={"Retry-After": "3600"}, json={"error": {"code": "MAINTENANCE", "message": "off"}}),
        httpx.Response(302, headers={"Location": "/login"}),
        httpx.Response(200, text="<h1>Welcome</h1>"),
    ]
    transport = httpx.MockTransport(lambda request: answers.pop(0))
    async with AsyncClient("http://pylon", transport=transport, backoff=QUICK) as client:
        for code in ("BUDGET_EXCEEDED", "MAINTENANCE", "INTERNAL", "INTERNAL"):
            with pytest.raises(ApiError) as caught:
                await client.me()
            assert caught.value.code == code
    assert answers == []


def test_what_is_exported_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "guide" / "python-client.md").read_text()
    table = page.partition("## What there is")[2].partition("## Rooms")[0]
    assert set(re.findall(r"`(\w+)`", table)) == set(pylon.client.__all__)


def test_rooms_without_an_event_loop(server: ServerProcess) -> None:
    with (
        Client(server.url, server.token_of("ann")) as one,
        Client(server.url, server.token_of("ben")) as two,
        one.replica() as here,
        two.replica() as there,
        here.room("blocking", {"color": "red"}) as mine,
    ):
        with there.room("blocking", timeout=10) as theirs:
            assert theirs.members == {"ann": {"color": "red"}, "ben": None}
            theirs.presence({"line": 7})
            theirs.send("wave", 2)
            heard = [mine.next(5) for _ in range(4)]
            assert [(e.kind, e.user, e.topic, e.data) for e in heard if e is not None] == [
                ("snapshot", None, None, {"ann": {"color": "red"}}),
                ("join", "ben", None, None),
                ("presence", "ben", None, {"line": 7}),
                ("topic", "ben", "wave", 2),
            ]
        assert mine.next(5) == RoomEvent("leave", "ben")
        with pytest.raises(TimeoutError):
            mine.next(0.01)
        taken: list[str] = []
        thread = threading.Thread(target=lambda: taken.extend(event.kind for event in mine))
        thread.start()
        mine.send("last")
        eventually(lambda: taken == ["topic"])
        mine.leave()  # ends the iteration on the other thread
        thread.join(5)
        assert not thread.is_alive()
        assert (mine.next(), mine.error, mine.dropped) == (None, None, 0)
        with pytest.raises(ApiError) as refused, there.room("x" * 300):
            raise AssertionError("entered")
        assert refused.value.code == "INVALID_DATA"


def test_the_same_without_an_event_loop(server: ServerProcess) -> None:
    with Client(server.url) as client:
        user = client.guest()
        assert client.me()["user_id"] == user
        row_id = client.insert(Todo, title="sync", n=1)
        todo = client.get(Todo, row_id)
        assert todo is not None
        assert todo.title == "sync"
        client.update(Todo, row_id, n=2)
        assert client.query(Todo, {"n": {"$gt": 1}}, title="sync")[0].n == 2
        assert client.one(Todo, title="sync") is not None
        assert row_id in [row["id"] for row in client.rows("Todo")]
        stream = client.stream("words", int, text="a b")
        assert [str(event) for event in stream][:2] == ["a", "b"]
        assert stream.result == 2
        assert client.call("todos", list[Record])
        assert client.delete(Todo, row_id)
        with pytest.raises(ApiError):
            client.call("refuse")
