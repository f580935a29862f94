"""`where` and `order` over rows in memory, as the server answers them (docs/reference/http.md)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pylon.client.errors import ClientError
from pylon.client.replica.changes import Row

Match = Callable[[Row], bool]

_COMPARE = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}
_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


def compile_where(where: Mapping[str, Any]) -> Match:
    """A filter as a predicate: its conditions all hold. Raises ClientError INVALID_QUERY."""
    return _all([test for name, value in where.items() for test in _named(name, value)])


def _named(name: str, value: Any) -> list[Match]:
    if name in ("$and", "$or"):
        parts = [compile_where(part) for part in _listed(name, value)]
        return [_all(parts) if name == "$and" else lambda row: any(part(row) for part in parts)]
    if name == "$not":
        inner = compile_where(value)
        return [lambda row: not inner(row)]
    if name.startswith("$"):
        raise ClientError("INVALID_QUERY", f"{name} has no place in this filter")
    if _is_operators(value):
        return [_test(name, op, operand) for op, operand in value.items()]
    return [_test(name, "$eq", value)]


def _test(name: str, op: str, value: Any) -> Match:
    match op:
        case "$eq":
            return lambda row: row.get(name) == value
        case "$not" if value is None:
            return lambda row: row.get(name) is not None
        case "$not" if _is_operators(value):
            inner = _all([_test(name, op, operand) for op, operand in value.items()])
            return lambda row: row.get(name) is not None and not inner(row)
        case "$not":
            return lambda row: (held := row.get(name)) is not None and held != value
        case "$in":
            wanted = _listed(op, value)
            return lambda row: row.get(name) in wanted
        case "$nin":
            unwanted = _listed(op, value)
            return lambda row: (held := row.get(name)) is not None and held not in unwanted
        case "$like" if isinstance(value, str):
            part = _folded(value)
            return lambda row: isinstance(held := row.get(name), str) and part in _folded(held)
        case "$startsWith" if isinstance(value, str):
            return lambda row: isinstance(held := row.get(name), str) and held.startswith(value)
        case "$exists" if isinstance(value, bool):
            return lambda row: (row.get(name) is not None) is value
        case "$gt" | "$gte" | "$lt" | "$lte" if value is not None:
            compare = _COMPARE[op]
            return lambda row: (held := row.get(name)) is not None and compare(held, value)
    raise ClientError("INVALID_QUERY", f"{name}: {op} does not go with {value!r}"[:200])


def _all(tests: list[Match]) -> Match:
    if len(tests) == 1:
        return tests[0]
    return lambda row: all(test(row) for test in tests)


def _is_operators(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and all(str(key).startswith("$") for key in value)


def _listed(op: str, value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ClientError("INVALID_QUERY", f"{op} takes a list")
    return list(value)


def _folded(text: str) -> str:
    """Lower case as SQLite's LIKE sees it: of ASCII alone."""
    return text.translate(_ASCII_LOWER)


def in_order(rows: Iterable[Row], fields: Sequence[tuple[str, str]], limit: int | None) -> list[Row]:
    """Rows sorted by fields, nulls first as in SQLite, and by id where those are equal."""
    found = sorted(rows, key=lambda row: row["id"])
    for name, direction in reversed(fields):
        found.sort(key=lambda row: _rank(row.get(name)), reverse=direction == "desc")
    return found if limit is None else found[:limit]


def _rank(value: Any) -> tuple[bool, Any]:
    return value is not None, 0 if value is None else value
