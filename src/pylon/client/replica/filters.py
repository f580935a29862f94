"""`where` and `order` over rows in memory, as the server answers them (docs/reference/http.md)."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pylon.client.errors import ClientError
from pylon.client.replica.changes import Row

Match = Callable[[Row], bool]

_COMPARE = {"$gt": operator.gt, "$gte": operator.ge, "$lt": operator.lt, "$lte": operator.le}


def compile_where(where: Mapping[str, Any]) -> Match:
    """A filter as a predicate: its conditions all hold. Raises ClientError INVALID_QUERY."""
    tests = []
    for name, condition in where.items():
        if isinstance(condition, dict) and any(key.startswith("$") for key in condition):
            tests += [_test(name, op, value) for op, value in condition.items()]
        else:
            tests.append(_test(name, "$eq", condition))
    if len(tests) == 1:
        return tests[0]
    return lambda row: all(test(row) for test in tests)


def _test(name: str, op: str, value: Any) -> Match:
    if op == "$eq":
        return lambda row: row.get(name) == value
    if op == "$not":
        if value is None:
            return lambda row: row.get(name) is not None
        return lambda row: (held := row.get(name)) is not None and held != value
    if op == "$in" and isinstance(value, list | tuple):
        wanted = [item for item in value if item is not None]
        return lambda row: row.get(name) in wanted
    if op == "$like" and isinstance(value, str):
        part = value.lower()
        return lambda row: isinstance(held := row.get(name), str) and part in held.lower()
    if op in _COMPARE:
        compare = _COMPARE[op]
        return lambda row: (held := row.get(name)) is not None and value is not None and compare(held, value)
    raise ClientError("INVALID_QUERY", f"{name}: {op} does not go with {value!r}"[:200])


def in_order(rows: Iterable[Row], fields: Sequence[tuple[str, str]], limit: int | None) -> list[Row]:
    """Rows sorted by fields, nulls first as in SQLite, and by id where those are equal."""
    found = sorted(rows, key=lambda row: row["id"])
    for name, direction in reversed(fields):
        found.sort(key=lambda row: _rank(row.get(name)), reverse=direction == "desc")
    return found if limit is None else found[:limit]


def _rank(value: Any) -> tuple[bool, Any]:
    return value is not None, 0 if value is None else value
