"""The filter language of spec 01 §5.1 as values: parsed once, checked against the declaration, the same for the
database (`store.filters`) and for a row in memory (`model.filter_predicate`).

Every name is a declared one, so a filter can never smuggle SQL, and every operand has the form that the column stores.
Unknown operators are refused. `Scope.CLIENT` may not touch serverOnly or encrypted fields, whose names read as unknown.

    {"f": v}                              equal; null tests for null
    {"f": {"$not": v or operators}}       the rest of the rows that have a value
    {"f": {"$gt": v, "$lte": w}}          comparisons; all operators of a field must hold
    {"f": {"$in": […]}}, $nin             one of, none of (null in the list stands for null)
    {"f": {"$like": "x"}}, $startsWith    contains (ASCII letters of either case), begins with
    {"f": {"$exists": true}}              has a value
    {"$and": […]}, {"$or": […]}           all, any of some filters
    {"$not": {…}}                         exactly the rows that the filter doesn't match
"""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from pylon.model.errors import PylonError
from pylon.model.rows import RowTypes, Stored
from pylon.model.schema import Field, Kind

MAX_TESTS = 256
"""Conditions in one filter."""

MAX_DEPTH = 16
"""Levels of `$and`, `$or` and `$not`."""

MAX_LIST = 32_766
"""Values in the lists of one filter, all together (spec 01 §5.1)."""

MAX_SORT_KEYS = 8
"""Fields that one order names."""

_LARGEST = 2**63 - 1
_LONGEST_NUMBER = 400
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*\Z", re.ASCII)
_WHOLE = re.compile(r"\s*[+-]?\d+\s*\Z", re.ASCII)


class Scope(enum.Enum):
    """Whose filter it is: a client's, or server code's, which may use every field."""

    CLIENT = "client"
    SERVER = "server"


class Operator(enum.Enum):
    """How a Test compares. None is true of a null, but for IS_NULL."""

    EQ = "="
    NE = "<>"
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    IN = "in"
    NOT_IN = "not in"
    LIKE = "like"
    STARTS = "starts"
    IS_NULL = "is null"
    HAS_VALUE = "has value"


@dataclass(frozen=True, slots=True)
class Test:
    """One field against a constant in stored form: a tuple for IN and NOT_IN, None for IS_NULL and HAS_VALUE."""

    __test__ = False

    field: str
    operator: Operator
    operand: Stored | tuple[Stored, ...] = None


@dataclass(frozen=True, slots=True)
class Every:
    """All parts hold; of no parts: always."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """A part holds; of no parts: never."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Complement:
    """The part doesn't hold, nulls included."""

    part: Filter


Filter = Test | Every | Either | Complement
EVERYTHING = Every(())
Order = tuple[tuple[str, bool], ...]
"""Pairs of (field, descending)."""


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed filter object. `order` is as written (empty: none given); `limit` None is no limit."""

    where: Filter = EVERYTHING
    order: Order = ()
    limit: int | None = None
    offset: int = 0
    search: str | None = None
    fields: tuple[str, ...] | None = None


class Columns(Protocol):
    """The names that a filter may use."""

    def kind(self, name: str) -> Kind:
        """The kind of a column that rows can be compared and ordered by. Raises INVALID_COLUMN for one that may not be
        named, INVALID_QUERY for an encrypted one."""

    def shown(self, name: str) -> None:
        """Raise INVALID_COLUMN for a column that may not be shown."""

    def sealed(self, name: str) -> Sealed | None:
        """How an encrypted column is looked into; None for any other. Raises INVALID_COLUMN."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """An encrypted column: what its stored texts begin with for a value, None where there is no blind index."""

    kind: Kind
    found_by: Callable[[Any], tuple[str, ...]] | None


class EntityColumns:
    """The fields of an entity, and `id`, as far as a scope may use them."""

    __slots__ = ("_scope", "_types")

    def __init__(self, types: RowTypes, scope: Scope) -> None:
        self._types = types
        self._scope = scope

    def kind(self, name: str) -> Kind:
        """The kind of a field. Raises INVALID_COLUMN."""
        if name == "id":
            return Kind.STRING
        field = self._types.entity.field(name)
        if field is None or (self._scope is Scope.CLIENT and (field.is_hidden or field.encrypted)):
            raise self._unknown(name, lambda f: not (f.is_hidden or f.encrypted))
        if field.encrypted:
            raise PylonError("INVALID_QUERY", f"{name} is encrypted: rows can't be compared or ordered by it")
        return field.kind

    def shown(self, name: str) -> None:
        """Raise INVALID_COLUMN for a field that may not be shown."""
        field = self._types.entity.field(name)
        if name != "id" and (field is None or (self._scope is Scope.CLIENT and field.is_hidden)):
            raise self._unknown(name, lambda f: not f.is_hidden)

    def sealed(self, name: str) -> Sealed | None:
        """How an encrypted field is looked into; None for any other. To clients one without a lookup is unknown."""
        field = self._types.entity.field(name)
        if field is None or not field.encrypted:
            return None
        if self._scope is Scope.CLIENT and (field.is_hidden or not field.lookup):
            raise self._unknown(name, lambda f: not f.is_hidden and (f.lookup or not f.encrypted))
        seals = self._types.seals
        assert seals is not None
        return Sealed(field.kind, (lambda value: seals.found_by(name, value)) if field.lookup else None)

    def _unknown(self, name: str, is_known: Callable[[Field], bool]) -> PylonError:
        fields = self._types.entity.fields
        known = [f.name for f in fields if self._scope is Scope.SERVER or is_known(f)]
        return self._types.unknown_column(name[:100], known)


class NamedColumns:
    """Columns that a query itself made, such as the sums of an aggregate."""

    __slots__ = ("_kinds",)

    def __init__(self, kinds: Mapping[str, Kind]) -> None:
        self._kinds = kinds

    def kind(self, name: str) -> Kind:
        """The kind of a column. Raises INVALID_COLUMN."""
        kind = self._kinds.get(name)
        if kind is None:
            raise PylonError(
                "INVALID_COLUMN", f'Unknown column "{name[:100]}" -- valid columns: {", ".join(self._kinds)}'
            )
        return kind

    def shown(self, name: str) -> None:
        """Raise INVALID_COLUMN for a column that isn't there."""
        self.kind(name)

    def sealed(self, name: str) -> Sealed | None:
        """None: what a query computes is open."""
        return None


