"""Two looks at the same counters make rates, averages and quantiles of the time between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pylon.ops.history import RATES
from pylon.signals.metrics import LATENCY_SECONDS

_SMALLEST_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class Counts:
    """All counters at one moment."""

    at: float
    requests: int
    errors: int
    failures: int
    writes: int
    deliveries: int
    reads: int
    batches: int
    commit_seconds: float
    cpu_seconds: float
    latency: tuple[int, ...]


def per_second(before: Counts, now: Counts) -> dict[str, float]:
    """The rate of each counter of `RATES`."""
    seconds = max(now.at - before.at, _SMALLEST_SECONDS)
    return {name: round((getattr(now, name) - getattr(before, name)) / seconds, 2) for name in RATES}


def commit_ms(before: Counts, now: Counts) -> float:
    """How long a group commit took on average, in milliseconds; 0.0 of none."""
    batches = now.batches - before.batches
    return round(1000 * (now.commit_seconds - before.commit_seconds) / batches, 3) if batches else 0.0


def cpu_percent(before: Counts, now: Counts) -> float:
    """Of one core."""
    seconds = max(now.at - before.at, _SMALLEST_SECONDS)
    return round(100 * (now.cpu_seconds - before.cpu_seconds) / seconds, 1)


def quantile_ms(share: float, before: Sequence[int], now: Sequence[int]) -> float:
    """The time that this share (0..1) of the requests in between did not exceed, in milliseconds, read off the
    buckets of `LATENCY_SECONDS` by a straight line through the one it falls into; 0.0 of no request."""
    counts = [later - earlier for earlier, later in zip(before, now, strict=True)]
    wanted = share * sum(counts)
    if wanted <= 0:
        return 0.0
    seen, lower = 0.0, 0.0
    for bound, count in zip(LATENCY_SECONDS, counts, strict=False):
        if seen + count >= wanted:
            return round(1000 * (lower + (bound - lower) * (wanted - seen) / count), 3)
        seen, lower = seen + count, bound
    return round(1000 * LATENCY_SECONDS[-1], 3)
