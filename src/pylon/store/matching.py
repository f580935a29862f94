"""The filter language of `filters` as a predicate over one row in memory, for what must follow a filter live.

It answers what the SQL of `compile_filter` answers, which a property test holds it to. Operands must be of the field's
own type: SQL would compare the text '5' with a number by rules that are not worth saying twice.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

from pylon.model.errors import PylonError
from pylon.model.rows import RowTypes
from pylon.model.schema import Field, Kind
from pylon.store.filters import COMPARISONS, Scope, column, conditions_of

Match = Callable[[Any], bool]
"""Whether a row matches."""

_COMPARE = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
_NUMBERS = frozenset({Kind.INT, Kind.FLOAT, Kind.BOOL})
_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


class Filter(NamedTuple):
    """A compiled filter. `key` is a field and the values of which it must have one, where the filter says so: an index
    finds it by them. `operands` is how many values it compares with."""

    matches: Match
    key: tuple[str, frozenset[Any]] | None
    operands: int


def compile_match(types: RowTypes, conditions: dict[str, Any], scope: Scope) -> Filter:
    """A filter object as a predicate. Raises INVALID_COLUMN, INVALID_QUERY, also for `$order` and the like: a row by
    itself has no place in an order."""
    tests: list[Match] = []
    key: tuple[str, frozenset[Any]] | None = None
    operands = 0
    for name, value in conditions.items():
        if name.startswith("$"):
            raise PylonError("INVALID_QUERY", f"{name[:40]} has no place in this filter")
        column(types, name, scope)
        for op, operand in conditions_of(types, name, value).items():
            tests.append(_test(types, name, op, operand))
            operands += len(operand) if isinstance(operand, list) else 1
            found = _key(types, name, op, operand)
            if found is not None and (key is None or len(found) < len(key[1])):
                key = name, found
    return Filter(_all(tests), key, operands)


def _all(tests: list[Match]) -> Match:
    if len(tests) == 1:
        return tests[0]
    return lambda row: all(test(row) for test in tests)


def _key(types: RowTypes, name: str, op: str, operand: Any) -> frozenset[Any] | None:
    if _kind(types, name) is Kind.JSON:
        return None
    if op == "$eq" and operand is not None:
        return frozenset({operand})
    if op == "$in":
        return frozenset(value for value in operand if value is not None)
    return None


def _test(types: RowTypes, name: str, op: str, operand: Any) -> Match:
    _check(types, name, op, operand)
    read = _reader(types, name)
    if op == "$eq":
        wanted = _operand(types, name, operand)
        return (lambda row: read(row) is None) if operand is None else (lambda row: read(row) == wanted)
    if op == "$not":
        wanted = _operand(types, name, operand)
        return lambda row: (value := read(row)) is not None and value != wanted
    if op == "$in":
        values = frozenset(_operand(types, name, item) for item in operand if item is not None)
        return lambda row: read(row) in values
    if op == "$like":
        part = _folded(operand)
        return lambda row: (value := read(row)) is not None and part in _folded(value.partition("\0")[0])
    bound, compare = _operand(types, name, operand), _COMPARE[op]
    return lambda row: bound is not None and (value := read(row)) is not None and compare(value, bound)


def _reader(types: RowTypes, name: str) -> Callable[[Any], Any]:
    if _kind(types, name) is Kind.JSON:
        return lambda row: types.dump_value(name, getattr(row, name))
    return operator.attrgetter(name)


def _operand(types: RowTypes, name: str, value: Any) -> Any:
    if _kind(types, name) is Kind.JSON:
        return types.dump_value(name, value)
    if type(value) is int and not -(2**63) <= value < 2**63:
        return math.inf if value > 0 else -math.inf
    return value


def _folded(text: str) -> str:
    """Lower case as SQLite's LIKE sees it: of ASCII alone."""
    return text.lower() if text.isascii() else text.translate(_ASCII_LOWER)


def _kind(types: RowTypes, name: str) -> Kind:
    field: Field | None = types.entity.field(name)
    return Kind.ID if field is None else field.kind  # the row's own id


def _check(types: RowTypes, name: str, op: str, operand: Any) -> None:
    """Raises INVALID_QUERY for an operator or operand that does not go with the field."""
    kind = _kind(types, name)
    allowed = (
        op in ("$eq", "$not", "$in")
        or (op in COMPARISONS and kind is not Kind.JSON)
        or (op == "$like" and kind.is_text)
    )
    if kind is Kind.VECTOR or not allowed:
        raise PylonError("INVALID_QUERY", f"{name}: {op[:40]} does not go with a field of type {kind.value}")
    if op == "$in" and not isinstance(operand, list):
        raise PylonError("INVALID_QUERY", f"{name}: $in takes a list")
    if op == "$like" and (not isinstance(operand, str) or "\0" in operand):
        raise PylonError("INVALID_QUERY", f"{name}: $like takes a string")
    for value in operand if op == "$in" else (operand,):
        fits = kind is Kind.JSON or isinstance(value, str if kind.is_text else int | float)
        if value is not None and not fits:
            wanted = "a string" if kind.is_text else "a number" if kind in _NUMBERS else kind.value
            raise PylonError("INVALID_QUERY", f"{name}: compare it with {wanted}")
