"""The live schema follows the declared one without losing anything, or refuses and says why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import pytest

from pylon.model.errors import PylonError
from pylon.model.rows import compile_rows
from pylon.model.schema import DefaultLiteral, DefaultNow, EntitySpec, Field, Index, Kind, Relation
from pylon.store.sqlite.database import SqliteStore


def entity(*fields: Field, **options: Any) -> EntitySpec:
    return EntitySpec(name="Task", fields=fields, **options)


TITLE = Field(name="title", kind=Kind.STRING)


def apply(folder: Path, spec: EntitySpec) -> list[str]:
    return SqliteStore(folder / "pylon.db", {spec.name: compile_rows(spec)}).apply([spec])


def rows(folder: Path, sql: str) -> list[Any]:
    connection = apsw.Connection(str(folder / "pylon.db"))
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def put(folder: Path, sql: str) -> None:
    rows(folder, sql)


def test_a_new_entity_becomes_a_table_and_applying_again_does_nothing(tmp_path: Path) -> None:
    spec = entity(TITLE, indexes=(Index(name="by_title", fields=("title",), unique=True),))
    assert apply(tmp_path, spec) == ["created table Task", "created index Task_by_title"]
    assert apply(tmp_path, spec) == []


def test_an_optional_field_is_added_as_a_column(tmp_path: Path) -> None:
    apply(tmp_path, entity(TITLE))
    put(tmp_path, "INSERT INTO Task VALUES ('1', 'a')")
    assert apply(tmp_path, entity(TITLE, Field(name="n", kind=Kind.INT, optional=True))) == ["added column Task.n"]
    assert rows(tmp_path, "SELECT title, n FROM Task") == [("a", None)]


@pytest.mark.parametrize(
    ("default", "value"),
    [(DefaultLiteral(value=False), 0), (DefaultLiteral(value=7), 7), (DefaultLiteral(value="x"), "x")],
)
def test_a_required_field_with_a_default_fills_the_rows_that_exist(tmp_path: Path, default: Any, value: Any) -> None:
    apply(tmp_path, entity(TITLE))
    put(tmp_path, "INSERT INTO Task VALUES ('1', 'a')")
    kind = Kind.STRING if isinstance(value, str) else Kind.INT
    apply(tmp_path, entity(TITLE, Field(name="n", kind=kind, default=default)))
    assert rows(tmp_path, "SELECT n FROM Task") == [(value,)]
    with pytest.raises(apsw.ConstraintError):
        put(tmp_path, "INSERT INTO Task (id, title) VALUES ('2', 'b')")


def test_a_required_time_is_filled_with_now(tmp_path: Path) -> None:
    apply(tmp_path, entity(TITLE))
    put(tmp_path, "INSERT INTO Task VALUES ('1', 'a')")
    apply(tmp_path, entity(TITLE, Field(name="at", kind=Kind.DATETIME, default=DefaultNow())))
    assert rows(tmp_path, "SELECT at FROM Task")[0][0].endswith("Z")


def test_a_required_field_without_a_default_is_refused_by_name_when_rows_exist(tmp_path: Path) -> None:
    apply(tmp_path, entity(TITLE))
    wider = entity(TITLE, Field(name="n", kind=Kind.INT))
    put(tmp_path, "INSERT INTO Task VALUES ('1', 'a')")
    with pytest.raises(PylonError, match=r"Task\.n") as refused:
        apply(tmp_path, wider)
    assert refused.value.code == "SCHEMA_REFUSED"
    assert rows(tmp_path, "SELECT * FROM Task") == [("1", "a")]
    put(tmp_path, "DELETE FROM Task")
    assert apply(tmp_path, wider) == ["added column Task.n"]


def test_a_removed_required_field_keeps_its_values_and_lets_inserts_go_on(tmp_path: Path) -> None:
    apply(tmp_path, entity(TITLE, Field(name="n", kind=Kind.INT)))
    put(tmp_path, "INSERT INTO Task VALUES ('1', 'a', 5)")
    assert apply(tmp_path, entity(TITLE)) == ["kept undeclared column Task.n"]
    put(tmp_path, "INSERT INTO Task (id, title) VALUES ('2', 'b')")
    assert rows(tmp_path, "SELECT id, n FROM Task ORDER BY id") == [("1", 5), ("2", None)]


def test_another_type_is_refused_by_name(tmp_path: Path) -> None:
    apply(tmp_path, entity(TITLE))
    put(tmp_path, "INSERT INTO Task VALUES ('1', 'a')")
    with pytest.raises(PylonError, match=r"Task\.title: it is declared int"):
        apply(tmp_path, entity(Field(name="title", kind=Kind.INT)))


def test_unique_is_added_where_the_values_allow_it(tmp_path: Path) -> None:
    apply(tmp_path, entity(TITLE))
    put(tmp_path, "INSERT INTO Task VALUES ('1', 'a'), ('2', 'a')")
    unique = entity(Field(name="title", kind=Kind.STRING, unique=True))
    with pytest.raises(PylonError, match=r"Task\.title: it is declared unique"):
        apply(tmp_path, unique)
    put(tmp_path, "UPDATE Task SET title = id")
    apply(tmp_path, unique)
    with pytest.raises(apsw.ConstraintError):
        put(tmp_path, "INSERT INTO Task VALUES ('3', '1')")


def test_an_index_follows_its_declaration_partial_ones_with_their_condition(tmp_path: Path) -> None:
    apply(tmp_path, entity(TITLE, indexes=(Index(name="i", fields=("title",)),)))
    partial = Index(name="i", fields=("title",), unique=True, where="title <> ''")
    assert apply(tmp_path, entity(TITLE, indexes=(partial,))) == ["created index Task_i"]
    put(tmp_path, "INSERT INTO Task VALUES ('1', ''), ('2', '')")
    with pytest.raises(apsw.ConstraintError):
        put(tmp_path, "INSERT INTO Task VALUES ('3', 'x'), ('4', 'x')")


def test_relations_get_an_index_once(tmp_path: Path) -> None:
    owner = Field(name="owner", kind=Kind.ID, target="User", optional=True)
    spec = entity(TITLE, owner, relations=(Relation(name="user", target="User", field="owner"),))
    assert apply(tmp_path, spec) == ["created table Task", "created index Task_rel_owner"]
    assert apply(tmp_path, spec) == []
