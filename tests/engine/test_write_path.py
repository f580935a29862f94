"""One write's way: decode, stamp, policy, row, change record, commit, publish, answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from pylon.engine.transaction import Authority, Transaction
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.store.selection import Selection
from pylon.testing.engine import open_engine
from tests.conftest import ADMINISTRATOR, ALICE, BOB, NOBODY


async def test_an_insert_is_stamped_with_id_owner_time_and_defaults(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        change = await engine.insert(ALICE, "Note", b'{"title":"x"}')
        assert change.row.author == "alice"
        assert change.row.done is False
        assert change.row.created.endswith("Z")
        assert len(change.row_id) == 40
        row = msgspec.json.decode(await engine.reads.get(ALICE, "Note", change.row_id))
        assert row == {
            "author": "alice",
            "created": change.row.created,
            "done": False,
            "id": change.row_id,
            "meta": None,
            "n": None,
            "slug": None,
            "title": "x",
        }


async def test_seq_follows_commit_order_and_subscribers_hear_before_the_answer(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        heard: list[Change] = []
        engine.subscribe(heard.extend)
        answers = await asyncio.gather(*[engine.insert(ALICE, "Note", b'{"title":"%d"}' % i) for i in range(50)])
        assert [change.seq for change in heard] == list(range(1, 51))
        assert sorted(change.seq for change in answers) == list(range(1, 51))


async def test_a_failing_request_does_not_touch_its_batch(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        bodies = [b'{"title":"a","slug":"one"}', b'{"title":"b","slug":"one"}', b'{"title":"c","slug":"two"}']
        results = await asyncio.gather(*[engine.insert(ALICE, "Note", body) for body in bodies], return_exceptions=True)
        failed = [r for r in results if isinstance(r, PylonError)]
        assert [(e.code, e.message) for e in failed] == [
            ("INSERT_FAILED", "Insert into Note failed: UNIQUE constraint failed: Note.slug")
        ]
        assert engine.reads.log_head() == 2


async def test_a_raising_operation_leaves_nothing_behind(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:

        def half(tx: Transaction) -> None:
            plan = tx.plans["Note"]
            tx.insert(plan, plan.types.convert_insert({"title": "kept?"}))
            raise PylonError("CONFLICT", "stop")

        with pytest.raises(PylonError, match="stop"):
            await engine.run(ALICE, half, authority=Authority.TRUSTED)
        assert engine.reads.log_head() == 0


async def test_policies_guard_insert_update_and_delete(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        row_id = (await engine.insert(ALICE, "Note", b'{"title":"x"}')).row_id
        for attempt in (
            engine.update(BOB, "Note", row_id, b'{"title":"y"}'),
            engine.delete(BOB, "Note", row_id),
            engine.insert(ALICE, "User", b'{"name":"x"}'),
            engine.insert(NOBODY, "Nope", b"{}"),
        ):
            with pytest.raises(PylonError) as refused:
                await attempt
            assert refused.value.code == "POLICY_DENIED"


async def test_a_missing_row_and_a_forbidden_one_are_told_apart_by_nobody(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        row_id = (await engine.insert(ALICE, "Note", b'{"title":"x"}')).row_id
        answers = []
        for target in (row_id, "0" * 40):
            for attempt in (
                engine.update(BOB, "Note", target, b'{"title":"y"}'),
                engine.delete(BOB, "Note", target),
                engine.reads.get(BOB, "Note", target),
            ):
                with pytest.raises(PylonError) as refused:
                    await attempt
                answers.append((refused.value.code, refused.value.message))
        assert answers[:3] == answers[3:]


async def test_the_owner_cannot_be_somebody_else(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        with pytest.raises(PylonError) as refused:
            await engine.insert(ALICE, "Note", b'{"title":"x","author":"bob"}')
        assert refused.value.code == "OWNER_MISMATCH"
        with pytest.raises(PylonError) as refused:
            await engine.insert(NOBODY, "Note", b'{"title":"x"}')
        assert refused.value.code == "OWNER_REQUIRED"


async def test_readonly_and_server_only_fields_are_closed_to_clients(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        row_id = (await engine.insert(ALICE, "Note", b'{"title":"x"}')).row_id
        with pytest.raises(PylonError) as refused:
            await engine.update(ALICE, "Note", row_id, b'{"author":"alice"}')
        assert refused.value.code == "READONLY_FIELD"
        with pytest.raises(PylonError) as refused:
            await engine.update(ALICE, "Note", row_id, b'{"secret":"s"}')
        assert refused.value.code == "INVALID_COLUMN"
        await engine.update(ADMINISTRATOR, "Note", row_id, b'{"author":"bob","secret":"s"}')


async def test_an_empty_patch_changes_nothing_and_is_no_error(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        row_id = (await engine.insert(ALICE, "Note", b'{"title":"x"}')).row_id
        assert await engine.update(ALICE, "Note", row_id, b"{}") is None
        assert await engine.update(ALICE, "Note", row_id, b'{"id":"other"}') is None
        assert engine.reads.log_head() == 1


async def test_a_client_id_is_kept_and_refused_the_second_time(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        body = b'{"title":"x","id":"%s"}' % (b"ab" * 20)
        assert (await engine.insert(ALICE, "Note", body)).row_id == "ab" * 20
        with pytest.raises(PylonError) as refused:
            await engine.insert(ALICE, "Note", body)
        assert refused.value.code == "OPTIMISTIC_ID_CONFLICT"


async def test_ids_stay_monotonic_across_restarts_and_clock_steps(notes: AppSpec, tmp_path: Path) -> None:
    now = [2_000_000_000.0]
    made: list[str] = []
    for step in (0.0, -86_400.0, 3.0, -100_000.0):
        now[0] += step
        async with open_engine(notes, tmp_path, clock=lambda: now[0]) as engine:
            for _ in range(3):
                now[0] -= 1
                made.append((await engine.insert(ALICE, "Note", b'{"title":"x"}')).row_id)
    assert made == sorted(made)
    assert len(set(made)) == len(made)


async def test_a_client_cannot_push_ids_into_the_future(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        await engine.insert(ALICE, "Note", b'{"title":"x","id":"%s"}' % (b"f" * 40))
    async with open_engine(notes, tmp_path) as engine:
        assert (await engine.insert(ALICE, "Note", b'{"title":"x"}')).row_id < "1" * 40


async def test_a_handler_past_its_time_limit_is_stopped_and_undone(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:

        def spin(tx: Transaction) -> None:
            plan = tx.plans["User"]
            tx.insert(plan, plan.types.convert_insert({"name": "x"}))
            while True:
                pass

        spinning = asyncio.create_task(engine.run(ALICE, spin, authority=Authority.TRUSTED, time_limit=0.05))
        await asyncio.sleep(0)
        innocent = await engine.insert(ALICE, "Note", b'{"title":"x"}')
        with pytest.raises(PylonError) as stopped:
            await spinning
        assert stopped.value.code == "FN_TIMEOUT"
        assert innocent.seq == 1


async def test_op_ids_survive_a_restart_and_belong_to_their_principal(notes: AppSpec, tmp_path: Path) -> None:
    def once(tx: Transaction) -> tuple[str, bool]:
        earlier = tx.replayed("alice", "op1")
        if earlier is not None:
            return earlier.row_id, True
        plan = tx.plans["Note"]
        change = tx.insert(plan, plan.types.convert_insert({"title": "x"}))
        tx.remember("alice", "op1", change)
        return change.row_id, False

    async with open_engine(notes, tmp_path) as engine:
        both = await asyncio.gather(engine.run(ALICE, once), engine.run(ALICE, once))
        assert [outcome.value[1] for outcome in both] == [False, True]
    async with open_engine(notes, tmp_path) as engine:
        again = await engine.run(ALICE, once)
        assert again.value == (both[0].value[0], True)
        stranger = await engine.run(BOB, lambda tx: tx.replayed("bob", "op1"))
        assert stranger.value is None


async def test_the_log_is_pruned_only_beyond_both_days_and_events(notes: AppSpec, tmp_path: Path) -> None:
    from pylon.engine.housekeeping import Retention

    now = [1_000_000.0]
    retention = Retention(log_days=1, log_events=3)
    async with open_engine(notes, tmp_path, clock=lambda: now[0], retention=retention) as engine:
        for _ in range(5):
            await engine.insert(ALICE, "Note", b'{"title":"x"}')
        assert await engine.housekeeping.prune_once() == 0
        now[0] += 2 * 86_400
        assert await engine.housekeeping.prune_once() == 2
        await engine.insert(ALICE, "Note", b'{"title":"x"}')
        assert engine.reads.log_head() == 6


async def test_the_time_limit_of_a_list_ends_with_it(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        await engine.insert(ALICE, "Note", b'{"title":"x"}')
        await engine.reads.rows(ALICE, "Note", Selection())
        await asyncio.sleep(0.005)
        for _ in range(5000):  # enough for SQLite to ask whether the time is over
            assert engine.reads.log_head() == 1
            assert engine.reads.records("nothing") == []


async def test_the_database_is_for_the_eyes_of_the_servers_account_alone(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        await engine.insert(ALICE, "Note", b'{"title":"x"}')
        assert modes(tmp_path) == dict.fromkeys(("pylon.db", "pylon.db-wal", "pylon.db-shm"), 0o600)


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in folder.glob("pylon.db*")}
