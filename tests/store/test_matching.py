"""A filter in memory answers what the same filter answers in SQL."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.model.errors import PylonError
from pylon.model.rows import compile_rows
from pylon.model.schema import EntitySpec, Field, Kind
from pylon.store.filters import Scope, compile_filter
from pylon.store.matching import compile_match
from pylon.store.sqlite.database import SqliteStore

THING = EntitySpec(
    name="Thing",
    fields=(
        Field(name="text", kind=Kind.STRING, optional=True),
        Field(name="n", kind=Kind.INT, optional=True),
        Field(name="x", kind=Kind.FLOAT, optional=True),
        Field(name="on", kind=Kind.BOOL, optional=True),
        Field(name="meta", kind=Kind.JSON, optional=True),
        Field(name="v", kind=Kind.VECTOR, dimensions=2, optional=True),
        Field(name="secret", kind=Kind.STRING, optional=True, server_only=True),
    ),
)
TYPES = compile_rows(THING)
ID = "0" * 40

texts = st.one_of(
    st.sampled_from(["", "a", "A", "ab", "Ab%", "a_b", "\\", "é", "É", "ß", "a\0b", "5", "true"]), st.text(max_size=4)
)
ints = st.one_of(st.sampled_from([0, 1, -1, 2**53, 2**53 + 1, 2**63 - 1, -(2**63)]), st.integers(-9, 9))
floats = st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.5, 1e300, 2.0**53])
documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(0, 3), st.sampled_from(["a", "b"])),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["k", "l"]), inner)),
    max_leaves=3,
)
rows = st.fixed_dictionaries(
    {
        "text": st.none() | texts,
        "n": st.none() | ints,
        "x": st.none() | floats,
        "on": st.none() | st.booleans(),
        "meta": documents,
    }
)
numbers = st.one_of(ints, floats, st.booleans(), st.sampled_from([2**64, -(2**64)]))


def conditions(operand: st.SearchStrategy[Any], *, ordered: bool, text: bool = False) -> st.SearchStrategy[Any]:
    maybe = st.none() | operand
    choices = [maybe, maybe.map(lambda v: {"$not": v}), st.lists(maybe, max_size=3).map(lambda v: {"$in": v})]
    if ordered:
        choices += [maybe.map(lambda v, op=op: {op: v}) for op in ("$gt", "$gte", "$lt", "$lte")]  # type: ignore[misc]
    if text:
        choices.append(texts.filter(lambda v: "\0" not in v).map(lambda v: {"$like": v}))
    return st.one_of(choices)


scalars = documents.filter(lambda v: not isinstance(v, dict))
filters = st.fixed_dictionaries(
    {},
    optional={
        "text": conditions(texts, ordered=True, text=True),
        "n": conditions(numbers, ordered=True),
        "x": conditions(numbers, ordered=True),
        "on": conditions(numbers, ordered=True),
        "meta": conditions(scalars, ordered=False),
        "id": st.sampled_from([ID, "1", {"$gt": "0"}, {"$like": "00"}, {"$in": [ID]}]),
    },
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> SqliteStore:
    store = SqliteStore(tmp_path_factory.mktemp("matching") / "pylon.db", {"Thing": TYPES})
    store.apply((THING,))
    return store


@settings(max_examples=300, deadline=None)
@given(rows, st.lists(filters, min_size=1, max_size=8))
def test_memory_and_sql_agree(store: SqliteStore, values: dict[str, Any], asked: list[dict[str, Any]]) -> None:
    row = TYPES.row(id=ID, **values)
    writer, reader = store.writer(), store.reader()
    writer.begin()
    writer.insert("Thing", TYPES.dump(row))
    for filter_ in asked:
        found = writer.count("Thing", compile_filter(TYPES, filter_, Scope.CLIENT))
        assert compile_match(TYPES, filter_, Scope.CLIENT).matches(row) == bool(found), filter_
    writer.rollback()
    reader.close()
    writer.close()


@settings(max_examples=200, deadline=None)
@given(rows, filters)
def test_the_key_of_a_filter_never_hides_a_row_that_matches(values: dict[str, Any], asked: dict[str, Any]) -> None:
    row = TYPES.row(id=ID, **values)
    compiled = compile_match(TYPES, asked, Scope.CLIENT)
    if compiled.key is not None and compiled.matches(row):
        assert getattr(row, compiled.key[0]) in compiled.key[1]


@pytest.mark.parametrize(
    "asked",
    [
        {"$order": {"n": "asc"}},
        {"$limit": 1},
        {"text": 5},
        {"n": "5"},
        {"n": {"$like": "1"}},
        {"n": {"$near": 1}},
        {"n": {"$in": 1}},
        {"text": {"$like": 1}},
        {"text": {"$like": "a\0"}},
        {"text": [1]},
        {"meta": {"$gt": 1}},
        {"v": [1.0, 2.0]},
        {"v": None},
    ],
)
def test_what_does_not_go_with_a_field_is_refused(asked: dict[str, Any]) -> None:
    with pytest.raises(PylonError) as refused:
        compile_match(TYPES, asked, Scope.CLIENT)
    assert refused.value.code == "INVALID_QUERY"


def test_a_client_may_not_filter_on_what_it_may_not_see() -> None:
    for name in ("secret", "nosuch"):
        with pytest.raises(PylonError) as refused:
            compile_match(TYPES, {name: "x"}, Scope.CLIENT)
        assert refused.value.code == "INVALID_COLUMN"
    assert compile_match(TYPES, {"secret": "x"}, Scope.SERVER).key == ("secret", frozenset({"x"}))
