"""Row ids (spec 01 §4.1): 32 hex digits of Unix nanoseconds and 8 of a counter, so that text order is creation order.

The generator never goes backwards: a clock step or a restart continues above the last id it is told of."""

from __future__ import annotations

import re

_ID = re.compile(r"[0-9a-f]{40}\Z")


def is_row_id(value: str) -> bool:
    """True for exactly 40 lowercase hex characters."""
    return _ID.match(value) is not None


class RowIds:
    """Makes strictly increasing row ids above `floor_ns`. Not thread-safe: one thread owns it.

    The time in an id is that of the last `tick`, so that a batch of rows pays for the clock once."""

    def __init__(self, *, floor_ns: int = 0) -> None:
        self.last_ns = floor_ns
        self._counter = 0
        self._prefix = f"{floor_ns:032x}"

    def tick(self, now_ns: int) -> None:
        """Move on to `now_ns`; a clock that stepped back is ignored."""
        if now_ns > self.last_ns:
            self.last_ns = now_ns
            self._prefix = f"{now_ns:032x}"

    def next(self) -> str:
        """The next id."""
        if self._counter > 0xFFFFFFFF:
            self._counter = 0
            self.tick(self.last_ns + 1)
        counter = self._counter
        self._counter = counter + 1
        return f"{self._prefix}{counter:08x}"
