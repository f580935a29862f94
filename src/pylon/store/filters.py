"""A filter (`model.filters`) in SQL. Names were checked when it was parsed; every value is a parameter.

Fields stand bare on the left of their operators, so that the planner can use an index for each of them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pylon.model.errors import PylonError
from pylon.model.filter_predicate import fold
from pylon.model.filters import (
    EVERYTHING,
    Complement,
    Either,
    EntityColumns,
    Every,
    Filter,
    Operator,
    Query,
    Scope,
    Test,
    parse_query,
    with_id,
)
from pylon.model.rows import RowTypes
from pylon.store.selection import Selection

__all__ = ["Scope", "compile_filter", "compile_query", "field_column", "filter_sql", "quote", "with_id"]

_LAST = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


def quote(name: str) -> str:
    """A declared name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def field_column(name: str) -> str:
    """A declared field on the alias `t`."""
    return f"t.{quote(name)}"


def compile_filter(types: RowTypes, conditions: dict[str, Any], scope: Scope) -> Selection:
    """A filter object as a Selection. Raises INVALID_COLUMN, INVALID_QUERY, QUERY_FAILED, SEARCH_NOT_CONFIGURED for
    `$search`, which only the read path knows how to answer."""
    query = parse_query(EntityColumns(types, scope), conditions)
    if query.search is not None:
        raise PylonError("SEARCH_NOT_CONFIGURED", f"Entity {types.entity.name} has no `search:` config")
    return compile_query(query)


def compile_query(query: Query) -> Selection:
    """A parsed query as a Selection; its text search aside."""
    order = with_id(query.order)
    if query.where is EVERYTHING:
        return Selection((), {}, order, query.limit, query.offset, fields=query.fields)
    text, parameters = filter_sql(query.where)
    return Selection((text,), parameters, order, query.limit, query.offset, query.where, query.fields)


def filter_sql(
    where: Filter, column: Callable[[str], str] = field_column, prefix: str = "f"
) -> tuple[str, dict[str, Any]]:
    """The condition and its parameters, which are called `prefix` and a number."""
    parameters: dict[str, Any] = {}

    def bound(value: Any) -> str:
        name = f"{prefix}{len(parameters)}"
        parameters[name] = value
        return f":{name}"

    def test(test: Test) -> str:
        target = column(test.field)
        match test.operator:
            case Operator.IS_NULL:
                return f"{target} IS NULL"
            case Operator.HAS_VALUE:
                return f"{target} IS NOT NULL"
            case Operator.IN:
                return f"{target} IN (SELECT value FROM json_each({bound(_listed(test.operand))}))"
            case Operator.NOT_IN:
                listed = bound(_listed(test.operand))
                return f"{target} IS NOT NULL AND {target} NOT IN (SELECT value FROM json_each({listed}))"
            case Operator.LIKE:
                return f"instr(lower({target}), {bound(fold(str(test.operand)))}) > 0"
            case Operator.STARTS:
                start = str(test.operand)
                end = text_after(start)
                above = f"{target} >= {bound(start)}"
                return above if end is None else f"{above} AND {target} < {bound(end)}"
        return f"{target} {test.operator.value} {bound(test.operand)}"

    def sql(where: Filter) -> str:
        match where:
            case Test():
                return test(where)
            case Every(parts):
                return " AND ".join(grouped(part) for part in parts) or "TRUE"
            case Either(parts):
                return " OR ".join(grouped(part) for part in parts) or "FALSE"
            case Complement(part):
                return f"({sql(part)}) IS NOT TRUE"

    def grouped(where: Filter) -> str:
        text = sql(where)
        return f"({text})" if " AND " in text or " OR " in text else text

    return sql(where), parameters


def text_after(prefix: str) -> str | None:
    """The least text above all that begin with the prefix; None when there is none."""
    for i in range(len(prefix) - 1, -1, -1):
        code = ord(prefix[i]) + 1
        if code in _SURROGATES:
            code = _SURROGATES.stop
        if code <= _LAST:
            return prefix[:i] + chr(code)
    return None


def _listed(operand: Any) -> str:
    return msgspec.json.encode(operand).decode()
