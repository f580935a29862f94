"""What the doors count, and the JSON form of /metrics."""

from __future__ import annotations

from pylon.signals.metrics import Registry
from pylon.signals.traffic import LastHour, Traffic


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_report_has_the_shape_of_the_specification() -> None:
    clock = Clock()
    traffic = Traffic(Registry(), clock)
    traffic.answered("/api/entities/{entity}", "GET", 200, 0.002)
    traffic.answered("/api/entities/{entity}", "POST", 403, 0.001)
    traffic.ws_connections.value = 3
    clock.now += 61
    report = traffic.report({"jobs": {"pending": 0}})
    assert report["uptime_secs"] == 61
    assert (report["requests"]["total"], report["requests"]["ok"], report["requests"]["error"]) == (2, 1, 1)
    assert report["requests"]["per_minute"] == [0, 2, *[0] * 58]
    assert report["requests"]["errors_per_minute"] == [0, 1, *[0] * 58]
    assert report["methods"] == {"GET": 1, "POST": 1}
    assert report["realtime"] == {"ws_connections": 3, "sse_connections": 0}
    assert report["jobs"] == {"pending": 0}


def test_invented_methods_do_not_grow_the_process() -> None:
    traffic = Traffic(Registry(), Clock())
    for number in range(1000):
        traffic.answered("/", f"M{number}", 405, 0.0)
    assert len(traffic.report()["methods"]) <= 13


def test_an_hour_forgets_what_is_older() -> None:
    hour = LastHour(0)
    hour.add(0)
    hour.add(59)
    assert sum(hour.newest_first(59)) == 2
    assert hour.newest_first(60)[:2] == [0, 1]
    assert sum(hour.newest_first(60)) == 1
    assert sum(hour.newest_first(10_000)) == 0
