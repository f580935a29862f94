"""What `/metrics` tells of live queries."""

from __future__ import annotations

from pylon.signals.metrics import Registry
from pylon.sync.live import LiveQueries


def watch_live(registry: Registry, live: LiveQueries) -> None:
    """Register the series of a server's live queries."""
    counts = live.statistics
    registry.asked("pylon_live_subscriptions", "Subscriptions to live queries.", "gauge", lambda: counts.subscriptions)
    registry.asked("pylon_live_queries", "Live queries, those that are shared once.", "gauge", lambda: live.shared)
    registry.asked("pylon_live_waiting", "Live queries that are due to run.", "gauge", lambda: live.reruns.waiting)
    registry.asked("pylon_live_runs_total", "Runs of live queries.", "counter", lambda: counts.runs)
    registry.asked(
        "pylon_live_runs_failed_total", "Runs of live queries that ended in an error.", "counter", lambda: counts.failed
    )
    registry.asked(
        "pylon_live_unchanged_total",
        "Runs of live queries whose result was as before, so that nothing was pushed.",
        "counter",
        lambda: counts.unchanged,
    )
    registry.asked("pylon_live_pushed_total", "Results pushed to subscribers.", "counter", lambda: counts.pushed)
    registry.asked(
        "pylon_live_run_seconds",
        "Time of a run of a live query, its wait for a reader included.",
        "histogram",
        lambda: counts.seconds,
    )
    registry.asked(
        "pylon_live_busy_seconds_total", "Processor time of the runs of live queries.", "counter", lambda: counts.busy
    )
    registry.asked(
        "pylon_live_delayed_total",
        "Times that a user's live queries had to wait for the user's budget.",
        "counter",
        lambda: counts.delayed,
    )
    registry.asked_by(
        "pylon_live_changes_total",
        "Changes compared with what live queries read: those that touched one, and the others.",
        "counter",
        ("touched",),
        lambda: ((("yes",), counts.matched), (("no",), counts.unmatched)),
    )