class Budget:
    """What the filters of one request may hold, however they are spread over it."""

    __slots__ = ("_tests", "_values")

    def __init__(self) -> None:
        self._tests = MAX_TESTS
        self._values = MAX_LIST

    def test(self) -> None:
        """One more condition. Raises QUERY_FAILED."""
        self._tests -= 1
        if self._tests < 0:
            raise PylonError("QUERY_FAILED", f"a query has at most {MAX_TESTS} conditions")

    def values(self, count: int) -> None:
        """More values in a list. Raises QUERY_FAILED."""
        self._values -= count
        if self._values < 0:
            raise PylonError("QUERY_FAILED", f"the lists of a query have at most {MAX_LIST} values together")


def parse_query(columns: Columns, conditions: Mapping[str, Any], budget: Budget | None = None) -> Query:
    """A filter object with `$order`, `$limit`, `$offset`, `$fields` and `$search`. Raises INVALID_COLUMN,
    INVALID_QUERY, QUERY_FAILED."""
    order: Order = ()
    limit: int | None = None
    offset = 0
    search: str | None = None
    fields: tuple[str, ...] | None = None
    tests: dict[str, Any] = {}
    for name, value in conditions.items():
        if name == "$order":
            order = parse_order(columns, value)
        elif name == "$limit":
            limit = window(value)
        elif name == "$offset":
            offset = window(value) or 0
        elif name == "$fields":
            fields = parse_fields(columns, value)
        elif name == "$search":
            if not isinstance(value, str):
                raise PylonError("INVALID_QUERY", "$search takes a string")
            search = value or None
        else:
            tests[name] = value
    where = _Parser(columns, budget or Budget()).filter(tests, 1) if tests else EVERYTHING
    return Query(where, order, limit, offset, search, fields)


def parse_filter(columns: Columns, conditions: Any) -> Filter:
    """A filter object without a window. Raises INVALID_COLUMN, INVALID_QUERY, QUERY_FAILED."""
    return _Parser(columns, Budget()).filter(conditions, 1)


def parse_order(columns: Columns, value: Any) -> Order:
    """`{"field": "asc" | "desc"}`, in the order written. Raises INVALID_COLUMN, INVALID_QUERY."""
    if not isinstance(value, dict):
        raise PylonError("INVALID_QUERY", '$order takes an object: {"field": "asc" | "desc"}')
    if len(value) > MAX_SORT_KEYS:
        raise PylonError("INVALID_QUERY", f"$order takes at most {MAX_SORT_KEYS} fields")
    return tuple((sort_key(columns, name), str(direction).lower() == "desc") for name, direction in value.items())


def sort_key(columns: Columns, name: str) -> str:
    """A name that rows can be sorted by. Raises INVALID_COLUMN, INVALID_QUERY."""
    if columns.kind(name) in (Kind.JSON, Kind.VECTOR):
        raise PylonError("INVALID_QUERY", f"{name}: a {columns.kind(name).value} field has no order")
    return name


