"""The filter language: exact about names and operators, parameters for every value."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.model.errors import PylonError
from pylon.model.rows import compile_rows
from pylon.model.schema import EntitySpec, Field, Kind
from pylon.store.filters import Scope, compile_filter
from pylon.store.sqlite.database import SqliteStore

THING = EntitySpec(
    name="Thing",
    fields=(
        Field(name="s", kind=Kind.STRING, optional=True),
        Field(name="n", kind=Kind.INT, optional=True),
        Field(name="b", kind=Kind.BOOL, optional=True),
        Field(name="j", kind=Kind.JSON, optional=True),
        Field(name="secret", kind=Kind.STRING, optional=True, server_only=True),
    ),
)
TYPES = compile_rows(THING)
ROWS = [
    {"id": "1", "s": "alpha", "n": 1, "b": True, "j": {"k": 1}},
    {"id": "2", "s": "beta", "n": 2, "b": False, "j": None},
    {"id": "3", "s": "50%_off", "n": 3, "b": None, "j": [1]},
    {"id": "4", "s": None, "n": None, "b": True, "j": None},
]


@pytest.fixture(scope="module")
def find(tmp_path_factory: pytest.TempPathFactory) -> Any:
    store = SqliteStore(tmp_path_factory.mktemp("filters") / "pylon.db", {"Thing": TYPES})
    store.apply([THING])
    writer = store.writer()
    writer.begin()
    for row in ROWS:
        writer.insert("Thing", TYPES.dump(TYPES.row(**row)))
    writer.commit()
    writer.close()
    reader = store.reader()

    def ids(conditions: dict[str, Any]) -> str:
        return "".join(
            str(TYPES.load(row).id) for row in reader.select("Thing", compile_filter(TYPES, conditions, Scope.CLIENT))
        )

    yield ids
    reader.close()


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ({}, "1234"),
        ({"s": "alpha"}, "1"),
        ({"s": None}, "4"),
        ({"b": True}, "14"),
        ({"b": False}, "2"),
        ({"n": {"$gt": 1}}, "23"),
        ({"n": {"$gte": 1, "$lt": 3}}, "12"),
        ({"n": {"$lte": 1}}, "1"),
        ({"n": {"$not": 2}}, "13"),
        ({"n": {"$not": None}}, "123"),
        ({"n": {"$in": [1, 3, 9]}}, "13"),
        ({"n": {"$in": []}}, ""),
        ({"n": {"$in": [1, None]}}, "14"),
        ({"n": {"$nin": [1]}}, "23"),
        ({"n": {"$nin": []}}, "123"),
        ({"n": {"$eq": 2}}, "2"),
        ({"n": "2"}, "2"),
        ({"n": "two"}, ""),
        ({"n": {"$not": "two"}}, "123"),
        ({"n": {"$exists": False}}, "4"),
        ({"n": {"$exists": True}}, "123"),
        ({"n": {"$not": {"$gt": 1}}}, "1"),
        ({"$not": {"n": {"$gt": 1}}}, "14"),
        ({"$or": [{"n": 1}, {"s": None}]}, "14"),
        ({"$or": []}, ""),
        ({"$and": []}, "1234"),
        ({"$and": [{"n": {"$gt": 1}}, {"$or": [{"n": 2}, {"b": True}]}]}, "2"),
        ({"s": {"$startsWith": "al"}}, "1"),
        ({"s": {"$startsWith": "Al"}}, ""),
        ({"s": {"$startsWith": ""}}, "123"),
        ({"j": {"$in": [[1], 5]}}, "3"),
        ({"s": {"$like": "A"}}, "12"),
        ({"s": {"$like": "%_"}}, "3"),
        ({"j": {"k": 1}}, "1"),
        ({"n": 10**30}, ""),
        ({"id": {"$gt": "2"}, "b": True}, "4"),
        ({"$order": {"n": "desc"}}, "3214"),
        ({"$order": {"b": "asc", "n": "DESC"}}, "3214"),
        ({"$limit": 2, "$offset": 1}, "23"),
        ({"$limit": -1, "$offset": "x"}, "1234"),
        ({"$limit": 10**30, "$offset": 10**30}, ""),
        ({"s": "' OR 1=1 --"}, ""),
    ],
)
def test_a_filter_selects(find: Any, conditions: dict[str, Any], expected: str) -> None:
    assert find(conditions) == expected


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        ({"nope": 1}, "INVALID_COLUMN"),
        ({"secret": "x"}, "INVALID_COLUMN"),
        ({"$order": {"secret": "asc"}}, "INVALID_COLUMN"),
        ({"$nor": []}, "INVALID_COLUMN"),
        ({"$or": {}}, "INVALID_QUERY"),
        ({"$and": [1]}, "INVALID_QUERY"),
        ({"$not": []}, "INVALID_QUERY"),
        ({"n": {"$gt": "x"}}, "INVALID_QUERY"),
        ({"n": {"$gt": None}}, "INVALID_QUERY"),
        ({"n": {"$like": "1"}}, "INVALID_QUERY"),
        ({"j": {"$gt": 1}}, "INVALID_QUERY"),
        ({"n": {"$exists": 1}}, "INVALID_QUERY"),
        ({"n": {"$in": [[1]]}}, "INVALID_QUERY"),
        ({"n": {"$in": list(range(32_767))}}, "QUERY_FAILED"),
        ({"$or": [{"n": i} for i in range(257)]}, "QUERY_FAILED"),
        ({"n": {"$ne": 1}}, "INVALID_QUERY"),
        ({"n": {"x": 1}}, "INVALID_QUERY"),
        ({"n": [1]}, "INVALID_QUERY"),
        ({"n": {"$in": 1}}, "INVALID_QUERY"),
        ({"s": {"$like": 1}}, "INVALID_QUERY"),
        ({"$order": "n"}, "INVALID_QUERY"),
    ],
)
def test_what_is_not_declared_is_refused(find: Any, conditions: dict[str, Any], code: str) -> None:
    with pytest.raises(PylonError) as refused:
        find(conditions)
    assert refused.value.code == code


def test_a_filter_nests_a_bounded_number_of_levels() -> None:
    nested: dict[str, Any] = {"n": 1}
    for _ in range(16):
        nested = {"$not": nested}
    with pytest.raises(PylonError, match="at most 16 levels"):
        compile_filter(TYPES, nested, Scope.CLIENT)


def test_a_client_is_not_told_of_the_fields_it_may_not_name() -> None:
    with pytest.raises(PylonError) as refused:
        compile_filter(TYPES, {"secret": "x"}, Scope.CLIENT)
    assert refused.value.message == 'Unknown column "secret" -- valid columns: id, s, n, b, j'


def test_server_code_may_filter_by_hidden_fields() -> None:
    assert compile_filter(TYPES, {"secret": "x"}, Scope.SERVER).where
