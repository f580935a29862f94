"""Taking the place of the server that uses a data folder: everything that can be done before is done while it serves,
and a version that could not start never stops it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable

from pylon.cli.project import Project
from pylon.listeners import ListenError, Listeners, bind
from pylon.store.lock import folder_holder

WAIT_SECONDS = 60.0
"""How long the old server may take to leave."""

_POLL = 0.01


def take_over(project: Project, *, clock: Callable[[], float] = time.monotonic) -> Listeners:
    """Ask the server that holds the folder to stop, and listen as soon as its ports are free: whoever connects then
    waits until this one serves. Raises ListenError."""
    holder = folder_holder(project.settings.data_dir)
    if holder is not None and holder.isdigit():
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
