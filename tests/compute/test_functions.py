"""Calling functions: who may, with what arguments, where they run, and what the caller gets."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pylon import App, Entity, Id, PylonError, field
from pylon.compute.context import Context
from pylon.compute.functions import Called, Functions
from pylon.compute.streams import Event
from pylon.engine.caller import Caller
from pylon.model.identity import Identity
from pylon.testing.engine import open_engine
from tests.conftest import ADMINISTRATOR, ALICE, NOBODY

GUEST = Caller(identity=Identity(user_id="guest_1", is_guest=True))


class User(Entity, crdt=False):
    name: str = ""


class Note(Entity, crdt=False):
    title: str
    author: Id[User] | None = field(owner=True)
    updated: datetime = field(default="now")
    secret: str | None = field(server_only=True)


app = App("functions", entities=[Note, User])


@app.mutation
def write(ctx: Context, title: str, secret: str | None = None) -> Note:
    return ctx.db.insert(Note, title=title, secret=secret)


@app.mutation(name="failing")
def fail_after_writing(ctx: Context) -> None:
    ctx.db.insert(Note, title="never")
    raise ctx.error("STOP", "stopped", hint="go on")


@app.mutation
def crash(ctx: Context) -> None:
    ctx.db.insert(Note, title="never")
    raise RuntimeError("with a secret in its message")


@app.mutation(timeout=0.05)
def spin(ctx: Context) -> None:
    while True:
        pass


@app.query(auth="guest")
def titles(ctx: Context, like: str = "", limit: int = 10) -> list[str]:
    found = ctx.db.query(Note, {"title": {"$like": like}}, order="-title", limit=limit)
    return [note.title for note in found]


@app.query(auth="public")
def sneaky(ctx: Context) -> None:
    ctx.db.insert(Note, title="never")


@app.query(auth="public", timeout=0.05)
def slow(ctx: Context) -> None:
    while True:
        pass


@app.query(auth="public", timeout=0.05)
def deaf(ctx: Context) -> int:
    swallowed = 0
    while swallowed < 3:
        try:
            while True:
                pass
        except BaseException:
            swallowed += 1
    return swallowed


@app.mutation(timeout=0.05)
def deaf_write(ctx: Context) -> None:
    try:
        while True:
            pass
    except BaseException:
        ctx.db.insert(Note, title="never")


@app.action(auth="public", timeout=0.05)
async def deaf_wait(ctx: Context) -> str:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(10)
    return "never"


@app.query(auth="public")
def when(ctx: Context, at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


@app.mutation(auth="admin")
def reset(ctx: Context) -> int:
    notes = ctx.db.query(Note)
    return sum(ctx.db.delete(Note, note) for note in notes)


@app.mutation(internal=True, auth="public")
def hidden(ctx: Context) -> str:
    return f"hello {ctx.auth.user_id}"


@app.action(auth="public")
async def relay(ctx: Context, title: str) -> dict[str, Any]:
    greeting = await ctx.run(hidden)
    note = await ctx.run("write", title=title)
    return {"greeting": greeting, "note": note["title"]}


@app.action(auth="public")
async def reach(ctx: Context) -> None:
    ctx.db.get(Note, "x")


@app.action(auth="public", timeout=0.05)
async def wait(ctx: Context) -> None:
    await asyncio.sleep(10)


@app.action(auth="public")
async def tokens(ctx: Context, count: int, fail: bool = False):  # type: ignore[no-untyped-def]
    for i in range(count):
        yield f"token {i}"
    if fail:
        raise ctx.error("BROKEN", "broke in the middle")
    yield Event("stats", {"count": count})
    ctx.result = count


@asynccontextmanager
async def functions(folder: Path) -> AsyncIterator[Functions]:
    spec = app.spec()
    async with open_engine(spec, folder) as engine:
        runner = Functions(engine, spec.functions)
        yield runner
        await runner.stop()


async def call(runner: Functions, caller: Caller, name: str, **arguments: Any) -> Any:
    return json.loads((await runner.call(caller, name, json.dumps(arguments).encode())).body)


async def refused(runner: Functions, caller: Caller, name: str, body: bytes = b"") -> PylonError:
    with pytest.raises(PylonError) as error:
        await runner.call(caller, name, body)
    return error.value


async def test_a_mutation_commits_and_answers_the_row_without_its_hidden_fields(tmp_path: Path) -> None:
    async with functions(tmp_path) as runner:
        called = await runner.call(ALICE, "write", b'{"title":"a","secret":"s"}')
        note = json.loads(called.body)
        assert called.seq == 1
        assert (note["title"], note["author"]) == ("a", "alice")
        assert note["updated"].endswith("Z")
        assert "secret" not in note


@pytest.mark.parametrize("name", ["failing", "crash"])
async def test_a_mutation_that_raises_changes_nothing(tmp_path: Path, name: str) -> None:
    async with functions(tmp_path) as runner:
        await refused(runner, ALICE, name)
        assert await call(runner, ALICE, "titles") == []


async def test_the_authors_error_arrives_as_it_is_and_a_crash_tells_nothing(tmp_path: Path) -> None:
    async with functions(tmp_path) as runner:
        stopped = await refused(runner, ALICE, "failing")
        assert (stopped.code, stopped.message, stopped.hint, stopped.status) == ("STOP", "stopped", "go on", 400)
        crashed = await refused(runner, ALICE, "crash")
        assert (crashed.code, crashed.message) == ("HANDLER_ERROR", "Internal handler error")


async def test_a_query_reads_and_cannot_write(tmp_path: Path) -> None:
    async with functions(tmp_path) as runner:
        for title in ("a", "b", "ab"):
            await call(runner, ALICE, "write", title=title)
        assert await call(runner, GUEST, "titles", like="a") == ["ab", "a"]
        assert (await refused(runner, NOBODY, "sneaky")).code == "READ_ONLY_FUNCTION"


async def test_handlers_have_a_time_limit_wherever_they_run(tmp_path: Path) -> None:
    async with functions(tmp_path) as runner:
        for name, caller in (("spin", ALICE), ("slow", NOBODY), ("wait", NOBODY)):
            began = time.monotonic()
            assert (await refused(runner, caller, name)).code == "FN_TIMEOUT"
            assert time.monotonic() - began < 2
        await call(runner, ALICE, "write", title="still here")


async def test_a_handler_that_swallows_its_time_limit_is_told_again_and_counts_for_nothing(tmp_path: Path) -> None:
    async with functions(tmp_path) as runner:
        for name, caller in (("deaf", NOBODY), ("deaf_write", ALICE), ("deaf_wait", NOBODY)):
            assert (await refused(runner, caller, name)).code == "FN_TIMEOUT"
        assert await call(runner, ALICE, "titles") == []  # and the thread that it ran on is well


@pytest.mark.parametrize(
    ("caller", "name", "code"),
    [
        (NOBODY, "write", "AUTH_REQUIRED"),
        (GUEST, "write", "AUTH_REQUIRED"),
        (NOBODY, "titles", "AUTH_REQUIRED"),
        (ALICE, "reset", "FORBIDDEN"),
        (ALICE, "hidden", "FN_NOT_FOUND"),
        (ADMINISTRATOR, "nope", "FN_NOT_FOUND"),
    ],
)
async def test_the_gate_comes_before_the_arguments(tmp_path: Path, caller: Caller, name: str, code: str) -> None:
    async with functions(tmp_path) as runner:
        assert (await refused(runner, caller, name, b"{not json")).code == code


async def test_admins_pass_every_gate(tmp_path: Path) -> None:
    async with functions(tmp_path) as runner:
        await call(runner, ADMINISTRATOR, "write", title="x")
        assert await call(runner, ADMINISTRATOR, "hidden") == "hello __admin__"
        assert await call(runner, ADMINISTRATOR, "reset") == 1


@pytest.mark.parametrize(
    ("body", "code", "part"),
    [
        (b"{", "INVALID_JSON", "Invalid request body"),
        (b"[]", "INVALID_ARGS", "args"),
        (b"{}", "INVALID_ARGS", "args.title"),
        (b'{"title":5}', "INVALID_ARGS", "args.title: expected str, got int"),
    ],
)
async def test_wrong_arguments_are_named(tmp_path: Path, body: bytes, code: str, part: str) -> None:
    async with functions(tmp_path) as runner:
        error = await refused(runner, ALICE, "write", body)
        assert error.code == code
        assert part in error.message


async def test_datetimes_arrive_parsed_and_camel_case_names_work(tmp_path: Path) -> None:
    async with functions(tmp_path) as runner:
        assert await call(runner, NOBODY, "when", at="2026-01-01T01:00:00+01:00") == "2026-01-01T00:00:00+00:00"
        assert {entry["name"] for entry in runner.describe()} >= {"write", "failing", "titles"}


async def test_an_action_calls_other_functions_as_the_same_caller(tmp_path: Path) -> None:
    async with functions(tmp_path) as runner:
        assert await call(runner, ALICE, "relay", title="t") == {"greeting": "hello alice", "note": "t"}
        assert (await refused(runner, ALICE, "reach")).code == "FN_TYPE_MISMATCH"


async def stream(runner: Functions, caller: Caller, **arguments: Any) -> tuple[str, list[str]]:
    streamed = await runner.stream(caller, "tokens", json.dumps(arguments).encode())
    assert not isinstance(streamed, Called)
    stream_id, frames = streamed
    return stream_id, [frame.decode() async for frame in frames]


async def test_a_generator_streams_numbered_frames_and_ends_with_its_result(tmp_path: Path) -> None:
    async with functions(tmp_path) as runner:
        stream_id, frames = await stream(runner, ALICE, count=2)
        assert stream_id.startswith("st_")
        assert frames == [
            "id: 1\ndata: token 0\n\n",
            "id: 2\ndata: token 1\n\n",
            'id: 3\nevent: stats\ndata: {"count":2}\n\n',
            "id: 4\nevent: result\ndata: 2\n\n",
        ]


async def test_a_stream_is_resumed_by_its_owner_and_unknown_to_others(tmp_path: Path) -> None:
    async with functions(tmp_path) as runner:
        stream_id, frames = await stream(runner, ALICE, count=3)
        again = [frame.decode() async for frame in runner.resume(ALICE, stream_id, 2)]
        assert again == frames[2:]
        with pytest.raises(PylonError) as unknown:
            runner.resume(GUEST, stream_id, 0)
        assert unknown.value.code == "STREAM_NOT_FOUND"


async def test_an_error_in_the_middle_is_an_error_frame_and_before_the_first_chunk_an_error(tmp_path: Path) -> None:
    async with functions(tmp_path) as runner:
        _, frames = await stream(runner, ALICE, count=1, fail=True)
        assert frames[-1] == 'id: 2\nevent: error\ndata: {"code":"BROKEN","message":"broke in the middle"}\n\n'
        with pytest.raises(PylonError) as early:
            await runner.stream(ALICE, "tokens", b'{"count":0,"fail":true}')
        assert early.value.code == "BROKEN"


async def test_a_generator_called_plainly_answers_its_result(tmp_path: Path) -> None:
    async with functions(tmp_path) as runner:
        assert await call(runner, ALICE, "tokens", count=5) == 5
