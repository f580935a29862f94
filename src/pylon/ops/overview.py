"""What goes on right now, as one document: for `pylon top`, for Studio, and for whoever is paged.

A task looks every two seconds, keeps ten minutes of it, and a reading costs the event loop well under a millisecond:
rates are differences of counters that exist anyway, and what the system must be asked for (disk, memory, files) is
asked in a thread. Nothing here is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from pylon.engine.committer import Statistics
from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.ops import process
from pylon.ops.history import STEP_SECONDS, History, Point
from pylon.ops.rates import Counts, commit_ms, cpu_percent, per_second, quantile_ms
from pylon.signals import logs
from pylon.signals.logs import Log
from pylon.signals.talkers import Talkers
from pylon.signals.traffic import Traffic
from pylon.sync.door import Door
from pylon.sync.hub import Hub

log = Log("pylon.ops")

RATE_SECONDS = 10.0
"""Rates are of the last ten seconds, or of as many as there are."""

TOP_KEPT = 10
SLOW_SHOWN = 20
READERS_SHOWN = 50
READY_SECONDS = 10.0
LOWEST_RATE = 0.01
"""Per second; who is quieter than this is not among the top."""

_SHARED_SECONDS = 0.25
"""How long one reading serves everybody who asks, so that ten watchers cost as much as one."""


@dataclass(frozen=True, slots=True)
class Disk:
    """Sizes in bytes: of the disk that holds the data folder, and of the database and the log's file on it."""

    free: int = 0
    total: int = 0
    database: int = 0
    log_file: int = 0


