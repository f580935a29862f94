"""What the process itself costs, as series: CPU, memory, open files, threads, the garbage collector's pauses, and how
late the event loop runs. Read from the operating system at each scrape."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

from pylon.signals.metrics import Asked, Histogram, Registry

PAUSE_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)
"""Upper bounds for pauses of the collector and of the loop."""

LAG_TICK_SECONDS = 0.1
LAG_KEPT = 100
"""Ticks remembered one by one: ten seconds of them."""

_GENERATIONS = 3


class LoopLag:
    """How late the event loop runs what is due: whatever a client waits for waits at least that long.

    A timer fires every tenth of a second and notes by how much it was late. A loop that is stuck is seen afterwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._lately: deque[tuple[float, float]] = deque(maxlen=LAG_KEPT)
        self.seconds = Histogram(PAUSE_SECONDS)

    def start(self) -> None:
        """Watch the running loop."""
        self._due = self._clock() + LAG_TICK_SECONDS
        self._timer = asyncio.get_running_loop().call_later(LAG_TICK_SECONDS, self._tick)

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        now = self._clock()
        late = max(0.0, now - self._due)
        self._lately.append((now, late))
        self.seconds.observe(late)
        self.start()

    def worst(self, seconds: float) -> float:
        """The longest delay of the last `seconds`, at most ten of them; a delay that still lasts doesn't count yet."""
        since = self._clock() - seconds
        return max((late for at, late in self._lately if at >= since), default=0.0)


class Collector:
    """How long the garbage collector stops the process. It collects in whichever thread allocates, one at a time."""

    def __init__(self) -> None:
        self._began = 0.0
        self.pauses = Histogram(PAUSE_SECONDS)

    def start(self) -> None:
        """Watch the collector of this process."""
        gc.callbacks.append(self._watch)

    def stop(self) -> None:
        """Watch no more."""
        if self._watch in gc.callbacks:
            gc.callbacks.remove(self._watch)

    def _watch(self, phase: str, info: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        elif self._began:
            self.pauses.observe(time.perf_counter() - self._began)


def watch_process(registry: Registry, lag: LoopLag, collector: Collector) -> None:
    """Register the series of the process."""
    registry.asked("pylon_process_cpu_seconds_total", "CPU time, user and system.", "counter", time.process_time)
    registry.asked("pylon_process_resident_memory_bytes", "Memory that is resident.", "gauge", resident_bytes)
    registry.asked("pylon_process_open_fds", "Open files and sockets.", "gauge", open_files)
    registry.asked("pylon_process_max_fds", "Most files and sockets that may be open.", "gauge", max_open_files)
    registry.asked(
        "pylon_process_start_time_seconds", "When the process started, in Unix seconds.", "gauge", started_at
    )
    registry.asked("pylon_process_threads", "Threads of Python that run.", "gauge", threading.active_count)
    for name, text, key in (
        ("pylon_gc_collections_total", "Runs of the garbage collector.", "collections"),
        ("pylon_gc_objects_collected_total", "Objects that the garbage collector freed.", "collected"),
        ("pylon_gc_objects_uncollectable_total", "Objects that it could not free.", "uncollectable"),
    ):
        registry.asked_by(name, text, "counter", ("generation",), _by_generation(key))
    registry.asked_by(
        "pylon_gc_objects",
        "Objects allocated since the generation was last collected.",
        "gauge",
        ("generation",),
        lambda: (((str(place),), count) for place, count in enumerate(gc.get_count())),
    )
    registry.asked(
        "pylon_gc_pause_seconds",
        "How long the garbage collector stopped the process.",
        "histogram",
        lambda: collector.pauses,
    )
    registry.asked("pylon_loop_lag_seconds", "How late the event loop ran a timer.", "histogram", lambda: lag.seconds)


def _by_generation(key: str) -> Callable[[], Iterator[tuple[tuple[str, ...], Asked]]]:
    def read() -> Iterator[tuple[tuple[str, ...], Asked]]:
        for place, statistics in enumerate(gc.get_stats()[:_GENERATIONS]):
            yield (str(place),), statistics[key]

    return read


def resident_bytes() -> float:
    """Memory that the process occupies."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no Linux: the peak is the nearest that the system tells
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def open_files() -> float:
    """Open file descriptors. Raises OSError where the system doesn't tell."""
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    return len(os.listdir(folder)) - 1  # one of them was this listing


def max_open_files() -> float:
    """How many may be open."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else soft


_STARTED = time.time()
"""This module is imported while the process starts; the system's own note counts from boot, in ticks."""


def started_at() -> float:
    """When the process started, in Unix seconds: the same at every scrape, whatever happens to the clock."""
    return _STARTED
