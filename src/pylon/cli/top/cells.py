"""The figures in the middle of a frame: what each is called, its value now, and how it went."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pylon.cli.top.figures import count, milliseconds, size
from pylon.cli.top.state import Document


@dataclass(frozen=True, slots=True)
class Cell:
    """A figure, how it went, and how it is emphasised."""

    label: str
    value: str
    history: Sequence[float]
    style: str = ""


def cells_of(document: Document) -> list[Cell]:
    """The figures, in the order in which they are shown."""
    rates, history = document.get("rates", {}), document.get("history", {})
    past = history.get("rates", {})
    wal, disk, process = document.get("wal", {}), document.get("disk", {}), document.get("process", {})
    sockets, writes = document.get("sockets", {}), document.get("writes", {})
    p99 = document.get("latency_ms", {}).get("p99", 0.0)
    lag = process.get("loop_lag_ms", 0.0)
    free = disk.get("free_bytes", 0)
    used = wal.get("bytes", 0)
    alarmed = {alarm.get("name") for alarm in document.get("alarms", [])}

    def style(alarm: str, is_high: bool) -> str:
        return "bold red" if alarm in alarmed else "yellow" if is_high else ""

    failures = rates.get("failures", 0.0)
    return [
        Cell("writes/s", count(rates.get("writes", 0)), past.get("writes", ())),
        Cell("requests/s", count(rates.get("requests", 0)), past.get("requests", ())),
        Cell("deliveries/s", count(rates.get("deliveries", 0)), past.get("deliveries", ())),
        Cell("errors/s", count(rates.get("errors", 0)), past.get("errors", ()), style("error-rate", failures > 0)),
        Cell("p99", milliseconds(p99), history.get("latency_p99_ms", ()), style("loop-lag", p99 > 100)),
        Cell(
            "WAL",
            size(used),
            history.get("wal_bytes", ()),
            style("wal-growth", used > 1.5 * wal.get("watermark_bytes", used + 1)),
        ),
        Cell("disk free", size(free), history.get("disk_free_bytes", ()), style("disk-full", False)),
        Cell(
            "write queue",
            count(writes.get("queued", 0)),
            history.get("queued_writes", ()),
            style("write-queue", writes.get("queued", 0) > 500),
        ),
        Cell("sockets", count(sockets.get("ws", 0) + sockets.get("sse", 0)), history.get("sockets", ())),
        Cell("loop lag", milliseconds(lag), history.get("loop_lag_ms", ()), style("loop-lag", lag > 50)),
        Cell("memory", size(process.get("rss_bytes", 0)), history.get("rss_bytes", ())),
        Cell("CPU", f"{process.get('cpu_percent', 0):.0f} %", history.get("cpu_percent", ())),
    ]
