"""A filter selects the same rows in SQL and in memory, whatever the filter and the rows."""

from __future__ import annotations

import os
from typing import Any

import apsw
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from pylon.model.errors import PylonError
from pylon.model.filter_predicate import compile_filter_predicate
from pylon.model.filters import EntityColumns, Scope, parse_query
from pylon.model.rows import compile_rows
from pylon.model.schema import EntitySpec, Field, Kind
from pylon.store.filters import compile_query
from pylon.store.sqlite.statements import Statements, column_type, window_parameters

KINDS = {
    "s": Kind.STRING,
    "d": Kind.DATETIME,
    "n": Kind.INT,
    "f": Kind.FLOAT,
    "b": Kind.BOOL,
    "j": Kind.JSON,
}
SPEC = EntitySpec(name="Thing", fields=tuple(Field(name=n, kind=k, optional=True) for n, k in KINDS.items()))
TYPES = compile_rows(SPEC)

texts = st.text(alphabet="aAbÄäß%_\\'\0\x7f\ud7ff\ue000\U0001f600\U0010ffffzZ 15.", max_size=4)
ints = st.one_of(
    st.integers(-3, 3), st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**63 - 1]), st.integers(-(2**63), 2**63 - 1)
)
floats = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, 1.5, 2.0**53, 2.0**63, 1e30, 5e-324]), st.floats(allow_nan=False, width=64)
).filter(lambda value: value not in (float("inf"), float("-inf")))
dates = st.sampled_from(["2026-01-01", "2026-01-01T00:00:00.000Z", "2026-02-01T10:00:00Z", "2025-12-31"])
json_values = st.recursive(
    st.none() | st.booleans() | ints | floats | texts, lambda inner: st.lists(inner, max_size=2), max_leaves=3
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "s": texts,
    "d": dates,
    "n": ints,
    "f": floats,
    "b": st.booleans(),
    "j": json_values,
}
operands = st.one_of(
    texts, ints, floats, dates, st.booleans(), st.integers(2**63, 2**70), st.sampled_from(["1", " -3 ", "1e3", "true"])
)


@st.composite
def conditions(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(sorted(KINDS)))
    value = st.one_of(VALUES[name], operands)
    operator = draw(
        st.sampled_from(["", "$eq", "$not", "$gt", "$gte", "$lt", "$lte", "$in", "$nin", "$exists", "$text"])
    )
    if operator == "":
        return {name: draw(st.none() | value)}
    if operator in ("$in", "$nin"):
        return {name: {operator: draw(st.lists(st.none() | value, max_size=4))}}
    if operator == "$exists":
        return {name: {operator: draw(st.booleans())}}
    if operator == "$text":
        return {
            draw(st.sampled_from(["s", "d"])): {draw(st.sampled_from(["$like", "$startsWith"])): draw(texts | dates)}
        }
    if operator == "$not" and draw(st.booleans()):
        return {name: {"$not": {"$in": draw(st.lists(value, max_size=2))}}}
    return {name: {operator: draw(value)}}


filters = st.recursive(
    conditions(),
    lambda inner: st.one_of(
        st.builds(lambda parts: {"$or": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda parts: {"$and": parts}, st.lists(inner, max_size=3)),
        st.builds(lambda part: {"$not": part}, inner),
        st.builds(lambda a, b: {**a, **b}, inner, inner),
    ),
    max_leaves=5,
)
rows = st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()})


@pytest.fixture(scope="module")
def table() -> Any:
    connection = apsw.Connection(":memory:")
    columns = ", ".join(f'"{f.name}" {column_type(f)}' for f in SPEC.fields)
    connection.execute(f'CREATE TABLE "Thing" (id TEXT PRIMARY KEY NOT NULL, {columns})')
    for name in KINDS:
        connection.execute(f'CREATE INDEX "by_{name}" ON "Thing" ("{name}", id)')
    return connection


@settings(max_examples=5000 if os.environ.get("PYLON_TEST_LONG") else 150, deadline=None)
@given(filters, st.lists(rows, min_size=1, max_size=6))
def test_a_filter_means_the_same_in_sql_and_in_memory(
    table: apsw.Connection, conditions: dict[str, Any], values: list[dict[str, Any]]
) -> None:
    try:
        query = parse_query(EntityColumns(TYPES, Scope.CLIENT), conditions)
    except PylonError:
        reject()
    instances = [TYPES.convert_insert(row) for row in values]
    for number, row in enumerate(instances):
        row.id = str(number)
    statements = Statements(TYPES)
    table.execute("DELETE FROM Thing")
    table.executemany(statements.insert, [TYPES.dump(row) for row in instances])
    selection = compile_query(query)
    selected = table.execute(statements.rows(selection, "t.id"), window_parameters(selection)).fetchall()
    stored = {
        row.id: TYPES.load(tuple(found)) for row in instances for found in table.execute(statements.get, (row.id,))
    }
    matches = compile_filter_predicate(TYPES, query.where)
    assert [row_id for (row_id,) in selected] == [row.id for row in instances if matches(row)]
    assert [row_id for (row_id,) in selected] == [row_id for row_id, row in stored.items() if matches(row)]