def parse_fields(columns: Columns, value: Any) -> tuple[str, ...]:
    """The fields to show, without doubles; `id` is always among them. Raises INVALID_COLUMN, INVALID_QUERY."""
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise PylonError("INVALID_QUERY", "fields are a list of names")
    names = {"id", *value}
    for name in names:
        columns.shown(name)
    return tuple(sorted(names))


def window(value: Any) -> int | None:
    """A `$limit` or `$offset`; anything but a whole number from 0 on counts as absent (spec 01 §5.1)."""
    return min(value, _LARGEST) if type(value) is int and value >= 0 else None


def with_id(order: Order) -> Order:
    """The order made total, so that pages are stable."""
    return order if any(name == "id" for name, _ in order) else (*order, ("id", False))


class _Parser:
    """One filter object's parse."""

    __slots__ = ("_budget", "_columns")

    def __init__(self, columns: Columns, budget: Budget) -> None:
        self._columns = columns
        self._budget = budget

    def filter(self, conditions: Any, depth: int) -> Filter:
        if not isinstance(conditions, Mapping):
            raise PylonError("INVALID_QUERY", 'a filter is an object: {"field": value}')
        if depth > MAX_DEPTH:
            raise PylonError("INVALID_QUERY", f"a filter nests at most {MAX_DEPTH} levels")
        return _every([part for name, value in conditions.items() for part in self._named(name, value, depth)])

    def _named(self, name: str, value: Any, depth: int) -> list[Filter]:
        if name in ("$and", "$or"):
            if not isinstance(value, list):
                raise PylonError("INVALID_QUERY", f"{name} takes a list of filters")
            parts = tuple(self.filter(item, depth + 1) for item in value)
            return [Every(parts) if name == "$and" else Either(parts)]
        if name == "$not":
            return [Complement(self.filter(value, depth + 1))]
        if (sealed := self._columns.sealed(name)) is not None:
            operators = value if isinstance(value, dict) else {"$eq": value}
            return [self._sealed(name, sealed, operator, operand) for operator, operand in operators.items()]
        kind = self._columns.kind(name)
        if not _is_operators(kind, value):
            return [self._equal(name, kind, value)]
        return [self._operated(name, kind, operator, operand, depth) for operator, operand in value.items()]

    def _sealed(self, name: str, column: Sealed, operator: str, operand: Any) -> Filter:
        match operator, operand:
            case ("$exists", bool()):
                return self._test(name, Operator.HAS_VALUE if operand else Operator.IS_NULL)
            case (("$eq" | "$not"), None):
                return self._test(name, Operator.IS_NULL if operator == "$eq" else Operator.HAS_VALUE)
            case (("$eq" | "$in"), _):
                return self._among(name, column, operand if operator == "$in" else [operand], operator)
            case (("$not" | "$nin"), _):
                found = self._among(name, column, operand if operator == "$nin" else [operand], operator)
                return Every((self._test(name, Operator.HAS_VALUE), Complement(found)))
        raise PylonError(
            "INVALID_QUERY", f"{name} is encrypted: it is compared with $eq, $not, $in, $nin and $exists only"
        )

    def _among(self, name: str, column: Sealed, values: Any, operator: str) -> Filter:
        if column.found_by is None:
            raise PylonError("INVALID_QUERY", f"{name} is encrypted: rows are not found by its value without a lookup")
        if not isinstance(values, list | tuple):
            raise PylonError("INVALID_QUERY", f"{name}: {operator} takes a list")
        self._budget.values(len(values))
        parts: list[Filter] = []
        for value in values:
            if value is None:
                if operator == "$in":
                    parts.append(self._test(name, Operator.IS_NULL))
                continue
            found = self._operand(name, column.kind, value)
            if found is not None:
                exact = bool(found) if column.kind is Kind.BOOL else found
                parts += [self._test(name, Operator.STARTS, start) for start in column.found_by(exact)]
        return Either(tuple(parts))

    def _operated(self, name: str, kind: Kind, operator: str, operand: Any, depth: int) -> Filter:
        match operator:
            case "$eq":
                return self._equal(name, kind, operand)
            case "$not":
                return self._differs(name, kind, operand, depth)
            case "$gt" | "$gte" | "$lt" | "$lte":
                if kind is Kind.JSON:
                    raise PylonError("INVALID_QUERY", f"{name}: a json field has no order")
                found = self._operand(name, kind, operand)
                if found is None:
                    raise PylonError("INVALID_QUERY", f"{name}: {operator} takes {_ARTICLE[kind]}")
                return self._test(name, _COMPARISONS[operator], found)
            case "$in" | "$nin":
                if not isinstance(operand, list | tuple):
                    raise PylonError("INVALID_QUERY", f"{name}: {operator} takes a list")
                return self._one_of(name, kind, operand, operator)
            case "$like" | "$startsWith":
                if not isinstance(operand, str):
                    raise PylonError("INVALID_QUERY", f"{name}: {operator} takes a string")
                if not kind.is_text:
                    raise PylonError("INVALID_QUERY", f"{name}: {operator} looks into text, not into {_ARTICLE[kind]}")
                return self._test(name, Operator.LIKE if operator == "$like" else Operator.STARTS, operand)
            case "$exists":
                if not isinstance(operand, bool):
                    raise PylonError("INVALID_QUERY", f"{name}: $exists takes true or false")
                return self._test(name, Operator.HAS_VALUE if operand else Operator.IS_NULL)
        raise PylonError(
            "INVALID_QUERY",
            f"{name}: unknown operator {operator[:50]!r}",
            hint=f"Operators: {', '.join(OPERATORS)}",
        )

    def _equal(self, name: str, kind: Kind, value: Any) -> Filter:
        if value is None:
            return self._test(name, Operator.IS_NULL)
        found = self._operand(name, kind, value)
        return self._test(name, Operator.IN, ()) if found is None else self._test(name, Operator.EQ, found)

    def _differs(self, name: str, kind: Kind, value: Any, depth: int) -> Filter:
        if value is None:
            return self._test(name, Operator.HAS_VALUE)
        if _is_operators(kind, value):
            if depth > MAX_DEPTH:
                raise PylonError("INVALID_QUERY", f"a filter nests at most {MAX_DEPTH} levels")
            parts = [self._operated(name, kind, key, item, depth + 1) for key, item in value.items()]
            return Every((self._test(name, Operator.HAS_VALUE), Complement(_every(parts))))
        found = self._operand(name, kind, value)
        if found is None:
            return self._test(name, Operator.HAS_VALUE)
        return self._test(name, Operator.NE, found)

    def _one_of(self, name: str, kind: Kind, values: list[Any] | tuple[Any, ...], operator: str) -> Filter:
        self._budget.values(len(values))
        operands = [self._operand(name, kind, value) for value in values if value is not None]
        listed = tuple(item for item in operands if item is not None and not _is_infinite(item))
        if operator == "$nin":
            return self._test(name, Operator.NOT_IN, listed)
        test = self._test(name, Operator.IN, listed)
        return Either((test, self._test(name, Operator.IS_NULL))) if None in values else test

    def _test(self, name: str, operator: Operator, operand: Stored | tuple[Stored, ...] = None) -> Test:
        self._budget.test()
        return Test(name, operator, operand)

    def _operand(self, name: str, kind: Kind, value: Any) -> Stored:
        """The value as the column would store it; None for one that no row can have."""
        if kind is Kind.JSON:
            return _json(value)
        if isinstance(value, list | dict | tuple):
            raise PylonError("INVALID_QUERY", f"{name}: a list or an object is not a value to compare with")
        if kind is Kind.VECTOR:
            raise PylonError("INVALID_QUERY", f"{name}: a vector is not compared; $exists tells whether there is one")
        return _text(value) if kind.is_text else _number(value, kind)


