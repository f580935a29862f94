"""Taking the place of the server that uses a data folder: everything that can be done before is done while it serves,
and a version that could not start never stops it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from pylon.cli.project import Project
from pylon.listeners import ListenError, Listeners, bind
from pylon.store.lock import folder_holder

WAIT_SECONDS = 60.0
"""How long the old server may take to leave."""

_POLL = 0.01


def take_over(project: Project, *, clock: Callable[[], float] = time.monotonic) -> Listeners:
    """Ask the server that holds the folder to stop, and listen as soon as its ports are free: whoever connects then
    waits until this one serves. Raises ListenError."""
    folder = project.settings.data_dir
    holder = folder_holder(folder)
    if holder is not None:
        if not holder.isdigit() or not _has_open(int(holder), folder / "lock"):
            raise ListenError(f"the server that uses {folder} is not a process of this machine: stop it where it runs")
        with contextlib.suppress(ProcessLookupError):  # it has just gone by itself
            os.kill(int(holder), signal.SIGTERM)
    until = clock() + WAIT_SECONDS
    while True:
        with contextlib.suppress(ListenError):
            listeners = bind(project.settings)
            if not listeners.warnings:
                return listeners
            listeners.close()
        if clock() > until or holder is None:
            return bind(project.settings)
        time.sleep(_POLL)


def _has_open(process: int, path: Path) -> bool:
    """Whether that process has the file open. Its number may come from another container, where it means another one:
    nobody else is ever signalled. Where the system doesn't tell, the lock file is believed."""
    if process == os.getpid():
        return False
    opened = Path(f"/proc/{process}/fd")
    if not Path("/proc/self/fd").is_dir():
        return True
    try:
        return any(link.resolve() == path.resolve() for link in opened.iterdir())
    except OSError:
        return False
