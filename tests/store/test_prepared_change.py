"""A table is written anew while a server goes on: what it wrote meanwhile is in the new form, whatever was killed."""

from __future__ import annotations

import asyncio
import contextlib
import random
import tempfile
import time
from pathlib import Path
from typing import Any

import apsw
import pytest
from hypothesis import given, settings

from pylon.engine.caller import SYSTEM
from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.model.rows import compile_rows
from pylon.model.schema import AppSpec, DefaultLiteral, EntitySpec, Field, Index, Kind
from pylon.model.schema_diff import diff
from pylon.store.protocol import SchemaWish
from pylon.store.sqlite import preparing, system
from pylon.store.sqlite.connection import connect_writer
from pylon.store.sqlite.database import SqliteStore
from pylon.store.sqlite.ddl import apply_schema, plan_schema
from pylon.store.sqlite.introspection import read_schema
from pylon.testing.engine import open_engine
from pylon.testing.waiting import comes_true
from tests.killed import ends_before
from tests.store.test_schema_change import LONG, changes

OLD = EntitySpec(
    name="Task",
    crdt=False,
    fields=(Field(name="title", kind=Kind.STRING), Field(name="n", kind=Kind.INT, unique=True)),
    indexes=(Index(name="by_title", fields=("title",)),),
)
NEW = EntitySpec(
    name="Todo",
    renamed_from="Task",
    crdt=False,
    fields=(
        Field(name="name", kind=Kind.STRING, renamed_from="title"),
        Field(name="n", kind=Kind.STRING, unique=True),
        Field(name="more", kind=Kind.STRING, default=DefaultLiteral(value="x")),
    ),
    indexes=(Index(name="by_name", fields=("name",)),),
)
APP = AppSpec(name="tasks", entities=(OLD,))


def store(folder: Path) -> SqliteStore:
    return SqliteStore(folder / "pylon.db", {"Todo": compile_rows(NEW)})


def prepare(folder: Path, entity: EntitySpec = NEW) -> dict[str, int]:
    there = store(folder)
    return there.prepare([entity], there.plan([entity]), lambda entity, done, total: None)


def change(folder: Path, entity: EntitySpec = NEW) -> list[str]:
    """Make the change; the statements that it took."""
    statements: list[str] = []
    connection = connect_writer(folder / "pylon.db", "FULL")
    connection.exec_trace = lambda _cursor, sql, _values: statements.append(sql) or True
    try:
        apply_schema(connection, [entity], SchemaWish())
    finally:
        connection.close()
    return statements


def aside(folder: Path) -> list[Any]:
    return rows(folder, "SELECT name FROM sqlite_master WHERE name GLOB '_pylon_*old_*'")


def rows(folder: Path, sql: str) -> list[Any]:
    connection = apsw.Connection(str(folder / "pylon.db"))
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def was_prepared(statements: list[str]) -> bool:
    return not any("_pylon_rebuild_" in sql for sql in statements)


async def write(engine: Engine, chance: random.Random, ids: list[str], times: int) -> None:
    """Write here and there, as a server's clients do; unique values wander from row to row."""
    for _ in range(times):
        what = chance.random()
        try:
            if what < 0.4 or not ids:
                body = f'{{"title":"{chance.random()}","n":{chance.randrange(400)}}}'.encode()
                ids.append((await engine.insert(SYSTEM, "Task", body)).row_id)
            elif what < 0.8:
                await engine.update(SYSTEM, "Task", chance.choice(ids), f'{{"n":{chance.randrange(400)}}}'.encode())
            else:
                await engine.delete(SYSTEM, "Task", ids.pop(chance.randrange(len(ids))))
        except PylonError:
            continue  # the value is another row's


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_written_while_a_table_is_prepared_is_in_its_new_form(tmp_path: Path, seed: int) -> None:
    chance, ids = random.Random(seed), list[str]()
    async with open_engine(APP, tmp_path) as engine:
        await write(engine, chance, ids, 400)
        preparing = asyncio.create_task(asyncio.to_thread(prepare, tmp_path))
        while not preparing.done():
            await write(engine, chance, ids, 5)
        await preparing
        await write(engine, chance, ids, 150)
    there = rows(tmp_path, "SELECT id, title, CAST(n AS TEXT), 'x' FROM Task ORDER BY id")
    assert was_prepared(change(tmp_path))
    assert rows(tmp_path, "SELECT id, name, n, more FROM Todo ORDER BY id") == there
    assert rows(tmp_path, "SELECT name FROM sqlite_master WHERE name GLOB '_pylon_next*'") == []
    assert rows(tmp_path, "SELECT 1 FROM _pylon_records") == []
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]


async def test_a_cut_log_or_another_declaration_has_the_table_written_anew_at_once(tmp_path: Path) -> None:
    async with open_engine(APP, tmp_path) as engine:
        await write(engine, random.Random(1), [], 50)
        await asyncio.to_thread(prepare, tmp_path)
        await write(engine, random.Random(2), [], 50)
    rows(tmp_path, "UPDATE Task SET title = 'by hand'")
    rows(tmp_path, f"INSERT OR REPLACE INTO _pylon_meta VALUES ('log_floor', ({system.LOG_HEAD}) + 1)")
    assert not was_prepared(change(tmp_path))
    assert rows(tmp_path, "SELECT DISTINCT name FROM Todo") == [("by hand",)]