OPERATORS = ("$eq", "$not", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$like", "$startsWith", "$exists")
_COMPARISONS = {"$gt": Operator.GT, "$gte": Operator.GE, "$lt": Operator.LT, "$lte": Operator.LE}
_ARTICLE = {
    Kind.STRING: "a string",
    Kind.RICHTEXT: "a string",
    Kind.DATETIME: "an ISO 8601 datetime",
    Kind.ID: "an id",
    Kind.INT: "an int",
    Kind.FLOAT: "a number",
    Kind.BOOL: "true or false",
    Kind.JSON: "JSON",
    Kind.VECTOR: "a vector",
}


def _every(parts: list[Filter]) -> Filter:
    return parts[0] if len(parts) == 1 else Every(tuple(parts))


def _is_operators(kind: Kind, value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    return kind is not Kind.JSON or any(key.startswith("$") for key in value)


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError):
        raise PylonError("INVALID_QUERY", "a value to compare with is not JSON") from None


def _text(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return _json(value)


def _number(value: Any, kind: Kind) -> int | float | None:
    found = _read_number(value, kind) if isinstance(value, str) else value
    if not isinstance(found, int | float):
        return None
    if kind is Kind.FLOAT:
        return _as_float(found)
    whole = int(found) if isinstance(found, int) or found.is_integer() else found
    return whole if -(2**63) <= whole <= _LARGEST else _as_float(whole)


def _read_number(text: str, kind: Kind) -> int | float | None:
    if kind is Kind.BOOL and text in ("true", "false"):
        return text == "true"
    if len(text) > _LONGEST_NUMBER or not _NUMBER.match(text):
        return None
    return int(text) if _WHOLE.match(text) else float(text)


def _as_float(value: int | float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _is_infinite(value: Stored) -> bool:
    return isinstance(value, float) and math.isinf(value)
