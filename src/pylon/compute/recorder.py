"""Writes down what one run of a query reads. A run that reads very much of an entity depends on all of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pylon.compute.reads import Read, window_of
from pylon.engine.plan import EntityPlan, Plans
from pylon.engine.transaction import RowAccess
from pylon.model.aggregates import Aggregate
from pylon.model.filters import EVERYTHING, Operator, Test
from pylon.model.rows import RowTypes
from pylon.store.protocol import Rows
from pylon.store.selection import Selection

READS_PER_ENTITY = 500
"""Reads of one entity told apart; a run with more depends on the whole entity."""


class Recorder:
    """What one run read. `seq` is the newest change that its snapshot holds, -1 until it has one; `flags` says that
    it asked for a feature flag, `is_audited` that it read rows whose sight is recorded; `seconds` is the processor time
    it took. Used by the run's thread, then by whoever started it."""

    __slots__ = ("_reads", "flags", "is_audited", "seconds", "seq")

    def __init__(self) -> None:
        self.seq = -1
        self.flags = self.is_audited = False
        self.seconds = 0.0
        self._reads: dict[str, dict[Read, None]] = {}

    @contextmanager
    def run(self, seq: int) -> Iterator[None]:
        """The run itself, on the snapshot that ends with this seq."""
        self.seq = seq
        began = time.thread_time()
        try:
            yield
        finally:
            self.seconds = time.thread_time() - began

    @property
    def reads(self) -> list[Read]:
        """Everything that was read."""
        return [read for reads in self._reads.values() for read in reads]

    def point(self, types: RowTypes, row_id: str) -> None:
        """One row was asked for, and found or not."""
        self._add(types, Read(types, Test("id", Operator.EQ, row_id)))

    def rows(self, types: RowTypes, selection: Selection, rows: list[Any]) -> None:
        """Rows were selected; these were found."""
        limit = selection.limit
        if limit == 0:
            return
        is_full = limit is not None and len(rows) == limit
        window = window_of(types, selection.order, rows[-1]) if is_full else None
        self._add(types, Read(types, selection.filter, window=window))

    def number(self, types: RowTypes, selection: Selection) -> None:
        """The selected rows were counted."""
        self._add(types, Read(types, selection.filter, counts=True))

    def figures(self, types: RowTypes, selection: Selection) -> None:
        """Something was computed of the selected rows."""
        self._add(types, Read(types, selection.filter))

    def _add(self, types: RowTypes, read: Read) -> None:
        reads = self._reads.setdefault(types.entity.name, {})
        if len(reads) < READS_PER_ENTITY:
            reads[read] = None
        else:
            self._reads[types.entity.name] = {Read(types, EVERYTHING): None}


class RecordedRows(RowAccess):
    """Reads that are written down."""

    __slots__ = ("_recorder",)

    def __init__(self, rows: Rows, plans: Plans, recorder: Recorder) -> None:
        super().__init__(rows, plans)
        self._recorder = recorder

    def get(self, plan: EntityPlan, row_id: str) -> Any | None:
        """A row, or None."""
        self._recorder.point(plan.types, row_id)
        self._recorder.is_audited |= plan.spec.audit_reads
        return super().get(plan, row_id)

    def select(self, plan: EntityPlan, selection: Selection) -> list[Any]:
        """The selected rows."""
        rows = super().select(plan, selection)
        self._recorder.rows(plan.types, selection, rows)
        self._recorder.is_audited |= plan.spec.audit_reads
        return rows

    def count(self, plan: EntityPlan, selection: Selection) -> int:
        """How many rows match."""
        self._recorder.number(plan.types, selection)
        return super().count(plan, selection)

    def aggregate(self, plan: EntityPlan, selection: Selection, aggregate: Aggregate) -> list[dict[str, Any]]:
        """What is computed of the selected rows."""
        self._recorder.figures(plan.types, selection)
        return super().aggregate(plan, selection, aggregate)
