"""The replica's algebra, without I/O: rows as the server last told them, changes of ours that wait, and what the caller
sees, which is the former with the latter on top.

A change stays on top until an event at or above the seq that the server gave it has arrived, so a row never flickers
back to what it was. When the server's rows change below, what is on top is laid on again: that is the whole rebase.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec

Kind = Literal["insert", "update", "delete"]
Row = dict[str, Any]
Key = tuple[str, str]
"""Entity and row id."""


class Change(msgspec.Struct):
    """One change of ours. `op_id` is what makes it happen once however often it is sent; `seq` is where it stands in
    the server's order, 0 until the server has told; `tries` counts how often it was sent. It is sent as its `user`
    only: "" is nobody, and before the server said who a token is, the token's fingerprint. `is_own_id` says that the
    row's id was made here, so that no other row can have it; `rewrites` counts how often the caller mended it."""

    op_id: str
    entity: str
    row_id: str
    kind: Kind
    data: Row | None = None
    user: str = ""
    n: int = 0
    seq: int = 0
    tries: int = 0
    is_own_id: bool = False
    rewrites: int = 0

    @property
    def key(self) -> Key:
        return self.entity, self.row_id


class ServerEvent(msgspec.Struct):
    """A change event (spec 02 §3)."""

    seq: int
    entity: str
    row_id: str
    kind: Kind
    data: Row | None = None


class View:
    """Server rows, waiting changes, and the visible rows, which are those of `user`: what others left waiting in the
    same file doesn't show."""

    def __init__(self) -> None:
        self.cursor = 0
        self.user = ""
        self.rows: dict[str, dict[str, Row]] = {}
        self.waiting: dict[int, Change] = {}
        self._of_row: dict[Key, list[Change]] = {}
        self._over: dict[str, dict[str, Row | None]] = {}

    # -- looking -------------------------------------------------------------------------------------------------

    def get(self, entity: str, row_id: str) -> Row | None:
        """The row as the caller sees it."""
        over = self._over.get(entity)
        if over is not None and row_id in over:
            return over[row_id]
        return self.rows.get(entity, {}).get(row_id)

    def all(self, entity: str) -> Iterator[Row]:
        """Every visible row of an entity, in no order."""
        over = self._over.get(entity, {})
        for row_id, row in self.rows.get(entity, {}).items():
            if row_id not in over:
                yield row
        for changed in over.values():
            if changed is not None:
                yield changed

    def entities(self) -> set[str]:
        """The entities that have rows."""
        return {name for name, rows in self.rows.items() if rows} | {name for name, rows in self._over.items() if rows}

    # -- ours ----------------------------------------------------------------------------------------------------

    def become(self, user: str) -> set[Key]:
        """Look as this user does; the rows that may look different."""
        self.user = user
        for key in self._of_row:
            self._lay(key)
        return set(self._of_row)

    def mine(self) -> list[Change]:
        """The user's changes that wait, the oldest first."""
        return [change for change in self.waiting.values() if change.user == self.user]

    def add(self, change: Change) -> Key:
        """Lay a change on top."""
        self.waiting[change.n] = change
        self._of_row.setdefault(change.key, []).append(change)
        self._lay(change.key)
        return change.key

    def drop(self, numbers: Iterable[int]) -> set[Key]:
        """Take changes off."""
        touched = set()
        for n in numbers:
            change = self.waiting.pop(n, None)
            if change is None:
                continue
            stack = self._of_row[change.key]
            stack.remove(change)
            if not stack:
                del self._of_row[change.key]
            touched.add(change.key)
        for key in touched:
            self._lay(key)
        return touched

    def mend(self, change: Change, op_id: str, data: Row) -> Key:
        """Give a change that was refused other data, in its place."""
        change.op_id, change.data, change.tries = op_id, data, 0
        change.rewrites += 1
        self._lay(change.key)
        return change.key

    def reached(self, cursor: int) -> list[int]:
        """Waiting changes that a cursor has passed: the server's rows hold them."""
        return [n for n, change in self.waiting.items() if change.seq and change.seq <= cursor]

    # -- the server's --------------------------------------------------------------------------------------------

    def fresh(self, events: Iterable[ServerEvent]) -> list[ServerEvent]:
        """Those of them that are news: in order, each once."""
        found, at = [], self.cursor
        for event in events:
            if event.seq > at:
                at = event.seq
                found.append(event)
        return found

    def apply(self, events: Iterable[ServerEvent], cursor: int) -> set[Key]:
        """Apply events that are fresh, and move the cursor; the rows they are about."""
        touched = set()
        for event in events:
            rows = self.rows.setdefault(event.entity, {})
            if event.kind == "delete":
                rows.pop(event.row_id, None)
            elif event.data is not None:
                rows[event.row_id] = {**event.data, "id": event.row_id}
            key = event.entity, event.row_id
            if key in self._of_row:
                self._lay(key)
            touched.add(key)
        self.cursor = cursor
        return touched

    def replace(self, rows: dict[str, dict[str, Row]], cursor: int) -> None:
        """Start from a snapshot."""
        self.rows, self.cursor = rows, cursor
        for key in self._of_row:
            self._lay(key)

    def _lay(self, key: Key) -> None:
        entity, row_id = key
        stack = [change for change in self._of_row.get(key, ()) if change.user == self.user]
        if not stack:
            over = self._over.get(entity)
            if over is not None:
                over.pop(row_id, None)
                if not over:
                    del self._over[entity]
            return
        row = self.rows.get(entity, {}).get(row_id)
        for change in stack:
            if change.kind == "delete":
                row = None
            elif change.kind == "insert":
                row = {**(change.data or {}), "id": row_id} if row is None else row
            elif row is not None:
                row = {**row, **(change.data or {})}
        self._over.setdefault(entity, {})[row_id] = row
