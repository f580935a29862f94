"""What a migration in Python is given. Its writes go through the write path, batch by batch; each batch is one commit
with the progress made, so that a migration that is killed goes on where it was."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from pylon.compute.database import Codecs, Database
from pylon.engine.caller import SYSTEM
from pylon.engine.engine import Engine
from pylon.engine.limits.gate import Viewer
from pylon.engine.transaction import Authority, Transaction
from pylon.model.entity import Entity
from pylon.model.errors import PylonError
from pylon.ops.migrations.state import KIND, Progress, Remembered
from pylon.store.selection import Selection

BATCH = 500
"""Rows in one commit."""

CALLER = msgspec.structs.replace(SYSTEM, door="migration")


class Rows(Database):
    """`ctx.db` of a migration: reads and writes with server code's rights."""

    __slots__ = ()

    def undeclared(self, entity: type[Entity] | str, row: str | Entity) -> dict[str, Any]:
        """What the row holds in columns that the entity no longer declares, as it is stored."""
        plan, _ = self._codecs.of(entity)
        row_id = row if isinstance(row, str) else row.id
        return self._writable().session.undeclared(plan.name, row_id)


Change = Callable[[Rows, Any], object]


class Migration:
    """One run of one migration, on a thread of its own beside the engine's loop. Steps are known by their order: a
    migration that goes on after a kill must take the same ones."""

    def __init__(
        self,
        engine: Engine,
        loop: asyncio.AbstractEventLoop,
        key: str,
        record: Remembered,
        tell: Callable[[int], None] = lambda rows: None,
    ) -> None:
        self._engine = engine
        self._loop = loop
        self._key = key
        self._record = record
        self._codecs = Codecs(engine.plans)
        self._step = 0
        self._tell = tell

    @property
    def rows(self) -> int:
        """How many rows were visited, those of earlier runs among them."""
        return self._record.progress.rows

    @property
    def is_untouched(self) -> bool:
        """Whether nothing was committed yet."""
        return self._record.progress == Progress()

    def each(self, entity: type[Entity] | str, change: Change, *, batch: int = BATCH) -> None:
        """Call `change(rows, row)` for each row of the entity, by id. Rows that it inserts into the same entity may be
        visited as well. Raises MIGRATION_FAILED naming the row."""
        if self._is_done():
            return
        plan, codec = self._codecs.of(entity)

        def advance(transaction: Transaction) -> int:
            where = ("t.id > :after",)
            parameters = {"after": self._record.progress.after}
            selected = transaction.select(plan, Selection(where=where, parameters=parameters, limit=batch))
            rows = self._rows(transaction)
            for row in selected:
                try:
                    change(rows, codec.load(row))
                except Exception as error:  # the boundary to the migration's own code
                    raise self._failed(error, f"{plan.name}/{row.id}") from error
            if selected:
                now = self._record.progress
                self._store(transaction, Progress(now.steps, selected[-1].id, now.rows + len(selected)))
            return len(selected)

        while self._run(advance):
            self._tell(self.rows)
        self._run(lambda transaction: self._store(transaction, Progress(self._step, "", self.rows)))

    def once(self, change: Callable[[Rows], object]) -> None:
        """Call `change(rows)` in one commit. Raises MIGRATION_FAILED."""
        if self._is_done():
            return

        def apply(transaction: Transaction) -> None:
            try:
                change(self._rows(transaction))
            except Exception as error:  # the boundary to the migration's own code
                raise self._failed(error, "once") from error
            self._store(transaction, Progress(self._step, "", self.rows))

        self._run(apply)

    def _is_done(self) -> bool:
        self._step += 1
        return self._record.progress.steps >= self._step

    def _rows(self, transaction: Transaction) -> Rows:
        return Rows(self._codecs, transaction, transaction, Viewer(self._engine.gate, CALLER))

    def _store(self, transaction: Transaction, progress: Progress) -> None:
        record = msgspec.structs.replace(self._record, progress=progress)
        transaction.session.put_record(KIND, self._key, record.encode())

    def _run(self, operation: Callable[[Transaction], Any]) -> Any:
        done = asyncio.run_coroutine_threadsafe(
            self._engine.run(CALLER, operation, authority=Authority.TRUSTED), self._loop
        ).result()
        stored = dict(self._engine.reads.records(KIND))[self._key]
        self._record = msgspec.json.decode(stored, type=Remembered)
        return done.value

    def _failed(self, error: Exception, where: str) -> PylonError:
        if isinstance(error, PylonError) and error.status >= 500:
            return error
        return PylonError(
            "MIGRATION_FAILED",
            f"{self._key} at {where}: {type(error).__name__}: {error}",
            hint="Nothing of that batch was applied. Mend it, and `pylon migrate apply` goes on there.",
        )
