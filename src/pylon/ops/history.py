"""The last ten minutes in numbers, for charts and sparklines: one point every two seconds, and no more than fit."""

from __future__ import annotations

from collections import deque
from typing import Any

import msgspec

STEP_SECONDS = 2.0
KEPT_SECONDS = 600.0


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """What one interval was like; rates are per second."""

    requests: float
    errors: float
    failures: float
    writes: float
    deliveries: float
    reads: float
    latency_p99_ms: float
    wal_bytes: int
    sockets: int
    queued_writes: int
    rss_bytes: int
    cpu_percent: float
    loop_lag_ms: float
    disk_free_bytes: int


RATES = ("requests", "errors", "failures", "writes", "deliveries", "reads")


class History:
    """A bounded ring of points, oldest first."""

    def __init__(self, points: int = int(KEPT_SECONDS / STEP_SECONDS)) -> None:
        self._points: deque[Point] = deque(maxlen=points)

    def add(self, point: Point) -> None:
        """Remember one point; the oldest goes when there is no room."""
        self._points.append(point)

    def document(self) -> dict[str, Any]:
        """Each figure as a list, oldest first; the rates under `rates`."""
        columns = {name: [getattr(point, name) for point in self._points] for name in Point.__struct_fields__}
        rates = {name: columns.pop(name) for name in RATES}
        return {"seconds": STEP_SECONDS, "rates": rates, **columns}

    def __len__(self) -> int:
        return len(self._points)
