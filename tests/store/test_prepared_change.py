"""A table is written anew while a server goes on: what it wrote meanwhile is in the new form, whatever was killed."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import apsw
import pytest

from pylon.engine.caller import SYSTEM
from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.model.rows import compile_rows
from pylon.model.schema import AppSpec, DefaultLiteral, EntitySpec, Field, Index, Kind
from pylon.store.protocol import SchemaWish
from pylon.store.sqlite import system
from pylon.store.sqlite.connection import connect_writer
from pylon.store.sqlite.database import SqliteStore
from pylon.store.sqlite.ddl import apply_schema
from pylon.testing.engine import open_engine
from tests.killed import ends_before

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


def prepare(folder: Path) -> dict[str, int]:
    there = store(folder)
    return there.prepare([NEW], there.plan([NEW]), lambda entity, done, total: None)


def change(folder: Path) -> list[str]:
    """Make the change; the statements that it took."""
    statements: list[str] = []
    connection = connect_writer(folder / "pylon.db", "FULL")
    connection.exec_trace = lambda _cursor, sql, _values: statements.append(sql) or True
    apply_schema(connection, [NEW], SchemaWish())
    connection.close()
    return statements


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
