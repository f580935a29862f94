"""What `/metrics` tells of the rooms: they count by themselves, and are asked at each scrape, so nothing is counted
twice."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pylon.engine.audit.audit import BUFFERED_READS
from pylon.engine.committer import Statistics
from pylon.engine.engine import Engine
from pylon.engine.limits.switch import Scope
from pylon.model.errors import PylonError
from pylon.ops.health import Readiness
from pylon.signals import logs
from pylon.signals.metrics import OVERFLOW, Asked, Kind, Registry
from pylon.signals.tasks import Task
from pylon.sync.deciding import QUEUE_LIMIT
from pylon.sync.door import Door
from pylon.sync.hub import Hub
from pylon.sync.room_guard import RoomGuard
from pylon.sync.rooms import Rooms
from pylon.web.limits import EdgeLimits

ENTITIES_TOLD = 100
"""Entities told apart in one series; the others are summed up as `other`."""

TALKERS_TOLD = 10
"""Users, addresses, entities and functions that are named, of each the busiest."""

_NOTHING = Statistics()

_Figures = tuple[tuple[str, str, Kind, Callable[[], Asked]], ...]


def watch(
    registry: Registry,
    engine: Engine,
    hub: Hub,
    door: Door,
    readiness: Readiness,
    data: Path,
    limits: EdgeLimits,
) -> None:
    """Register the series of every room; `data` is the data folder."""
    for figures in (
        _writes(engine),
        _storage(engine, data),
        _reads(engine),
        _live(door),
        _fan_out(hub),
        _guards(engine, readiness),
        _log_lines(),
    ):
        for name, text, kind, read in figures:
            registry.asked(name, text, kind, read)
    registry.asked_by("pylon_queue_items", "What waits in a queue.", "gauge", ("queue",), lambda: _queues(engine, hub))
    registry.asked_by(
        "pylon_queue_limit_items", "What may wait in a queue.", "gauge", ("queue",), lambda: _queue_limits(engine)
    )
    registry.asked_by("pylon_sockets_open", "Open sockets and streams.", "gauge", ("kind",), lambda: _by(door.open))
    registry.asked_by(
        "pylon_sockets_opened_total", "Sockets and streams accepted.", "counter", ("kind",), lambda: _by(door.opened)
    )
    registry.asked_by(
        "pylon_fanout_broadcasts_total",
        "Changes fanned out, by entity.",
        "counter",
        ("entity",),
        lambda: _bounded(hub.statistics.broadcasts),
    )
    registry.asked_by(
        "pylon_policy_denials_total",
        "Requests that a policy denied.",
        "counter",
        ("entity", "action"),
        lambda: _denials(engine),
    )
    registry.asked_by(
        "pylon_rate_limit_hits_total",
        "Requests that a limit or a switch refused.",
        "counter",
        ("kind",),
        lambda: _limits(door, engine, limits),
    )
    registry.asked_by("pylon_switches_on", "Kill-switches that are on.", "gauge", ("scope",), lambda: _switches(engine))
    registry.asked_by(
        "pylon_top_writes_per_second",
        "Row changes of the busiest users, addresses, entities and functions.",
        "gauge",
        ("by", "name"),
        lambda: _talkers(engine),
    )
    registry.asked_by(
        "pylon_budget_used_ratio",
        "Share of a budget that is used, by whoever used most of it.",
        "gauge",
        ("meter", "per", "of"),
        lambda: _budgets(engine),
    )
    for name, text, kind, figure in _TASKS:
        registry.asked_by(name, text, kind, ("task",), lambda figure=figure: _tasks(engine, figure))  # type: ignore[misc]
    registry.asked_by(
        "pylon_log_lines_total", "Log lines by level.", "counter", ("level",), lambda: _by(logs.lines_by_level())
    )


_TASKS: tuple[tuple[str, str, Kind, Callable[[Task], float]], ...] = (
    ("pylon_task_runs_total", "Turns of background tasks.", "counter", lambda task: task.runs),
    ("pylon_task_failures_total", "Turns that failed.", "counter", lambda task: task.failures),
    (
        "pylon_task_last_success_timestamp_seconds",
        "When a background task last went well, or began.",
        "gauge",
        lambda task: task.succeeded_at,
    ),
    ("pylon_task_duration_seconds", "How long its last turn took.", "gauge", lambda task: task.seconds),
    (
        "pylon_task_interval_seconds",
        "Seconds between its turns, 0 for one that is woken when there is work.",
        "gauge",
        lambda task: task.every,
    ),
)


def _tasks(engine: Engine, figure: Callable[[Task], float]) -> list[tuple[tuple[str, ...], float]]:
    return [((task.name,), figure(task)) for task in engine.tasks]


def _writer(engine: Engine) -> Statistics:
    try:
        return engine.committer.statistics
    except PylonError:  # before start and after stop there is no writer
        return _NOTHING


def _writes(engine: Engine) -> _Figures:
    def of(name: str) -> Callable[[], Asked]:
        return lambda: getattr(_writer(engine), name)

    return (
        ("pylon_write_requests_total", "Write requests committed.", "counter", of("requests")),
        ("pylon_write_changes_total", "Row changes committed.", "counter", of("changes")),
        ("pylon_write_batches_total", "Group commits.", "counter", of("batches")),
        ("pylon_write_batches_failed_total", "Group commits that failed as a whole.", "counter", of("failed_batches")),
        ("pylon_write_rejected_total", "Write requests refused because the queue was full.", "counter", of("rejected")),
        ("pylon_write_batch_largest", "Requests in the largest group commit.", "gauge", of("largest_batch")),
        ("pylon_write_batch_requests", "Requests in a group commit.", "histogram", of("batch_sizes")),
        (
            "pylon_write_batch_seconds",
            "The writer's time for a group commit, with its requests.",
            "histogram",
            of("batch_seconds"),
        ),
        (
            "pylon_write_commit_seconds",
            "Time of the durable COMMIT of a group commit.",
            "histogram",
            of("commit_times"),
        ),
    )


def _storage(engine: Engine, data: Path) -> _Figures:
    keeper, store = engine.housekeeping, engine.store
    return (
        ("pylon_wal_bytes", "Write-ahead log in use.", "gauge", lambda: _wal(engine)),
        (
            "pylon_wal_watermark_bytes",
            "Size of the write-ahead log from which it is made to begin anew.",
            "gauge",
            lambda: keeper.watermark,
        ),
        ("pylon_checkpoints_total", "Checkpoints taken.", "counter", lambda: keeper.checkpoints),
        (
            "pylon_checkpoints_blocked_total",
            "Checkpoints that a reader kept from finishing.",
            "counter",
            lambda: keeper.blocked,
        ),
        (
            "pylon_checkpoint_lag_bytes",
            "Write-ahead log that no checkpoint has copied yet.",
            "gauge",
            keeper.behind_bytes,
        ),
        (
            "pylon_checkpoint_age_seconds",
            "Time since the last checkpoint, or since the start.",
            "gauge",
            keeper.checkpoint_age,
        ),
        (
            "pylon_database_bytes",
            "Size of the database file and its write-ahead log.",
            "gauge",
            store.used_bytes,
        ),
        ("pylon_disk_free_bytes", "Free space of the data folder's disk.", "gauge", store.free_bytes),
        ("pylon_disk_total_bytes", "Size of the data folder's disk.", "gauge", lambda: shutil.disk_usage(data).total),
    )


def _reads(engine: Engine) -> _Figures:
    reads = engine.reads
    readers = reads.readers
    return (
        ("pylon_reads_moved_to_pool_total", "Reads too long to run inline.", "counter", lambda: reads.moved_to_pool),
        ("pylon_oldest_reader_seconds", "Age of the oldest running read.", "gauge", readers.oldest_seconds),
        (
            "pylon_readers_interrupted_total",
            "Reads that held a snapshot too long.",
            "counter",
            lambda: readers.interrupted,
        ),
        ("pylon_slow_queries_total", "Reads and functions over PYLON_SLOW_QUERY_MS.", "counter", lambda: readers.slow),
    )


def _live(door: Door) -> _Figures:
    return (
        (
            "pylon_sockets_refused_total",
            "Connections refused by the caps of addresses and users.",
            "counter",
            lambda: door.refused,
        ),
        (
            "pylon_sockets_slow_closed_total",
            "Connections closed for reading too slowly.",
            "counter",
            lambda: door.slow_consumers,
        ),
        (
            "pylon_sockets_unsent_bytes",
            "What all connections have not sent yet.",
            "gauge",
            lambda: door.unsent_bytes,
        ),
    )


def _fan_out(hub: Hub) -> _Figures:
    statistics = hub.statistics
    return (
        ("pylon_fanout_events_total", "Changes fanned out.", "counter", lambda: statistics.events),
        (
            "pylon_fanout_deliveries_total",
            "Turns' worth of events handed to connections.",
            "counter",
            lambda: statistics.deliveries,
        ),
        ("pylon_fanout_errors_total", "Policy failures in fan-out.", "counter", lambda: statistics.errors),
        # By design there is nothing to count: a consumer that can't keep up is closed, and catches up by its cursor.
        (
            "pylon_fanout_dropped_total",
            "Events dropped; always 0, slow consumers are closed instead.",
            "counter",
            lambda: 0,
        ),
        (
            "pylon_fanout_held",
            "Rows and events that wait for a throttle.",
            "gauge",
            lambda: hub.held,
        ),
        (
            "pylon_fanout_coalesced_total",
            "Deliveries spared because a newer state of the row replaced them.",
            "counter",
            lambda: statistics.coalesced,
        ),
        ("pylon_fanout_subscribers", "Connections that fan-out serves.", "gauge", lambda: statistics.subscribers),
    )


def watch_rooms(registry: Registry, rooms: Rooms, guard: RoomGuard) -> None:
    """Register the series of rooms, and of the app's rules for them."""
    statistics = rooms.statistics
    figures: _Figures = (
        ("pylon_rooms_open", "Rooms that have members.", "gauge", lambda: len(rooms)),
        ("pylon_room_members", "Members of all rooms.", "gauge", lambda: statistics.members),
        ("pylon_room_subscriptions", "Sockets that follow a room.", "gauge", lambda: statistics.subscriptions),
        ("pylon_room_messages_total", "Frames that rooms were told.", "counter", lambda: statistics.messages),
        (
            "pylon_room_deliveries_total",
            "Turns' worth of room frames handed to sockets.",
            "counter",
            lambda: statistics.deliveries,
        ),
        ("pylon_room_idle_total", "Members that left for showing no life.", "counter", lambda: statistics.idle),
        ("pylon_rooms_refused_total", "Requests that a limit of rooms refused.", "counter", lambda: statistics.refused),
        ("pylon_room_passes", "Sessions that the app's rules let into rooms.", "gauge", lambda: len(guard)),
        ("pylon_room_denied_total", "Times that a room's rule said no.", "counter", lambda: guard.denied),
        ("pylon_room_asked_again_total", "Rules asked again of who is in.", "counter", lambda: guard.asked_again),
        ("pylon_room_passes_lost_total", "Sessions that had to leave a room.", "counter", lambda: guard.lost),
    )
    for name, text, kind, read in figures:
        registry.asked(name, text, kind, read)


