"""Rules see that a write is an edit of a document, and how large it is; nobody gets around them (spec 02 §10.6)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from loro import ExportMode, LoroDoc

from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind, PolicySpec
from pylon.policy.cases import Case, Person, try_cases
from pylon.policy.rules import PolicyError, compile_app_policies
from pylon.testing.engine import open_engine
from tests.conftest import ALICE, BOB
from tests.documents.peer import joined, push

SIZE = "data._pylon_update_size_bytes == null || data._pylon_update_size_bytes <= 300"


def doc(name: str) -> EntitySpec:
    fields = (Field(name="title", kind=Kind.STRING), Field(name="body", kind=Kind.RICHTEXT, optional=True))
    return EntitySpec(name=name, fields=fields)


def app(**updates: str) -> AppSpec:
    """Entities by name, each with its update rule."""
    return AppSpec(
        name="docs",
        entities=tuple(doc(name) for name in updates),
        policies=tuple(
            PolicySpec(name=name, entity=name, allow_read="true", allow_insert="true", allow_update=rule)
            for name, rule in updates.items()
        ),
    )


RULES = app(
    Small=SIZE,
    Rest="!data._pylon_crdt_update",
    Edited="data._pylon_crdt_update == true",
    Kept="new.title == data.title && auth.userId == 'alice'",
)


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(RULES, tmp_path) as opened:
        yield opened


async def made(engine: Engine, entity: str) -> str:
    row_id: str = (await engine.insert(ALICE, entity, b'{"title":"T","body":""}')).row_id
    return row_id


async def body(engine: Engine, entity: str, row_id: str) -> str:
    text: str = json.loads(await engine.reads.get(ALICE, entity, row_id))["body"]
    return text


async def refused(what: Any) -> str:
    with pytest.raises(PylonError) as raised:
        await what
    assert "data." not in raised.value.message
    return raised.value.code


async def test_a_rule_limits_the_size_of_an_edit_and_no_other_write(engine: Engine) -> None:
    row_id = await made(engine, "Small")
    peer = await joined(engine, ALICE, "Small", row_id, 1)
    peer.field("body").insert(0, "short")
    assert await push(engine, ALICE, "Small", row_id, peer.taken()) is not None
    peer.field("body").insert(5, "".join(chr(97 + n % 26) + str(n) for n in range(400)))
    assert await refused(push(engine, ALICE, "Small", row_id, peer.taken())) == "POLICY_DENIED"
    assert await body(engine, "Small", row_id) == "short"
    await engine.update(ALICE, "Small", row_id, json.dumps({"body": "x" * 1000}).encode())
    assert await body(engine, "Small", row_id) == "x" * 1000


async def test_a_rule_tells_edits_from_other_updates(engine: Engine) -> None:
    rest, edited = await made(engine, "Rest"), await made(engine, "Edited")
    await engine.update(ALICE, "Rest", rest, b'{"body":"x"}')
    assert await refused(engine.update(ALICE, "Edited", edited, b'{"body":"x"}')) == "POLICY_DENIED"
    for entity, row_id in (("Rest", rest), ("Edited", edited)):
        peer = await joined(engine, ALICE, entity, row_id, 1)
        peer.field("body").insert(0, "edit ")
        update = peer.taken()
        if entity == "Rest":
            assert await refused(push(engine, ALICE, entity, row_id, update)) == "POLICY_DENIED"
        else:
            await push(engine, ALICE, entity, row_id, update)
    assert (await body(engine, "Rest", rest), await body(engine, "Edited", edited)) == ("x", "edit ")


async def test_nobody_sets_the_keys_himself(engine: Engine) -> None:
    row_id = await made(engine, "Edited")
    patch = b'{"body":"x","_pylon_crdt_update":true,"_pylon_update_size_bytes":1}'
    assert await refused(engine.update(ALICE, "Edited", row_id, patch)) == "INVALID_COLUMN"
    assert await refused(engine.insert(ALICE, "Edited", b'{"title":"T","_pylon_crdt_update":true}')) == "INVALID_COLUMN"
    small = await made(engine, "Small")
    peer = await joined(engine, ALICE, "Small", small, 1)
    peer.doc.get_map("row").insert("_pylon_update_size_bytes", 1.0)
    peer.field("body").insert(0, "".join(str(n) for n in range(400)))
    assert await refused(push(engine, ALICE, "Small", small, peer.taken())) == "POLICY_DENIED"


async def test_an_edit_that_a_rule_forbids_does_not_tell_whether_the_row_is_there(engine: Engine) -> None:
    row_id = await made(engine, "Rest")
    for target in (row_id, "0" * 40):
        assert await refused(push(engine, ALICE, "Rest", target, b"junk")) == "POLICY_DENIED"


async def test_what_waits_for_earlier_edits_and_what_is_known_is_judged_as_well(engine: Engine) -> None:
    row_id = await made(engine, "Kept")
    peer = await joined(engine, BOB, "Kept", row_id, 1)
    peer.field("body").insert(0, "first")
    first = peer.taken()
    peer.field("body").insert(0, "second")
    later = peer.taken()
    assert await refused(push(engine, BOB, "Kept", row_id, later)) == "POLICY_DENIED"
    await push(engine, ALICE, "Kept", row_id, first)
    assert await body(engine, "Kept", row_id) == "first"  # what bob sent is nowhere
    assert await refused(push(engine, BOB, "Kept", row_id, first)) == "POLICY_DENIED"  # nor is he told that it is known


async def test_an_edit_that_waits_and_would_be_refused_stops_nobody_elses(engine: Engine) -> None:
    row_id = await made(engine, "Edited")
    alice = await joined(engine, ALICE, "Edited", row_id, 1)
    trap: LoroDoc = LoroDoc()  # type: ignore[no-untyped-call]
    trap.import_(alice.doc.export(ExportMode.Snapshot()))
    alice.field("body").insert(0, "hello")
    edit = alice.taken()
    trap.import_(edit)  # bob knows what alice is about to send, and builds nonsense on it
    before = trap.oplog_vv
    trap.get_map("row").insert("nope", 1)
    trap.commit()
    assert await push(engine, BOB, "Edited", row_id, trap.export(ExportMode.Updates(before))) is None
    await push(engine, ALICE, "Edited", row_id, edit)
    assert await body(engine, "Edited", row_id) == "hello"


@pytest.mark.parametrize("key", ["_pylon_crdt_update", "_pylon_update_size_bytes"])
@pytest.mark.parametrize("rule", ["allow_read", "allow"])
def test_rules_that_also_decide_reading_can_not_name_them(key: str, rule: str) -> None:
    policy = PolicySpec(name="p", entity="Doc", **{rule: f"data.{key} == null"})
    with pytest.raises(PolicyError, match="rules of writes only"):
        compile_app_policies(AppSpec(name="docs", entities=(doc("Doc"),), policies=(policy,)))


def test_cases_try_rules_on_edits() -> None:
    cases = [
        Case(expect=expect, who=Person(user="ada"), update="Small", row={"title": "T"}, edit=size)
        for expect, size in (("allow", None), ("allow", 300), ("deny", 301))
    ]
    assert [outcome.passed for outcome in try_cases(RULES, cases)] == [True, True, True]
