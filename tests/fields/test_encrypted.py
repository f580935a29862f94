"""Encrypted fields: open for whoever may read the row, ciphertext in everything that lies on a disk."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pylon import App, Entity, Json, field
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.idempotency import Answer, answer_once, once_of
from pylon.engine.keyring import KeyRing
from pylon.engine.plan import Plans
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.policy.rules import PolicyError
from pylon.store.sqlite.connection import connect_reader
from pylon.store.sqlite.database import SqliteStore
from pylon.store.sqlite.replay import replay
from pylon.sync.log import change_of
from pylon.testing.engine import open_engine
from tests.conftest import ADMINISTRATOR, ALICE, BOB

OLD, NEW = "an-old-key-0123456789abcdef0123456789", "a-new-key-0123456789abcdef0123456789"
SECRET = "the-blue-house"


class Patient(Entity):
    doctor: str = field(owner=True)
    name: str
    ssn: str | None = field(encrypted=True, lookup=True, max_length=40)
    notes: str | None = field(encrypted=True)
    born: int | None = field(encrypted=True, lookup=True)
    history: Json | None = field(encrypted=True)
    pin: str | None = field(encrypted=True, server_only=True)

    class Policy:
        allow = "auth.userId == data.doctor"


def app() -> AppSpec:
    return App("clinic", entities=[Patient]).spec()


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(app(), tmp_path, keys=KeyRing([OLD])) as engine:
        yield engine


def everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def make(engine: Engine, **values: Any) -> str:
    return (await engine.insert(ALICE, "Patient", msgspec.json.encode({"name": "p", **values}))).row_id


async def found(engine: Engine, caller: Caller, conditions: dict[str, Any]) -> list[dict[str, Any]]:
    rows, _ = await engine.reads.rows(caller, "Patient", engine.reads.filter(caller, "Patient", conditions))
    decoded: list[dict[str, Any]] = msgspec.json.decode(rows)
    return decoded


async def test_who_may_read_the_row_reads_it_open(engine: Engine) -> None:
    row_id = await make(engine, ssn=SECRET, born=1970, history={"a": [1, None]})
    [row] = await found(engine, ALICE, {})
    assert (row["ssn"], row["born"], row["history"], row["notes"]) == (SECRET, 1970, {"a": [1, None]}, None)
    assert "pin" not in row
    assert msgspec.json.decode(await engine.reads.get(ALICE, "Patient", row_id))["ssn"] == SECRET
    assert await found(engine, BOB, {}) == []


async def test_nothing_on_the_disk_holds_it_open(engine: Engine, tmp_path: Path) -> None:
    row_id = await make(engine, ssn=SECRET, notes=SECRET, history={SECRET: 1})
    await engine.update(ALICE, "Patient", row_id, msgspec.json.encode({"notes": SECRET + "2"}))
    await engine.delete(ALICE, "Patient", row_id)
    disk = everything(tmp_path)
    assert b"enc:v2:" in disk
    assert SECRET.encode() not in disk
    assert base64.b64encode(SECRET.encode())[:12] not in disk


async def test_the_log_gives_changes_back_open(engine: Engine) -> None:
    row_id = await make(engine, ssn=SECRET, born=3)
    await engine.update(ALICE, "Patient", row_id, b'{"ssn":"other"}')
    entries = await engine.reads.run(lambda session: session.log_after(0, 9), 1.0)
    inserted, updated = (change_of(engine.plans["Patient"].types, entry) for entry in entries)
    assert SECRET.encode() not in b"".join(entry.data for entry in entries)
    assert (inserted.row.ssn, updated.row.ssn, updated.old.ssn) == (SECRET, "other", SECRET)
    assert SECRET.encode() in inserted.event()
    assert b"pin" not in inserted.event()


async def test_a_value_does_not_open_in_another_row_or_field(engine: Engine, tmp_path: Path) -> None:
    one, two = await make(engine, notes=SECRET), await make(engine, notes="x")
    plan = engine.plans["Patient"]
    at = plan.types.columns.index("notes")
    stored = await engine.reads.run(lambda session: session.get("Patient", one), 1.0)

    def swap(tx: Any) -> None:
        tx.session.update("Patient", two, {"notes": stored[at]})

    await engine.run(ADMINISTRATOR, swap)
    with pytest.raises(PylonError) as error:
        await found(engine, ALICE, {})
    assert error.value.code == "SEALED_UNREADABLE"
    assert SECRET not in str(error.value)
    writes = [engine.update(ALICE, "Patient", two, b'{"name":"x"}'), make(engine, name="another's")]
    refused, written = await asyncio.gather(*writes, return_exceptions=True)
    assert getattr(refused, "code", None) == "SEALED_UNREADABLE"
    assert isinstance(written, str)  # of the same batch


async def test_a_lookup_finds_rows_by_their_value(engine: Engine) -> None:
    row_id = await make(engine, ssn=SECRET, born=1970)
    other = await make(engine, ssn="x", born=0)
    none = await make(engine)

    async def ids(**conditions: Any) -> set[str]:
        return {row["id"] for row in await found(engine, ALICE, conditions)}

    assert await ids(ssn=SECRET) == {row_id}
    assert await ids(born=1970) == {row_id}
    assert await ids(ssn={"$in": [SECRET, None]}) == {row_id, none}
    assert await ids(ssn={"$not": SECRET}) == {other}
    assert await ids(ssn={"$nin": ["x"]}) == {row_id}
    assert await ids(ssn=None) == {none}
    assert await ids(**{"$or": [{"ssn": "x"}, {"born": "1970"}]}) == {row_id, other}
    assert await found(engine, BOB, {"ssn": SECRET}) == []
    assert (await engine.queries.count(ALICE, "Patient", engine.reads.filter(ALICE, "Patient", {"ssn": SECRET}))) == 1


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        ({"ssn": {"$gt": "a"}}, "INVALID_QUERY"),
        ({"ssn": {"$like": "a"}}, "INVALID_QUERY"),
        ({"$order": {"ssn": "asc"}}, "INVALID_COLUMN"),
        ({"notes": "x"}, "INVALID_COLUMN"),
        ({"pin": {"$exists": True}}, "INVALID_COLUMN"),
        ({"$fields": ["pin"]}, "INVALID_COLUMN"),
    ],
)
async def test_what_would_need_the_value_itself_is_refused(
    engine: Engine, conditions: dict[str, Any], code: str
) -> None:
    with pytest.raises(PylonError) as error:
        await found(engine, ALICE, conditions)
    assert error.value.code == code


@pytest.mark.parametrize("spec", [{"groupBy": ["ssn"], "count": "*"}, {"min": ["born"]}, {"count": "notes"}])
async def test_aggregates_of_an_encrypted_field_are_refused(engine: Engine, spec: dict[str, Any]) -> None:
    for caller in (ALICE, ADMINISTRATOR):
        with pytest.raises(PylonError, match="Unknown column"):
            await engine.queries.aggregate(caller, "Patient", spec)


async def test_server_code_is_told_where_a_comparison_would_silently_find_nothing(engine: Engine) -> None:
    with pytest.raises(PylonError, match="without a lookup"):
        await found(engine, ADMINISTRATOR, {"notes": "x"})
    with pytest.raises(PylonError, match="is encrypted"):
        await found(engine, ADMINISTRATOR, {"$order": {"notes": "asc"}})


async def test_fields_can_be_asked_for_by_name(engine: Engine) -> None:
    await make(engine, ssn=SECRET)
    [row] = await found(engine, ALICE, {"$fields": ["ssn"]})
    assert set(row) == {"id", "ssn"}


async def test_bounds_are_those_of_the_open_value(engine: Engine) -> None:
    with pytest.raises(PylonError, match="at most 40"):
        await make(engine, ssn="x" * 41)
    with pytest.raises(PylonError, match="expected int"):
        await make(engine, born="x")


async def test_text_that_looks_sealed_is_only_text(engine: Engine) -> None:
    row_id = await make(engine, notes=SECRET)
    stored = await engine.reads.run(lambda session: session.get("Patient", row_id), 1.0)
    text = stored[engine.plans["Patient"].types.columns.index("notes")]
    await engine.update(ALICE, "Patient", row_id, msgspec.json.encode({"notes": text}))
    [row] = await found(engine, ALICE, {})
    assert row["notes"] == text


async def test_another_key_does_not_open_it_and_says_so(tmp_path: Path) -> None:
    async with open_engine(app(), tmp_path, keys=KeyRing([OLD])) as engine:
        await make(engine, notes=SECRET)
    async with open_engine(app(), tmp_path, keys=KeyRing([NEW])) as engine:
        with pytest.raises(PylonError) as error:
            await found(engine, ALICE, {})
        assert error.value.code == "SEALED_UNREADABLE"
    async with open_engine(app(), tmp_path, keys=KeyRing([NEW, OLD])) as engine:
        [row] = await found(engine, ALICE, {})
        assert row["notes"] == SECRET


async def test_values_from_before_the_field_was_encrypted_are_read_and_sealed_when_written(tmp_path: Path) -> None:
    def plain() -> AppSpec:
        spec = app()
        fields = [f for f in spec.entities[0].fields if f.name in ("doctor", "name", "notes", "history")]
        kept = tuple(msgspec.structs.replace(f, encrypted=False) for f in fields)
        entity = msgspec.structs.replace(spec.entities[0], fields=kept, python_class=None)
        return msgspec.structs.replace(spec, entities=(entity,))

    async with open_engine(plain(), tmp_path) as engine:
        row_id = await make(engine, notes=SECRET, history=[1])
    async with open_engine(app(), tmp_path, keys=KeyRing([OLD])) as engine:
        [row] = await found(engine, ALICE, {})
        assert (row["notes"], row["history"]) == (SECRET, [1])
        await engine.update(ALICE, "Patient", row_id, b'{"notes":"y"}')
    rows = connect_reader(tmp_path / "pylon.db").execute("SELECT notes, history FROM Patient").fetchall()
    assert rows[0][0].startswith("enc:v2:")
    assert rows[0][1] == "[1]"


async def test_without_keys_nothing_is_written_open(tmp_path: Path) -> None:
    async with open_engine(app(), tmp_path) as engine:
        with pytest.raises(PylonError) as error:
            await make(engine, notes=SECRET)
        assert error.value.code == "ENCRYPTION_NOT_CONFIGURED"


def test_rules_may_not_read_an_encrypted_field() -> None:
    class Odd(Entity):
        secret: str = field(encrypted=True)

        class Policy:
            allow = "data.secret == 'x'"

    with pytest.raises(PolicyError, match="encrypted"):
        Plans(App("odd", entities=[Odd]).spec())


async def test_functions_see_it_open(engine: Engine) -> None:
    row_id = await make(engine, ssn=SECRET)
    plan = engine.plans["Patient"]

    def operation(tx: Any) -> str:
        tx.update(plan, row_id, {"pin": "1234"})
        return str(tx.get(plan, row_id).pin)

    assert (await engine.run(ALICE, operation, authority=Authority.TRUSTED)).value == "1234"


async def test_a_start_finds_nothing_to_change(tmp_path: Path) -> None:
    types = {name: plan.types for name, plan in Plans(app()).items()}
    store = SqliteStore(tmp_path / "pylon.db", types)
    assert store.apply(app().entities)
    assert store.apply(app().entities) == []


async def test_a_sealed_field_does_not_become_an_open_one(tmp_path: Path) -> None:
    spec = app()
    async with open_engine(spec, tmp_path, keys=KeyRing([OLD])) as engine:
        await make(engine, notes=SECRET)
    fields = tuple(msgspec.structs.replace(f, encrypted=False, lookup=False) for f in spec.entities[0].fields)
    entity = msgspec.structs.replace(spec.entities[0], fields=fields)
    with pytest.raises(PylonError) as error:
        async with open_engine(msgspec.structs.replace(spec, entities=(entity,)), tmp_path):
            pass
    assert error.value.code == "SCHEMA_REFUSED"


async def test_an_answer_that_is_kept_for_a_retry_is_sealed_as_well(engine: Engine, tmp_path: Path) -> None:
    once = once_of("alice", "key-1", b"request")

    def operation(tx: Transaction) -> Answer:
        return answer_once(tx, once, lambda _: Answer(f'{{"ssn":"{SECRET}"}}'.encode()))

    first = (await engine.run(ALICE, operation)).value
    again = (await engine.run(ALICE, operation)).value
    assert (again.body, again.is_replay) == (first.body, True)
    assert SECRET.encode() not in everything(tmp_path)


async def test_changes_that_are_replayed_over_a_backup_need_no_key_and_open_with_it(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    async with open_engine(app(), source, keys=KeyRing([OLD])) as engine:
        row_id = await make(engine, ssn=SECRET, born=1970, history=[SECRET])
        await engine.update(ALICE, "Patient", row_id, b'{"notes":"later"}')
        entries = await engine.reads.run(lambda session: session.log_after(0, 9), 1.0)
        before = await found(engine, ALICE, {})
    types = {name: plan.types for name, plan in Plans(app()).items()}
    SqliteStore(target / "pylon.db", types).apply(app().entities)
    assert replay(target / "pylon.db", types, [(entry, ()) for entry in entries]).applied == 2
    assert SECRET.encode() not in everything(target)
    async with open_engine(app(), target, keys=KeyRing([NEW, OLD])) as engine:
        assert await found(engine, ALICE, {}) == before
        assert await found(engine, ALICE, {"ssn": SECRET}) == before