async def test_a_row_that_contradicts_is_told_while_the_server_runs_and_leaves_nothing(tmp_path: Path) -> None:
    async with open_engine(APP, tmp_path) as engine:
        await engine.insert(SYSTEM, "Task", b'{"title":"same","n":1}')
        unique = EntitySpec(name="Task", fields=(Field(name="title", kind=Kind.STRING, unique=True), OLD.fields[1]))
        there = store(tmp_path)
        plan = there.plan([unique])
        await engine.insert(SYSTEM, "Task", b'{"title":"same","n":2}')
        with pytest.raises(PylonError, match="Task: a field is declared unique"):
            await asyncio.to_thread(there.prepare, [unique], plan, lambda entity, done, total: None)
    assert rows(tmp_path, "SELECT name FROM sqlite_master WHERE name GLOB '_pylon_next*'") == []


async def test_a_preparation_that_is_killed_goes_on_and_misses_nothing(tmp_path: Path) -> None:
    chance, ids = random.Random(5), list[str]()
    async with open_engine(APP, tmp_path) as engine:
        await write(engine, chance, ids, 300)
    kills = 0
    while not ends_before(20 + 16 * kills, lambda: prepare(tmp_path)):
        kills += 1
        async with open_engine(APP, tmp_path) as engine:
            await write(engine, chance, ids, 10)
    assert kills > 2
    there = rows(tmp_path, "SELECT id, title, CAST(n AS TEXT), 'x' FROM Task ORDER BY id")
    assert was_prepared(change(tmp_path))
    assert rows(tmp_path, "SELECT id, name, n, more FROM Todo ORDER BY id") == there


# -- the change itself -------------------------------------------------------------------------------------------


async def fill(folder: Path, titles: list[str]) -> None:
    async with open_engine(APP, folder) as engine:
        bodies = [f'{{"title":"{title}","n":{n}}}'.encode() for n, title in enumerate(titles)]
        await asyncio.gather(*[engine.insert(SYSTEM, "Task", body) for body in bodies])


async def test_a_prepared_change_neither_reads_all_rows_nor_makes_an_index_nor_empties_a_table(tmp_path: Path) -> None:
    await fill(tmp_path, list("abc"))
    rows(tmp_path, "CREATE VIEW by_hand AS SELECT n FROM Task")
    prepare(tmp_path)
    statements = " ".join(change(tmp_path))
    assert rows(tmp_path, "SELECT sql FROM sqlite_master WHERE name = 'by_hand'") == [
        ("CREATE VIEW by_hand AS SELECT n FROM Task",)
    ], "it isn't about the table that was put aside"
    assert "count(" not in statements
    assert 'CREATE INDEX "' not in statements
    assert "ANALYZE" not in statements
    assert "DROP TABLE IF EXISTS" in statements  # of what is not there
    assert 'DROP TABLE "' not in statements


async def test_a_prepared_change_that_is_killed_at_any_statement_has_happened_or_has_not(tmp_path: Path) -> None:
    await fill(tmp_path, list("abc"))
    prepare(tmp_path)
    there = rows(tmp_path, "SELECT id, title, CAST(n AS TEXT), 'x' FROM Task ORDER BY id")
    there_is = SqliteStore(tmp_path / "pylon.db", {}, synchronous="OFF")  # the kernel keeps what a killed process wrote
    statements = 0
    while not ends_before(statements, lambda: there_is.apply([NEW])):
        statements += 1
        names = [name for (name,) in rows(tmp_path, "SELECT name FROM sqlite_master WHERE name IN ('Task', 'Todo')")]
        assert names in (["Task"], ["Todo"])
        assert rows(tmp_path, f"SELECT count(*) FROM {names[0]}") == [(3,)]
    assert statements > 40, "it was killed at every statement"
    assert rows(tmp_path, "SELECT id, name, n, more FROM Todo ORDER BY id") == there
    assert rows(tmp_path, "SELECT id FROM Todo INDEXED BY Todo_by_name WHERE name = 'b'") == [there[1][:1]]
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]


async def test_the_replaced_table_is_cleared_away_while_the_server_serves_and_after_a_kill(tmp_path: Path) -> None:
    await fill(tmp_path, [str(n) for n in range(1200)])
    prepare(tmp_path)
    change(tmp_path)
    assert len(aside(tmp_path)) == 2, "the table and its index"

    def clear() -> None:
        writer = store(tmp_path).writer()
        more = True
        while more:
            writer.begin()
            more = writer.clear_away(500)
            writer.commit()

    assert not ends_before(24, clear)
    assert len(aside(tmp_path)) == 1, "some of it is gone"
    async with open_engine(AppSpec(name="tasks", entities=(NEW,)), tmp_path):
        await comes_true(lambda: aside(tmp_path) == [])
    assert rows(tmp_path, "SELECT count(*) FROM Todo") == [(1200,)]
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]


