"""What the HTTP and live doors count: requests by method, route and status, their latency, the last hour by minute, and
open connections; with the JSON form of `/metrics` (spec 07 §15.2)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pylon.signals.metrics import LATENCY_SECONDS, OVERFLOW, Counter, Histogram, Registry

MINUTES = 60
KNOWN_KINDS = 2048
KNOWN_TIMES = 512
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Any other is counted as `other`: a client who invents methods must not push real ones out of the histograms."""


class LastHour:
    """How many events each of the last 60 minutes had. `add` and `newest_first` are given the minute, so that the
    caller reads the clock once."""

    __slots__ = ("_counts", "_minute")

    def __init__(self, minute: int) -> None:
        self._minute = minute
        self._counts = [0] * MINUTES

    def add(self, minute: int) -> None:
        """Count one event of `minute`."""
        if minute != self._minute:
            self._turn(minute)
        self._counts[minute % MINUTES] += 1

    def newest_first(self, minute: int) -> list[int]:
        """Sixty counts, the running minute first."""
        self._turn(minute)
        return [self._counts[(minute - ago) % MINUTES] for ago in range(MINUTES)]

    def _turn(self, minute: int) -> None:
        """Forget the minutes that have passed since the last event."""
        for passed in range(self._minute + 1, min(minute, self._minute + MINUTES) + 1):
            self._counts[passed % MINUTES] = 0
        self._minute = max(minute, self._minute)


class Traffic:
    """The counters of one server's doors. Time comes from `clock` (seconds, monotonic)."""

    def __init__(
        self,
        registry: Registry,
        clock: Callable[[], float] = time.monotonic,
        *,
        sockets: Callable[[], float] | None = None,
        streams: Callable[[], float] | None = None,
    ) -> None:
        self._clock = clock
        self._started = clock()
        registry.gauge("pylon_uptime_seconds", "Seconds since the server started.", self.uptime)
        self._total = registry.counter("pylon_http_requests_total", "HTTP requests answered.")
        self._ok = registry.counter("pylon_http_requests_ok_total", "HTTP requests answered with 200 to 399.")
        self._errors = registry.counter("pylon_http_requests_errors_total", "HTTP requests answered with 400 or above.")
        self._by_method = registry.counters(
            "pylon_http_requests_by_method", "HTTP requests by method.", ("method",), limit=12
        )
        self._by_status = registry.counters(
            "pylon_http_responses_total", "HTTP answers by status code.", ("status",), limit=64
        )
        self._seconds = registry.histograms(
            "pylon_http_request_seconds",
            "Time from request to answer, by route and class of status.",
            ("route", "method", "status"),
            limit=KNOWN_TIMES,
        )
        self._known: dict[tuple[str, str, int], tuple[Counter, Counter, Histogram]] = {}
        self._minutes = LastHour(0)
        self._error_minutes = LastHour(0)
        self.ws_connections = registry.gauge("pylon_ws_connections", "Open WebSockets.", sockets)
        self.sse_connections = registry.gauge("pylon_sse_connections", "Open event streams.", streams)

    def uptime(self) -> float:
        """Seconds since this object was made."""
        return self._clock() - self._started

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request. `route` is the template (`/api/entities/{entity}`), never the concrete path."""
        minute = int((self._clock() - self._started) // 60)
        self._total.value += 1
        self._minutes.add(minute)
        if status < 400:
            self._ok.value += 1
        else:
            self._errors.value += 1
            self._error_minutes.add(minute)
        kind = (route, method, status)
        by_method, by_status, histogram = self._known.get(kind) or self._meet(kind)
        by_method.value += 1
        by_status.value += 1
        histogram.observe(seconds)

    def _meet(self, kind: tuple[str, str, int]) -> tuple[Counter, Counter, Histogram]:
        """The three counters of a kind of answer, remembered while there is room."""
        route, method, status = kind
        if method not in METHODS:
            method = OVERFLOW
        seconds = self._seconds.of(route, method, f"{status // 100}xx")
        found = (self._by_method.of(method), self._by_status.of(str(status)), seconds)
        if len(self._known) < KNOWN_KINDS:
            self._known[kind] = found
        return found

    @property
    def requests(self) -> int:
        """HTTP requests answered."""
        return self._total.value

    @property
    def errors(self) -> int:
        """Of them, with 400 or above."""
        return self._errors.value

    def failures(self) -> int:
        """Of them, with 500 or above."""
        return sum(counter.value for (status,), counter in self._by_status.children() if status.startswith("5"))

    def latency(self) -> list[int]:
        """How the times of all requests spread over `LATENCY_SECONDS`, and in the last place those above."""
        counts = [0] * (len(LATENCY_SECONDS) + 1)
        for _, histogram in self._seconds.children():
            for place, count in enumerate(histogram.counts):
                counts[place] += count
        return counts

    def _routes(self) -> list[dict[str, Any]]:
        """The latency of each kind of answer, the most frequent first; times are upper bounds of histogram buckets."""
        told = [
            {
                "route": route,
                "method": method,
                "status": status,
                "count": histogram.count,
                "p50_ms": histogram.quantile(0.5) * 1000,
                "p99_ms": histogram.quantile(0.99) * 1000,
                "max_ms": round(histogram.largest * 1000, 3),
            }
            for (route, method, status), histogram in self._seconds.children()
        ]
        return sorted(told, key=lambda line: -line["count"])

    def report(self, sections: dict[str, dict[str, Any]] | None = None) -> dict[str, Any]:
        """The JSON form. `sections` adds what other rooms know (`jobs`, `workflows`, `writes`, ...)."""
        minute = int(self.uptime() // 60)
        return {
            "uptime_secs": int(self.uptime()),
            "requests": {
                "total": self._total.value,
                "ok": self._ok.value,
                "error": self._errors.value,
                "per_minute": self._minutes.newest_first(minute),
                "errors_per_minute": self._error_minutes.newest_first(minute),
            },
            "routes": self._routes(),
            "methods": {values[0]: counter.value for values, counter in self._by_method.children()},
            "realtime": {
                "ws_connections": int(self.ws_connections.value),
                "sse_connections": int(self.sse_connections.value),
            },
        } | (sections or {})
