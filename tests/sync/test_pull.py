"""Catching up: the snapshot, the log under the reader's policy, and the horizon."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.sync.pull import Pull, parse_position
from pylon.sync.tail import recent_changes
from pylon.testing.engine import open_engine
from tests.conftest import ADMINISTRATOR, ALICE, BOB, NOBODY


async def whole(pull: Pull, caller: Caller) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(b"".join([part async for part in await pull.snapshot(caller)]))
    return answer


async def paged(pull: Pull, caller: Caller, size: int) -> tuple[list[Any], int, int]:
    changes: list[Any] = []
    token, pages = None, 0
    while True:
        page = json.loads(await pull.page(caller, parse_position(token) if token else None, size))
        pages += 1
        changes += page["changes"]
        token = page["snapshot_after"]
        assert page["has_more"] or token is None
        if token is None:
            return changes, page["cursor"]["last_seq"], pages
        assert page["cursor"]["last_seq"] == 0


async def put(engine: Engine, caller: Caller, count: int) -> list[str]:
    return [(await engine.insert(caller, "Note", b'{"title":"%d","n":%d}' % (i, i))).row_id for i in range(count)]


async def test_an_empty_database_answers_an_empty_snapshot(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        expected = {"changes": [], "cursor": {"last_seq": 0}, "has_more": False, "snapshot_after": None}
        assert await whole(Pull(engine), ALICE) == expected


async def test_a_snapshot_holds_the_readable_rows_as_inserts_at_the_head(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        mine = await put(engine, ALICE, 3)
        await put(engine, BOB, 2)
        answer = await whole(Pull(engine), ALICE)
        assert [change["row_id"] for change in answer["changes"]] == mine
        assert {change["kind"] for change in answer["changes"]} == {"insert"}
        assert answer["cursor"] == {"last_seq": 5}
        assert "secret" not in answer["changes"][0]["data"]
        assert len((await whole(Pull(engine), ADMINISTRATOR))["changes"]) == 5
        assert (await whole(Pull(engine), NOBODY))["changes"] == []


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
async def test_pages_of_any_size_yield_the_same_rows(notes: AppSpec, tmp_path: Path, size: int) -> None:
    async with open_engine(notes, tmp_path) as engine:
        mine = await put(engine, ALICE, 7)
        for name in (b"x", b"y"):
            await engine.insert(ADMINISTRATOR, "User", b'{"name":"%b"}' % name)
        changes, cursor, _pages = await paged(Pull(engine), ALICE, size)
        assert [c["row_id"] for c in changes if c["entity"] == "Note"] == mine
        assert len(changes) == 9
        assert cursor == 9


async def test_what_changes_between_pages_is_in_the_log_after_the_snapshot(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        pull = Pull(engine)
        first, second, third = await put(engine, ALICE, 3)
        page = json.loads(await pull.page(ALICE, None, 1))
        await engine.delete(ALICE, "Note", first)
        await engine.delete(ALICE, "Note", third)
        rest = json.loads(await pull.page(ALICE, parse_position(page["snapshot_after"]), 100))
        rows = {c["row_id"] for c in page["changes"] + rest["changes"]}
        assert rows == {first, second}
        delta = json.loads(await pull.delta(ALICE, rest["cursor"]["last_seq"]))
        assert [(c["kind"], c["row_id"]) for c in delta["changes"]] == [("delete", first), ("delete", third)]


@pytest.mark.parametrize("size", [3, 1000])
async def test_no_write_falls_between_a_snapshot_and_its_cursor(notes: AppSpec, tmp_path: Path, size: int) -> None:
    async with open_engine(notes, tmp_path) as engine:
        pull = Pull(engine)

        async def write() -> None:
            for _ in range(100):
                await engine.insert(ALICE, "Note", b'{"title":"x"}')

        async def replicate() -> set[str]:
            changes, cursor, _pages = await paged(pull, ALICE, size)
            rows = {change["row_id"] for change in changes}
            await writing
            return rows | {c["row_id"] for c in json.loads(await pull.delta(ALICE, cursor))["changes"]}

        writing = asyncio.gather(*[write() for _ in range(3)])
        replicas = await asyncio.gather(*[replicate() for _ in range(5)])
        for replica in replicas:
            assert len(replica) == 300


@pytest.mark.parametrize("is_paged", [True, False])
async def test_a_snapshot_that_was_overtaken_says_that_there_is_more(
    notes: AppSpec, tmp_path: Path, is_paged: bool
) -> None:
    async with open_engine(notes, tmp_path) as engine:
        pull = Pull(engine)
        await put(engine, ALICE, 3)
        if is_paged:
            first = json.loads(await pull.page(ALICE, None, 2))
            await put(engine, ALICE, 1)
            last = json.loads(await pull.page(ALICE, parse_position(first["snapshot_after"]), 100))
        else:
            pieces = await pull.snapshot(ALICE)
            read = [await anext(pieces)]
            await put(engine, ALICE, 1)
            last = json.loads(b"".join(read + [piece async for piece in pieces]))
        assert (last["has_more"], last["snapshot_after"], last["cursor"]["last_seq"]) == (True, None, 3)
        rest = json.loads(await pull.delta(ALICE, 3))
        assert ([change["seq"] for change in rest["changes"]], rest["has_more"]) == ([4], False)


async def test_a_delta_has_full_rows_and_the_cursor_passes_what_is_filtered(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        pull = Pull(engine)
        [mine] = await put(engine, ALICE, 1)
        await put(engine, BOB, 3)
        await engine.update(ALICE, "Note", mine, b'{"title":"new"}')
        await put(engine, BOB, 1)
        delta = json.loads(await pull.delta(ALICE, 1))
        assert delta["cursor"] == {"last_seq": 6}
        assert delta["has_more"] is False
        [change] = delta["changes"]
        assert change["kind"] == "update"
        assert change["data"]["title"] == "new"
        assert change["data"]["n"] == 0
        assert change["timestamp"].endswith("Z")


async def test_a_row_that_changes_hands_is_a_delete_with_old_data_to_the_loser(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        pull = Pull(engine)
        [row_id] = await put(engine, ALICE, 1)
        await engine.update(ADMINISTRATOR, "Note", row_id, b'{"author":"bob","title":"bobs"}')
        [lost] = json.loads(await pull.delta(ALICE, 1))["changes"]
        assert (lost["kind"], lost["data"]["author"], lost["data"]["title"]) == ("delete", "alice", "0")
        [won] = json.loads(await pull.delta(BOB, 1))["changes"]
        assert (won["kind"], won["data"]["title"]) == ("update", "bobs")
        assert json.loads(await pull.delta(NOBODY, 1))["changes"] == []


async def test_a_limited_delta_can_be_continued_to_the_same_end(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        pull = Pull(engine)
        mine = await put(engine, ALICE, 5)
        seen: list[str] = []
        cursor, more = 0, True
        while more:
            delta = json.loads(await pull.delta(ALICE, cursor, limit=2))
            assert delta["cursor"]["last_seq"] > cursor
            cursor, more = delta["cursor"]["last_seq"], delta["has_more"]
            seen += [change["row_id"] for change in delta["changes"]]
        assert seen == mine
        nothing = json.loads(await pull.delta(ALICE, 3, limit=0))
        assert nothing == {"changes": [], "cursor": {"last_seq": 3}, "has_more": False}


async def test_cursors_from_outside_the_log_are_410(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        pull = Pull(engine)
        await put(engine, ALICE, 3)
        with pytest.raises(PylonError) as ahead:
            await pull.delta(ALICE, 999)
        assert (ahead.value.code, ahead.value.status, ahead.value.extra) == ("RESYNC_REQUIRED", 410, {"oldest_seq": 4})
        await engine.run(
            ADMINISTRATOR, lambda tx: tx.session.prune(log_before=2**40, keep_events=1, ops_before=0, now=0, limit=10)
        )
        with pytest.raises(PylonError) as behind:
            await pull.delta(ALICE, 1)
        assert behind.value.extra == {"oldest_seq": 3}
        assert json.loads(await pull.delta(ALICE, 2))["cursor"] == {"last_seq": 3}


@pytest.mark.parametrize("token", ["", "x", "{", "e30", '{"e":"Nope","a":"","n":0,"s":1}'])
async def test_a_foreign_snapshot_token_is_refused(notes: AppSpec, tmp_path: Path, token: str) -> None:
    async with open_engine(notes, tmp_path) as engine:
        with pytest.raises(PylonError) as refused:
            await Pull(engine).page(ALICE, parse_position(token), 10)
        assert refused.value.code == "SNAPSHOT_CURSOR_INVALID"


async def test_a_clock_that_jumps_changes_neither_order_nor_cursors_nor_the_newest_ids(
    notes: AppSpec, tmp_path: Path
) -> None:
    times = iter([2_000_000_000.0, 1_000_000_000.0, 3_000_000_000.0, 1_500_000_000.0])
    now = [2_000_000_000.0]
    async with open_engine(notes, tmp_path, clock=lambda: now[0]) as engine:
        pull = Pull(engine)
        made = []
        for now[0] in times:
            made += await put(engine, ALICE, 1)
        assert made == sorted(made)
        delta = json.loads(await pull.delta(ALICE, 1))
        assert [c["seq"] for c in delta["changes"]] == [2, 3, 4]
        assert [c["row_id"] for c in (await whole(pull, ALICE))["changes"]] == made


@pytest.mark.parametrize("jump", [-100.0, 0.0, 100.0])
async def test_what_a_new_process_sends_newcomers_first_does_not_hang_on_the_clock(
    notes: AppSpec, tmp_path: Path, jump: float
) -> None:
    async with open_engine(notes, tmp_path, clock=lambda: 1_000_000_000.0) as engine:
        await put(engine, ALICE, 1)
    async with open_engine(notes, tmp_path, clock=lambda: 1_000_000_050.0) as engine:
        made = await put(engine, ALICE, 2)
    async with open_engine(notes, tmp_path, clock=lambda: 1_000_000_050.0 + jump) as engine:
        assert [change.row_id for change in await recent_changes(engine)] == made
