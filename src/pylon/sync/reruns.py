"""When live queries run: at once for a newcomer, again when a change touches what they read, and never more often than
they can pay for.

Of each query one run is under way at most, and one more is wanted at most: a burst of changes is one run, with the last
state. A run knows the seq of its snapshot; what was committed behind it is held until the run is over and compared with
what the run read, so no change falls between the two.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from pylon.compute.dependencies import Dependencies
from pylon.compute.functions import Functions
from pylon.compute.recorder import Recorder
from pylon.engine.limits.buckets import Buckets
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.signals.metrics import Histogram
from pylon.sync.live_query import Answer, Outcome, Refusal, SharedQuery, State
from pylon.sync.turns import Turns

log = Log("pylon.sync")

DEBOUNCE_SECONDS = 0.01
"""What a run waits after the first change that touched it, for others to join."""

REST = 3.0
"""A query rests this many times as long as its run took."""

FAILED_REST_SECONDS = 0.25
PATIENCE_SECONDS = 30.0
"""After failures that may pass, a query is tried again after a quarter of a second, then ever later, up to this."""

HELD_CHANGES = 2000
"""Changes held for the runs under way; a run that began before the ones that are lost runs again."""

HASHED_INLINE = 65_536
"""Bytes of a result that are hashed on the loop; a larger one is hashed on a thread."""

BURST_SECONDS = 10.0
"""A budget holds what it brings in this time, and may be overdrawn by as much."""

OVERDRAWN_SECONDS = 0.05
"""An overdrawn budget is looked at again after this time at the earliest."""


class LiveLimits(NamedTuple):
    """`seconds` for one run, `runs` under way at a time, `share` of one processor that one user's runs may take (0 for
    any), `bytes` of a result, `queries` of the process, `subscriptions` of one user or address (0 for any number)."""

    seconds: float = 5.0
    runs: int = 2
    share: float = 0.5
    bytes: int = 2 * 2**20
    queries: int = 10_000
    subscriptions: int = 1000


class Statistics:
    """Counts of one server's live queries."""

    __slots__ = (
        "busy",
        "delayed",
        "failed",
        "matched",
        "pushed",
        "runs",
        "seconds",
        "subscriptions",
        "unchanged",
        "unmatched",
    )

    def __init__(self) -> None:
        self.subscriptions = self.runs = self.unchanged = self.pushed = self.failed = 0
        self.matched = self.unmatched = self.delayed = 0
        self.busy = 0.0
        self.seconds = Histogram()