def _guards(engine: Engine, readiness: Readiness) -> _Figures:
    audit, containment = engine.audit, engine.containment
    return (
        (
            "pylon_ready",
            "1 while the server is ready for traffic, as of the last look at it.",
            "gauge",
            lambda: readiness.known is None,
        ),
        (
            "pylon_containment_level",
            "How far writers are shed: 0 not, 1 the top writer, 2 anonymous, 3 all but admins.",
            "gauge",
            lambda: containment.level,
        ),
        ("pylon_audit_lag_seconds", "Age of the oldest audit record that is not stored yet.", "gauge", audit.lag),
        (
            "pylon_sealed_unreadable_total",
            "Times that a stored value of an encrypted field was met which no key here opens.",
            "counter",
            lambda: engine.plans.field_keys.unreadable,
        ),
        (
            "pylon_audit_refused_total",
            "Reads refused because they could not be recorded.",
            "counter",
            lambda: audit.refused,
        ),
    )


def _log_lines() -> _Figures:
    return (
        (
            "pylon_log_lines_dropped_total",
            "Log lines dropped because stderr did not keep up.",
            "counter",
            lambda: logs.statistics()["dropped"],
        ),
    )


def _queues(engine: Engine, hub: Hub) -> Iterator[tuple[tuple[str, ...], Asked]]:
    yield ("writes",), _writer(engine).queued
    yield ("fanout",), hub.queued
    yield ("audit",), engine.audit.waiting
    yield ("log",), logs.statistics()["waiting"]


