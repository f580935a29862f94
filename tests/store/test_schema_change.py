"""Renames, other types, enums and drops: what the rows held is there afterwards, or the change is refused and nothing
happened; and a process that is killed at any statement leaves one or the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pylon.model.conversions import CONVERSIONS, Conversion
from pylon.model.errors import PylonError
from pylon.model.live_schema import as_live
from pylon.model.schema import DefaultLiteral, EntitySpec, Field, Index, Kind
from pylon.model.schema_change import Leftovers, Risk
from pylon.model.schema_diff import diff
from pylon.store.protocol import SchemaWish
from pylon.store.sqlite import conversions, schema_history, system
from pylon.store.sqlite.ddl import apply_schema, plan_schema
from pylon.store.sqlite.introspection import read_schema
from tests.killed import ends_before

DROP = SchemaWish(leftovers=Leftovers.DROP)
LONG = bool(os.environ.get("PYLON_TEST_LONG"))


def entity(*fields: Field, name: str = "Task", **options: Any) -> EntitySpec:
    return EntitySpec(name=name, fields=fields, **options)


def text(name: str = "title", **options: Any) -> Field:
    return Field(name=name, kind=Kind.STRING, **options)


@pytest.fixture
def database() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    yield connection
    connection.close()


def apply(database: apsw.Connection, *entities: EntitySpec, wish: SchemaWish | None = None) -> list[str]:
    return [planned.sentence for planned in apply_schema(database, entities, wish).steps]


def rows(database: apsw.Connection, sql: str) -> list[Any]:
    return database.execute(sql).fetchall()


# -- names -------------------------------------------------------------------------------------------------------


def test_a_renamed_field_keeps_its_values(database: apsw.Connection) -> None:
    apply(database, entity(text()))
    rows(database, "INSERT INTO Task VALUES ('1', 'a')")
    assert apply(database, entity(text("name", renamed_from="title"))) == ["renamed column Task.title to name"]
    assert rows(database, "SELECT id, name FROM Task") == [("1", "a")]
    assert apply(database, entity(text("name", renamed_from="title"))) == []


def test_a_renamed_entity_keeps_its_rows_its_documents_and_what_operators_set_for_it(database: apsw.Connection) -> None:
    apply(database, entity(text(), indexes=(Index(name="by_title", fields=("title",)),)))
    rows(database, "INSERT INTO Task VALUES ('1', 'a')")
    rows(database, "INSERT INTO _pylon_crdt_snapshots VALUES ('Task', '1', x'00', '0Z')")
    switch = '{"id":"sw_1","scope":"entity","target":"Task"}'
    rows(database, f"INSERT INTO _pylon_records VALUES ('switch', 'sw_1', CAST('{switch}' AS BLOB), 0)")
    rows(database, "INSERT INTO _pylon_records VALUES ('throttle', 'Task', x'31', 0)")
    renamed = entity(text(), name="Todo", renamed_from="Task", indexes=(Index(name="by_title", fields=("title",)),))
    assert apply(database, renamed) == [
        "renamed table Task to Todo",
        "dropped index Task_by_title",
        "created index Todo_by_title",
    ]
    assert rows(database, "SELECT id, title FROM Todo") == [("1", "a")]
    assert rows(database, "SELECT entity FROM _pylon_crdt_snapshots") == [("Todo",)]
    assert rows(database, "SELECT key FROM _pylon_records WHERE kind = 'throttle'") == [("Todo",)]
    assert rows(database, "SELECT record ->> 'target' FROM _pylon_records WHERE kind = 'switch'") == [("Todo",)]


def test_another_spelling_of_a_name_is_a_renaming(database: apsw.Connection) -> None:
    apply(database, entity(text("title")))
    rows(database, "INSERT INTO Task VALUES ('1', 'a')")
    assert apply(database, entity(text("Title"), name="TASK")) == [
        "renamed table Task to TASK",
        "renamed column TASK.title to Title",
    ]
    assert rows(database, 'SELECT "Title" FROM "TASK"') == [("a",)]


@pytest.mark.parametrize(
    "renamed",
    [
        entity(text("secret", encrypted=True), name="Todo", renamed_from="Task"),
        entity(text("hidden", encrypted=True, renamed_from="secret")),
    ],
    ids=["entity", "field"],
)
def test_what_is_encrypted_keeps_the_name_that_it_was_sealed_under(
    database: apsw.Connection, renamed: EntitySpec
) -> None:
    apply(database, entity(text("secret", encrypted=True)))
    rows(database, "INSERT INTO Task VALUES ('1', 'enc:v2:sealed')")
    with pytest.raises(PylonError, match="encrypted values open under the name") as refused:
        apply(database, renamed)
    assert refused.value.code == "SCHEMA_REFUSED"
    rows(database, "DELETE FROM Task")
    apply(database, renamed)


# -- types -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "stored", "then"),
    [
        (Kind.STRING, Kind.INT, "42", 42),
        (Kind.STRING, Kind.FLOAT, "1.5", 1.5),
        (Kind.STRING, Kind.BOOL, "true", 1),
        (Kind.STRING, Kind.JSON, 'say "hi"', '"say \\"hi\\""'),
        (Kind.STRING, Kind.DATETIME, "2026-11-23T03:14:00.000Z", "2026-11-23T03:14:00.000Z"),
        (Kind.JSON, Kind.STRING, '"a"', "a"),
        (Kind.INT, Kind.FLOAT, 3, 3.0),
        (Kind.INT, Kind.STRING, 3, "3"),
        (Kind.FLOAT, Kind.INT, 3.0, 3),
        (Kind.BOOL, Kind.STRING, 0, "false"),
        (Kind.BOOL, Kind.INT, 1, 1),
    ],
)
def test_values_of_another_type_are_converted_exactly(
    database: apsw.Connection, before: Kind, after: Kind, stored: Any, then: Any
) -> None:
    apply(database, entity(Field(name="v", kind=before, optional=True)))
    database.execute("INSERT INTO Task VALUES ('1', ?), ('2', NULL)", (stored,))
    apply(database, entity(Field(name="v", kind=after, optional=True)))
    assert rows(database, "SELECT v FROM Task ORDER BY id") == [(then,), (None,)]
    assert type(rows(database, "SELECT v FROM Task ORDER BY id")[0][0]) is type(then)


@pytest.mark.parametrize(
    ("before", "after", "stored"),
    [
        (Kind.STRING, Kind.INT, "007"),
        (Kind.STRING, Kind.FLOAT, "one"),
        (Kind.STRING, Kind.DATETIME, "tomorrow"),
        (Kind.INT, Kind.FLOAT, 2**53 + 1),
        (Kind.FLOAT, Kind.INT, 1.5),
        (Kind.INT, Kind.BOOL, 2),
        (Kind.JSON, Kind.STRING, "[1]"),
        (Kind.JSON, Kind.INT, "1"),
    ],
)
def test_a_value_that_would_not_come_back_the_same_is_refused_by_row(
    database: apsw.Connection, before: Kind, after: Kind, stored: Any
) -> None:
    apply(database, entity(Field(name="v", kind=before)))
    database.execute("INSERT INTO Task VALUES ('1', ?)", (stored,))
    with pytest.raises(PylonError, match=r"Task\.v: it is declared") as refused:
        apply(database, entity(Field(name="v", kind=after)))
    assert refused.value.code == "SCHEMA_REFUSED"
    assert "migrate create" in (refused.value.hint or "")
    assert rows(database, "SELECT v FROM Task") == [(stored,)]


def test_the_store_knows_how_to_make_every_conversion_that_there_is() -> None:
    wanted = {pair for pair, how in CONVERSIONS.items() if how is not Conversion.ALIKE}
    assert set(conversions._SQL) == wanted


def test_types_that_are_stored_alike_are_told_apart_by_what_was_declared_before(database: apsw.Connection) -> None:
    apply(database, entity(text()))
    rows(database, "INSERT INTO Task VALUES ('1', 'plain words')")
    plan = plan_schema(database, [entity(Field(name="title", kind=Kind.JSON))], SchemaWish())
    assert [planned.sentence for planned in plan.steps] == ["changed Task.title: string becomes json"]


def test_an_enum_may_lose_a_value_that_no_row_has(database: apsw.Connection) -> None:
    apply(database, entity(text("state", enum_values=("open", "done", "gone"))))
    rows(database, "INSERT INTO Task VALUES ('1', 'gone')")
    narrower = entity(text("state", enum_values=("open", "done")))
    with pytest.raises(PylonError, match=r"1 row has a value that the enum no longer has \(the first is 1\)"):
        apply(database, narrower)
    rows(database, "UPDATE Task SET state = 'done'")
    assert apply(database, narrower) == ["changed Task.state: now one of open, done"]


# -- what nothing declares ---------------------------------------------------------------------------------------


def test_leftovers_are_kept_and_told_until_they_are_dropped(database: apsw.Connection) -> None:
    apply(database, entity(text(), text("old", optional=True)), entity(text(), name="Gone"))
    rows(database, "INSERT INTO Task VALUES ('1', 'a', 'b')")
    rows(database, "INSERT INTO Gone VALUES ('1', 'a')")
    plan = plan_schema(database, [entity(text())], SchemaWish())
    assert (plan.steps, plan.leftovers) == ((), ("Task.old", "Gone"))
    assert apply(database, entity(text())) == []
    dropping = plan_schema(database, [entity(text())], DROP)
    assert [planned.sentence for planned in dropping.of(Risk.DESTRUCTIVE)] == [
        "dropped column Task.old",
        "dropped table Gone",
    ]
    apply(database, entity(text()), wish=DROP)
    assert [table.name for table in read_schema(database).tables] == ["Task"]
    assert rows(database, "SELECT * FROM Task") == [("1", "a")]


def test_a_field_that_is_declared_again_finds_its_values_and_their_type(database: apsw.Connection) -> None:
    note = Field(name="note", kind=Kind.JSON, optional=True)
    apply(database, entity(text(), note))
    rows(database, "INSERT INTO Task VALUES ('1', 'a', '[1]')")
    apply(database, entity(text()))
    assert apply(database, entity(text(), note)) == []
    assert rows(database, "SELECT note FROM Task") == [("[1]",)]


def test_an_index_that_nothing_declares_goes_and_one_by_another_name_stays(database: apsw.Connection) -> None:
    apply(database, entity(text(), indexes=(Index(name="i", fields=("title",)),)))
    rows(database, "CREATE INDEX by_hand ON Task (title)")
    assert apply(database, entity(text())) == ["dropped index Task_i"]
    apply(database, entity(text(unique=True)))
    assert [index.name for index in read_schema(database).tables[0].indexes] == ["by_hand"]


# -- what replicas and the archive are told ----------------------------------------------------------------------


def head(database: apsw.Connection) -> int:
    return int(rows(database, system.LOG_FLOOR)[0][0])


@pytest.mark.parametrize(
    ("after", "resyncs"),
    [
        (entity(text(), text("more", optional=True)), False),
        (entity(text(), indexes=(Index(name="i", fields=("title",)),)), False),
        (entity(text("name", renamed_from="title")), True),
        (entity(text(), text("more", default=DefaultLiteral(value="x"))), True),
        (entity(text(sync_omit=True)), True),
        (entity(text(), sync=False), True),
        (entity(Field(name="title", kind=Kind.JSON)), True),
    ],
    ids=["optional field", "index", "rename", "filled field", "hidden field", "out of sync", "type"],
)
def test_clients_fetch_anew_exactly_when_their_rows_are_other_ones(
    database: apsw.Connection, after: EntitySpec, resyncs: bool
) -> None:
    apply(database, entity(text()))
    rows(database, "INSERT INTO Task VALUES ('1', 'a')")
    rows(database, "INSERT INTO _pylon_change_log VALUES (7, 'Task', '1', 'insert', x'7b7d', NULL, '0Z')")
    apply(database, after)
    assert head(database) == (8 if resyncs else 0)
    apply(database, after)
    assert head(database) == (8 if resyncs else 0)


@pytest.mark.parametrize(
    ("after", "begins"),
    [
        (entity(text(), text("more", optional=True)), False),
        (entity(text("name", renamed_from="title")), True),
        (entity(Field(name="title", kind=Kind.JSON)), True),
    ],
    ids=["optional field", "rename", "type"],
)
def test_what_the_archive_recorded_before_is_not_brought_forward_over_another_name_or_type(
    database: apsw.Connection, after: EntitySpec, begins: bool
) -> None:
    apply(database, entity(text()))
    rows(database, "INSERT INTO Task VALUES ('1', 'a')")
    rows(database, "INSERT INTO _pylon_change_log VALUES (7, 'Task', '1', 'insert', x'7b7d', NULL, '0Z')")
    apply(database, after)
    [(line,)] = database.execute(system.META_GET, (system.TIMELINE_KEY,)).fetchall()
    assert bool(line) is begins


def test_each_change_is_recorded_and_a_changed_record_shows(database: apsw.Connection) -> None:
    apply(database, entity(text()), wish=SchemaWish(by="ada", app_version="1.2"))
    apply(database, entity(text(), text("more", optional=True)))
    apply(database, entity(text(), text("more", optional=True)))
    newest, first = schema_history.entries(database)
    assert (first.applied_by, first.app_version, first.operation_count) == ("ada", "1.2", 1)
    assert '"op":"add_field"' in newest.plan_json
    assert newest.is_sound
    assert first.is_sound
    rows(database, "UPDATE _pylon_schema_history SET applied_by = 'eve' WHERE id = 1")
    assert [entry.is_sound for entry in schema_history.entries(database)] == [True, False]


# -- any change at all -------------------------------------------------------------------------------------------

_KINDS = (Kind.STRING, Kind.INT, Kind.FLOAT, Kind.BOOL, Kind.JSON, Kind.DATETIME)
_VALUES = {
    Kind.STRING: st.sampled_from(["", "1", "2.5", "true", "x", "2026-11-23T03:14:00.000Z"]),
    Kind.INT: st.sampled_from([0, 1, -5, 2**60]),
    Kind.FLOAT: st.sampled_from([0.0, 1.5, -2.0, 1e300]),
    Kind.BOOL: st.sampled_from([0, 1]),
    Kind.JSON: st.sampled_from(["null", '"a"', "[1]", "3"]),
    Kind.DATETIME: st.sampled_from(["2026-11-23T03:14:00.000Z", "2026-11-24T00:00:00.000Z"]),
}


@st.composite
def specs(draw: st.DrawFn, previous: EntitySpec | None = None) -> EntitySpec:
    names = draw(st.lists(st.sampled_from("abcd"), unique=True, min_size=1, max_size=3))
    before = [] if previous is None else [f.name for f in previous.fields if f.name not in names]
    fields = []
    for name in names:
        kind = draw(st.sampled_from(_KINDS))
        old = draw(st.sampled_from([None, *before]))
        if old is not None:
            before.remove(old)
        default = draw(st.sampled_from([None, DefaultLiteral(value="z")])) if kind is Kind.STRING else None
        fields.append(
            Field(
                name=name,
                kind=kind,
                optional=draw(st.booleans()),
                unique=draw(st.sampled_from([False, False, False, True])),
                renamed_from=old,
                default=default,
            )
        )
    indexed = draw(st.lists(st.sampled_from(names), unique=True, max_size=2))
    indexes = tuple(Index(name=f"by_{n}", fields=(n,), unique=draw(st.booleans())) for n in indexed)
    if previous is None:
        return entity(*fields, indexes=indexes)
    is_renamed = draw(st.booleans())
    return entity(*fields, indexes=indexes, name="Todo" if is_renamed else "Task", renamed_from="Task")


@st.composite
def changes(draw: st.DrawFn) -> tuple[EntitySpec, list[tuple[Any, ...]], EntitySpec]:
    before = draw(specs())
    values = [st.none() | _VALUES[f.kind] if f.optional else _VALUES[f.kind] for f in before.fields]
    held = draw(st.lists(st.tuples(*values), max_size=3))
    return before, held, draw(specs(before))


@pytest.mark.parametrize("wish", [SchemaWish(), DROP], ids=["keep", "drop"])
@settings(max_examples=1000 if LONG else 70, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=changes())
def test_a_change_is_done_whole_and_keeps_what_stays_or_is_not_done(
    wish: SchemaWish, change: tuple[EntitySpec, list[tuple[Any, ...]], EntitySpec]
) -> None:
    before, held, after = change
    database = apsw.Connection(":memory:")
    try:
        apply(database, before)
        assert plan_schema(database, [before], wish).steps == ()
        for number, values in enumerate(held):
            marks = ", ".join("?" * (len(values) + 1))
            try:
                database.execute(f"INSERT INTO Task VALUES ({marks})", (str(number), *values))
            except apsw.ConstraintError:
                continue
        there = rows(database, "SELECT * FROM Task ORDER BY id")
        planned = plan_schema(database, [after], wish)
        try:
            apply(database, after, wish=wish)
        except PylonError:
            assert rows(database, "SELECT * FROM Task ORDER BY id") == there
            assert plan_schema(database, [before], wish).steps == ()
            return
        assert not planned.of(Risk.IMPOSSIBLE)
        assert plan_schema(database, [after], wish).steps == ()
        columns = ["id", *(f.name for f in before.fields)]
        for field in after.fields:
            source = before.field(field.name) or (before.field(field.renamed_from) if field.renamed_from else None)
            if source is None or source.kind is not field.kind:
                continue
            now = dict(rows(database, f'SELECT id, "{field.name}" FROM "{after.name}"'))
            for row in there:
                value = row[columns.index(source.name)]
                assert now[row[0]] == value or (value is None and not field.optional)
        assert len(rows(database, f'SELECT id FROM "{after.name}"')) == len(there)
    finally:
        database.close()


@settings(max_examples=60, deadline=None)
@given(spec=specs())
def test_the_difference_of_equal_schemas_is_empty(spec: EntitySpec) -> None:
    assert diff([spec], as_live([spec])).steps == ()


# -- killed ------------------------------------------------------------------------------------------------------

BEFORE = entity(text(), text("n"), text("old", optional=True), indexes=(Index(name="by_title", fields=("title",)),))
AFTER = entity(
    text("name", renamed_from="title", unique=True),
    Field(name="n", kind=Kind.INT),
    text("more", default=DefaultLiteral(value="x")),
    name="Todo",
    renamed_from="Task",
    indexes=(Index(name="by_n", fields=("n",)),),
)


def change(path: Path) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("synchronous", "off")  # a killed process takes nothing with it that the kernel has
    apply_schema(connection, [AFTER], DROP)


def test_a_change_that_is_killed_at_any_statement_has_happened_or_has_not(tmp_path: Path) -> None:
    path = tmp_path / "pylon.db"
    database = apsw.Connection(str(path))
    database.pragma("journal_mode", "wal")
    apply(database, BEFORE)
    rows(database, "INSERT INTO Task VALUES ('1', 'a', '1', 'o'), ('2', 'b', '2', NULL)")
    database.close()
    statements = 0
    while not ends_before(statements, lambda: change(path)):
        statements += 1
        database = apsw.Connection(str(path))
        names = [table.name for table in read_schema(database).tables]
        if names == ["Task"]:
            assert rows(database, "SELECT * FROM Task ORDER BY id") == [("1", "a", "1", "o"), ("2", "b", "2", None)]
        else:
            assert names == ["Todo"]
        database.close()
    assert statements > 40, "it was killed at every statement"
    database = apsw.Connection(str(path))
    assert rows(database, "SELECT id, name, n, more FROM Todo ORDER BY id") == [
        ("1", "a", 1, "x"),
        ("2", "b", 2, "x"),
    ]
    assert plan_schema(database, [AFTER], DROP).steps == ()
    assert rows(database, "PRAGMA integrity_check") == [("ok",)]
    database.close()
