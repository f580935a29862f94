"""The newest log lines in memory, bounded by count and bytes, so that an operator can read them from a running server.

Warnings and errors are kept apart from the rest: a busy server's access lines must not push out what went wrong.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

KEPT_LINES = 10_000
KEPT_BYTES = 4 * 2**20
LONGEST_LINE = 16_384
"""Characters of one line that are kept; a traceback may be longer."""

SERIOUS = 30
"""The number of `warning`: from here on lines are kept apart."""


class LogLine(NamedTuple):
    """One line as it was written; `at` is in Unix seconds, `level` its number."""

    at: float
    level: int
    text: str


class _Ring:
    """The newest lines within both bounds: plain tuples of what LogLine names, which cost a quarter of it."""

    def __init__(self, lines: int, size: int) -> None:
        self._max_lines = lines
        self._max_size = size
        self.lines: deque[tuple[float, int, str]] = deque()
        self.size = 0

    def trim(self) -> None:
        lines = self.lines
        while len(lines) > self._max_lines or self.size > self._max_size:
            self.size -= len(lines.popleft()[2])


class Recent:
    """What was logged lately. Any thread; the thread that writes lines out adds them, not the one that logs."""

    def __init__(
        self, lines: int = KEPT_LINES, size: int = KEPT_BYTES, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._common = _Ring(lines, size)
        self._serious = _Ring(max(1, lines // 4), size // 4)

    def add(self, lines: list[tuple[int, str]]) -> None:
        """Keep lines, each with the number of its level."""
        now = self._clock()
        with self._lock:
            for level, text in lines:
                if len(text) > LONGEST_LINE:
                    text = f"{text[:LONGEST_LINE]} ({len(text) - LONGEST_LINE} characters left out)"
                ring = self._serious if level >= SERIOUS else self._common
                ring.lines.append((now, level, text))
                ring.size += len(text)
            self._common.trim()
            self._serious.trim()

    def since(self, at: float, level: int) -> list[LogLine]:
        """Lines from `at` (Unix seconds) on and from `level` up, oldest first."""
        with self._lock:
            kept = [*self._common.lines, *self._serious.lines]
        # Lines begin with their time, in the same form in both rings: text order is the order of logging.
        return sorted((LogLine(*line) for line in kept if line[0] >= at and line[1] >= level), key=_order)


def _order(line: LogLine) -> tuple[float, str]:
    return line.at, line.text
