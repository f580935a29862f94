"""Group commit: one thread owns the write session, drains its queue into one transaction and commits once.

Requests that wait share the next commit, so durability costs one fsync per batch and a lone request waits for nobody.
A request that may do several writes runs in a savepoint; a single row write needs none, because its one statement
either happens or does not. If COMMIT fails, every request of the batch fails and nothing is published.
"""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from pylon.engine.audit.records import WRITE, of_writes
from pylon.engine.audit.trail import Trail
from pylon.engine.caller import Caller
from pylon.engine.limits.switch import QUIET, Board
from pylon.engine.plan import Plans
from pylon.engine.transaction import Authority, Batch, Transaction
from pylon.engine.watchdog import Watchdog
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.ids import RowIds
from pylon.signals import tracing
from pylon.signals.logs import Log
from pylon.signals.metrics import SIZES, Histogram
from pylon.store.protocol import WriteSession

log = Log("pylon.engine")

BATCH_REQUESTS = 512
"""Requests in one commit at most."""

BATCH_SECONDS = 0.02
"""How long a batch takes in more requests; one that runs longer finishes first."""

_OF_ONE_ROW = ("SEALED_UNREADABLE", "ENCRYPTION_NOT_CONFIGURED")
_RESERVE_NS = 5_000_000_000


class Work:
    """One queued request. `scoped` says that it may write more than once; `time_limit` is in seconds; `writes` is how
    many rows it changed, `after` what is called once that is committed."""

    __slots__ = (
        "after",
        "authority",
        "caller",
        "error",
        "future",
        "operation",
        "scoped",
        "time_limit",
        "trace",
        "value",
        "writes",
    )

    def __init__(
        self,
        operation: Callable[[Transaction], Any],
        caller: Caller,
        future: asyncio.Future[Any],
        authority: Authority,
        scoped: bool,
        time_limit: float | None,
    ) -> None:
        self.operation = operation
        self.caller = caller
        self.future = future
        self.authority = authority
        self.scoped = scoped
        self.time_limit = time_limit
        self.value: Any = None
        self.error: BaseException | None = None
        self.writes = 0
        self.after: Sequence[Callable[[], None]] = ()
        self.trace: object = None if tracing.tracer is None else tracing.tracer.here()


class Statistics:
    """What the committer has done; read by metrics."""

    __slots__ = (
        "batch_seconds",
        "batch_sizes",
        "batches",
        "changes",
        "commit_seconds",
        "commit_times",
        "failed_batches",
        "largest_batch",
        "queue_limit",
        "queued",
        "rejected",
        "requests",
    )

    def __init__(self, queue_limit: int = 0) -> None:
        self.batches = self.requests = self.changes = self.queued = self.rejected = 0
        self.failed_batches = self.largest_batch = 0
        self.commit_seconds = 0.0
        self.queue_limit = queue_limit
        self.batch_sizes = Histogram(SIZES)
        self.batch_seconds = Histogram()
        self.commit_times = Histogram()


