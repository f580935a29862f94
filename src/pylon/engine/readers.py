"""Who reads now, since when, and what was slow: the register of everything that holds a snapshot of the database.

A snapshot that stays open keeps the write-ahead log from beginning anew, so an operator whose log grows asks here who
holds one. Reads on the pool register; what runs inline on the event loop is over within a millisecond and does not.
A backup or an export on a connection of its own registers with `track`.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from pylon.engine.caller import Caller
from pylon.signals.logs import Log

log = Log("pylon.engine")

SLOW_KEPT = 200
"""Slow queries remembered; later ones push out the oldest."""

WHAT_CHARACTERS = 120


class RunningRead(msgspec.Struct, frozen=True, kw_only=True):
    """A read that has not ended: what it is, on whose behalf, and for how long."""

    seconds: float
    what: str
    request_id: str
    user: str | None


class SlowQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Something that took longer than it should; `at` is when it ended, in Unix seconds."""

    at: float
    ms: float
    what: str
    request_id: str
    user: str | None


class _Entry:
    __slots__ = ("began", "caller", "interrupt", "is_told", "what")

    def __init__(self, what: str, caller: Caller, began: float, interrupt: Callable[[], None]) -> None:
        self.what = what
        self.caller = caller
        self.began = began
        self.interrupt = interrupt
        self.is_told = False


class Readers:
    """The running reads of one process. `clock` is monotonic; `wall` is the time of day. Any thread."""

    def __init__(
        self,
        *,
        max_seconds: float = 60.0,
        slow_seconds: float = 0.1,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.max_seconds = max_seconds
        self._slow_seconds = slow_seconds
        self._clock = clock
        self._wall = wall
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._running: dict[int, _Entry] = {}
        self._slow: deque[SlowQuery] = deque(maxlen=SLOW_KEPT)
        self._longest_ended = 0.0
        self.started = 0
        self.interrupted = 0
        self.slow = 0

    @contextmanager
    def track(self, what: str, caller: Caller, interrupt: Callable[[], None]) -> Iterator[None]:
        """Hold a place in the register while the block runs. `interrupt` makes its SQL fail; it is called from another
        thread, again and again, once the block has run for longer than `max_seconds`."""
        entry = _Entry(what, caller, self._clock(), interrupt)
        number = next(self._numbers)
        with self._lock:
            self._running[number] = entry
            self.started += 1
        try:
            yield
        finally:
            with self._lock:  # from here on nobody interrupts: the connection may serve somebody else
                del self._running[number]
                seconds = self._clock() - entry.began
                self._longest_ended = max(self._longest_ended, seconds)
                is_late = self._is_late(entry, seconds)
            if is_late:
                _tell(entry, seconds)
            self.ended(what, caller, seconds)

    def ended(self, what: str, caller: Caller, seconds: float) -> None:
        """Remember something that ended, if it was slow."""
        if seconds < self._slow_seconds:
            return
        self.slow += 1
        self._slow.append(
            SlowQuery(
                at=round(self._wall(), 3),
                ms=round(seconds * 1000, 1),
                what=what[:WHAT_CHARACTERS],
                request_id=caller.request_id,
                user=_user(caller),
            )
        )

    def running(self) -> list[RunningRead]:
        """What runs now, the longest first."""
        now = self._clock()
        return [
            RunningRead(
                seconds=round(now - entry.began, 3),
                what=entry.what[:WHAT_CHARACTERS],
                request_id=entry.caller.request_id,
                user=_user(entry.caller),
            )
            for entry in sorted(self._entries(), key=lambda entry: entry.began)
        ]

    def slow_queries(self, limit: int = SLOW_KEPT) -> list[SlowQuery]:
        """The latest slow ones, newest first."""
        return list(itertools.islice(reversed(self._slow.copy()), limit))

    def oldest_seconds(self) -> float:
        """For how long the oldest read has been running, 0.0 when none runs."""
        entries = self._entries()
        return self._clock() - min(entry.began for entry in entries) if entries else 0.0

    def take_longest(self) -> float:
        """For how long the longest read since the last call ran or has been running: one that ended in between counts,
        such as one that was interrupted."""
        with self._lock:
            ended, self._longest_ended = self._longest_ended, 0.0
        return max(ended, self.oldest_seconds())

    def sweep(self) -> int:
        """Interrupt what has run for longer than `max_seconds`; how many that were. Call it about once a second: code
        between two statements is not reached by an interrupt, but its next statement is by the next one."""
        now = self._clock()
        interrupted = 0
        late: list[tuple[_Entry, float]] = []
        with self._lock:
            for entry in self._running.values():
                seconds = now - entry.began
                if seconds >= self.max_seconds:
                    interrupted += _interrupt(entry)
                    if self._is_late(entry, seconds):
                        late.append((entry, seconds))
        for entry, seconds in late:
            _tell(entry, seconds)
        return interrupted

    def _is_late(self, entry: _Entry, seconds: float) -> bool:
        """Whether this read is over its limit and nobody has been told yet; asked under the lock."""
        if entry.is_told or seconds < self.max_seconds:
            return False
        entry.is_told = True
        self.interrupted += 1
        return True

    def _entries(self) -> list[_Entry]:
        with self._lock:
            return [*self._running.values()]


def _interrupt(entry: _Entry) -> int:
    try:
        entry.interrupt()
    except Exception:  # foreign code: one that can't be interrupted must not keep the others from it
        log.exception("read can't be interrupted", what=entry.what[:WHAT_CHARACTERS])
        return 0
    return 1


def _tell(entry: _Entry, seconds: float) -> None:
    log.warning(
        "read interrupted: it held its snapshot for too long",
        what=entry.what[:WHAT_CHARACTERS],
        seconds=round(seconds, 1),
        request_id=entry.caller.request_id,
        user=_user(entry.caller),
        ip=entry.caller.ip,
    )


def _user(caller: Caller) -> str | None:
    """Who reads, as an operator knows them."""
    return "system" if caller.door == "system" else caller.identity.user_id
