"""The engine: one app's write path, read path and feed of changes, over one store."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from pylon.engine.audit.audit import Audit
from pylon.engine.caller import Caller
from pylon.engine.committer import Committer, Work
from pylon.engine.documents.documents import Documents, Limits
from pylon.engine.housekeeping import Housekeeping, Retention
from pylon.engine.limits.budget import Budgets
from pylon.engine.limits.containment import Containment, Watermarks
from pylon.engine.limits.flags import Flags
from pylon.engine.limits.gate import Gate, RateLimits
from pylon.engine.limits.switches import Switches
from pylon.engine.limits.usage import Usage
from pylon.engine.plan import Plans
from pylon.engine.queries import Queries
from pylon.engine.readers import Readers
from pylon.engine.reads import Reads
from pylon.engine.references import watch_references
from pylon.engine.transaction import Authority, Transaction
from pylon.engine.watchdog import Watchdog
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.signals.logs import Log
from pylon.signals.tasks import Tasks
from pylon.store.protocol import Store

log = Log("pylon.engine")

T = TypeVar("T")


class Outcome(msgspec.Struct, Generic[T], frozen=True):
    """What an operation returned, and the seq of its last change, 0 if it changed nothing."""

    value: T
    seq: int


class Engine:
    """One app over one store. Start and use it on one event loop."""

    committer_type: ClassVar[type[Committer]] = Committer
    """The writer. A simulation puts one in its place that needs no thread."""

    def __init__(
        self,
        plans: Plans,
        store: Store,
        *,
        read_threads: int = 4,
        read_timeout: float = 5.0,
        row_limit: int = 10_000,
        retention: Retention | None = None,
        checkpoint_wal_bytes: int = 64 * 2**20,
        rate_limits: RateLimits | None = None,
        watermarks: Watermarks | None = None,
        maintenance_file: Path | None = None,
        on_stuck: Callable[[str], None] | None = None,
        readers: Readers | None = None,
        document_limits: Limits | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.plans = plans
        self.store = store
        self.clock = clock
        self._watchdog = Watchdog(on_stuck or log.error)
        self.audit = Audit(self)
        self.switches = Switches(self, maintenance_file)
        self.flags = Flags(self)
        self.usage = Usage(self)
        self.budgets = Budgets(self)
        self.tasks = Tasks()
        self.gate = Gate(self, rate_limits or RateLimits())
        self.containment = Containment(self, watermarks or Watermarks())
        self.reads = Reads(
            store,
            plans,
            self._watchdog,
            self.gate,
            threads=read_threads,
            time_limit=read_timeout,
            row_limit=row_limit,
            readers=readers,
            now=self.now,
        )
        self.documents = Documents(plans, document_limits or Limits())
        self.documents.let_go(self.reads.documented(), plans)
        watch_references(plans)
        self.queries = Queries(self.reads, plans)
        self.housekeeping = Housekeeping(self, retention or Retention(), checkpoint_wal_bytes)
        self._refreshers: list[Callable[[], None]] = []
        self._subscribers: list[Callable[[list[Change]], None]] = []
        self._committer: Committer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def app(self) -> AppSpec:
        """What the app declares."""
        return self.plans.app

    def now(self) -> datetime:
        """The time, as policies see it."""
        return datetime.fromtimestamp(self.clock(), UTC)

    @property
    def committer(self) -> Committer:
        """The writer. Raises SHUTTING_DOWN before start and after stop."""
        if self._committer is None:
            raise PylonError("SHUTTING_DOWN", "The server is not accepting writes.", headers={"Retry-After": "1"})
        return self._committer

    async def start(self) -> None:
        """Start the writer and the housekeeping on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._committer = self.committer_type(
            self.store.writer(),
            self.plans,
            self._loop,
            self._deliver,
            watchdog=self._watchdog,
            board=lambda: self.switches.board,
            clock=self.clock,
        )
        self._committer.start()
        self._watchdog.start()
        await self.refresh()
        self.housekeeping.start()

    async def stop(self) -> None:
        """Finish queued writes, checkpoint, and close every connection."""
        await self.housekeeping.stop()
        committer, self._committer = self._committer, None
        if committer is not None:
            await committer.stop()
        self.reads.close()
        self._watchdog.stop()
        checkpoints = self.store.checkpoints()
        with contextlib.closing(checkpoints):
            checkpoints.truncate()

    async def refresh(self) -> None:
        """Take up switches and flags that changed in the store, whichever process changed them."""
        self.flags.refresh()
        self.budgets.refresh()
        for refresh in self._refreshers:
            refresh()
        await self.switches.refresh()

    def on_refresh(self, callback: Callable[[], None]) -> None:
        """Call back a few times a second, to take up what another process changed in the store."""
        self._refreshers.append(callback)

    def subscribe(self, callback: Callable[[list[Change]], None]) -> None:
        """Call back on the event loop with the changes of each commit, in seq order, before their writers are
        answered."""
        self._subscribers.append(callback)

    async def insert(self, caller: Caller, entity: str, body: bytes) -> Change:
        """Insert a row from a JSON body. Raises what decode_insert and Transaction.insert raise."""
        self.gate.write(caller)
        plan = self.plans.for_write(entity, caller.identity)
        row = plan.types.decode_insert(body)
        work = self._submit(lambda tx: tx.insert(plan, row), caller)
        return await work.future  # type: ignore[no-any-return]

    async def update(self, caller: Caller, entity: str, row_id: str, body: bytes) -> Change | None:
        """Patch a row from a JSON body; None for an empty patch."""
        self.gate.write(caller)
        plan = self.plans.for_write(entity, caller.identity)
        patch = plan.types.decode_patch(body)
        work = self._submit(lambda tx: tx.update(plan, row_id, patch), caller)
        return await work.future  # type: ignore[no-any-return]

    async def delete(self, caller: Caller, entity: str, row_id: str) -> Change:
        """Delete a row."""
        self.gate.write(caller)
        plan = self.plans.for_write(entity, caller.identity)
        work = self._submit(lambda tx: tx.delete(plan, row_id), caller)
        return await work.future  # type: ignore[no-any-return]

    async def run(
        self,
        caller: Caller,
        operation: Callable[[Transaction], T],
        *,
        authority: Authority = Authority.CALLER,
        time_limit: float | None = None,
    ) -> Outcome[T]:
        """Run an operation on the writer thread: all of it commits, or, when it raises, none. `time_limit` in seconds
        raises FN_TIMEOUT in it. Also raises what `Gate.write` raises."""
        self.gate.write(caller)
        span = _Span(operation)
        work = self._submit(span, caller, authority=authority, scoped=True, time_limit=time_limit)
        value = await work.future
        return Outcome(value, span.last_seq())

    def _submit(
        self,
        operation: Callable[[Transaction], Any],
        caller: Caller,
        *,
        authority: Authority = Authority.CALLER,
        scoped: bool = False,
        time_limit: float | None = None,
    ) -> Work:
        assert self._loop is not None
        work = Work(operation, caller, self._loop.create_future(), authority, scoped, time_limit)
        self.committer.submit(work)
        return work

    def _deliver(self, finished: list[Work], changes: list[Change]) -> None:
        if changes:
            self.gate.account(finished, changes)
            for callback in self._subscribers:
                try:
                    callback(changes)
                except Exception:  # one subscriber's failure must not keep the writers from their answers
                    log.exception("change subscriber failed")
        for work in finished:
            for call in work.after:
                try:
                    call()
                except Exception:  # what was committed stays so, and the others must be answered
                    log.exception("what follows a commit failed", request_id=work.caller.request_id)
            future = work.future
            if future.done():
                continue
            if work.error is None:
                future.set_result(work.value)
            else:
                future.set_exception(work.error)


class _Span:
    """An operation that remembers which changes of its batch are its own."""

    __slots__ = ("_changes", "_operation")

    def __init__(self, operation: Callable[[Transaction], Any]) -> None:
        self._operation = operation
        self._changes: list[Change] = []

    def __call__(self, transaction: Transaction) -> Any:
        before = len(transaction.changes)
        value = self._operation(transaction)
        self._changes = transaction.changes[before:]
        return value

    def last_seq(self) -> int:
        return self._changes[-1].seq if self._changes else 0
