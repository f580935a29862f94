"""Bringing encrypted fields under the current key: what an older key sealed, or was written before its field was
encrypted, is sealed anew, page by page, in the writer's own batches.

No value changes, so there is no change event, no log entry and nothing for a stage to see; a row that a client writes
meanwhile is sealed with the current key anyway. What the change log holds stays as it was written until it ages out.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.key_check import put_keys
from pylon.engine.keyring import KeyRing, add_key
from pylon.engine.plan import EntityPlan
from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError
from pylon.model.filters import Complement, Either, Every, Filter, Operator, Query, Test
from pylon.model.sealing import FOREIGN_PREFIX, PREFIX, sealed_by
from pylon.signals.logs import Log
from pylon.store.filters import compile_query
from pylon.store.protocol import ReadSession

log = Log("pylon.engine")

PAGE_ROWS = 200
"""Rows sealed anew in one turn of the writer: a few milliseconds."""

_REST_SECONDS = 0.01
_COUNT_SECONDS = 60.0


class FieldState(msgspec.Struct, frozen=True):
    """One encrypted field: how many values each key sealed, how many are open, from before it was encrypted, and how
    many no key here opens."""

    entity: str
    field: str
    by_key: dict[str, int]
    open: int
    unknown: int


class Progress(msgspec.Struct):
    """How far sealing anew has come; `unreadable` are rows passed over, since no key here opens a value of theirs.
    `error` is why it is not done, empty when it is."""

    running: bool = False
    sealed: int = 0
    unreadable: int = 0
    error: str = ""


class Resealing:
    """The keys of one server's fields. `data_dir` is None where the keys are configured, not in the folder's file."""

    def __init__(self, engine: Engine, ring: KeyRing, data_dir: Path | None) -> None:
        self._engine = engine
        self._ring = ring
        self._data_dir = data_dir
        self._task: asyncio.Task[None] | None = None
        self.progress = Progress()

    @property
    def key_ids(self) -> tuple[str, ...]:
        """The ids of the keys, the current one first."""
        return self._ring.ids

    async def states(self) -> list[FieldState]:
        """Every encrypted field, counted in full."""
        plans = list(self._engine.plans.values())
        return await self._engine.reads.run(
            lambda session: states_in(session, plans, self._ring.ids), _COUNT_SECONDS, what="count sealed values"
        )

    async def rotate(self, caller: Caller) -> str:
        """Make a new key and seal with it from now on; its id. Raises KEYS_CONFIGURED."""
        if self._data_dir is None:
            raise PylonError(
                "KEYS_CONFIGURED",
                "The keys are configured with PYLON_SECRET_KEY, which a server can't change.",
                hint="Put a new key in front of the others there, restart, and run `pylon keys reencrypt`.",
            )
        data_dir = self._data_dir

        def lead(transaction: Transaction) -> None:
            # On the writer's thread: one rotation after another, and each value sealed and marked with the same key.
            self._ring.lead_with(add_key(data_dir))
            put_keys(transaction, self._ring)
            transaction.note("keys.rotate", self._ring.ids[0])

        await self._engine.run(caller, lead)
        log.info("a new key seals from now on", key=self._ring.ids[0])
        return self._ring.ids[0]

    async def start(self, caller: Caller) -> Progress:
        """Begin to seal anew in the background, or go on with what runs."""
        if self._task is None or self._task.done():
            await self._engine.audit.note(caller, "keys.reencrypt", self._ring.ids[0])
            self.progress = Progress(running=True)
            self._task = asyncio.create_task(self._run(caller))
        return self.progress

    async def stop(self) -> None:
        """Stop after the page at hand."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self, caller: Caller) -> None:
        progress = self.progress
        try:
            for plan in self._engine.plans.values():
                names = _sealed_fields(plan)
                after: str | None = ""
                while names and after is not None:
                    page = _Page(plan, names, self._ring.ids[0], after)
                    outcome = await self._engine.run(caller, page.seal_anew)
                    after, sealed, unreadable = outcome.value
                    progress.sealed += sealed
                    progress.unreadable += unreadable
                    await asyncio.sleep(_REST_SECONDS)
            if progress.unreadable:
                progress.error = f"{progress.unreadable} rows hold values that no key here opens; they stay as they are"
                log.error("values that no key opens", rows=progress.unreadable)
            log.info("encrypted fields are sealed with the current key", values=progress.sealed)
        except PylonError as error:
            progress.error = error.message
            log.error("sealing anew stopped", reason=error.message, values=progress.sealed)
        except Exception:  # the boundary of a background task: whoever asks is told that it failed
            progress.error = "it failed; the log says why"
            log.exception("sealing anew failed")
        finally:
            progress.running = False


class _Page:
    """Rows behind an id that hold a value which the current key didn't seal."""

    def __init__(self, plan: EntityPlan, names: list[str], key_id: str, after: str) -> None:
        self._plan = plan
        self._names = names
        self._start = sealed_by(key_id)
        stale = Either(tuple(_stale(name, self._start) for name in names))
        where = Every((Test("id", Operator.GT, after), stale))
        self._selection = compile_query(Query(where, limit=PAGE_ROWS))

    def seal_anew(self, transaction: Transaction) -> tuple[str | None, int, int]:
        """(The last id, None behind the last page; values sealed; rows that no key opens.)"""
        types, session = self._plan.types, transaction.session
        rows = session.select(self._plan.name, self._selection)
        sealed = unreadable = 0
        for stored in rows:
            try:
                row = types.load(stored)
            except PylonError:
                unreadable += 1
                continue
            held = dict(zip(types.columns, stored, strict=True))
            stale = {
                name: getattr(row, name)
                for name in self._names
                if held[name] is not None and not str(held[name]).startswith(self._start)
            }
            session.update(self._plan.name, row.id, types.dump_patch(row.id, stale))
            sealed += len(stale)
        last = rows[-1][types.columns.index("id")] if len(rows) == PAGE_ROWS else None
        return None if last is None else str(last), sealed, unreadable


def states_in(session: ReadSession, plans: Iterable[EntityPlan], key_ids: Sequence[str]) -> list[FieldState]:
    """Every encrypted field of these entities, counted in full."""
    return [_state(session, plan, name, key_ids) for plan in plans for name in _sealed_fields(plan)]


def _sealed_fields(plan: EntityPlan) -> list[str]:
    return [] if plan.types.seals is None else list(plan.types.seals.fields)


def _stale(name: str, start: str) -> Filter:
    return Every((Test(name, Operator.HAS_VALUE), Complement(Test(name, Operator.STARTS, start))))


def _state(session: ReadSession, plan: EntityPlan, name: str, key_ids: Sequence[str]) -> FieldState:
    def count(where: Filter) -> int:
        return session.count(plan.name, compile_query(Query(where)))

    by_key = {key_id: count(Test(name, Operator.STARTS, sealed_by(key_id))) for key_id in key_ids}
    sealed = count(Test(name, Operator.STARTS, PREFIX)) + count(Test(name, Operator.STARTS, FOREIGN_PREFIX))
    held = count(Test(name, Operator.HAS_VALUE))
    return FieldState(plan.name, name, by_key, held - sealed, sealed - sum(by_key.values()))
