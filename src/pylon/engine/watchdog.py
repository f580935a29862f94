"""The time limit of handlers that occupy a database thread (design §5c, slow handlers).

Past its limit a handler's SQL is interrupted and `HandlerTimeout` is raised in its thread, and both again, a moment
later, for as long as it goes on: an app's `except:` swallows one, not all. Whatever it returns past its limit does not
count. One that does not stop even so is stuck in C code: `on_stuck` is told, so that the process can give way to its
supervisor.
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
_AGAIN = 0.1
"""Seconds after which it is raised once more in a handler that goes on; what it has for cleaning up."""

_STUCK_AFTER = 5.0
"""Seconds past the limit after which a handler counts as stuck."""


class HandlerTimeout(BaseException):
    """Raised inside a handler whose time is up. Not an Exception, so that handlers don't swallow it by accident."""


class _Run:
    __slots__ = ("deadline", "due", "fired", "interrupt", "is_over", "thread_id")

    def __init__(self, deadline: float, interrupt: Callable[[], None]) -> None:
        self.thread_id = threading.get_ident()
        self.deadline = self.due = deadline
        self.interrupt = interrupt
        self.fired = self.is_over = False


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
                run.is_over = True  # from here on nothing new is raised; one may be on its way, and land right here
                try:
                    self._disarm(run)
                except HandlerTimeout:
                    self._disarm(run)
        except HandlerTimeout:
            raise PylonError("FN_TIMEOUT", "Function exceeded the configured call timeout") from None

    def _disarm(self, run: _Run) -> None:
        with self._lock:
            self._runs.discard(run)
            if run.fired:  # one on its way is taken back: it must not land in the middle of somebody else's request
                _raise_in(run.thread_id, None)
        if run.fired:
            raise HandlerTimeout

    def _watch(self) -> None:
        while not self._stopping.wait(_INTERVAL):
            now = time.monotonic()
            with self._lock:
                for run in [run for run in self._runs if now > run.due]:
                    if run.is_over:
                        self._runs.discard(run)
                    elif now > run.deadline + _STUCK_AFTER:
                        self._runs.discard(run)
                        self._on_stuck("a handler does not stop: it is stuck in code that can't be interrupted")
                    else:
                        run.fired, run.due = True, now + _AGAIN
                        run.interrupt()
                        _raise_in(run.thread_id, HandlerTimeout)


def _raise_in(thread_id: int, error: type[BaseException] | None) -> None:
    """Raise in another thread before its next bytecode; None takes back what was not raised yet."""
    what = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), what)
