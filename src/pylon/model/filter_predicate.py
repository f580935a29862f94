"""A filter as a Python predicate over one row in memory, with the meaning that `store.filters` gives it in SQL: which
rows a live query or a partial replica holds is then one question, wherever it is asked."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter, eq, ge, gt, le, lt, ne
from typing import Any

from pylon.model.filters import Complement, Either, Every, Filter, Operator, Test
from pylon.model.rows import RowTypes
from pylon.model.schema import Kind
from pylon.model.sealing import Seals

Predicate = Callable[[Any], bool]
_COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: eq,
    Operator.NE: ne,
    Operator.LT: lt,
    Operator.LE: le,
    Operator.GT: gt,
    Operator.GE: ge,
}


def compile_filter_predicate(types: RowTypes, where: Filter) -> Predicate:
    """The predicate over `types.row` instances, and over any object with the same attributes. Pure, and safe to call
    from any thread."""
    match where:
        case Test():
            return _test(types, where)
        case Every(parts):
            every = [compile_filter_predicate(types, part) for part in parts]
            if len(every) == 1:
                return every[0]
            return lambda row: all(part(row) for part in every)
        case Either(parts):
            either = [compile_filter_predicate(types, part) for part in parts]
            return lambda row: any(part(row) for part in either)
        case Complement(part):
            inner = compile_filter_predicate(types, part)
            return lambda row: not inner(row)


def _test(types: RowTypes, test: Test) -> Predicate:
    get = _stored(types, test.field)
    operand: Any = test.operand
    match test.operator:
        case Operator.IS_NULL:
            return lambda row: get(row) is None
        case Operator.HAS_VALUE:
            return lambda row: get(row) is not None
        case Operator.IN:
            listed = frozenset(operand)
            return lambda row: get(row) in listed
        case Operator.NOT_IN:
            unlisted = frozenset((*operand, None))
            return lambda row: get(row) not in unlisted
        case Operator.LIKE:
            part = fold(operand)
            return lambda row: (value := get(row)) is not None and part in fold(value)
        case Operator.STARTS:
            if types.seals is not None and test.field in types.seals.fields:
                return _blind(types.seals, test.field, operand)
            return lambda row: (value := get(row)) is not None and value.startswith(operand)
    compare = _COMPARE[test.operator]
    return lambda row: (value := get(row)) is not None and compare(value, operand)


def _blind(seals: Seals, name: str, start: str) -> Predicate:
    get = attrgetter(name)
    return lambda row: (value := get(row)) is not None and start in seals.found_by(name, value)


def fold(text: str) -> str:
    """The text with its ASCII letters in lower case, and no others."""
    return text.lower() if text.isascii() else text.translate(_FOLD)


_FOLD = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def _stored(types: RowTypes, name: str) -> Callable[[Any], Any]:
    get = attrgetter(name)
    field = types.entity.field(name)
    if field is None or field.kind is not Kind.JSON:
        return get
    return lambda row: types.dump_value(name, get(row))
