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
    """Makes strictly increasing row ids above `floor_ns`. Not thread-safe: one thread owns it."""

    def __init__(self, clock_ns: Callable[[], int] = time.time_ns, *, floor_ns: int = 0) -> None:
        self._clock_ns = clock_ns
        self._counter = 0
        self.last_ns = floor_ns

    def next(self) -> str:
        """The next id."""
        now = self._clock_ns()
        if now > self.last_ns:
            self.last_ns = now
        if self._counter > 0xFFFFFFFF:
            self._counter = 0
            self.last_ns += 1
        counter = self._counter
        self._counter = counter + 1
        return f"{self.last_ns:032x}{counter:08x}"
