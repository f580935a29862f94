"""Counters, gauges and histograms that cost an attribute add on the hot path, and the registry that lists them.

    requests = registry.counter("pylon_things_total", "Things done.")
    requests.value += 1

An inline `x.value += 1` holds no call, so CPython's GIL does not switch threads inside it: no lock is needed. Nothing
here renders; see `exposition`.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Generic, Literal, TypeVar

OVERFLOW = "other"
"""The label value that takes over once a family holds as many children as it may."""

LATENCY_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds for request and write times."""

SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)
"""Upper bounds for batch and queue sizes."""


class Counter:
    """A number that only grows: `counter.value += n`."""

    __slots__ = ("value",)
    kind: Literal["counter"] = "counter"

    def __init__(self) -> None:
        self.value = 0

    def __repr__(self) -> str:
        return f"Counter({self.value})"


class Gauge:
    """A number that goes up and down: `gauge.value = n`. Given a `read` function it is asked at each scrape instead."""

    __slots__ = ("_read", "_value")
    kind: Literal["gauge"] = "gauge"

    def __init__(self, read: Callable[[], float] | None = None) -> None:
        self._value: float = 0
        self._read = read

    @property
    def value(self) -> float:
        return self._value if self._read is None else self._read()

    @value.setter
    def value(self, value: float) -> None:
        self._value = value

    def __repr__(self) -> str:
        return f"Gauge({self.value})"


