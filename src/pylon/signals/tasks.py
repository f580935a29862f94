"""Background work by name: how often it ran, failed, and when it last went well, so that one that stopped is seen.

task = tasks.add("checkpoint", every=1.0)
while True:
    try:
        with task.turn():
            await step()
    except Exception: ...
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

OVERDUE_TURNS = 5
"""A task that has not gone well for so many of its intervals and `OVERDUE_SECONDS` is overdue."""

OVERDUE_SECONDS = 300.0


class Task:
    """One task. `every` is how many seconds lie between its turns, 0 for one that is woken when there is work;
    `seconds` is how long its last turn took; `succeeded_at` when it last went well, or began, in Unix seconds."""

    __slots__ = ("_clock", "_monotonic", "every", "failures", "name", "runs", "seconds", "succeeded_at")

    def __init__(self, name: str, every: float, clock: Callable[[], float], monotonic: Callable[[], float]) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self.name = name
        self.every = every
        self.runs = 0
        self.failures = 0
        self.seconds = 0.0
        self.succeeded_at = clock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One turn: counted, timed, and failed if it raises, which it still does. One that is cancelled is neither."""
        began = self._monotonic()
        try:
            yield
        except Exception:
            self.runs += 1
            self.failures += 1
            raise
        else:
            self.runs += 1
            self.succeeded_at = self._clock()
        finally:
            self.seconds = self._monotonic() - began

    def is_overdue(self) -> bool:
        """Whether it should have gone well long ago."""
        return bool(self.every) and self._clock() - self.succeeded_at > OVERDUE_TURNS * self.every + OVERDUE_SECONDS


class TaskState(NamedTuple):
    """A task at one moment, as operators see it; times are in seconds, `last_success` in Unix seconds."""

    task: str
    every: float
    runs: int
    failures: int
    last_success: float
    duration: float
    overdue: bool


class Tasks:
    """The background tasks of one server."""

    def __init__(self, clock: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._tasks: dict[str, Task] = {}

    def add(self, name: str, every: float) -> Task:
        """A task of this name; one that begins anew goes on counting."""
        task = self._tasks.setdefault(name, Task(name, every, self._clock, self._monotonic))
        task.every = every
        return task

    def drop(self, name: str) -> None:
        """Forget one that is not to run any more."""
        self._tasks.pop(name, None)

    def __iter__(self) -> Iterator[Task]:
        return iter(list(self._tasks.values()))

    def states(self) -> list[TaskState]:
        """All of them, by name."""
        return [
            TaskState(
                task.name,
                task.every,
                task.runs,
                task.failures,
                round(task.succeeded_at, 3),
                round(task.seconds, 6),
                task.is_overdue(),
            )
            for task in sorted(self, key=lambda task: task.name)
        ]

    def overdue(self) -> int:
        """How many are overdue."""
        return sum(task.is_overdue() for task in self)