class Committer:
    """The writer thread. `deliver` is called on the event loop with the finished batch and its changes."""

    def __init__(
        self,
        session: WriteSession,
        plans: Plans,
        loop: asyncio.AbstractEventLoop,
        deliver: Callable[[list[Work], list[Change]], None],
        *,
        watchdog: Watchdog,
        board: Callable[[], Board] = lambda: QUIET,
        queue_limit: int = 10_000,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._session = session
        self._plans = plans
        self._loop = loop
        self._deliver = deliver
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._queue_limit = queue_limit
        self._board = board
        self._clock = clock
        self._reserved_ns = session.reserved_ids()
        self._ids = RowIds(floor_ns=self._reserved_ns)
        self._thread = threading.Thread(target=self._run, name="pylon-writer", daemon=True)
        self._watchdog = watchdog
        self._trail = Trail(session)
        self.statistics = Statistics(queue_limit)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def submit(self, work: Work) -> None:
        """Queue a request; event loop only. Raises OVERLOADED when the queue is full."""
        statistics = self.statistics
        if statistics.queued >= self._queue_limit:
            statistics.rejected += 1
            raise PylonError("OVERLOADED", "Too many writes are waiting. Retry shortly.", headers={"Retry-After": "1"})
        statistics.queued += 1
        self._queue.put(work)

    def wal_bytes(self) -> int:
        """How much of the write-ahead log is in use."""
        return self._session.wal_bytes()

    async def stop(self) -> None:
        """Finish what is queued, then stop the thread and close the session."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)
        self._session.close()

    def _run(self) -> None:
        while True:
            work = self._queue.get()
            if work is None:
                return
            finished, changes, stopping = self._batch(work)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._delivered, finished, changes)
            if stopping:
                return

    def _delivered(self, finished: list[Work], changes: list[Change]) -> None:
        self.statistics.queued -= len(finished)
        self._deliver(finished, changes)

    def _batch(self, first: Work) -> tuple[list[Work], list[Change], bool]:
        session = self._session
        finished: list[Work] = []
        stopping = False
        began = time.perf_counter()
        now = self._clock()
        self._ids.tick(int(now * 1e9))
        batch = Batch(session, self._plans, self._ids, now, self._board())
        work: Work | None = first
        try:
            session.begin()
            while work is not None:
                finished.append(work)
                self._execute(work, batch)
                if len(finished) >= BATCH_REQUESTS or time.perf_counter() - began > BATCH_SECONDS:
                    break
                try:
                    work = self._queue.get_nowait()
                except queue.Empty:
                    break
                stopping = work is None
            if self._ids.last_ns >= self._reserved_ns:
                self._reserved_ns = self._ids.last_ns + _RESERVE_NS
                session.reserve_ids(self._reserved_ns)
            session.append(batch.changes, batch.ops)
            self._record(batch, int(now * 1000))
            committing = time.perf_counter()
            session.commit()
            self._trail.commit()
        except BaseException as error:  # the boundary of the batch: whatever happened, every request must be answered
            session.rollback()
            self._trail.rollback()
            self._fail(finished or [first], error)
            _trace(finished, batch, time.perf_counter() - began, failed=True)
            return finished or [first], [], stopping
        statistics = self.statistics
        statistics.batches += 1
        statistics.requests += len(finished)
        statistics.changes += len(batch.changes)
        statistics.largest_batch = max(statistics.largest_batch, len(finished))
        ended = time.perf_counter()
        statistics.commit_seconds += ended - began
        statistics.batch_sizes.observe(len(finished))
        statistics.batch_seconds.observe(ended - began)
        statistics.commit_times.observe(ended - committing)
        _trace(finished, batch, ended - began, failed=False)
        return finished, batch.changes, stopping

    def _record(self, batch: Batch, at: int) -> None:
        """The audit log of this batch, in its transaction."""
        if batch.writers:
            changes = batch.changes
            written = [of_writes(caller, changes[first:end]) for caller, first, end in batch.writers]
            self._trail.append(at, WRITE, written)
        for kind, records in batch.records.items():
            if records:
                self._trail.append(at, kind, records)

    def _fail(self, finished: list[Work], error: BaseException) -> None:
        self.statistics.failed_batches += 1
        self._reserved_ns = 0
        if not isinstance(error, PylonError):
            log.exception("batch failed", requests=len(finished))
            error = PylonError("STORAGE_UNAVAILABLE", "The write could not be committed; nothing of it was applied.")
        for work in finished:
            work.value, work.error, work.after = None, error, ()

    def _execute(self, work: Work, batch: Batch) -> None:
        changes, after = len(batch.changes), len(batch.after)
        transaction = Transaction(batch, work.caller, work.authority)
        if work.scoped:
            self._attempt_scoped(work, transaction, batch)
        else:
            try:
                work.value = work.operation(transaction)
            except PylonError as error:
                # The store failed, not the request: the whole batch is in doubt. A value that no key opens is one
                # row's, and nothing of it was written.
                if error.status >= 500 and error.code not in _OF_ONE_ROW:
                    raise
                work.error = error
        if len(batch.after) > after:
            work.after = batch.after[after:]
        if (end := len(batch.changes)) > changes:
            batch.writers.append((work.caller, changes, end))
            work.writes = end - changes

    def _attempt_scoped(self, work: Work, transaction: Transaction, batch: Batch) -> None:
        try:
            with batch.scope():
                if work.time_limit is None:
                    work.value = work.operation(transaction)
                else:
                    work.value = self._watchdog.run(
                        lambda: work.operation(transaction), work.time_limit, batch.session.interrupt
                    )
        except Exception as error:  # a handler may raise anything: its savepoint is undone, the batch goes on
            work.error = error


def _trace(finished: list[Work], batch: Batch, seconds: float, *, failed: bool) -> None:
    if tracing.tracer is not None:
        attributes: dict[str, tracing.Value] = {"pylon.requests": len(finished), "pylon.changes": len(batch.changes)}
        if batch.changes and not failed:
            attributes["pylon.seq"] = batch.changes[-1].seq
        tracing.tracer.commit(seconds, [work.trace for work in finished], attributes, failed=failed)
