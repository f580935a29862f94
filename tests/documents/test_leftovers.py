"""Documents of what is no longer declared: kept beside their rows, told by name, and dropped when somebody says so; and
no row made anew ever finds one of an earlier life."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import apsw
import msgspec

from pylon.engine.engine import Engine
from pylon.model.schema import AppSpec
from pylon.model.schema_change import Leftovers, Plan
from pylon.store.protocol import SchemaWish
from pylon.testing.engine import open_engine
from tests.conftest import ALICE
from tests.documents.conftest import DOC
from tests.documents.peer import joined, push

DROP = SchemaWish(leftovers=Leftovers.DROP)
ROW = "0" * 39 + "1"


def declared(docs: AppSpec, *, crdt: bool = True, without: str = "") -> AppSpec:
    """The app with its Docs declared otherwise, or not at all."""
    entities = tuple(
        msgspec.structs.replace(entity, crdt=crdt) if entity is DOC else entity
        for entity in docs.entities
        if entity.name != without
    )
    policies = tuple(policy for policy in docs.policies if policy.entity != without)
    return msgspec.structs.replace(docs, entities=entities, policies=policies)


async def edited(engine: Engine) -> None:
    """A row whose document has a history that its text no longer shows."""
    await engine.insert(ALICE, "Doc", json.dumps({"id": ROW, "title": "T", "body": "secret"}).encode())
    peer = await joined(engine, ALICE, "Doc", ROW, 1)
    peer.field("body").delete(0, 6)
    peer.field("body").insert(0, "open")
    await push(engine, ALICE, "Doc", ROW, peer.taken())


async def history(engine: Engine) -> int:
    return (await joined(engine, ALICE, "Doc", ROW, 2)).doc.oplog_vv.get_last(1) or 0


def plan(engine: Engine, app: AppSpec, wish: SchemaWish | None = None) -> Plan:
    return engine.store.plan(app.entities, wish or SchemaWish())  # type: ignore[attr-defined, no-any-return]


async def test_documents_of_what_is_not_declared_come_back_with_it(docs: AppSpec, tmp_path: Path) -> None:
    async with open_engine(docs, tmp_path) as engine:
        await edited(engine)
    gone = declared(docs, without="Doc")
    async with open_engine(gone, tmp_path) as engine:
        assert plan(engine, gone).leftovers == ("Doc",)
        assert engine.reads.documented() == ["Doc"]
    async with open_engine(docs, tmp_path) as engine:
        assert await history(engine) > 0
        engine.store.apply(gone.entities, DROP)
        assert engine.reads.documented() == []


async def test_documents_of_an_entity_that_has_none_any_more_are_told_and_dropped(
    docs: AppSpec, tmp_path: Path
) -> None:
    async with open_engine(docs, tmp_path) as engine:
        await edited(engine)
    plain = declared(docs, crdt=False)
    async with open_engine(plain, tmp_path) as engine:
        assert plan(engine, plain).leftovers == ("Doc (documents)",)
        assert [step.sentence for step in plan(engine, plain, DROP).steps] == ["dropped the documents of Doc"]
    async with open_engine(docs, tmp_path) as engine:  # a slip, mended: nothing is lost
        assert plan(engine, docs, DROP) == Plan()
        assert await history(engine) > 0
        engine.store.apply(plain.entities, DROP)
        assert plan(engine, plain).leftovers == ()
        assert json.loads(await engine.reads.get(ALICE, "Doc", ROW))["body"] == "open"


async def test_a_row_made_again_has_no_document_of_its_earlier_life(docs: AppSpec, tmp_path: Path) -> None:
    async with open_engine(docs, tmp_path) as engine:
        await edited(engine)
    async with open_engine(declared(docs, crdt=False), tmp_path) as engine:
        await engine.update(ALICE, "Doc", ROW, b'{"title":"U"}')
        assert engine.reads.documented() == ["Doc"]
        await engine.delete(ALICE, "Doc", ROW)
        assert engine.reads.documented() == []
    async with open_engine(docs, tmp_path) as engine:
        await engine.insert(ALICE, "Doc", json.dumps({"id": ROW, "title": "new"}).encode())
        assert await history(engine) == 0


async def test_documents_without_a_table_are_told_and_dropped(docs: AppSpec, tmp_path: Path) -> None:
    only = declared(docs, without="Doc")
    async with open_engine(docs, tmp_path) as engine:
        await edited(engine)
        path = engine.store.path  # type: ignore[attr-defined]
    with contextlib.closing(apsw.Connection(str(path))) as database:
        database.execute("DROP TABLE Doc")  # as somebody did by hand
    async with open_engine(only, tmp_path) as engine:
        assert plan(engine, only).leftovers == ("Doc (documents)",)
        engine.store.apply(only.entities, DROP)
        assert engine.reads.documented() == []
