"""Token buckets by key: a steady rate with a burst, for a bounded number of keys.

Taking is checked before work is done, and charging afterwards for what it turned out to cost: a bucket may go into
debt, which its owner then waits off.
"""

from __future__ import annotations

import time
from collections.abc import Callable

KEYS = 20_000
"""Buckets kept; the longest unused go first, and a bucket that is not kept is full."""


class Buckets:
    """`rate` tokens per second up to `burst`; a rate of 0 means no limit."""

    __slots__ = ("_buckets", "_clock", "_keys", "burst", "rate", "refused")

    def __init__(
        self, rate: float, burst: float, *, keys: int = KEYS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate = rate
        self.burst = max(burst, 1.0)
        self.refused = 0
        self._keys = keys
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, key: str, tokens: float = 1.0) -> float:
        """Take tokens: 0.0, or, when there are not enough, how many seconds until there are, and none is taken."""
        if not self.rate:
            return 0.0
        now = self._clock()
        left = self._left(key, now)
        if left < min(tokens, self.burst):
            self.refused += 1
            return (min(tokens, self.burst) - left) / self.rate
        self._keep(key, left - tokens, now)
        return 0.0

    def wait(self, key: str) -> float:
        """How many seconds until there is a whole token; 0.0 when there is one. Takes none."""
        if not self.rate:
            return 0.0
        left = self._left(key, self._clock())
        if left >= 1.0:
            return 0.0
        self.refused += 1
        return (1.0 - left) / self.rate

    def charge(self, key: str, tokens: float) -> None:
        """Take tokens whether or not they are there; at most one burst of debt."""
        if self.rate:
            now = self._clock()
            self._keep(key, max(self._left(key, now) - tokens, -self.burst), now)

    def left(self, key: str) -> float:
        """The tokens that are there now; below zero for a debt."""
        return self._left(key, self._clock())

    def _left(self, key: str, now: float) -> float:
        held = self._buckets.get(key)
        if held is None:
            return self.burst
        tokens, at = held
        return min(self.burst, tokens + (now - at) * self.rate)

    def _keep(self, key: str, tokens: float, now: float) -> None:
        buckets = self._buckets
        buckets.pop(key, None)
        if len(buckets) >= self._keys:
            del buckets[next(iter(buckets))]
        buckets[key] = (tokens, now)

    def __len__(self) -> int:
        return len(self._buckets)
