"""What one read of a function depends on, as a value: which rows of an entity, and whether a change touches them.

A read is a conjunction of comparisons over the row, before and after a change. It may hold for more rows than the store
found, never for fewer: a comparison that can't be told exactly here (of JSON, of vectors, of a value of another type
than its field's) is left out, so a run may be repeated needlessly and is never missed. Text compares by code point, as
the stores do.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from pylon.model.change import Change
from pylon.model.rows import RowTypes
from pylon.model.schema import Kind
from pylon.store.filters import comparisons

_TEXT = frozenset({Kind.STRING, Kind.RICHTEXT, Kind.ID, Kind.DATETIME})
_NUMBER = frozenset({Kind.INT, Kind.FLOAT, Kind.BOOL})
_ORDERED = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
_EXACT_FLOAT = 2**53

_SELECTIVE = {Kind.ID: 1, Kind.STRING: 2, Kind.DATETIME: 2, Kind.RICHTEXT: 2, Kind.INT: 3, Kind.FLOAT: 3, Kind.BOOL: 5}
"""Which field a read is looked up by, the lowest first; enumerations rank 4, the id 0."""

LOOKED_UP = 200
"""Values of a `$in` by which a read is looked up; with more it is evaluated."""


class Term(NamedTuple):
    """One comparison; `operand` is hashable, a tuple for `$in`."""

    field: str
    operator: str
    operand: Any

    @property
    def values(self) -> tuple[Any, ...] | None:
        """The values that the field must have one of, or None where that isn't what is asked."""
        if self.operator == "$eq":
            return (self.operand,)
        if self.operator == "$in" and len(self.operand) <= LOOKED_UP:
            return tuple(self.operand)
        return None


class Window(NamedTuple):
    """A full page: the order, and the key of its last row. What sorts behind it can't change it."""

    order: tuple[tuple[str, bool], ...]
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
    """A read of one entity. `is_exact` says that no comparison was left out or loosened; `counts` that only the number
    of rows was asked for. Equal reads are one."""

    __slots__ = ("_hash", "_key", "_tests", "counts", "entity", "is_exact", "lookup", "window")

    def __init__(
        self,
        types: RowTypes,
        terms: tuple[Term, ...] = (),
        *,
        is_exact: bool = True,
        window: Window | None = None,
        counts: bool = False,
    ) -> None:
        self.entity = types.entity.name
        self.is_exact = is_exact
        self.window = window
        self.counts = counts
        self.lookup = _lookup(types, terms)
        self._tests = tuple((term.field, _test(term)) for term in terms)
        self._key = (self.entity, terms, is_exact, window, counts)
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
            if self.counts and self.is_exact:
                return was is not is_
            if self.window is None:
                return was or is_
            reaches = self.window.reaches
            return (was and reaches(before)) or (is_ and reaches(after))
        except (TypeError, AttributeError):  # a row of an earlier declaration: nothing is sure
            return True

    def _holds(self, row: Any) -> bool:
        return all(test(getattr(row, field)) for field, test in self._tests)


def whole(types: RowTypes) -> Read:
    """Every row of an entity: what anything depends on that can't be said more closely."""
    return Read(types, is_exact=False)


def point(types: RowTypes, row_id: str) -> Read:
    """One row, whether it is there or not."""
    return Read(types, (Term("id", "$eq", row_id),)) if type(row_id) is str else whole(types)


def matching(
    types: RowTypes, conditions: dict[str, Any], *, window: Window | None = None, counts: bool = False
) -> Read:
    """The rows that meet a filter object."""
    terms: list[Term] = []
    is_exact = True
    for name, operator_, operand in comparisons(types, conditions):
        term = _term(types, name, operator_, operand)
        if term is not None:
            terms.append(term)
        is_exact = is_exact and term is not None and operator_ != "$like"
    return Read(types, tuple(terms), is_exact=is_exact, window=window, counts=counts)


def window_of(types: RowTypes, order: tuple[tuple[str, bool], ...], last: Any) -> Window | None:
    """The window that ends with this row, or None when its order can't be told here."""
    if not order or any(_kind(types, name) not in _TEXT | _NUMBER for name, _ in order):
        return None
    return Window(order, tuple(getattr(last, name) for name, _ in order))


def _kind(types: RowTypes, name: str) -> Kind | None:
    if name == "id":
        return Kind.ID
    field = types.entity.field(name)
    return None if field is None else field.kind


def _term(types: RowTypes, name: str, operator_: str, operand: Any) -> Term | None:
    """The comparison as it can be told here, or None."""
    kind = _kind(types, name)
    if operand is None:
        return Term(name, operator_, None) if operator_ in ("$eq", "$not") else None
    if operator_ == "$like":
        # The stores' LIKE ends a text at its first NUL.
        return Term(name, "$like", operand) if kind in _TEXT and type(operand) is str and "\0" not in operand else None
    if operator_ == "$in":
        if not isinstance(operand, list):
            return None
        items = [item for item in operand if item is not None]
        if not all(_is_told(kind, item) and (type(item) is not float or item.is_integer()) for item in items):
            return None  # fractions pass through JSON on their way to the store
        return Term(name, "$in", tuple(dict.fromkeys(items)))
    if operator_ in ("$eq", "$not", *_ORDERED) and _is_told(kind, operand):
        return Term(name, operator_, operand)
    return None


def _is_told(kind: Kind | None, operand: Any) -> bool:
    """Whether a comparison with this value means the same here as in the store."""
    if kind in _TEXT:
        return type(operand) is str
    if kind not in _NUMBER or type(operand) not in (int, float, bool):
        return False
    return kind is not Kind.FLOAT or abs(operand) <= _EXACT_FLOAT


def _test(term: Term) -> Callable[[Any], bool]:
    operand = term.operand
    match term.operator:
        case "$eq" if operand is None:
            return lambda value: value is None
        case "$not" if operand is None:
            return lambda value: value is not None
        case "$eq":
            return lambda value: bool(value == operand)
        case "$not":
            return lambda value: value is not None and value != operand
        case "$in":
            members = frozenset(operand)
            return lambda value: value in members
        case "$like":
            # Whichever letters a store folds, it folds no more than this.
            part = operand.casefold()
            return lambda value: value is not None and part in value.casefold()
    compare = _ORDERED[term.operator]
    return lambda value: value is not None and compare(value, operand)


def _lookup(types: RowTypes, terms: Iterable[Term]) -> Term | None:
    """The comparison that tells fewest rows apart from the others, if one asks for values."""
    candidates = [term for term in terms if term.values is not None and _kind(types, term.field) in _SELECTIVE]
    return min(candidates, key=lambda term: _rank(types, term), default=None)


def _rank(types: RowTypes, term: Term) -> int:
    field = types.entity.field(term.field)
    if field is None:
        return 0
    return 4 if field.enum_values else _SELECTIVE[field.kind]
