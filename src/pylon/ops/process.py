"""What this process takes of its machine: memory, CPU, open files, threads, and how late the event loop runs."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from pylon.signals import process
from pylon.signals.process import LoopLag

__all__ = ["LoopLag", "ProcessFigures", "cpu_seconds", "measure", "threads"]


@dataclass(frozen=True, slots=True)
class ProcessFigures:
    """One look at the process."""

    rss_bytes: int = 0
    open_files: int = 0


def measure() -> ProcessFigures:
    """Memory and open files; a few system calls, and one entry per open file: not for the event loop."""
    return ProcessFigures(int(process.resident_bytes()), _open_files())


def cpu_seconds() -> float:
    """CPU time that the process has taken since it started."""
    return time.process_time()


def threads() -> int:
    """Python threads that run."""
    return threading.active_count()


def _open_files() -> int:
    try:
        return int(process.open_files())
    except OSError:  # the system doesn't tell
        return 0
