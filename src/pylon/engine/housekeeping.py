"""What the engine does between requests: checkpoints, and dropping log entries, op-ids and sessions past their time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from pylon.engine.audit.audit import FLUSH_SECONDS
from pylon.engine.caller import SYSTEM
from pylon.engine.limits.switches import REFRESH_SECONDS
from pylon.engine.limits.usage import FLUSH_SECONDS as USAGE_SECONDS
from pylon.engine.threads import to_the_end
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.signals.logs import Log

log = Log("pylon.engine")

if TYPE_CHECKING:
    from pylon.engine.engine import Engine

CHECKPOINT_SECONDS = 1.0
PAGE_BYTES = 4096
QUIET_WAL_BYTES = 2**18
LOOK_SECONDS = 1.0
PINNED_PAGES = 4096
"""Pages that a checkpoint may leave under load without somebody's snapshot being the reason."""

PRUNE_SECONDS = 60.0
PLAN_SECONDS = 600.0
SWEEP_SECONDS = 1.0
RETRY_SECONDS = 0.05
"""Between two attempts of a checkpoint that waits for readers."""
CLEAR_ROWS = 500
"""Rows of a table that a schema change replaced, removed in one commit."""

CLEAR_REST_SECONDS = 0.02
PREPARED_SECONDS = 3600.0
"""What was prepared for a schema change and isn't used for so long is cleared away: it holds copies of rows, and those
whom somebody erases are to be gone from there too."""

PRUNE_ROWS = 2000
"""Log entries dropped in one commit, so that pruning never holds the writer for long."""


@dataclass(frozen=True, slots=True)
class Retention:
    """The log keeps what is newer than `log_days` or among the newest `log_events`; op-ids live `op_days`,
    the audit log `audit_days`."""

    log_days: float = 7.0
    log_events: int = 1_000_000
    op_days: float = 7.0
    audit_days: float = 90.0


class CheckpointReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint achieved: the write-ahead log's file before and after it, and whether all of it is in the
    database now."""

    mode: str = "truncate"
    wal_bytes_before: int
    wal_bytes_after: int
    complete: bool
    seconds: float


class Housekeeping:
    """The engine's background tasks."""

    def __init__(self, engine: Engine, retention: Retention, wal_bytes: int) -> None:
        self._engine = engine
        self._retention = retention
        self._watermark = wal_bytes
        self._checkpoints = engine.store.checkpoints()
        self._tasks: list[asyncio.Task[None]] = []
        self._checkpointing = asyncio.Lock()
        self._is_stopping = False
        self._seen_batches = 0
        self._checked_bytes = 0
        self._done_at = time.monotonic()
        self._done_bytes = 0
        self.checkpoints = 0
        self.blocked = 0

    @property
    def watermark(self) -> int:
        """Bytes of the write-ahead log at which it is made to begin anew."""
        return self._watermark

    def checkpoint_age(self) -> float:
        """Seconds since the last checkpoint, or since the start."""
        return time.monotonic() - self._done_at

    def behind_bytes(self) -> int:
        """Bytes of the write-ahead log that no checkpoint has copied into the database yet. Exact within a second."""
        used = self._engine.committer.wal_bytes()
        return used if used < self._done_bytes else used - self._done_bytes

    def _checkpointed(self, used: int, pages_left: int) -> None:
        self.checkpoints += 1
        self._done_at = time.monotonic()
        self._done_bytes = max(0, used - pages_left * PAGE_BYTES)

    def start(self) -> None:
        """Start on the running loop."""
        self._tasks = [
            asyncio.create_task(self._supervise("checkpoint", self._checkpoint, CHECKPOINT_SECONDS)),
            asyncio.create_task(self._supervise("prune", self._prune, PRUNE_SECONDS)),
            asyncio.create_task(self._supervise("planning", self.plan_anew, PLAN_SECONDS)),
            asyncio.create_task(self._clear_away()),
            asyncio.create_task(self._supervise("switches", self._engine.refresh, REFRESH_SECONDS)),
            asyncio.create_task(self._supervise("containment", self._engine.containment.look, LOOK_SECONDS)),
            asyncio.create_task(self._supervise("usage", self._use, USAGE_SECONDS)),
            asyncio.create_task(self._supervise("audit", self._engine.audit.flush, FLUSH_SECONDS)),
            asyncio.create_task(self._supervise("long-reads", self._sweep, SWEEP_SECONDS)),
        ]

    async def stop(self) -> None:
        """Stop and close."""
        self._is_stopping = True
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        with contextlib.suppress(PylonError):  # the store takes no more: these reads go unrecorded, as the log says
            await self._engine.audit.flush()
            await self._engine.usage.flush()
        async with self._checkpointing:
            self._checkpoints.close()

    async def _supervise(self, name: str, step: object, seconds: float) -> None:
        assert callable(step)
        task = self._engine.tasks.add(name, seconds)
        while True:
            await asyncio.sleep(seconds)
            try:
                with task.turn():
                    await step()
            except Exception:  # a supervised boundary: the next round tries again
                log.exception("housekeeping failed", task=name)

    async def _checkpoint(self) -> None:
        """Checkpoint in quiet seconds; under load only once the log has grown, because its fsync delays commits."""
        used = self._engine.committer.wal_bytes()
        if used < self._done_bytes:  # the log began anew
            self._done_bytes = 0
        batches, self._seen_batches = self._seen_batches, self._engine.committer.statistics.batches
        is_quiet = batches == self._seen_batches
        if used == self._checked_bytes or used < (QUIET_WAL_BYTES if is_quiet else self._watermark):
            return
        self._checked_bytes = used
        async with self._checkpointing:
            left = await to_the_end(self._checkpoints.run)
            if is_quiet and self._checkpoints.file_bytes() > self._watermark:
                complete = await to_the_end(self._checkpoints.truncate)
            elif used >= self._watermark and left <= PINNED_PAGES:
                complete = await to_the_end(self._checkpoints.restart)
            else:
                complete = not left
            self.blocked += not complete
            self._checkpointed(used, 0 if complete else left)

    async def checkpoint(self, seconds: float) -> CheckpointReport:
        """Checkpoint now and empty the log's file, trying for at most `seconds` while readers hold older snapshots.
        What can be copied is copied either way."""
        async with self._checkpointing:
            began = time.monotonic()
            before = self._checkpoints.file_bytes()
            used = self._engine.committer.wal_bytes()
            while not (complete := await to_the_end(self._checkpoints.truncate)):
                if self._is_stopping or time.monotonic() - began >= seconds:
                    break
                await asyncio.sleep(RETRY_SECONDS)
            self.blocked += not complete
            self._checkpointed(used, 0 if complete else used // PAGE_BYTES)
            return CheckpointReport(
                wal_bytes_before=before,
                wal_bytes_after=self._checkpoints.file_bytes(),
                complete=complete,
                seconds=round(time.monotonic() - began, 3),
            )

    async def _use(self) -> None:
        """Store what was used, then compare it with the budgets."""
        await self._engine.usage.flush()
        await self._engine.budgets.look()

    async def _prune(self) -> None:
        """Drop in portions; requests get their turn in between, since each is a write like any other."""
        while await self.prune_once() == PRUNE_ROWS:
            log.debug("pruned", entries=PRUNE_ROWS)
        await self._engine.usage.prune()
        await self._engine.audit.prune(self._engine.clock() - self._retention.audit_days * 86400)

    async def plan_anew(self) -> bool:
        """Let the store plan by what its tables hold now; whether any changed much since the last time."""
        outcome = await self._engine.run(SYSTEM, lambda tx: tx.session.plan_anew(), authority=Authority.TRUSTED)
        if outcome.value:
            log.debug("planning anew")
        return bool(outcome.value)

    async def _clear_away(self) -> None:
        """Remove what schema changes left behind."""
        rest = CLEAR_REST_SECONDS
        while True:
            await asyncio.sleep(rest)
            rest = PRUNE_SECONDS
            try:
                if await self.clear_once():
                    rest = CLEAR_REST_SECONDS
            except Exception:  # a supervised boundary: it is not urgent
                log.exception("housekeeping failed", task="clearing away")

    async def clear_once(self) -> bool:
        """Remove a portion of what a schema change left behind; whether there was something."""
        unused_before = int(self._engine.clock() - PREPARED_SECONDS)

        def clear(tx: Transaction) -> bool:
            tx.session.forget_prepared(unused_before)
            return tx.session.clear_away(CLEAR_ROWS)

        return bool((await self._engine.run(SYSTEM, clear, authority=Authority.TRUSTED)).value)

    async def _sweep(self) -> None:
        """Interrupt the reads that hold a snapshot for too long."""
        self._engine.reads.readers.sweep()

    async def prune_once(self) -> int:
        """Drop one portion; how many log entries went."""
        now = int(self._engine.clock())
        retention = self._retention
        outcome = await self._engine.run(
            SYSTEM,
            lambda tx: tx.session.prune(
                log_before=now - int(retention.log_days * 86400),
                keep_events=retention.log_events,
                ops_before=now - int(retention.op_days * 86400),
                now=now,
                limit=PRUNE_ROWS,
            ),
            authority=Authority.TRUSTED,
        )
        return outcome.value
