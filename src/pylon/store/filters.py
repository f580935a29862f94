"""The client's filter language (spec 01 §5.1) compiled to a Selection.

Every name is checked against the declaration, so a filter can never smuggle SQL; every value is a parameter. Unknown
operators are refused, and `Scope.CLIENT` may not touch serverOnly fields (design §4), whose names read as unknown.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from pylon.model.errors import PylonError
from pylon.model.rows import RowTypes
from pylon.model.schema import Kind
from pylon.store.selection import Selection

COMPARISONS = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_LARGEST = 2**63 - 1
_WINDOW = ("$order", "$limit", "$offset", "$search")
OPERATORS = (*COMPARISONS, "$in", "$like", "$not")


class Scope(enum.Enum):
    """Whose filter it is: a client's, or server code's, which may use every field."""

    CLIENT = "client"
    SERVER = "server"


def quote(name: str) -> str:
    """A declared name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def column(types: RowTypes, name: str, scope: Scope) -> str:
    """The SQL column of a field, on the alias `t`. Raises INVALID_COLUMN."""
    if name != "id":
        field = types.entity.field(name)
        if field is None or (scope is Scope.CLIENT and field.is_hidden):
            raise types.unknown_column(name)
    return f"t.{quote(name)}"


def compile_filter(types: RowTypes, conditions: dict[str, Any], scope: Scope) -> Selection:
    """A filter object with `$order`, `$limit` and `$offset` as a Selection. Raises INVALID_COLUMN, INVALID_QUERY."""
    where: list[str] = []
    parameters: dict[str, Any] = {}
    order: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    offset = 0
    for name, value in conditions.items():
        if name == "$order":
            order = _order(types, value, scope)
        elif name == "$limit":
            limit = _window(value)
        elif name == "$offset":
            offset = _window(value) or 0
        elif name == "$search":
            raise PylonError("SEARCH_NOT_CONFIGURED", f"Entity {types.entity.name} has no `search:` config")
    for name, operator, operand in comparisons(types, conditions):
        where.append(_condition(types, name, column(types, name, scope), operator, operand, parameters))
    return Selection(tuple(where), parameters, with_id(order), limit, offset)


def comparisons(types: RowTypes, conditions: dict[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """(field, operator, operand) of everything that a row must meet, unchecked; a plain value is compared by `$eq`."""
    for name, value in conditions.items():
        if name in _WINDOW:
            continue
        operators = value if _is_operators(types, name, value) else {"$eq": value}
        for operator, operand in operators.items():
            yield name, operator, operand


def with_id(order: tuple[tuple[str, bool], ...]) -> tuple[tuple[str, bool], ...]:
    """The order made total, so that pages are stable."""
    return order if any(name == "id" for name, _ in order) else (*order, ("id", False))


def _is_operators(types: RowTypes, name: str, value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    field = types.entity.field(name)
    return field is None or field.kind is not Kind.JSON or any(key.startswith("$") for key in value)


def _condition(types: RowTypes, name: str, target: str, operator: str, operand: Any, parameters: dict[str, Any]) -> str:
    key = f"f{len(parameters)}"
    if operator == "$eq":
        if operand is None:
            return f"{target} IS NULL"
        parameters[key] = _operand(types, name, operand)
        return f"{target} = :{key}"
    if operator == "$not":
        if operand is None:
            return f"{target} IS NOT NULL"
        parameters[key] = _operand(types, name, operand)
        return f"{target} <> :{key}"
    if operator in COMPARISONS:
        parameters[key] = _operand(types, name, operand)
        return f"{target} {COMPARISONS[operator]} :{key}"
    if operator == "$like":
        if not isinstance(operand, str):
            raise PylonError("INVALID_QUERY", f"{name}: $like takes a string")
        escaped = operand.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        parameters[key] = f"%{escaped}%"
        return f"{target} LIKE :{key} ESCAPE '\\'"
    if operator == "$in":
        if not isinstance(operand, list):
            raise PylonError("INVALID_QUERY", f"{name}: $in takes a list")
        parameters[key] = msgspec.json.encode([_operand(types, name, item) for item in operand]).decode()
        return f"{target} IN (SELECT value FROM json_each(:{key}))"
    raise PylonError(
        "INVALID_QUERY", f"{name}: unknown operator {operator!r}", hint=f"Operators: {', '.join(OPERATORS)}"
    )


def _operand(types: RowTypes, name: str, value: Any) -> Any:
    field = types.entity.field(name)
    if field is not None and field.kind is Kind.JSON:
        return types.dump_value(name, value)
    if isinstance(value, list | dict):
        raise PylonError("INVALID_QUERY", f"{name}: a list or an object is not a value to compare with")
    if isinstance(value, bool):
        return int(value)
    if type(value) is int and not -(2**63) <= value < 2**63:
        return math.inf if value > 0 else -math.inf
    return value


def _order(types: RowTypes, value: Any, scope: Scope) -> tuple[tuple[str, bool], ...]:
    if not isinstance(value, dict):
        raise PylonError("INVALID_QUERY", '$order takes an object: {"field": "asc" | "desc"}')
    for name in value:
        column(types, name, scope)
    return tuple((name, str(direction).lower() == "desc") for name, direction in value.items())


def _window(value: Any) -> int | None:
    return min(value, _LARGEST) if type(value) is int and value >= 0 else None
