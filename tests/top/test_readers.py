"""Who reads now, since when, and what was slow (`engine/readers.py`)."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.readers import SLOW_KEPT, Readers
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.model.schema import AppSpec
from pylon.store.protocol import ReadSession
from pylon.store.selection import Selection
from pylon.testing.engine import open_engine

ALICE = Caller(identity=Identity(user_id="alice"), request_id="r-1", ip="10.0.0.1", door="http")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def nothing() -> None:
    pass


def test_a_running_read_is_listed_with_its_user_and_request_until_it_ends() -> None:
    clock = Clock()
    readers = Readers(clock=clock)
    with readers.track("list Todo", ALICE, nothing):
        clock.now = 2.0
        with readers.track("pull", Caller(), nothing):
            clock.now = 2.5
            first, second = readers.running()
            assert (first.what, first.user, first.request_id, first.seconds) == ("list Todo", "alice", "r-1", 2.5)
            assert (second.what, second.user, second.seconds) == ("pull", None, 0.5)
            assert readers.oldest_seconds() == 2.5
    assert readers.running() == []
    assert readers.oldest_seconds() == 0.0


def test_the_longest_read_since_the_last_look_counts_even_when_it_has_ended() -> None:
    clock = Clock()
    readers = Readers(clock=clock)
    with readers.track("export", ALICE, nothing):
        clock.now = 9.0
    with readers.track("list Todo", ALICE, nothing):
        clock.now = 10.0
        assert readers.take_longest() == 9.0
        assert readers.take_longest() == 1.0
    assert readers.take_longest() == 1.0
    assert readers.take_longest() == 0.0


def test_what_was_slow_is_kept_newest_first_and_what_was_fast_is_not() -> None:
    clock = Clock()
    readers = Readers(slow_seconds=0.1, clock=clock, wall=lambda: 1_000.0)
    for name, seconds in (("fast", 0.05), ("slow", 0.1), ("slower", 0.25)):
        with readers.track(name, ALICE, nothing):
            clock.now += seconds
    assert [(q.what, q.ms, q.user, q.request_id, q.at) for q in readers.slow_queries()] == [
        ("slower", 250.0, "alice", "r-1", 1000.0),
        ("slow", 100.0, "alice", "r-1", 1000.0),
    ]
    assert len(readers.slow_queries(1)) == 1


def test_slow_queries_are_bounded_in_number_and_length() -> None:
    readers = Readers(slow_seconds=0.0)
    for _ in range(SLOW_KEPT + 50):
        readers.ended("x" * 10_000, ALICE, 1.0)
    kept = readers.slow_queries()
    assert len(kept) == SLOW_KEPT
    assert len(kept[0].what) <= 120


def test_a_read_past_the_limit_is_interrupted_again_and_again_but_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    from pylon.signals import logs

    clock = Clock()
    readers = Readers(max_seconds=60.0, clock=clock)
    interrupted: list[float] = []
    with readers.track("backup", ALICE, lambda: interrupted.append(clock.now)):
        clock.now = 59.0
        assert readers.sweep() == 0
        clock.now = 60.0
        assert readers.sweep() == 1
        clock.now = 61.0
        assert readers.sweep() == 1
    assert readers.sweep() == 0
    assert interrupted == [60.0, 61.0]
    assert readers.interrupted == 1
    logs.flush()
    lines = [line for line in capfd.readouterr().err.splitlines() if "read interrupted" in line]
    assert len(lines) == 1
    assert "what=backup" in lines[0]
    assert "request_id=r-1" in lines[0]
    assert "user=alice" in lines[0]


def test_one_that_can_not_be_interrupted_keeps_no_other_from_it() -> None:
    clock = Clock()
    readers = Readers(max_seconds=60.0, clock=clock)
    interrupted: list[str] = []

    def broken() -> None:
        raise RuntimeError("closed already")

    with readers.track("broken", ALICE, broken), readers.track("pull", ALICE, lambda: interrupted.append("pull")):
        clock.now = 61.0
        assert readers.sweep() == 1
    assert interrupted == ["pull"]


def test_a_read_that_fails_leaves_the_register() -> None:
    readers = Readers()
    with pytest.raises(RuntimeError), readers.track("list Todo", ALICE, nothing):
        raise RuntimeError
    assert readers.running() == []


async def seeded(engine: Engine, rows: int) -> None:
    for n in range(rows):
        await engine.insert(ALICE, "Note", b'{"title":"%d"}' % n)


def endless(session: ReadSession) -> int:
    """Reads on and on, each statement a short one."""
    while True:
        session.count("Note", Selection())


async def test_a_function_that_holds_its_snapshot_past_the_limit_is_ended(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path, readers=Readers(max_seconds=0.2)) as engine:
        await seeded(engine, 3)
        with pytest.raises(PylonError) as raised:
            await engine.reads.run(endless, 30.0, caller=ALICE, what="fn by_tag")
        assert raised.value.code in ("FN_TIMEOUT", "QUERY_TIMEOUT")
        assert engine.reads.readers.interrupted == 1
        assert [query.what for query in engine.reads.readers.slow_queries()] == ["fn by_tag"]
        assert await engine.reads.run(lambda session: session.count("Note", Selection()), 1.0) == 3


async def test_housekeeping_interrupts_what_registered_by_itself(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path, readers=Readers(max_seconds=0.1)) as engine:
        interrupted = asyncio.Event()
        loop = asyncio.get_running_loop()
        with engine.reads.readers.track("backup", ALICE, lambda: loop.call_soon(interrupted.set)):
            await asyncio.wait_for(interrupted.wait(), 5.0)


async def test_a_pooled_read_is_listed_while_it_runs_and_an_inline_one_never(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        await seeded(engine, 1)
        await engine.reads.rows(ALICE, "Note", Selection())
        assert engine.reads.readers.started == 0
        entered, leave = threading.Event(), threading.Event()

        def wait(session: ReadSession) -> None:
            entered.set()
            leave.wait(5.0)

        running = asyncio.create_task(engine.reads.run(wait, 10.0, caller=ALICE, what="fn by_tag"))
        await asyncio.to_thread(entered.wait, 5.0)
        [found] = engine.reads.readers.running()
        assert (found.what, found.user, found.request_id) == ("fn by_tag", "alice", "r-1")
        leave.set()
        await running
        assert engine.reads.readers.running() == []