class Reruns:
    """The runs of all live queries of one process, on its event loop. `settled(query, outcome)` is told of each run's
    outcome, also of one that is as before."""

    def __init__(
        self,
        functions: Functions,
        limits: LiveLimits,
        settled: Callable[[SharedQuery, Outcome], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.statistics = Statistics()
        self._functions = functions
        self._limits = limits
        self._settled = settled
        self._clock = clock
        self._budgets = Buckets(1000 * limits.share, 1000 * limits.share * BURST_SECONDS, clock=clock)
        self._dependencies: Dependencies[SharedQuery] = Dependencies()
        self._turns: Turns[SharedQuery] = Turns()
        self._running: dict[SharedQuery, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: deque[Change] = deque()
        self._lost = -1
        self._published = 0
        self._numbers = itertools.count(1)
        self._is_stopped = False

    @property
    def waiting(self) -> int:
        """Queries that are due and wait for their turn."""
        return len(self._turns)

    def changed(self, changes: list[Change]) -> None:
        """These were committed."""
        self._published = changes[-1].seq
        if self._running:
            self._hold(changes)
        if not self._dependencies:
            return
        statistics = self.statistics
        for change in changes:
            touched = self._dependencies.touched_by(change)
            if not touched:
                statistics.unmatched += 1
                continue
            statistics.matched += 1
            for query in sorted(touched, key=_number):  # the same turns each time
                if query.state is not State.RUNNING and query.seq < change.seq:
                    self.request(query, DEBOUNCE_SECONDS)

    def request(self, query: SharedQuery, after: float = 0.0) -> None:
        """Run a query in so many seconds, or when it has rested and its budget allows; a no-op if it is due sooner."""
        if query.state is State.RUNNING:
            query.is_wanted = True
            return
        now = self._clock()
        due = max(now + after, query.not_before)
        if query.state is State.WAITING:
            if query.timer is None or query.due <= due:
                return
            query.timer.cancel()
        query.state, query.due = State.WAITING, due
        if due > now:
            query.timer = asyncio.get_running_loop().call_later(due - now, self._due, query)
        else:
            self._due(query)

    def forget(self, query: SharedQuery) -> None:
        """Nobody wants a query any more."""
        self._dependencies.drop(query)
        if query.timer is not None:
            query.timer.cancel()
            query.timer = None

    async def stop(self) -> None:
        """Run nothing more, and wait for what runs."""
        self._is_stopped = True
        self._turns.clear()
        for task in self._tasks:
            task.cancel()
        for task in list(self._tasks):
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # -- one run -------------------------------------------------------------------------------------------------

    def _due(self, query: SharedQuery) -> None:
        query.timer = None
        self._turns.put(query.payer, query)
        self._start()

    def _start(self) -> None:
        turns = self._turns
        while not turns.is_idle and len(self._running) < self._limits.runs and not self._is_stopped:
            if (payer := turns.owner) is not None and (wait := self._budgets.wait(payer)):
                self.statistics.delayed += 1
                turns.hold()
                asyncio.get_running_loop().call_later(max(wait, OVERDRAWN_SECONDS), self._resume, payer)
                continue
            query = turns.take()
            if not query.subscriptions:
                continue
            query.state = State.RUNNING
            self._running[query] = self._published
            task = asyncio.create_task(self._run(query))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _resume(self, payer: str) -> None:
        self._turns.resume(payer)
        self._start()

    async def _run(self, query: SharedQuery) -> None:
        recorder = Recorder()
        began = self._clock()
        try:
            outcome = await self._outcome(query, recorder)
        finally:
            del self._running[query]
            query.state = State.IDLE
        seconds = self._clock() - began
        self.statistics.runs += 1
        self.statistics.seconds.observe(seconds)
        self.statistics.busy += recorder.seconds
        if query.payer is not None:
            self._budgets.charge(query.payer, 1000 * recorder.seconds)
        self._settle(query, recorder, outcome, seconds)
        self._release()
        self._start()

    async def _outcome(self, query: SharedQuery, recorder: Recorder) -> Outcome:
        caller = msgspec.structs.replace(query.caller, request_id=f"live-{next(self._numbers)}")
        try:
            body = await self._functions.repeat(caller, query.watched, recorder, self._limits.seconds)
        except PylonError as error:
            return Refusal.of(error)
        except Exception:  # a supervised boundary: one query's failure must not end the others
            log.exception("live query failed", function=query.watched.function.name)
            return Refusal("HANDLER_ERROR", "Internal handler error")
        if len(body) > self._limits.bytes:
            return Refusal("REACTIVE_TOO_LARGE", f"The result has more than {self._limits.bytes} bytes")
        return Answer(body, _hash(body) if len(body) <= HASHED_INLINE else await asyncio.to_thread(_hash, body))

    def _settle(self, query: SharedQuery, recorder: Recorder, outcome: Outcome, seconds: float) -> None:
        if not query.subscriptions:
            self.forget(query)
            return
        now = self._clock()
        query.not_before = now + REST * seconds
        again = query.is_wanted
        query.is_wanted = False
        after = DEBOUNCE_SECONDS
        if recorder.seq >= 0:  # it had its snapshot: it depends on what it read of it, also where it failed
            self._dependencies.put(query, recorder.reads)
            query.seq, query.flags, query.is_audited = recorder.seq, recorder.flags, recorder.is_audited
            again = again or self._is_old(query)
        if isinstance(outcome, Refusal):
            self.statistics.failed += 1
            query.not_before = max(query.not_before, now + FAILED_REST_SECONDS)
            if outcome.is_passing:
                again, after = True, min(FAILED_REST_SECONDS * 2**query.failures, PATIENCE_SECONDS)
                query.failures = min(query.failures + 1, 16)
        else:
            query.failures = 0
        self._settled(query, outcome)
        if again and query.subscriptions:
            self.request(query, after)

    def _is_old(self, query: SharedQuery) -> bool:
        """Whether a change behind the query's snapshot touches what it read."""
        if query.seq < self._lost:
            return True
        touched_by = self._dependencies.touched_by
        return any(change.seq > query.seq and query in touched_by(change) for change in self._held)

    def _hold(self, changes: list[Change]) -> None:
        self._held.extend(changes)
        while len(self._held) > HELD_CHANGES:
            self._lost = self._held.popleft().seq

    def _release(self) -> None:
        """Let go of the changes that every run under way began behind."""
        if not self._running:
            self._held.clear()
            return
        oldest = min(self._running.values())
        while self._held and self._held[0].seq <= oldest:
            self._held.popleft()


def _number(query: SharedQuery) -> int:
    return query.number


def _hash(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()
