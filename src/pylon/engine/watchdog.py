"""The time limit of handlers that occupy a database thread (design §5c, slow handlers).

Past its limit a handler's SQL is interrupted and `HandlerTimeout` is raised in its thread. One that does not stop
even so is stuck in C code: `on_stuck` is told, so that the process can give way to its supervisor.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from pylon.model.errors import PylonError

T = TypeVar("T")

_INTERVAL = 0.02
_STUCK_AFTER = 5.0
"""Seconds past the limit after which a handler counts as stuck."""


class HandlerTimeout(BaseException):
    """Raised inside a handler whose time is up. Not an Exception, so that handlers don't swallow it by accident."""


class _Run:
    __slots__ = ("deadline", "fired", "interrupt", "thread_id")

    def __init__(self, deadline: float, interrupt: Callable[[], None]) -> None:
        self.thread_id = threading.get_ident()
        self.deadline = deadline
        self.interrupt = interrupt
        self.fired = False


class Watchdog:
    """Watches the handlers that run now, whichever their threads."""

    def __init__(self, on_stuck: Callable[[str], None]) -> None:
        self._on_stuck = on_stuck
        self._lock = threading.Lock()
        self._runs: set[_Run] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="pylon-watchdog", daemon=True)

    def start(self) -> None:
        """Start watching."""
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stopping.set()

    def run(self, handler: Callable[[], T], limit: float, interrupt: Callable[[], None]) -> T:
        """Run a handler on this thread for at most `limit` seconds; `interrupt` stops its SQL. Raises FN_TIMEOUT."""
        run = _Run(time.monotonic() + limit, interrupt)
        with self._lock:
            self._runs.add(run)
        try:
            try:
                return handler()
            finally:
                self._disarm(run)
        except HandlerTimeout:
            raise PylonError("FN_TIMEOUT", "Function exceeded the configured call timeout") from None

    def _disarm(self, run: _Run) -> None:
        with self._lock:
            self._runs.discard(run)
        if run.fired:
            # The exception may still be on its way: take it here, not in the middle of somebody else's request.
            time.sleep(_INTERVAL)
            raise HandlerTimeout

    def _watch(self) -> None:
        while not self._stopping.wait(_INTERVAL):
            now = time.monotonic()
            with self._lock:
                for run in [run for run in self._runs if now > run.deadline]:
                    if not run.fired:
                        run.fired = True
                        run.interrupt()
                        ctypes.pythonapi.PyThreadState_SetAsyncExc(
                            ctypes.c_ulong(run.thread_id), ctypes.py_object(HandlerTimeout)
                        )
                    elif now > run.deadline + _STUCK_AFTER:
                        self._runs.discard(run)
                        self._on_stuck("a handler does not stop: it is stuck in code that can't be interrupted")
