"""The deny law on every door of queries: nothing of a row that the caller may not read shows, not even its number."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from pylon import App, Entity, Id, relation
from pylon.engine.caller import Caller
from pylon.engine.transaction import Authority
from pylon.model.filter_predicate import compile_filter_predicate
from pylon.model.filters import EntityColumns, Scope, parse_query
from pylon.model.identity import Identity
from pylon.store.selection import Selection
from pylon.testing.engine import open_engine

app = App("law")
USERS = [None, "u0", "u1", "u2"]


class Member(Entity, crdt=False):
    team: str
    user: str


class Doc(Entity, crdt=False):
    owner: str | None
    team: str | None
    open: bool
    n: int | None
    relations = [relation("notes", "Note", field="doc", many=True)]

    class Policy:
        read = (
            "data.open || auth.userId == data.owner || exists(Member where team == data.team and user == auth.userId)"
        )


class Note(Entity, crdt=False):
    doc: Id[Doc]
    owner: str | None
    n: int | None
    relations = [relation("of", "Doc", field="doc")]

    class Policy:
        read = "auth.userId == data.owner && data.n != 3"


FILTERS: list[dict[str, Any]] = [
    {},
    {"n": {"$gt": 1}},
    {"$not": {"n": 2}},
    {"$or": [{"n": None}, {"owner": "u1"}]},
    {"n": {"$not": {"$in": [0, 4]}}},
]


class World:
    """Random rows, and what each caller may read of them by the Python form of the policies."""

    def __init__(self, engine: Any) -> None:
        self.engine = engine
        self.members: set[tuple[str, str]] = set()
        self.rows: dict[str, list[Any]] = {"Doc": [], "Note": []}

    async def fill(self, random: Random) -> None:
        def run(tx: Any) -> None:
            def add(entity: str, **data: Any) -> Any:
                plan = tx.plans[entity]
                return tx.insert(plan, plan.types.convert_insert(data)).row

            for user in USERS[1:]:
                team = random.choice("ab")
                self.members.add((team, str(user)))
                add("Member", team=team, user=user)
            for _ in range(40):
                doc = add(
                    "Doc",
                    owner=random.choice(USERS),
                    team=random.choice([None, "a", "b", "c"]),
                    open=random.random() < 0.2,
                    n=random.choice([None, 0, 1, 2, 3, 4]),
                )
                self.rows["Doc"].append(doc)
                for _ in range(random.randrange(4)):
                    note = add("Note", doc=doc.id, owner=random.choice(USERS), n=random.choice([None, 1, 3, 5]))
                    self.rows["Note"].append(note)

        await self.engine.run(Caller(identity=Identity()), run, authority=Authority.TRUSTED)

    def readable(self, entity: str, identity: Identity, conditions: dict[str, Any]) -> list[Any]:
        plan = self.engine.plans[entity]
        matches = compile_filter_predicate(
            plan.types, parse_query(EntityColumns(plan.types, Scope.CLIENT), conditions).where
        )

        def has(name: str, tests: Any) -> bool:
            wanted = dict(tests)
            return (wanted["team"], wanted["user"]) in self.members

        now = self.engine.now()
        rule = plan.policy.read
        return [row for row in self.rows[entity] if matches(row) and rule.allows(identity, row, now=now, exists=has)]


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    async with open_engine(app.spec(), folder) as engine:
        world = World(engine)
        await world.fill(Random(7))
        yield world


async def test_every_door_shows_exactly_the_rows_that_the_policy_lets_the_caller_read(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        reads, queries = w.engine.reads, w.engine.queries
        for user in USERS:
            caller = Caller(identity=Identity(user_id=user))
            for entity in ("Doc", "Note"):
                for conditions in FILTERS:
                    expected = w.readable(entity, caller.identity, conditions)
                    ids = [row.id for row in expected]
                    selection = reads.filter(caller, entity, conditions)
                    listed, count = await reads.rows(caller, entity, selection)
                    assert [row["id"] for row in json.loads(listed)] == ids
                    assert count == len(ids) == await queries.count(caller, entity, selection)
                    graph = json.loads(await queries.graph(caller, {entity: {"where": conditions}}))
                    assert [row["id"] for row in graph[entity]] == ids
                    groups = await queries.aggregate(
                        caller, entity, {"groupBy": ["owner"], "count": "*", "sum": ["n"], "where": conditions}
                    )
                    found = {g["owner"]: (g["count"], g["sum_n"]) for g in json.loads(groups)}
                    assert found == _grouped(expected)


async def test_included_rows_are_those_that_the_policy_of_their_entity_lets_the_caller_read(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        for user in USERS:
            caller = Caller(identity=Identity(user_id=user))
            docs = {row.id for row in w.readable("Doc", caller.identity, {})}
            notes = {row.id: row.doc for row in w.readable("Note", caller.identity, {})}
            answer = json.loads(
                await w.engine.queries.graph(
                    caller, {"Doc": {"include": {"notes": {}}}, "Note": {"include": {"of": {}}}}
                )
            )
            for doc in answer["Doc"]:
                assert [note["id"] for note in doc["notes"]] == [n for n, of in notes.items() if of == doc["id"]]
            for note in answer["Note"]:
                assert (note.get("of") or {}).get("id") == (note["doc"] if note["doc"] in docs else None)


async def test_pages_of_every_order_hold_every_readable_row_once(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        caller = Caller(identity=Identity(user_id="u1"))
        expected = sorted(row.id for row in w.readable("Doc", caller.identity, {}))
        for order in (
            (),
            (("n", False),),
            (("n", True),),
            (("open", True), ("n", False)),
            (("team", True), ("n", True)),
        ):
            selection = Selection(order=(*order, ("id", False)))
            seen: list[str] = []
            cursor: str | None = ""
            more = True
            while more:
                rows, more, cursor = await w.engine.queries.cursor(caller, "Doc", selection, cursor or "", 3)
                seen += [json.loads(row)["id"] for row in rows]
            assert sorted(seen) == expected
            assert len(seen) == len(expected)
            whole, _ = await w.engine.reads.rows(caller, "Doc", selection)
            assert seen == [row["id"] for row in json.loads(whole)]


def _grouped(rows: list[Any]) -> dict[str | None, tuple[int, int | None]]:
    groups: dict[str | None, list[Any]] = {}
    for row in rows:
        groups.setdefault(row.owner, []).append(row.n)
    return {
        owner: (len(ns), sum(n for n in ns if n is not None) if any(n is not None for n in ns) else None)
        for owner, ns in groups.items()
    }
