"""What `/metrics` tells of the rooms: gauges that ask them at each scrape, so that nothing is counted twice."""

from __future__ import annotations

from typing import Any

from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.signals.metrics import Registry
from pylon.sync.door import Door
from pylon.sync.hub import Hub


def watch(registry: Registry, engine: Engine, hub: Hub, door: Door) -> None:
    """Register the series of engine and sync."""

    def writer(name: str) -> float:
        try:
            return float(getattr(engine.committer.statistics, name))
        except PylonError:  # before start and after stop there is no writer
            return 0.0

    for series, text, name in (
        ("pylon_write_requests", "Write requests committed.", "requests"),
        ("pylon_write_changes", "Row changes committed.", "changes"),
        ("pylon_write_batches", "Group commits.", "batches"),
        ("pylon_write_batches_failed", "Group commits that failed as a whole.", "failed_batches"),
        ("pylon_write_batch_largest", "Requests in the largest group commit.", "largest_batch"),
        ("pylon_write_queue", "Write requests waiting or running.", "queued"),
        ("pylon_write_commit_seconds", "Seconds spent in group commits.", "commit_seconds"),
    ):
        registry.gauge(series, text, lambda name=name: writer(name))  # type: ignore[misc]
    registry.gauge("pylon_wal_bytes", "Write-ahead log in use.", lambda: _wal(engine))
    registry.gauge("pylon_checkpoints", "Checkpoints taken.", lambda: engine.housekeeping.checkpoints)
    registry.gauge("pylon_disk_free_bytes", "Free space of the data folder's disk.", engine.store.free_bytes)
    registry.gauge("pylon_reads_moved_to_pool", "Reads too long to run inline.", lambda: engine.reads.moved_to_pool)
    readers = engine.reads.readers
    registry.gauge("pylon_oldest_reader_seconds", "Age of the oldest running read.", readers.oldest_seconds)
    registry.gauge("pylon_readers_interrupted", "Reads that held a snapshot too long.", lambda: readers.interrupted)
    registry.gauge("pylon_slow_queries", "Reads and functions over PYLON_SLOW_QUERY_MS.", lambda: readers.slow)
    registry.gauge("pylon_live_connections", "Open sockets and streams.", lambda: len(door))
    registry.gauge(
        "pylon_live_refused", "Connections refused by the caps of addresses and users.", lambda: door.refused
    )
    registry.gauge("pylon_live_slow_closed", "Connections closed for reading too slowly.", lambda: door.slow_consumers)
    registry.gauge("pylon_fanout_events", "Changes fanned out.", lambda: hub.statistics.events)
    registry.gauge("pylon_live_unsent_bytes", "What all connections have not sent yet.", lambda: door.unsent_bytes)
    registry.gauge("pylon_fanout_held", "Rows and events that wait for a throttle.", lambda: hub.held)
    registry.gauge(
        "pylon_fanout_coalesced",
        "Deliveries spared because a newer state of the row replaced them.",
        lambda: hub.statistics.coalesced,
    )
    registry.gauge("pylon_fanout_errors", "Policy failures in fan-out.", lambda: hub.statistics.errors)


def sections(engine: Engine, hub: Hub, door: Door) -> dict[str, dict[str, Any]]:
    """The same in `/metrics` as JSON."""
    statistics = engine.committer.statistics
    return {
        "writes": {
            "requests": statistics.requests,
            "changes": statistics.changes,
            "batches": statistics.batches,
            "queued": statistics.queued,
            "wal_bytes": _wal(engine),
        },
        "realtime": {
            "ws_connections": door.open["ws"],
            "sse_connections": door.open["sse"],
            "slow_closed": door.slow_consumers,
            "refused": door.refused,
        },
        "fanout": {
            "events": hub.statistics.events,
            "broadcasts": dict(hub.statistics.broadcasts),
            "rates": dict(hub.statistics.rates.top(20)),
            "coalesced": hub.statistics.coalesced,
        },
    }


def _wal(engine: Engine) -> int:
    try:
        return engine.committer.wal_bytes()
    except PylonError:
        return 0
