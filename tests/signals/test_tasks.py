"""Background work is counted by name, and one that stopped is known."""

from __future__ import annotations

import asyncio

import pytest

from pylon.signals.tasks import OVERDUE_SECONDS, OVERDUE_TURNS, Tasks


class Time:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_turn_is_counted_timed_and_failed_if_it_raises() -> None:
    time = Time()
    tasks = Tasks(time, time)
    task = tasks.add("prune", 10.0)
    with task.turn():
        time.now += 3

    def fail() -> None:
        with task.turn():
            time.now += 4
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert (task.runs, task.failures, task.seconds, task.succeeded_at) == (2, 1, 4.0, 1003.0)
    [state] = tasks.states()
    assert state._asdict() == {
        "task": "prune",
        "every": 10.0,
        "runs": 2,
        "failures": 1,
        "last_success": 1003.0,
        "duration": 4.0,
        "overdue": False,
    }


def test_one_that_is_cancelled_neither_went_well_nor_failed() -> None:
    task = Tasks(Time(), Time()).add("archive", 1.0)
    with pytest.raises(asyncio.CancelledError), task.turn():
        raise asyncio.CancelledError
    assert (task.runs, task.failures) == (0, 0)


def test_a_task_is_overdue_once_it_has_not_gone_well_for_long_and_never_while_it_only_waits_for_work() -> None:
    time = Time()
    tasks = Tasks(time, time)
    task, _ = tasks.add("checkpoint", 10.0), tasks.add("webhook crm", 0.0)
    time.now += OVERDUE_TURNS * 10.0 + OVERDUE_SECONDS
    assert tasks.overdue() == 0
    time.now += 1
    assert tasks.overdue() == 1
    with task.turn():
        pass
    assert tasks.overdue() == 0


def test_one_that_begins_anew_goes_on_counting_and_one_that_is_dropped_is_forgotten() -> None:
    tasks = Tasks(Time(), Time())
    with tasks.add("mail", 1.0).turn():
        pass
    assert tasks.add("mail", 2.0).runs == 1
    tasks.drop("mail")
    assert list(tasks) == []
