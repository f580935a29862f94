"""Reads under policies stay on indexes: what SQLite says that it will do."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pylon import App, Entity, Id, field, index, relation
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.graph import GraphParser, GraphReader
from pylon.engine.transaction import Authority
from pylon.model.errors import PylonError
from pylon.model.filters import Scope
from pylon.model.identity import Identity
from pylon.policy.sql import Reach
from pylon.store.selection import Selection
from pylon.store.sqlite.read import SqliteReader
from pylon.store.sqlite.statements import Statements, window_parameters
from pylon.testing.engine import open_engine

app = App("plans")


class User(Entity, crdt=False):
    name: str

    class Policy:
        read = "true"


class Seen(Entity, crdt=False):
    name: str

    class Policy:
        read = "true"


class Member(Entity, crdt=False):
    team: str
    user: Id[User]
    indexes = [index("user", "team")]


class Own(Entity, crdt=False):
    owner: Id[User] = field(index=True)
    flag: bool = field(index=True)
    updated: str = ""
    indexes = [index("owner", "updated")]

    class Policy:
        read = "auth.userId == data.owner"


class Shared(Entity, crdt=False):
    owner: Id[User] = field(index=True)
    team: str = field(index=True)

    class Policy:
        read = "auth.userId == data.owner || exists(Member where team == data.team and user == auth.userId)"


class Paper(Entity, crdt=False):
    team: str = field(index=True)
    notes: str = ""
    relations = [relation("parts", "Part", field="paper", many=True)]

    class Policy:
        read = "exists(Member where team == data.team and user == auth.userId)"


class Part(Entity, crdt=False):
    paper: Id[Paper]
    owner: Id[User] = field(index=True)
    relations = [relation("of", "Paper", field="paper")]

    class Policy:
        read = "auth.userId == data.owner"


CALLER = Caller(identity=Identity(user_id="u1"))


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[Engine]:
    async with open_engine(app.spec(), folder) as engine:
        yield engine


async def plan_of(engine: Engine, sql: str, parameters: dict[str, Any]) -> list[str]:
    def explain(session: Any) -> list[str]:
        session.count("User", Selection())  # EXPLAIN alone doesn't notice that the schema changed
        return [row[3] for row in session._fetch(f"EXPLAIN QUERY PLAN {sql}", parameters)]

    return await engine.reads.run(explain, 5.0)


async def listing(engine: Engine, entity: str, conditions: dict[str, Any] | None = None) -> list[str]:
    plan = engine.plans[entity]
    selection = replace(engine.reads.filter(CALLER, entity, conditions or {}), limit=100)
    selected = engine.reads.readable(plan, CALLER.identity, selection)
    return await plan_of(engine, Statements(plan.types).json_array(selected), window_parameters(selected))


async def test_an_owner_policy_finds_its_rows_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        steps = await listing(engine, "Own")
        assert "SEARCH t USING INDEX Own_by_owner (owner=?)" in steps
        assert not [step for step in steps if "TEMP B-TREE" in step or step.startswith("SCAN t USING")]


async def test_a_sorted_page_under_an_owner_policy_needs_no_sorting(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        steps = await listing(engine, "Own", {"$order": {"updated": "asc"}})
        assert "SEARCH t USING INDEX Own_by_owner_updated (owner=?)" in steps
        assert not [step for step in steps if "TEMP B-TREE" in step]


async def test_a_policy_with_exists_over_an_indexed_relation_begins_with_the_relation(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        steps = await listing(engine, "Paper")
        assert "SEARCH t USING INDEX Paper_by_team (team=?)" in steps
        assert any(step.startswith("SEARCH t_1 USING COVERING INDEX Member_by_user_team (user=?)") for step in steps)


async def test_a_policy_of_two_ways_uses_an_index_for_each(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        steps = await listing(engine, "Shared")
        assert "MULTI-INDEX OR" in steps
        assert "SEARCH t USING INDEX Shared_by_owner (owner=?)" in steps
        assert "SEARCH t USING INDEX Shared_by_team (team=?)" in steps


async def test_a_get_under_a_policy_with_exists_looks_up_one_row_on_each_side(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        rule = engine.reads._condition(engine.plans["Paper"], CALLER.identity, Reach.ROW)
        assert rule[0] is not None
        sql = Statements(engine.plans["Paper"].types).json_row(rule[0], None)
        steps = await plan_of(engine, sql, {**rule[1], "id": "x"})
        assert any("(id=?)" in step for step in steps)
        assert any("(user=? AND team=?)" in step for step in steps)


async def test_included_rows_are_found_by_their_relation_whatever_else_is_indexed(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        plan = engine.plans["Part"]
        selected = engine.reads.readable(plan, CALLER.identity, Selection())
        sql = Statements(plan.types).parts_of("paper", selected, ("paper",))
        steps = await plan_of(engine, sql, {**window_parameters(selected), "keys": '["1"]', "most": 10})
        assert "SEARCH t USING INDEX Part_rel_paper (paper=?)" in steps


@pytest.mark.parametrize("reopened", [False, True])
async def test_statistics_tell_a_flag_that_most_rows_have_from_their_owner(tmp_path: Path, reopened: bool) -> None:
    async with opened(tmp_path) as engine:
        own = engine.plans["Own"]

        def fill(tx: Any) -> None:
            for i in range(3000):
                tx.insert(own, own.types.convert_insert({"owner": f"u{i % 300}", "flag": i % 100 > 0}))

        await engine.run(CALLER, fill, authority=Authority.TRUSTED)
        if not reopened:
            assert await engine.housekeeping.plan_anew()
            assert not await engine.housekeeping.plan_anew()
            assert await _searches_by_owner(engine)
    if reopened:
        async with opened(tmp_path) as engine:
            assert await _searches_by_owner(engine)


async def _searches_by_owner(engine: Engine) -> bool:
    steps = await listing(engine, "Own", {"flag": True})
    return any(step.startswith("SEARCH t USING INDEX Own_by_owner") for step in steps)


async def test_a_later_change_of_statistics_reaches_connections_that_are_open(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        own = engine.plans["Own"]

        def fill(first: int, rows: int) -> Any:
            def run(tx: Any) -> None:
                for i in range(first, first + rows):
                    tx.insert(own, own.types.convert_insert({"owner": f"u{i % 300}", "flag": i < 10 or i % 100 > 0}))

            return run

        await engine.run(CALLER, fill(0, 10), authority=Authority.TRUSTED)
        assert await engine.housekeeping.plan_anew()
        await listing(engine, "Own", {"flag": True})
        await engine.run(CALLER, fill(10, 3000), authority=Authority.TRUSTED)
        assert await engine.housekeeping.plan_anew()
        assert await _searches_by_owner(engine)


async def test_a_graph_query_takes_one_statement_for_each_level(tmp_path: Path) -> None:
    async with opened(tmp_path) as engine:
        paper, part = engine.plans["Paper"], engine.plans["Part"]

        def fill(tx: Any) -> None:
            member = tx.plans["Member"]
            tx.insert(member, member.types.convert_insert({"team": "a", "user": "u1"}))
            for _ in range(20):
                made = tx.insert(paper, paper.types.convert_insert({"team": "a"})).row
                for _ in range(3):
                    tx.insert(part, part.types.convert_insert({"paper": made.id, "owner": "u1"}))

        await engine.run(CALLER, fill, authority=Authority.TRUSTED)
        session = engine.store.reader()
        assert isinstance(session, SqliteReader)
        statements: list[str] = []
        execute = session._execute
        session._execute = lambda sql, parameters: statements.append(sql) or execute(sql, parameters)
        parser = GraphParser(engine.plans, lambda name: engine.plans[name], Scope.CLIENT)
        [node] = parser.graph({"Paper": {"include": {"parts": {"include": {"of": {}}}}}}).values()
        reader = GraphReader(
            session, lambda plan, selected: engine.reads.readable(plan, CALLER.identity, selected), 1000
        )
        answer = json.loads(reader.top(node, engine.reads.readable(paper, CALLER.identity, node.selection)))
        session.close()
        assert (len(answer), {len(row["parts"]) for row in answer}) == (20, {3})
        assert all(row["parts"][0]["of"]["id"] == row["id"] for row in answer)
        assert len(statements) == 3


async def test_a_graph_query_shows_a_bounded_number_of_rows(tmp_path: Path) -> None:
    async with open_engine(app.spec(), tmp_path, row_limit=10) as engine:
        user, seen = engine.plans["User"], engine.plans["Seen"]

        def fill(tx: Any) -> None:
            for i in range(12):
                tx.insert(user, user.types.convert_insert({"name": str(i)}))
            tx.insert(seen, seen.types.convert_insert({"name": "x"}))

        await engine.run(CALLER, fill, authority=Authority.TRUSTED)
        assert len(json.loads(await engine.queries.graph(CALLER, {"User": {}}))["User"]) == 10
        with pytest.raises(PylonError, match="at most PYLON_QUERY_MAX_LIMIT rows"):
            await engine.queries.graph(CALLER, {"User": {}, "Seen": {}})
        with pytest.raises(PylonError, match="more than 10 groups"):
            await engine.queries.aggregate(CALLER, "User", {"groupBy": ["name"]})
        first = await engine.queries.aggregate(CALLER, "User", {"groupBy": ["name"], "limit": 3})
        assert len(json.loads(first)) == 3


async def test_a_query_that_takes_too_long_is_interrupted(tmp_path: Path) -> None:
    async with open_engine(app.spec(), tmp_path, read_timeout=0.02) as engine:
        user = engine.plans["User"]

        def fill(tx: Any) -> None:
            for i in range(3000):
                tx.insert(user, user.types.convert_insert({"name": f"{i:0200}"}))

        await engine.run(CALLER, fill, authority=Authority.TRUSTED)
        slow = {"$or": [{"name": {"$like": f"x{i}"}} for i in range(250)]}
        with pytest.raises(PylonError) as refused:
            await engine.queries.aggregate(CALLER, "User", {"count": "*", "where": slow})
        assert refused.value.code == "QUERY_TIMEOUT"
