"""Row ids (spec 01 §4.1): 32 hex digits of Unix nanoseconds and 8 of a counter, so that text order is creation order.

The generator never goes backwards: a clock step or a restart continues above the last id it is told of."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

_ID = re.compile(r"[0-9a-f]{40}\Z")


def is_row_id(value: str) -> bool:
    """True for exactly 40 lowercase hex characters."""
    return _ID.match(value) is not None


class RowIds:
    """Makes strictly increasing row ids. Not thread-safe: each thread that makes ids owns one lock or one instance."""

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns, *, above: str | None = None) -> None:
        self._clock_ns = clock_ns
        self._last_ns = int(above[:32], 16) if above else 0
        self._counter = (int(above[32:], 16) + 1) if above else 0

    def next(self) -> str:
        now = self._clock_ns()
        if now > self._last_ns:
            self._last_ns = now
        elif self._counter >= 0xFFFFFFFF:
            self._last_ns += 1
        counter = self._counter & 0xFFFFFFFF
        self._counter = counter + 1
        return f"{self._last_ns:032x}{counter:08x}"
