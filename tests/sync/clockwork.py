"""An event loop whose time jumps to the next timer instead of passing: seconds of a schedule run in microseconds."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jump(selectors.SelectSelector):
    """Waits for nobody: what would be waited is added to the loop's time."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout > 0:
            self.now += timeout
        return super().select(0)


class ClockworkLoop(asyncio.SelectorEventLoop):
    """Deterministic: the same schedule runs the same way each time."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._jump.now


def run(main: Coroutine[Any, Any, T]) -> T:
    """The result of `main`, run on a loop of its own."""
    with asyncio.Runner(loop_factory=ClockworkLoop) as runner:
        return runner.run(main)
