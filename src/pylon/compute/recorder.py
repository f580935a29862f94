"""Writes down what one run of a query reads. A run that reads very much of an entity depends on all of it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pylon.compute.reads import Read, matching, point, whole, window_of
from pylon.model.rows import RowTypes
from pylon.store.selection import Selection

READS_PER_ENTITY = 500
"""Reads of one entity told apart; a run with more depends on the whole entity."""


class Recorder:
    """What one run read. `seq` is the newest change that its snapshot holds, -1 until it has one; `flags` says that
    it asked for a feature flag; `seconds` is the processor time it took. Used by the run's thread, then by whoever
    started it."""

    __slots__ = ("_reads", "flags", "seconds", "seq")

    def __init__(self) -> None:
        self.seq = -1
        self.flags = False
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
        self._add(types, point(types, row_id))

    def rows(self, types: RowTypes, conditions: dict[str, Any], selection: Selection, rows: list[Any]) -> None:
        """Rows were selected by these conditions; `rows` are what was found."""
        limit = selection.limit
        if limit == 0:
            return
        is_full = limit is not None and len(rows) == limit
        window = window_of(types, selection.order, rows[-1]) if is_full else None
        self._add(types, matching(types, conditions, window=window))

    def count(self, types: RowTypes, conditions: dict[str, Any]) -> None:
        """The rows that meet these conditions were counted."""
        self._add(types, matching(types, conditions, counts=True))

    def whole(self, types: RowTypes) -> None:
        """An entity was read in a way that can't be told more closely."""
        self._reads[types.entity.name] = {whole(types): None}

    def _add(self, types: RowTypes, read: Read) -> None:
        reads = self._reads.setdefault(types.entity.name, {})
        if len(reads) < READS_PER_ENTITY:
            reads[read] = None
        else:
            self.whole(types)
