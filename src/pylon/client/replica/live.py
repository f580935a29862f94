"""Live queries: rows that match, again whenever they change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Generic, TypeVar

from pylon.client.replica.changes import Key, Row, View
from pylon.client.replica.filters import Match, in_order
from pylon.client.shapes import load

T = TypeVar("T")


class LiveQuery(Generic[T]):
    """`async for rows in replica.live(Note, order="-id"): ...` gives the rows now, and again after each change; what
    changes while the caller is busy comes as one. `close` ends it."""

    def __init__(
        self,
        view: View,
        entity: str,
        shape: Any,
        matches: Match,
        fields: list[tuple[str, str]],
        limit: int | None,
        forget: Callable[[LiveQuery[Any]], None],
    ) -> None:
        self._view = view
        self.entity = entity
        self._shape = shape
        self._matches = matches
        self._fields = fields
        self._limit = limit
        self._forget = forget
        self._found: dict[str, Row] = {}
        self._news = asyncio.Event()
        self._closed = False
        self.on_change: Callable[[list[T]], None] | None = None
        self.refill()

    @property
    def rows(self) -> list[T]:
        """The rows now."""
        return [load(self._shape, row) for row in in_order(self._found.values(), self._fields, self._limit)]

    def refill(self) -> None:
        """Everything may be different."""
        self._found = {row["id"]: row for row in self._view.all(self.entity) if self._matches(row)}
        self._changed()

    def touched(self, keys: Iterable[Key]) -> None:
        """These rows may be different."""
        is_changed = False
        for entity, row_id in keys:
            if entity != self.entity:
                continue
            row, held = self._view.get(entity, row_id), self._found.get(row_id)
            if row is not None and self._matches(row):
                self._found[row_id] = row
                is_changed |= row != held
            elif held is not None:
                del self._found[row_id]
                is_changed = True
        if is_changed:
            self._changed()

    def _changed(self) -> None:
        self._news.set()
        if self.on_change is not None:
            self.on_change(self.rows)

    async def __aiter__(self) -> AsyncIterator[list[T]]:
        try:
            while not self._closed:
                await self._news.wait()
                if self._closed:
                    return
                self._news.clear()
                yield self.rows
        finally:
            self.close()

    def close(self) -> None:
        """End."""
        self._closed = True
        self._news.set()
        self._forget(self)
