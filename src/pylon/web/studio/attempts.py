"""How often each address has tried something of late, in bounded memory."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable

ADDRESSES = 10_000
"""Addresses remembered; beyond it the one that tried longest ago is forgotten."""


class Attempts:
    """At most `limit` attempts of an address within `seconds`."""

    def __init__(self, limit: int, seconds: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._seconds = seconds
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Count one attempt and answer 0, or answer how many seconds to wait until the next one counts."""
        now = self._clock()
        times = self._times.get(address)
        if times is None:
            if len(self._times) >= ADDRESSES:
                self._times.popitem(last=False)
            times = self._times[address] = deque()
        while times and times[0] <= now - self._seconds:
            times.popleft()
        if len(times) >= self._limit:
            return times[0] + self._seconds - now
        times.append(now)
        self._times.move_to_end(address)
        return 0.0
