"""The world of a simulation: one thread, a clock that jumps, and chance that a seed decides.

Everything that waits waits in virtual time, so a minute of a schedule takes milliseconds, and the same seed runs the
same way each time. What the product gives to threads runs inline, a moment later.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH = 1_700_000_000.0

owner: contextvars.ContextVar[object | None] = contextvars.ContextVar("owner", default=None)
"""Whose code runs: the server's that a task belongs to, so that killing it takes its tasks along."""


class _Jump(selectors.SelectSelector):
    """Waits for nobody: what would be waited is added to the loop's time."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout > 0:
            self.now += timeout
        return super().select(0)


class World(asyncio.SelectorEventLoop):
    """The loop, the clocks and the dice of one simulated run."""

    def __init__(self, seed: int) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self.seed = seed
        self.chance = random.Random(seed)
        self.set_back = 0.0
        self.history: list[str] = []
        self._tasks: dict[object, dict[asyncio.Task[Any], None]] = {}
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._on_exception)
        self.broken: BaseException | None = None

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._jump.now

    def wall(self) -> float:
        """Unix seconds; an operator may set this clock back and forth."""
        return EPOCH + self._jump.now - self.set_back

    def happens(self, probability: float) -> bool:
        """Whether something with this probability happens now."""
        return self.chance.random() < probability

    def between(self, low: float, high: float) -> float:
        """A moment in this range."""
        return self.chance.uniform(low, high)

    def note(self, line: str) -> None:
        """Remember what happened, for whoever reads a failing seed."""
        self.history.append(f"{self.time():9.4f} {line}")

    def _on_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.broken = self.broken or context.get("exception") or AssertionError(context["message"])

    # -- what the product gives to threads, and whose tasks are whose --------------------------------------------

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Run it here, a moment later; whoever waits hears of it another moment later, now and then a long one."""
        future = self.create_future()

        def answer(settle: Callable[[Any], None], outcome: Any) -> None:
            if not future.done():
                settle(outcome)

        def step() -> None:
            if future.cancelled():
                return
            settle: Callable[[Any], None] = future.set_result
            try:
                outcome = func(*args)
            except Exception as error:  # whatever a thread's work raises belongs to whoever waits for it
                settle, outcome = future.set_exception, error
            self.call_later(self.between(0.0, 0.3 if self.happens(0.05) else 0.004), answer, settle, outcome)

        self.call_later(self.between(0.0001, 0.004), step)
        return future

    def _make_task(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        context = options.get("context")
        whose = owner.get() if context is None else context.get(owner)
        if whose is not None:
            tasks = self._tasks.setdefault(whose, {})
            tasks[task] = None
            task.add_done_callback(lambda done: tasks.pop(done, None))
        return task

    def end_tasks_of(self, whose: object) -> None:
        """Cancel what a killed server was doing."""
        for task in list(self._tasks.pop(whose, ())):
            task.cancel()


def run(seed: int, main: Callable[[World], Coroutine[Any, Any, T]]) -> T:
    """The result of `main` in a world of its own."""
    world = World(seed)
    try:
        asyncio.set_event_loop(world)
        return world.run_until_complete(main(world))
    finally:
        leftover = asyncio.all_tasks(world)
        for task in leftover:
            task.cancel()
        world.run_until_complete(asyncio.gather(*leftover, return_exceptions=True))
        asyncio.set_event_loop(None)
        world.close()
