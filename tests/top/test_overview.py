"""What an operator looks at live (`ops/overview.py`, `ops/history.py`, `ops/rates.py`, `web/admin/overview.py`)."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import pytest

from pylon.ops import process
from pylon.ops.history import RATES, History, Point
from pylon.ops.process import LoopLag
from pylon.ops.rates import Counts, commit_ms, cpu_percent, per_second, quantile_ms
from pylon.signals.metrics import LATENCY_SECONDS
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.top.conftest import admin, eventually

NONE = (0,) * (len(LATENCY_SECONDS) + 1)
ZERO = Counts(0.0, 0, 0, 0, 0, 0, 0, 0, 0.0, 0.0, NONE)

PARTS = {
    "rates": {"requests", "errors", "failures", "writes", "deliveries", "reads"},
    "latency_ms": {"p50", "p99"},
    "writes": {"queued", "batches", "largest_batch", "commit_ms_avg"},
    "wal": {"bytes", "watermark_bytes", "checkpoints", "oldest_reader_secs"},
    "disk": {"free_bytes", "total_bytes", "database_bytes"},
    "process": {"rss_bytes", "cpu_percent", "open_files", "threads", "loop_lag_ms"},
    "sockets": {"ws", "sse", "slow_closed", "refused", "unsent_bytes"},
    "top": {"users", "addresses", "entities", "functions"},
    "queues": {"writes", "fanout", "audit", "log"},
}


def point(n: float) -> Point:
    return Point(
        **dict.fromkeys(RATES, n),
        latency_p99_ms=n,
        wal_bytes=int(n),
        sockets=int(n),
        queued_writes=int(n),
        rss_bytes=int(n),
        cpu_percent=n,
        loop_lag_ms=n,
        disk_free_bytes=int(n),
    )


def test_rates_are_differences_of_counters_over_the_time_between() -> None:
    now = replace(ZERO, at=10.0, requests=50, errors=5, writes=20, batches=4, commit_seconds=0.01, cpu_seconds=2.5)
    rates = per_second(ZERO, now)
    assert (rates["requests"], rates["errors"], rates["writes"], rates["reads"]) == (5.0, 0.5, 2.0, 0.0)
    assert commit_ms(ZERO, now) == 2.5
    assert cpu_percent(ZERO, now) == 25.0


def test_no_time_and_no_events_make_zeros_and_no_error() -> None:
    assert set(per_second(ZERO, ZERO).values()) == {0.0}
    assert commit_ms(ZERO, ZERO) == 0.0
    assert quantile_ms(0.99, NONE, NONE) == 0.0


def test_a_quantile_is_of_the_requests_in_between_and_lies_in_their_bucket() -> None:
    before = list(NONE)
    before[-1] = 1000  # slow ones of earlier, which don't count
    now = list(before)
    now[1] += 98  # up to 1 ms
    now[6] += 2  # 25 to 50 ms
    assert 0.5 < quantile_ms(0.5, before, now) < 1.0
    assert 25.0 < quantile_ms(0.99, before, now) <= 50.0
    now[-1] += 100
    assert quantile_ms(0.99, before, now) == 10_000.0


def test_the_history_keeps_as_many_points_as_fit_oldest_first() -> None:
    history = History(points=3)
    for n in range(5):
        history.add(point(n))
    document = history.document()
    assert document["rates"]["writes"] == [2, 3, 4]
    assert document["wal_bytes"] == [2, 3, 4]
    assert document["latency_p99_ms"] == [2, 3, 4]
    assert document["seconds"] == 2.0
    assert len(History()._points) == 0
    assert History()._points.maxlen == 300


async def test_the_loops_lag_is_how_late_its_timers_ran() -> None:
    lag = LoopLag()
    lag.start()
    await asyncio.sleep(0.15)
    quiet = lag.worst(10.0)
    time.sleep(0.4)  # noqa: ASYNC251 - holding the loop is the point
    await asyncio.sleep(0.15)
    lag.stop()
    assert quiet < 0.2
    assert lag.worst(10.0) > 0.25
    assert lag.worst(0.0) == 0.0


def test_the_process_tells_its_memory_its_files_and_its_threads() -> None:
    figures = process.measure()
    assert 1e6 < figures.rss_bytes < 1e11
    with open(__file__, "rb"):
        assert process.measure().open_files == figures.open_files + 1
    assert process.threads() == threading.active_count()


def test_memory_is_told_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> object:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", missing)
    monkeypatch.setattr("os.listdir", missing)
    figures = process.measure()
    assert figures.rss_bytes > 1e6
    assert figures.open_files == 0


def test_the_overview_has_every_part_of_its_contract(server: ServerProcess) -> None:
    document = admin(server, "GET", "/api/admin/overview")
    for part, names in PARTS.items():
        assert set(document[part]) == names, part
    assert document["ready"] is None
    assert document["version"]
    assert document["disk"]["total_bytes"] > document["disk"]["free_bytes"] > 0
    assert document["process"]["rss_bytes"] > 1e6
    assert document["wal"]["watermark_bytes"] == 64 * 2**20
    for part in ("slow_queries", "readers", "switches", "alarms"):
        assert isinstance(document[part], list)


def test_writes_and_requests_show_as_rates_and_in_the_history(server: ServerProcess) -> None:
    for n in range(40):
        server.request("POST", "/api/entities/Todo", {"title": str(n)}, token=ADMIN_TOKEN)

    def shown() -> bool:
        document = admin(server, "GET", "/api/admin/overview?history=1")
        history = document["history"]
        lengths = {len(column) for column in history["rates"].values()}
        assert lengths == {len(history["wal_bytes"])}
        return document["rates"]["writes"] > 1.0 and max(history["rates"]["writes"], default=0) > 1.0

    eventually(shown)
    assert "history" not in admin(server, "GET", "/api/admin/overview")


def test_a_read_that_runs_and_then_was_slow_is_told_with_its_user_and_request(server: ServerProcess) -> None:
    token = server.token_of("alice")
    call = threading.Thread(
        target=server.request,
        args=("POST", "/api/fn/slow", {"seconds": 1.5}),
        kwargs={"token": token, "headers": {"X-Request-Id": "slow-1"}},
    )
    call.start()
    [found] = eventually(lambda: admin(server, "GET", "/api/admin/readers")["readers"])
    assert (found["what"], found["user"], found["request_id"]) == ("fn slow", "alice", "slow-1")
    assert eventually(lambda: admin(server, "GET", "/api/admin/overview")["wal"]["oldest_reader_secs"]) > 0
    call.join()
    assert admin(server, "GET", "/api/admin/readers")["readers"] == []
    slowest = admin(server, "GET", "/api/admin/readers")["slow_queries"][0]
    assert (slowest["what"], slowest["user"], slowest["request_id"]) == ("fn slow", "alice", "slow-1")
    assert slowest["ms"] >= 1500
    shown = eventually(lambda: admin(server, "GET", "/api/admin/overview")["slow_queries"])
    assert shown[0]["what"] == "fn slow"


def test_a_held_event_loop_shows_as_lag(server: ServerProcess) -> None:
    server.request("POST", "/api/fn/hold", {"seconds": 0.5}, token=ADMIN_TOKEN)
    eventually(lambda: admin(server, "GET", "/api/admin/overview")["process"]["loop_lag_ms"] > 300)


@pytest.mark.parametrize("path", ["overview", "alarms", "readers"])
def test_only_an_admin_may_look(server: ServerProcess, path: str) -> None:
    for token in (None, server.token_of("alice")):
        status, answer = server.request("GET", f"/api/admin/{path}", token=token)
        assert status == 403
        assert answer["error"]["code"] == "FORBIDDEN"