def _queue_limits(engine: Engine) -> Iterator[tuple[tuple[str, ...], Asked]]:
    yield ("writes",), _writer(engine).queue_limit
    yield ("fanout",), QUEUE_LIMIT
    yield ("audit",), BUFFERED_READS
    yield ("log",), logs.QUEUE_LINES


def _limits(door: Door, engine: Engine, limits: EdgeLimits) -> Iterator[tuple[tuple[str, ...], Asked]]:
    yield ("sockets",), door.refused
    yield ("write_queue",), _writer(engine).rejected
    yield ("requests_per_user",), limits.requests.users.refused
    yield ("requests_per_address",), limits.requests.addresses.refused
    yield ("concurrent_requests",), limits.answers.refused
    yield ("concurrent_pulls",), limits.pulls.refused
    yield ("concurrent_streams",), limits.streams.refused
    for kind, count in engine.gate.refused.items():
        yield (f"writes_per_{kind}" if kind in ("user", "address") else kind,), count


def _switches(engine: Engine) -> Iterator[tuple[tuple[str, ...], Asked]]:
    on = Counter(switch.scope for switch in engine.switches.current())
    for scope in Scope:
        yield (scope.value,), on[scope]


def _budgets(engine: Engine) -> Iterator[tuple[tuple[str, ...], Asked]]:
    for state in engine.budgets.states:
        budget = state.budget
        yield (budget.meter.value, budget.per, budget.of), state.share


