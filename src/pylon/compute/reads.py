"""What one read of a function depends on, as a value: which rows of an entity, and whether a change touches them.

A read holds the filter that it selected by, with the meaning that the store gives it, and asks it of the row before and
after a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from pylon.model.change import Change
from pylon.model.filter_predicate import compile_filter_predicate
from pylon.model.filters import Every, Filter, Operator, Order, Test
from pylon.model.rows import RowTypes
from pylon.model.schema import Kind

_RANKS = {Kind.ID: 1, Kind.STRING: 2, Kind.DATETIME: 2, Kind.RICHTEXT: 2, Kind.INT: 3, Kind.FLOAT: 3, Kind.BOOL: 5}
"""By which field a read is looked up, the lowest first: the one that tells most rows apart. Enumerations rank 4, the id
0; others can't be looked up by."""

LOOKED_UP = 200
"""Values of a list by which a read is looked up; with more it is evaluated."""


class Lookup(NamedTuple):
    """The read is only of rows whose field has one of these values."""

    field: str
    values: tuple[Any, ...]


class Window(NamedTuple):
    """A full page: the order, and the key of its last row. What sorts behind it can't change it."""

    order: Order
    last: tuple[Any, ...]

    def reaches(self, row: Any) -> bool:
        """Whether a row sorts into the page. Where stores differ (nulls first or last) it does."""
        for (name, descending), last in zip(self.order, self.last, strict=True):
            value = getattr(row, name)
            if value == last:
                continue
            if value is None or last is None:
                return True
            return bool((value < last) is not descending)
        return True


class Read:
    """A read of one entity; `counts` says that only the number of rows was asked for. Equal reads are one."""

    __slots__ = ("_hash", "_holds", "_key", "counts", "entity", "lookup", "window")

    def __init__(self, types: RowTypes, where: Filter, *, window: Window | None = None, counts: bool = False) -> None:
        self.entity = types.entity.name
        self.window = window
        self.counts = counts
        self.lookup = _lookup(types, where)
        self._holds = compile_filter_predicate(types, where)
        self._key = (self.entity, where, window, counts)
        self._hash = hash(self._key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Read) and self._key == other._key

    def __repr__(self) -> str:
        return f"Read{self._key}"

    def touched_by(self, change: Change) -> bool:
        """Whether a change of its entity may change what was read."""
        if change.kind == "update":
            before, after = change.old, change.row
            if before is None:  # the row before is not known
                return True
        elif change.kind == "insert":
            before, after = None, change.row
        else:
            before, after = change.row, None
        try:
            was = before is not None and self._holds(before)
            is_ = after is not None and self._holds(after)
            if self.counts:
                return was is not is_
            if self.window is None:
                return was or is_
            reaches = self.window.reaches
            return (was and reaches(before)) or (is_ and reaches(after))
        except (TypeError, AttributeError):  # a row of an earlier declaration: nothing is sure
            return True


def window_of(types: RowTypes, order: Order, last: Any) -> Window | None:
    """The window that ends with this row, or None when its order can't be told here."""
    if not order or any(_kind(types, name) not in _RANKS for name, _ in order):
        return None
    return Window(order, tuple(getattr(last, name) for name, _ in order))


def _kind(types: RowTypes, name: str) -> Kind | None:
    if name == "id":
        return Kind.ID
    field = types.entity.field(name)
    return None if field is None else field.kind


def _lookup(types: RowTypes, where: Filter) -> Lookup | None:
    """The condition that tells fewest rows apart from the others, if there is one that asks for values."""
    return min(_lookups(types, where), key=lambda lookup: _rank(types, lookup.field), default=None)


def _lookups(types: RowTypes, where: Filter) -> Iterator[Lookup]:
    match where:
        case Every(parts):
            for part in parts:
                yield from _lookups(types, part)
        case Test(field, operator, operand) if _kind(types, field) in _RANKS:
            if operator in (Operator.EQ, Operator.IS_NULL):
                yield Lookup(field, (operand,))
            elif operator is Operator.IN and isinstance(operand, Iterable) and len(list(operand)) <= LOOKED_UP:
                yield Lookup(field, tuple(operand))


def _rank(types: RowTypes, name: str) -> int:
    field = types.entity.field(name)
    if field is None:
        return 0
    return 4 if field.enum_values else _RANKS[field.kind]