class Overview:
    """The figures of one server. Use it on the event loop; `clock` is monotonic, `wall` the time of day."""

    def __init__(
        self,
        engine: Engine,
        hub: Hub,
        door: Door,
        traffic: Traffic,
        *,
        version: str,
        database: Path,
        watermark_bytes: int,
        alarms: Callable[[], Sequence[msgspec.Struct]],
        readiness: Callable[[], Awaitable[str | None]],
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._hub = hub
        self._door = door
        self._traffic = traffic
        self._version = version
        self._database = database
        self._watermark = watermark_bytes
        self._alarms = alarms
        self._readiness = readiness
        self._ready: tuple[float, str | None] | None = None
        self._clock = clock
        self._wall = wall
        self.history = History()
        self.loop_lag = process.LoopLag(clock)
        self.disk = Disk()
        self._process = process.ProcessFigures()
        self._window: deque[Counts] = deque([self._count()], maxlen=int(RATE_SECONDS / STEP_SECONDS))
        self._shared: tuple[float, dict[str, Any]] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, on the running loop."""
        self.loop_lag.start()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop looking."""
        self.loop_lag.stop()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        self._window[0] = self._count()
        await self._look()
        task = self._engine.tasks.add("overview", STEP_SECONDS)
        while True:
            await asyncio.sleep(STEP_SECONDS)
            await self._look()
            try:
                with task.turn():
                    before, now = self._window[-1], self._count()
                    self._window.append(now)
                    self.history.add(self._point(before, now))
            except Exception:  # a supervised boundary: the next round looks again
                log.exception("overview failed")

    async def _look(self) -> None:
        """Ask the system, in a thread."""
        try:
            self.disk, self._process = await asyncio.to_thread(self._measure)
        except OSError:  # a disk in trouble must not end the view of it
            log.exception("the system can't be asked")

    def snapshot(self) -> dict[str, Any]:
        """The document of `GET /api/admin/overview`, without `ready`."""
        now = self._clock()
        if self._shared is None or now - self._shared[0] > _SHARED_SECONDS:
            self._shared = (now, self._document())
        return self._shared[1]

    async def ready(self) -> str | None:
        """Why the server is not ready, None when it is. Finding out costs a write, so it is asked less often than
        people look, and more often while it is not."""
        now = self._clock()
        known = self._ready
        if known is None or now - known[0] > (READY_SECONDS if known[1] is None else STEP_SECONDS):
            known = self._ready = (now, await self._readiness())
        return known[1]

    def failures(self) -> tuple[float, float]:
        """Of the last seconds: answers with 500 and above per second, and their share of all answers."""
        before, now = self._window[0], self._count()
        seconds = max(now.at - before.at, 0.001)
        failures, requests = now.failures - before.failures, now.requests - before.requests
        return failures / seconds, failures / requests if requests else 0.0

    def _document(self) -> dict[str, Any]:
        before, now = self._window[0], self._count()
        engine, door, readers = self._engine, self._door, self._engine.reads.readers
        writer = self._writer()
        log_lines = logs.statistics()
        return {
            "at": round(self._wall(), 3),
            "version": self._version,
            "uptime_secs": int(self._traffic.uptime()),
            "rates": per_second(before, now),
            "latency_ms": {
                "p50": quantile_ms(0.5, before.latency, now.latency),
                "p99": quantile_ms(0.99, before.latency, now.latency),
            },
            "writes": {
                "queued": writer.queued,
                "batches": writer.batches,
                "largest_batch": writer.largest_batch,
                "commit_ms_avg": commit_ms(before, now),
            },
            "wal": {
                "bytes": self.wal_bytes(),
                "watermark_bytes": self._watermark,
                "checkpoints": engine.housekeeping.checkpoints,
                "oldest_reader_secs": round(readers.oldest_seconds(), 3),
            },
            "disk": {
                "free_bytes": self.disk.free,
                "total_bytes": self.disk.total,
                "database_bytes": self.disk.database,
            },
            "process": {
                "rss_bytes": self._process.rss_bytes,
                "cpu_percent": cpu_percent(before, now),
                "open_files": self._process.open_files,
                "threads": process.threads(),
                "loop_lag_ms": round(self.loop_lag.worst(RATE_SECONDS) * 1000, 2),
            },
            "sockets": {
                "ws": door.open["ws"],
                "sse": door.open["sse"],
                "slow_closed": door.slow_consumers,
                "refused": door.refused,
                "unsent_bytes": door.unsent_bytes,
            },
            "top": self._top(),
            "slow_queries": _plain(readers.slow_queries(SLOW_SHOWN)),
            "readers": _plain(readers.running()[:READERS_SHOWN]),
            "switches": _plain(self._engine.switches.current()),
            "alarms": _plain(self._alarms()),
            "queues": {
                "writes": writer.queued,
                "fanout": self._hub.queued,
                "audit": engine.audit.waiting,
                "log": log_lines["waiting"],
            },
        }

    def wal_bytes(self) -> int:
        """How much of the write-ahead log is in use."""
        if self.disk.total and not self.disk.log_file:  # emptied since the writer, who counts it, last committed
            return 0
        try:
            return self._engine.committer.wal_bytes()
        except PylonError:  # stopping
            return 0

    def _point(self, before: Counts, now: Counts) -> Point:
        return Point(
            **per_second(before, now),
            latency_p99_ms=quantile_ms(0.99, before.latency, now.latency),
            wal_bytes=self.wal_bytes(),
            sockets=self._door.open["ws"] + self._door.open["sse"],
            queued_writes=self._writer().queued,
            rss_bytes=self._process.rss_bytes,
            cpu_percent=cpu_percent(before, now),
            loop_lag_ms=round(self.loop_lag.worst(STEP_SECONDS) * 1000, 2),
            disk_free_bytes=self.disk.free,
        )

    def _count(self) -> Counts:
        writer, traffic = self._writer(), self._traffic
        return Counts(
            at=self._clock(),
            requests=traffic.requests,
            errors=traffic.errors,
            failures=traffic.failures(),
            writes=writer.changes,
            deliveries=self._hub.statistics.deliveries,
            reads=self._engine.reads.served,
            batches=writer.batches,
            commit_seconds=writer.commit_seconds,
            cpu_seconds=process.cpu_seconds(),
            latency=tuple(traffic.latency()),
        )

    def _measure(self) -> tuple[Disk, process.ProcessFigures]:
        """What only the system knows. Runs in a thread."""
        usage = shutil.disk_usage(self._database.parent)
        log_file = self._database.with_name(self._database.name + "-wal")
        return Disk(usage.free, usage.total, _size(self._database), _size(log_file)), process.measure()

    def _writer(self) -> Statistics:
        try:
            return self._engine.committer.statistics
        except PylonError:  # before start and after stop there is no writer
            return Statistics()

    def _top(self) -> dict[str, list[tuple[str, float]]]:
        talkers = self._engine.gate.talkers
        return {
            "users": _rounded(talkers.users),
            "addresses": _rounded(talkers.addresses),
            "entities": _rounded(talkers.entities),
            "functions": _rounded(talkers.functions),
        }


def _rounded(talkers: Talkers) -> list[tuple[str, float]]:
    return [(key, round(rate, 2)) for key, rate in talkers.top(TOP_KEPT) if rate >= LOWEST_RATE]


def _plain(structs: Sequence[msgspec.Struct]) -> list[Any]:
    return [msgspec.to_builtins(struct) for struct in structs]


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
