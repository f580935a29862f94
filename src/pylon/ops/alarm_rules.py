"""The alarms of every server: what its figures may be, and what to do when they aren't."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from pylon.engine.engine import Engine
from pylon.engine.limits.switch import Scope
from pylon.ops.alarms import Alarm, Severity
from pylon.ops.overview import Overview
from pylon.settings import Settings
from pylon.signals import logs
from pylon.sync.door import Door
from pylon.sync.hub import Hub

RUNBOOK = "docs/ops/INCIDENT.md"

WRITE_QUEUE = 2_000
WRITES_REFUSED_PER_MINUTE = 600
FANOUT_QUEUE = 1_000
READER_SECONDS = 30.0
SLOW_CLOSED_PER_MINUTE = 10
REFUSED_PER_MINUTE = 60
FAILED_PERCENT = 5.0
FAILED_PER_SECOND = 0.5
"""Fewer failures than this are no trend, whatever their share."""

_SHEDDING = frozenset(Scope) - {Scope.USER, Scope.IP, Scope.ANONYMOUS}
"""While one of these is switched off, 503 is what the operator wanted."""

LOOP_LAG_SECONDS = 0.1
AUDIT_LAG_SECONDS = 5.0


class PerMinute:
    """How much a counter grew in the last minute, as seen at each reading."""

    def __init__(self, read: Callable[[], float], clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._seen: deque[tuple[float, float]] = deque(maxlen=120)

    def __call__(self) -> float:
        now, value = self._clock(), self._read()
        while self._seen and self._seen[0][0] < now - 60.0:
            self._seen.popleft()
        self._seen.append((now, value))
        return value - self._seen[0][1]


def standard_alarms(engine: Engine, hub: Hub, door: Door, overview: Overview, settings: Settings) -> list[Alarm]:
    """The alarms that need no choice of the app's."""
    wal_bytes = settings.alarm_wal_mb * 2**20
    disk_bytes = settings.alarm_disk_free_mb * 2**20
    refused = engine.gate.refused
    reader_seconds = min(READER_SECONDS, settings.reader_max_secs * 0.8)
    return [
        Alarm(
            name="disk-full",
            # Before the first look nobody knows, which is no reason to wake anybody.
            read=lambda: overview.disk.free if overview.disk.total else disk_bytes * 2,
            raise_at=disk_bytes,
            clear_at=disk_bytes * 1.25,
            unit="bytes",
            severity=Severity.CRITICAL,
            text="{value} free on the data folder's disk (limit {threshold}). Free space, or turn writes off before "
            "the disk does: `pylon switch on read-only`.",
            runbook=f"{RUNBOOK}#disk-full",
        ),
        Alarm(
            name="wal-growth",
            read=overview.wal_bytes,
            raise_at=wal_bytes,
            clear_at=wal_bytes / 2,
            unit="bytes",
            text="The write-ahead log holds {value} (limit {threshold}). Look for a long reader in `pylon top`, then "
            "run `pylon checkpoint`.",
            runbook=f"{RUNBOOK}#wal-growth",
        ),
        Alarm(
            name="long-reader",
            read=engine.reads.readers.take_longest,
            raise_at=reader_seconds,
            clear_at=reader_seconds / 2,
            clear_after=2.0,
            unit="seconds",
            text="A read has held its snapshot for {value} (limit {threshold}); the write-ahead log can't begin anew "
            "meanwhile. `pylon top` names it and its user; it is interrupted at PYLON_READER_MAX_SECS.",
            runbook=f"{RUNBOOK}#long-reader",
        ),
        Alarm(
            name="write-queue",
            read=lambda: engine.committer.statistics.queued,
            raise_at=WRITE_QUEUE,
            clear_at=WRITE_QUEUE / 4,
            raise_after=2.0,
            unit="writes",
            severity=Severity.CRITICAL,
            text="{value} wait for the writer (limit {threshold}). Find the top writer in `pylon top` and throttle it "
            "(key t), or `pylon switch on user ID --writes-only --for 10m`.",
            runbook=f"{RUNBOOK}#runaway-writes",
        ),
        Alarm(
            name="write-refusals",
            read=PerMinute(lambda: refused["user"] + refused["address"]),
            raise_at=WRITES_REFUSED_PER_MINUTE,
            clear_at=WRITES_REFUSED_PER_MINUTE / 10,
            unit="writes",
            text="{value} were refused in the last minute for being over a budget (limit {threshold}): somebody writes "
            "in a loop. `pylon top` names them; the budgets are PYLON_WRITES_PER_USER and PYLON_WRITES_PER_IP.",
            runbook=f"{RUNBOOK}#runaway-writes",
        ),
        Alarm(
            name="containment",
            read=lambda: engine.containment.level,
            raise_at=1,
            clear_at=0,
            clear_after=0.0,
            severity=Severity.CRITICAL,
            text="Writers are being shed before the disk fills (step {value} of 3). `pylon switch list` says whom; "
            "turn one off if it hits the wrong one, and look for the loop in `pylon audit --user`.",
            runbook=f"{RUNBOOK}#runaway-writes",
        ),
        Alarm(
            name="fan-out-queue",
            read=lambda: hub.queued,
            raise_at=FANOUT_QUEUE,
            clear_at=FANOUT_QUEUE / 4,
            raise_after=2.0,
            unit="batches",
            text="{value} wait for fan-out (limit {threshold}): changes come faster than their readers can be decided. "
            "Find the top entity in `pylon top` and throttle its writers.",
            runbook=f"{RUNBOOK}#fan-out-storm",
        ),
        Alarm(
            name="slow-consumers",
            read=PerMinute(lambda: door.slow_consumers),
            raise_at=SLOW_CLOSED_PER_MINUTE,
            clear_at=SLOW_CLOSED_PER_MINUTE / 5,
            unit="connections",
            text="{value} were closed in the last minute for reading too slowly (limit {threshold}). They catch up by "
            "cursor; look for a burst of large rows, or a network in trouble, with `pylon sockets list`.",
            runbook=f"{RUNBOOK}#slow-consumers",
        ),
        Alarm(
            name="socket-refusals",
            read=PerMinute(lambda: door.refused),
            raise_at=REFUSED_PER_MINUTE,
            clear_at=REFUSED_PER_MINUTE / 5,
            unit="connections",
            text="{value} were refused in the last minute (limit {threshold}): an address opens more than "
            "PYLON_WS_PER_IP_MAX, or everybody reconnects at once. `pylon sockets list` counts them by address.",
            runbook=f"{RUNBOOK}#reconnect-storm",
        ),
        Alarm(
            name="error-rate",
            read=lambda: _failed_percent(engine, overview),
            raise_at=FAILED_PERCENT,
            clear_at=FAILED_PERCENT / 5,
            raise_after=3.0,
            unit="percent",
            severity=Severity.CRITICAL,
            text="{value} of the answers are failures of the server (5xx; limit {threshold}). Read their codes with "
            "`pylon logs --level warning`, and `pylon explain CODE`.",
            runbook=f"{RUNBOOK}#overload",
        ),
        Alarm(
            name="loop-lag",
            read=lambda: overview.loop_lag.worst(2.0),
            raise_at=LOOP_LAG_SECONDS,
            clear_at=LOOP_LAG_SECONDS / 2,
            raise_after=3.0,
            unit="seconds",
            text="The event loop runs {value} late (limit {threshold}): the process has more to do than its core "
            "allows. See who asks in `pylon top`; an action that computes without awaiting holds everybody.",
            runbook=f"{RUNBOOK}#overload",
        ),
        Alarm(
            name="log-dropped",
            read=PerMinute(lambda: logs.statistics()["dropped"]),
            raise_at=1,
            clear_at=0,
            clear_after=0.0,
            unit="lines",
            text="{value} of log were dropped in the last minute: stderr does not take them. Look at whoever reads it, "
            "or raise PYLON_LOG_LEVEL to warning.",
            runbook=f"{RUNBOOK}#overload",
        ),
        Alarm(
            name="background-task",
            read=engine.tasks.overdue,
            raise_at=1,
            clear_at=0,
            clear_after=0.0,
            text="{value} background tasks have not gone well for long (limit {threshold}). `pylon tasks` names them, "
            "`pylon logs --level error` says why.",
            runbook=f"{RUNBOOK}#background-work",
        ),
        Alarm(
            name="audit-lag",
            read=engine.audit.lag,
            raise_at=AUDIT_LAG_SECONDS,
            clear_at=1.0,
            unit="seconds",
            severity=Severity.CRITICAL,
            text="Audited reads have not been stored for {value} (limit {threshold}); soon such reads are refused. The "
            "store takes no writes, or too slowly: look at the disk and the write queue.",
            runbook=f"{RUNBOOK}#overload",
        ),
        Alarm(
            name="sealed-unreadable",
            read=PerMinute(lambda: engine.plans.field_keys.unreadable),
            raise_at=1,
            clear_at=0,
            clear_after=0.0,
            unit="values",
            severity=Severity.CRITICAL,
            text="{value} of encrypted fields were met in the last minute that no key here opens; whoever reads such a "
            "row is refused. `pylon keys status` counts them: put the key back that sealed them.",
            runbook=f"{RUNBOOK}#lost-key",
        ),
    ]


def _failed_percent(engine: Engine, overview: Overview) -> float:
    if any(switch.scope in _SHEDDING for switch in engine.switches.current()):
        return 0.0
    per_second, share = overview.failures()
    return 100 * share if per_second >= FAILED_PER_SECOND else 0.0