class Histogram:
    """How observations spread over fixed bounds. `counts[i]` holds those up to `bounds[i]`, the last one the rest."""

    __slots__ = ("bounds", "counts", "largest", "sum")
    kind: Literal["histogram"] = "histogram"

    def __init__(self, bounds: tuple[float, ...] = LATENCY_SECONDS) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0
        self.largest = 0.0

    def observe(self, value: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value
        if value > self.largest:
            self.largest = value

    @property
    def count(self) -> int:
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """The upper bound of the bucket that holds the `share` quantile (0..1); the largest value seen for the last
        bucket; 0.0 when empty."""
        wanted = share * self.count
        if not wanted:
            return 0.0
        seen = 0
        for bound, count in zip(self.bounds, self.counts, strict=False):
            seen += count
            if seen >= wanted:
                return min(bound, self.largest)
        return self.largest

    def __repr__(self) -> str:
        return f"Histogram(count={self.count}, sum={self.sum:.6g})"


M = TypeVar("M", Counter, Gauge, Histogram)


class Family(Generic[M]):
    """One metric per combination of label values, at most `limit` of them; later ones share the `other` child, so that
    a client who invents names can't grow the process. Keep the child where the label values are known up front."""

    __slots__ = ("_children", "_limit", "_make", "labels")

    def __init__(self, labels: tuple[str, ...], make: Callable[[], M], limit: int) -> None:
        self.labels = labels
        self._make: Callable[[], M] = make
        self._limit = limit
        self._children: dict[tuple[str, ...], M] = {}

    def of(self, *values: str) -> M:
        """The child of these label values, in the order of `labels`."""
        child = self._children.get(values)
        if child is not None:
            return child
        if len(values) != len(self.labels):
            raise ValueError(f"expected {len(self.labels)} label values {self.labels}, got {len(values)}")
        if len(self._children) >= self._limit:
            values = (OVERFLOW,) * len(self.labels)
        return self._children.setdefault(values, self._make())

    def children(self) -> Iterator[tuple[tuple[str, ...], M]]:
        """Label values and child, oldest first; a stable copy, safe while other threads add some."""
        return iter(list(self._children.items()))


Kind = Literal["counter", "gauge", "histogram"]
Asked = float | Histogram
"""What somebody else counts, as it stands at a scrape."""


class Probe:
    """Asks somebody else at each scrape, for what is counted already where it happens. `read` gives label values, in
    the order of `labels`, and what they stand at; at most `limit` of them are told."""

    __slots__ = ("_limit", "_read", "labels")

    def __init__(
        self, labels: tuple[str, ...], read: Callable[[], Iterable[tuple[tuple[str, ...], Asked]]], limit: int
    ) -> None:
        self.labels = labels
        self._read = read
        self._limit = limit

    def children(self) -> Iterator[tuple[tuple[str, ...], Asked]]:
        """What there is now; nothing when the asked one fails, which must not hide every other series."""
        try:
            return iter(list(islice(self._read(), self._limit)))
        except Exception:  # the boundary to foreign code, at each scrape (poison law)
            return iter(())


class Series:
    """One registered name: its help text, its kind, and where its samples come from."""

    __slots__ = ("help", "kind", "name", "source")

    def __init__(
        self,
        name: str,
        help: str,
        kind: Kind,
        source: Counter | Gauge | Histogram | Probe | Family[Counter] | Family[Gauge] | Family[Histogram],
    ) -> None:
        self.name = name
        self.help = help
        self.kind = kind
        self.source = source

    def samples(self) -> Iterator[tuple[dict[str, str], Counter | Gauge | Histogram | float]]:
        """Labels and metric of each child; one with no labels where this is not a family."""
        source = self.source
        if isinstance(source, Family | Probe):
            for values, child in source.children():
                yield dict(zip(source.labels, values, strict=True)), child
        else:
            yield {}, source

    def __repr__(self) -> str:
        return f"Series({self.name!r}, {self.kind})"


class Registry:
    """The metrics of one server. Rooms create theirs here once, at start, and keep them."""

    def __init__(self) -> None:
        self._series: dict[str, Series] = {}

    def counter(self, name: str, help: str) -> Counter:
        return self._add(name, help, Counter())

    def gauge(self, name: str, help: str, read: Callable[[], float] | None = None) -> Gauge:
        return self._add(name, help, Gauge(read))

    def histogram(self, name: str, help: str, bounds: tuple[float, ...] = LATENCY_SECONDS) -> Histogram:
        return self._add(name, help, Histogram(bounds))

    def counters(self, name: str, help: str, labels: tuple[str, ...], limit: int = 128) -> Family[Counter]:
        return self._add_family(name, help, "counter", Family(labels, Counter, limit))

    def gauges(self, name: str, help: str, labels: tuple[str, ...], limit: int = 128) -> Family[Gauge]:
        return self._add_family(name, help, "gauge", Family(labels, Gauge, limit))

    def histograms(
        self,
        name: str,
        help: str,
        labels: tuple[str, ...],
        bounds: tuple[float, ...] = LATENCY_SECONDS,
        limit: int = 128,
    ) -> Family[Histogram]:
        return self._add_family(name, help, "histogram", Family(labels, lambda: Histogram(bounds), limit))

    def asked(self, name: str, help: str, kind: Kind, read: Callable[[], Asked]) -> None:
        """A series without labels that somebody else counts; it has no sample while `read` raises."""
        self.asked_by(name, help, kind, (), lambda: (((), read()),))

    def asked_by(
        self,
        name: str,
        help: str,
        kind: Kind,
        labels: tuple[str, ...],
        read: Callable[[], Iterable[tuple[tuple[str, ...], Asked]]],
        limit: int = 128,
    ) -> None:
        """The same with labels: `read` gives their values and what they stand at."""
        self._register(Series(name, help, kind, Probe(labels, read, limit)))

    def series(self) -> list[Series]:
        """Everything registered, in the order of registration."""
        return list(self._series.values())

    def _add(self, name: str, help: str, metric: M) -> M:
        self._register(Series(name, help, metric.kind, metric))
        return metric

    def _add_family(self, name: str, help: str, kind: Kind, family: Family[M]) -> Family[M]:
        self._register(Series(name, help, kind, family))
        return family

    def _register(self, series: Series) -> None:
        if series.name in self._series:
            raise ValueError(f"metric {series.name!r} is registered twice")
        self._series[series.name] = series