def _talkers(engine: Engine) -> Iterator[tuple[tuple[str, ...], Asked]]:
    talkers = engine.gate.talkers
    for by, busiest in (
        ("user", talkers.users),
        ("address", talkers.addresses),
        ("entity", talkers.entities),
        ("function", talkers.functions),
    ):
        for name, rate in busiest.top(TALKERS_TOLD):
            yield (by, name), rate


def _denials(engine: Engine) -> Iterator[tuple[tuple[str, ...], Asked]]:
    for values, counter in engine.plans.denials.children():
        yield values, counter.value


def _by(counts: Any) -> Iterator[tuple[tuple[str, ...], Asked]]:
    for name, count in list(counts.items()):
        yield (name,), count


def _bounded(counts: dict[str, int]) -> Iterator[tuple[tuple[str, ...], Asked]]:
    """The first by name, and the sum of the others. Always the same ones: a counter may not go down."""
    known = list(counts.items())
    for name, count in known[:ENTITIES_TOLD]:
        yield (name,), count
    if len(known) > ENTITIES_TOLD:
        yield (OVERFLOW,), sum(count for _, count in known[ENTITIES_TOLD:])


def sections(engine: Engine, hub: Hub, door: Door) -> dict[str, dict[str, Any]]:
    """The same in `/metrics` as JSON."""
    statistics, keeper = _writer(engine), engine.housekeeping
    return {
        "writes": {
            "requests": statistics.requests,
            "changes": statistics.changes,
            "batches": statistics.batches,
            "failed_batches": statistics.failed_batches,
            "largest_batch": statistics.largest_batch,
            "commit_p99_ms": statistics.commit_times.quantile(0.99) * 1000,
            "queued": statistics.queued,
            "rejected": statistics.rejected,
            "wal_bytes": _wal(engine),
        },
        "checkpoints": {
            "total": keeper.checkpoints,
            "blocked": keeper.blocked,
            "lag_bytes": keeper.behind_bytes(),
            "age_seconds": round(keeper.checkpoint_age(), 3),
        },
        "realtime": {
            "ws_connections": door.open["ws"],
            "sse_connections": door.open["sse"],
            "slow_closed": door.slow_consumers,
            "refused": door.refused,
        },
        "fanout": {
            "events": hub.statistics.events,
            "deliveries": hub.statistics.deliveries,
            "dropped": 0,
            "errors": hub.statistics.errors,
            "held": hub.held,
            "coalesced": hub.statistics.coalesced,
            "broadcasts": dict(hub.statistics.broadcasts),
            "rates": dict(hub.statistics.rates.top(TALKERS_TOLD)),
        },
        "audit": {"lag_seconds": round(engine.audit.lag(), 3), "waiting": engine.audit.waiting},
        "log": logs.statistics(),
    }


def _wal(engine: Engine) -> int:
    try:
        return engine.committer.wal_bytes()
    except PylonError:
        return 0
