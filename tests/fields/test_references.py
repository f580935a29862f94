"""`field(on_delete=…)`: what a row names exists, and deletes keep to the rules, all or nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pylon import App, Entity, Id, field
from pylon.engine import references
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.plan import Plans
from pylon.engine.transaction import Authority
from pylon.model.diagnostics import DeclarationError
from pylon.model.errors import PylonError
from pylon.store.sqlite.connection import connect_reader
from pylon.store.sqlite.database import SqliteStore
from pylon.sync.push import Push
from pylon.testing.engine import open_engine
from tests.conftest import ADMINISTRATOR, ALICE, BOB


class Board(Entity):
    owner: Id[User] = field(owner=True)

    class Policy:
        read = insert = "auth.userId == data.owner"
        allow = "auth.userId != null"


class Card(Entity):
    board: Id[Board] = field(on_delete="cascade")
    after: Id[Card] | None = field(on_delete="set_null")
    title: str = ""

    class Policy:
        read = "data.title != 'hidden'"
        insert = update = "data.title != 'no'"
        delete = "false"


class Comment(Entity):
    card: Id[Card] = field(on_delete="cascade")
    reply_to: Id[Comment] | None = field(on_delete="cascade")

    class Policy:
        allow = "auth.userId != null"


class Invoice(Entity):
    board: Id[Board] = field(on_delete="restrict")
    card: Id[Card] | None = field(on_delete="cascade")
    open: bool = True

    class Policy:
        read = "data.open"
        insert = "true"


class User(Entity):
    name: str = ""


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    app = App("boards", entities=[Board, Card, Comment, Invoice, User]).spec()
    async with open_engine(app, tmp_path) as engine:
        yield engine


async def make(engine: Engine, caller: Caller, entity: str, **values: Any) -> str:
    return (await engine.insert(caller, entity, msgspec.json.encode(values))).row_id


async def ids(engine: Engine, entity: str) -> set[str]:
    rows, _ = await engine.reads.rows(ADMINISTRATOR, entity, engine.reads.filter(ADMINISTRATOR, entity, {}))
    return {row["id"] for row in msgspec.json.decode(rows)}


async def test_a_row_must_refer_to_one_that_exists(engine: Engine) -> None:
    with pytest.raises(PylonError) as missing:
        await make(engine, ALICE, "Card", board="0" * 40)
    assert (missing.value.code, missing.value.message) == (
        "REFERENCE_NOT_FOUND",
        "Card.board: refers to no row of Board",
    )
    board = await make(engine, ALICE, "Board")
    card = await make(engine, ALICE, "Card", board=board)
    with pytest.raises(PylonError, match="refers to no row"):
        await engine.update(ALICE, "Card", card, b'{"after":"nope"}')
    assert await engine.update(ALICE, "Card", card, b'{"title":"x","after":null}')
    assert await ids(engine, "Card") == {card}


async def test_a_row_that_one_may_not_read_is_told_from_none_by_nothing(engine: Engine) -> None:
    board = await make(engine, ALICE, "Board")
    answers = []
    for target in (board, "0" * 40):
        with pytest.raises(PylonError) as error:
            await make(engine, BOB, "Card", board=target)
        answers.append((error.value.code, error.value.message, error.value.hint))
    assert answers[0] == answers[1]
    assert await make(engine, ADMINISTRATOR, "Card", board=board)


async def test_the_policy_speaks_before_the_reference_is_looked_up(engine: Engine) -> None:
    with pytest.raises(PylonError) as error:
        await make(engine, ALICE, "Card", board="0" * 40, title="no")
    assert error.value.code == "POLICY_DENIED"


async def test_server_code_may_refer_to_what_its_caller_may_not_read(engine: Engine) -> None:
    board = await make(engine, ALICE, "Board")
    card = engine.plans["Card"]

    def operation(tx: Any) -> None:
        tx.insert(card, card.types.convert_insert({"board": board}))

    await engine.run(BOB, operation, authority=Authority.TRUSTED)
    assert len(await ids(engine, "Card")) == 1


async def test_a_delete_takes_along_what_refers_to_it_each_as_a_change_of_its_own(engine: Engine) -> None:
    board = await make(engine, ALICE, "Board")
    card = await make(engine, ALICE, "Card", board=board)
    comment = await make(engine, ALICE, "Comment", card=card)
    reply = await make(engine, ALICE, "Comment", card=card, reply_to=comment)
    other = await make(engine, BOB, "Card", board=await make(engine, BOB, "Board"))
    kept = await make(engine, ALICE, "Comment", card=other)
    seen: list[tuple[str, str, str]] = []
    engine.subscribe(lambda changes: seen.extend((c.entity, c.row_id, c.kind) for c in changes))
    await engine.delete(ALICE, "Board", board)
    assert sorted(seen) == sorted(
        (entity, row, "delete")
        for entity, row in (("Board", board), ("Card", card), ("Comment", comment), ("Comment", reply))
    )
    assert await ids(engine, "Comment") == {kept}


async def test_set_null_lets_go(engine: Engine) -> None:
    board = await make(engine, ALICE, "Board")
    first = await make(engine, ALICE, "Card", board=board)
    second = await make(engine, ALICE, "Card", board=board, after=first)
    await engine.delete(ADMINISTRATOR, "Card", first)
    assert engine.reads.row("Card", second).after is None


async def test_restrict_keeps_the_row_and_everything_that_would_have_gone_with_it(engine: Engine) -> None:
    board = await make(engine, ALICE, "Board")
    card = await make(engine, ALICE, "Card", board=board)
    await make(engine, ALICE, "Invoice", board=board)
    head = engine.reads.log_head()
    with pytest.raises(PylonError) as error:
        await engine.delete(ALICE, "Board", board)
    assert (error.value.code, error.value.status) == ("REFERENCED", 409)
    assert "Invoice" in error.value.message
    assert await ids(engine, "Card") == {card}
    assert engine.reads.log_head() == head


async def test_who_may_not_read_the_row_that_refers_is_not_told_of_what_entity_it_is(engine: Engine) -> None:
    board = await make(engine, ALICE, "Board")
    await make(engine, ALICE, "Invoice", board=board, open=False)
    with pytest.raises(PylonError) as error:
        await engine.delete(ALICE, "Board", board)
    assert "Invoice" not in error.value.message


async def test_what_goes_along_does_not_keep_the_row(engine: Engine) -> None:
    board = await make(engine, ALICE, "Board")
    card = await make(engine, ALICE, "Card", board=board)
    await make(engine, ALICE, "Invoice", board=board, card=card)
    await engine.delete(ALICE, "Board", board)
    assert await ids(engine, "Invoice") == set()


async def test_circles_end(engine: Engine) -> None:
    board = await make(engine, ALICE, "Board")
    card = await make(engine, ALICE, "Card", board=board)
    one = await make(engine, ALICE, "Comment", card=card)
    two = await make(engine, ALICE, "Comment", card=card, reply_to=one)
    await engine.update(ALICE, "Comment", one, msgspec.json.encode({"reply_to": two}))
    alone = await make(engine, ALICE, "Comment", card=card)
    await engine.update(ALICE, "Comment", alone, msgspec.json.encode({"reply_to": alone}))
    await engine.delete(ALICE, "Comment", alone)
    await engine.delete(ALICE, "Comment", one)
    assert await ids(engine, "Comment") == set()


async def test_a_deep_thread_goes_whole(engine: Engine) -> None:
    board = await make(engine, ALICE, "Board")
    card = await make(engine, ALICE, "Card", board=board)
    plan = engine.plans["Comment"]

    def thread(tx: Any) -> str:
        first = last = tx.insert(plan, plan.types.convert_insert({"card": card})).row_id
        for _ in range(1500):
            last = tx.insert(plan, plan.types.convert_insert({"card": card, "reply_to": last})).row_id
        return first

    first = (await engine.run(ALICE, thread)).value
    await engine.delete(ALICE, "Comment", first)
    assert await ids(engine, "Comment") == set()


async def test_a_delete_that_would_take_too_much_along_takes_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "CASCADE_ROWS", 3)
    board = await make(engine, ALICE, "Board")
    for _ in range(4):
        await make(engine, ALICE, "Card", board=board)
    with pytest.raises(PylonError) as error:
        await engine.delete(ALICE, "Board", board)
    assert error.value.code == "CASCADE_TOO_LARGE"
    assert len(await ids(engine, "Card")) == 4
    monkeypatch.undo()
    await engine.delete(ALICE, "Board", board)
    assert await ids(engine, "Card") == set()


async def test_a_pushed_delete_cascades_as_well(engine: Engine) -> None:
    board = await make(engine, ALICE, "Board")
    await make(engine, ALICE, "Card", board=board)
    body = {"changes": [{"entity": "Board", "row_id": board, "kind": "delete", "op_id": "1"}]}
    assert b'"applied":1' in await Push(engine).push(ALICE, msgspec.json.encode(body))
    assert await ids(engine, "Card") == set()


@pytest.mark.parametrize(
    ("hint", "options", "why"),
    [
        (str, {"on_delete": "cascade"}, "of an Id"),
        (Id["User"], {"on_delete": "set_null"}, "may be null"),
        (Id["User"], {"on_delete": "explode"}, "One of restrict"),
        (Id["Nobody"], {"on_delete": "restrict"}, "needs an entity"),
    ],
)
def test_a_rule_that_cannot_be_kept_is_refused(hint: Any, options: dict[str, Any], why: str) -> None:
    def declare() -> None:
        body = {"__annotations__": {"x": hint}, "x": field(**options), "__module__": __name__}
        odd = type(Entity)("Odd", (Entity,), body)
        App("odd", entities=[odd, User]).spec()

    with pytest.raises(DeclarationError) as error:
        declare()
    assert why in str(error.value)


def test_the_rows_that_refer_are_found_by_an_index(tmp_path: Path) -> None:
    app = App("boards", entities=[Board, Card, Comment, Invoice, User]).spec()
    store = SqliteStore(tmp_path / "pylon.db", {n: p.types for n, p in Plans(app).items()})
    store.apply(app.entities)
    reader = connect_reader(tmp_path / "pylon.db")
    steps = reader.execute("EXPLAIN QUERY PLAN SELECT * FROM Card t WHERE t.board = 'x' AND t.id > ''").fetchall()
    reader.close()
    assert any("Card_rel_board" in str(step) for step in steps)
