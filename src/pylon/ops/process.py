"""What this process takes of its machine: memory, CPU, open files, threads, and how late the event loop runs."""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

LAG_TICK_SECONDS = 0.1
LAG_KEPT = 100
"""Ticks remembered: ten seconds of them."""


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """One look at the process."""

    rss_bytes: int = 0
    open_files: int = 0


def measure() -> ProcessFigures:
    """Memory and open files; a few system calls, and one entry per open file: not for the event loop."""
    return ProcessFigures(_rss_bytes(), _open_files())


def cpu_seconds() -> float:
    """CPU time that the process has taken since it started."""
    return time.process_time()


def threads() -> int:
    """Python threads that run."""
    return threading.active_count()


def _rss_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, ValueError, IndexError):  # no Linux: the peak is the nearest that the system tells
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


def _open_files() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(folder)) - 1  # one of them was this listing
        except OSError:
            continue
    return 0


class LoopLag:
    """How late the event loop runs its timers: everything that a client waits for waits at least that long.

    A timer fires every tenth of a second and notes by how much it was late. `start` it on the loop that it is to watch.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lags: deque[tuple[float, float]] = deque(maxlen=LAG_KEPT)
        self._timer: asyncio.TimerHandle | None = None
        self._due = 0.0

    def start(self) -> None:
        """Watch the running loop."""
        self._schedule()

    def stop(self) -> None:
        """Watch no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def worst(self, seconds: float) -> float:
        """The longest delay of the last `seconds`, in seconds; a delay that still lasts doesn't count yet."""
        since = self._clock() - seconds
        return max((lag for at, lag in self._lags if at >= since), default=0.0)

    def _schedule(self) -> None:
        self._due = self._clock() + LAG_TICK_SECONDS
        self._timer = asyncio.get_running_loop().call_later(LAG_TICK_SECONDS, self._tick)

    def _tick(self) -> None:
        now = self._clock()
        self._lags.append((now, max(0.0, now - self._due)))
        self._schedule()