async def test_what_was_prepared_and_is_not_used_holds_no_copies_of_rows_after_an_hour(tmp_path: Path) -> None:
    await fill(tmp_path, [str(n) for n in range(700)])
    prepare(tmp_path)
    tables = "SELECT name FROM sqlite_master WHERE name GLOB '_pylon_*next_*'"
    async with open_engine(APP, tmp_path, clock=lambda: time.time() + 3500) as engine:
        assert not await engine.housekeeping.clear_once()
        assert rows(tmp_path, tables), "a version that starts soon uses it"
    async with open_engine(APP, tmp_path, clock=lambda: time.time() + 3700):
        await comes_true(lambda: rows(tmp_path, tables) == [])
    assert rows(tmp_path, "PRAGMA integrity_check") == [("ok",)]
    assert prepare(tmp_path) == {"Todo": 700}
    assert was_prepared(change(tmp_path))


async def test_a_value_that_comes_too_late_for_its_new_type_is_refused_by_row(tmp_path: Path) -> None:
    counted = EntitySpec(name="Task", crdt=False, fields=(Field(name="title", kind=Kind.INT), OLD.fields[1]))
    await fill(tmp_path, ["1", "2"])
    prepare(tmp_path, counted)
    async with open_engine(APP, tmp_path) as engine:
        await engine.insert(SYSTEM, "Task", b'{"title":"three","n":9}')
        with pytest.raises(PylonError, match="rows written since contradict"):
            await asyncio.to_thread(there_prepares, tmp_path, counted)
    assert rows(tmp_path, "SELECT name FROM sqlite_master WHERE name GLOB '_pylon_next*'") == []
    rows(tmp_path, "DELETE FROM Task WHERE title = 'three'")
    prepare(tmp_path, counted)
    async with open_engine(APP, tmp_path) as engine:
        await engine.insert(SYSTEM, "Task", b'{"title":"three","n":9}')
    with pytest.raises(PylonError, match=r"Task\.title: it is declared int"):
        change(tmp_path, counted)


def there_prepares(folder: Path, entity: EntitySpec) -> None:
    """Prepare by a plan that was made before the last row came."""
    there = store(folder)
    before = EntitySpec(name="Task", crdt=False, fields=(Field(name="title", kind=Kind.INT), OLD.fields[1]))
    plan = diff([before], there.live_schema())
    there.prepare([entity], plan, lambda entity, done, total: None)


@pytest.mark.parametrize("most", [1, 10**9], ids=["grown with the copy", "made at once"])
async def test_an_index_of_a_large_table_is_prepared_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(preparing, "_LARGE", 3)
    monkeypatch.setattr(preparing, "_SORTED", most)
    indexed = EntitySpec(
        name="Task", crdt=False, fields=OLD.fields, indexes=(Index(name="n", fields=("n",), where={"title": "b"}),)
    )
    await fill(tmp_path, list("ab"))
    assert prepare(tmp_path, indexed) == {}
    (tmp_path / "large").mkdir()
    await fill(tmp_path / "large", list("abbb"))
    assert prepare(tmp_path / "large", indexed) == {"Task": 4}
    assert 'CREATE INDEX "' not in " ".join(change(tmp_path / "large", indexed))
    assert rows(tmp_path / "large", "SELECT n FROM Task INDEXED BY Task_n WHERE title = 'b'") == [(1,), (2,), (3,)]
    assert rows(tmp_path / "large", "PRAGMA integrity_check") == [("ok",)]


@settings(max_examples=300 if LONG else 40, deadline=None)
@given(change=changes())
def test_a_prepared_change_leaves_what_one_without_leaves(
    change: tuple[EntitySpec, list[tuple[Any, ...]], EntitySpec],
) -> None:
    before, held, after = change
    with tempfile.TemporaryDirectory() as folder:
        outcomes = []
        for name in ("prepared", "at once"):
            path = Path(folder, f"{name}.db")
            connection = connect_writer(path, "OFF")
            apply_schema(connection, [before])
            connection.execute("CREATE INDEX by_hand ON Task (id)")
            for number, values in enumerate(held):
                marks = ", ".join("?" * (len(values) + 1))
                with contextlib.suppress(apsw.ConstraintError):
                    connection.execute(f"INSERT INTO Task VALUES ({marks})", (str(number), *values))
            try:
                if name == "prepared":
                    preparing.prepare(path, [after], plan_schema(connection, [after], SchemaWish()), "now")
                apply_schema(connection, [after])
                schema = read_schema(connection)
                columns = ", ".join(f'"{column.name}"' for column in schema.tables[0].columns)
                held_now = connection.execute(f'SELECT id, {columns} FROM "{after.name}" ORDER BY id').fetchall()
                outcomes.append((schema, held_now))
            except PylonError as error:
                outcomes.append((read_schema(connection), error.code))
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            connection.close()
        assert outcomes[0] == outcomes[1]
