"""Documents and their rows are two views of one thing: whatever is written to one shows in the other."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from pylon.engine.documents.documents import Limits
from pylon.engine.engine import Engine
from pylon.engine.stages import Stage
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.testing.engine import open_engine
from tests.conftest import ALICE, BOB
from tests.documents.peer import Peer, joined, push, show


@pytest.fixture
async def engine(docs: AppSpec, tmp_path: Path) -> AsyncIterator[Engine]:
    async with open_engine(docs, tmp_path) as opened:
        yield opened


async def made(engine: Engine, **fields: Any) -> str:
    body = json.dumps({"title": "T", **fields}).encode()
    row_id: str = (await engine.insert(ALICE, "Doc", body)).row_id
    return row_id


async def row(engine: Engine, row_id: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await engine.reads.get(ALICE, "Doc", row_id))
    return found


async def test_a_document_shows_what_replicates_of_its_row(engine: Engine) -> None:
    row_id = await made(engine, body="hello", count=1, done=True, votes=3, tags=["a"], secret=None, local="here")
    peer = await joined(engine, BOB, "Doc", row_id, 5)
    assert peer.row == {
        "title": "T",
        "body": "hello",
        "count": 1.0,
        "done": True,
        "votes": 3.0,
        "tags": ["a"],
        "steps": [],
        "outline": [],
        "author": "alice",
    }
    assert isinstance(peer.row["count"], float)
    assert peer.doc.get_text("body").to_string() == "hello"


async def test_a_row_nobody_asked_about_has_no_document_and_everybody_gets_the_same_one(engine: Engine) -> None:
    row_id = await made(engine, body="hello")
    await engine.update(ALICE, "Doc", row_id, b'{"title":"U"}')
    assert engine.documents.statistics.made == 0
    shown = await show(engine, ALICE, "Doc", row_id)
    assert shown is not None
    assert shown == await show(engine, BOB, "Doc", row_id)
    assert engine.documents.statistics.made == 1


async def test_two_who_write_at_once_both_keep_their_words(engine: Engine) -> None:
    row_id = await made(engine, body="hello")
    one, two = [await joined(engine, ALICE, "Doc", row_id, number) for number in (1, 2)]
    one.field("body").insert(5, " A")
    two.field("body").insert(0, "B ")
    for peer in (one, two):
        change = await push(engine, ALICE, "Doc", row_id, peer.taken())
        assert change is not None
        assert (change.kind, change.document_leads) == ("update", True)
    assert (await row(engine, row_id))["body"] == "B hello A"
    assert change.document is not None
    one.receive(change.document)
    assert one.row["body"] == "B hello A"


async def test_registers_counters_lists_and_trees_reach_the_row(engine: Engine) -> None:
    row_id = await made(engine, votes=1, tags=["a", "b"], steps=["x", "y", "z"])
    peer = await joined(engine, ALICE, "Doc", row_id, 9)
    fields = peer.doc.get_map("row")
    fields.insert("count", 7.0)
    fields.insert("rate", 0.5)
    fields.insert("state", "closed")
    fields.insert("meta", {"k": [1, None]})
    peer.field("votes").increment(2)
    peer.field("tags").insert(1, {"deep": True})
    peer.field("steps").mov(2, 0)
    tree = peer.field("outline")
    top = tree.create(None)
    tree.get_meta(top).insert("name", "top")
    tree.create(top)
    await push(engine, ALICE, "Doc", row_id, peer.taken())
    found = await row(engine, row_id)
    assert (found["count"], found["rate"], found["state"], found["votes"]) == (7, 0.5, "closed", 3)
    assert isinstance(found["count"], int)
    assert found["meta"] == {"k": [1, None]}
    assert found["tags"] == ["a", {"deep": True}, "b"]
    assert found["steps"] == ["z", "x", "y"]
    [node] = found["outline"]
    assert (node["meta"], len(node["children"])) == ({"name": "top"}, 1)


async def test_a_write_of_the_row_edits_the_document_and_leaves_what_stays_in_place(engine: Engine) -> None:
    row_id = await made(engine, body="one two three", steps=["a", "b", "c"], outline=[{"meta": {"n": 1}}])
    peer = await joined(engine, ALICE, "Doc", row_id, 9)
    [node] = peer.row["outline"]
    peer.field("body").insert(13, "!")  # meanwhile, at the end
    patch = {
        "body": "one 2 three",
        "votes": 4,
        "steps": ["c", "a", "b"],
        "outline": [{"meta": {"n": 2}, "children": [{"id": node["id"], "meta": {"n": 1}}]}],
        "count": None,
    }
    change = await engine.update(ALICE, "Doc", row_id, json.dumps(patch).encode())
    assert change is not None
    assert change.document is not None
    assert not change.document_leads
    mine = peer.taken()
    peer.receive(change.document)
    await push(engine, ALICE, "Doc", row_id, mine)
    assert peer.row["body"] == "one 2 three!"
    assert (await row(engine, row_id))["body"] == "one 2 three!"
    assert (peer.row["votes"], peer.row["steps"]) == (4.0, ["c", "a", "b"])
    [top] = peer.row["outline"]
    assert [child["id"] for child in top["children"]] == [node["id"]]


async def test_the_root_text_of_use_collab_text_is_the_field(engine: Engine) -> None:
    row_id = await made(engine, body="hello")
    one, two = [await joined(engine, ALICE, "Doc", row_id, number) for number in (1, 2)]
    one.doc.get_text("body").insert(5, " root")
    two.field("body").insert(0, "field ")
    for peer in (one, two):
        change = await push(engine, ALICE, "Doc", row_id, peer.taken())
    assert (await row(engine, row_id))["body"] == "field hello root"
    late = await joined(engine, ALICE, "Doc", row_id, 3)
    assert late.row["body"] == late.doc.get_text("body").to_string() == "field hello root"
    await engine.update(ALICE, "Doc", row_id, b'{"body":"new"}')
    late = await joined(engine, ALICE, "Doc", row_id, 4)
    assert late.row["body"] == late.doc.get_text("body").to_string() == "new"
    late.doc.get_text("body").insert(3, "er")
    late.field("body").insert(0, "the ")
    change = await push(engine, ALICE, "Doc", row_id, late.taken())
    assert change is not None
    assert change.row.body == "the newer"


async def test_an_edit_that_only_formats_is_recorded_too(engine: Engine) -> None:
    row_id = await made(engine, body="hello")
    peer = await joined(engine, ALICE, "Doc", row_id, 1)
    peer.field("body").mark(0, 5, "bold", True)
    update = peer.taken()
    change = await push(engine, ALICE, "Doc", row_id, update)
    assert change is not None
    assert (change.row.body, change.fields) == ("hello", ())
    assert change.seq == engine.reads.log_head()
    assert await push(engine, ALICE, "Doc", row_id, update) is None  # nothing new


async def test_edits_that_arrive_out_of_order_are_kept_until_they_fit(docs: AppSpec, tmp_path: Path) -> None:
    async with open_engine(docs, tmp_path) as engine:
        row_id = await made(engine, body="")
        peer = await joined(engine, ALICE, "Doc", row_id, 1)
        peer.field("body").insert(0, "first")
        first = peer.taken()
        peer.field("body").insert(5, " second")
        assert await push(engine, ALICE, "Doc", row_id, peer.taken()) is None
        assert (await row(engine, row_id))["body"] == ""
    async with open_engine(docs, tmp_path) as engine:
        await push(engine, ALICE, "Doc", row_id, first)
        assert (await row(engine, row_id))["body"] == "first second"


def forged(peer: Peer, what: str) -> None:
    fields = peer.doc.get_map("row")
    if what == "text for a number":
        fields.insert("count", "many")
    elif what == "a fraction for an int":
        fields.insert("count", 1.5)
    elif what == "a fraction of a vote":
        peer.field("votes").increment(0.5)
    elif what == "another enum value":
        fields.insert("state", "ajar")
    elif what == "a register for a text":
        fields.insert("body", "plain")
    elif what == "an unknown field":
        fields.insert("nope", 1)
    elif what == "a hidden field":
        fields.insert("secret", "x")
    elif what == "the id":
        fields.insert("id", "0" * 40)
    elif what == "bytes in a list":
        peer.field("tags").insert(0, b"x")


@pytest.mark.parametrize(
    "what",
    [
        "text for a number",
        "a fraction for an int",
        "a fraction of a vote",
        "another enum value",
        "a register for a text",
        "an unknown field",
        "a hidden field",
        "the id",
        "bytes in a list",
    ],
)
async def test_what_a_field_does_not_take_is_refused_and_leaves_nothing(engine: Engine, what: str) -> None:
    row_id = await made(engine, body="hello")
    peer = await joined(engine, ALICE, "Doc", row_id, 1)
    before, head = await row(engine, row_id), engine.reads.log_head()
    forged(peer, what)
    peer.doc.get_text("body").insert(0, "smuggled ")
    with pytest.raises(PylonError) as refused:
        await push(engine, ALICE, "Doc", row_id, peer.taken())
    assert refused.value.code == "CRDT_APPLY_FAILED", refused.value.message
    assert (await row(engine, row_id), engine.reads.log_head()) == (before, head)
    assert (await joined(engine, ALICE, "Doc", row_id, 2)).row["body"] == "hello"


async def test_readonly_fields_not_null_and_unique_hold_for_edits_of_documents(engine: Engine) -> None:
    await made(engine, slug="taken")
    row_id = await made(engine)
    for edit, code in (
        (lambda fields: fields.insert("author", "bob"), "READONLY_FIELD"),
        (lambda fields: fields.delete("title"), "UPDATE_FAILED"),
        (lambda fields: fields.insert("slug", "taken"), "UPDATE_FAILED"),
    ):
        peer = await joined(engine, ALICE, "Doc", row_id, 1)
        edit(peer.doc.get_map("row"))
        with pytest.raises(PylonError) as refused:
            await push(engine, ALICE, "Doc", row_id, peer.taken())
        assert refused.value.code == code
    assert (await joined(engine, ALICE, "Doc", row_id, 2)).row["title"] == "T"


async def test_only_who_may_update_the_row_may_edit_its_document(engine: Engine) -> None:
    row_id = await made(engine)
    peer = await joined(engine, BOB, "Doc", row_id, 1)
    peer.doc.get_map("row").insert("title", "mine")
    for update in (peer.taken(), b"junk"):
        with pytest.raises(PylonError) as refused:
            await push(engine, BOB, "Doc", row_id, update)
        assert refused.value.code == "POLICY_DENIED"
    with pytest.raises(PylonError, match="policy"):
        await push(engine, BOB, "Doc", "0" * 40, b"junk")


async def test_bytes_that_loro_cannot_read_are_refused(engine: Engine) -> None:
    row_id = await made(engine, body="hello")
    peer = await joined(engine, ALICE, "Doc", row_id, 1)
    peer.field("body").insert(0, "x")
    update = peer.taken()
    for junk in (b"", b"junk", update[:-3], update[:30] + b"\xff" + update[31:], b"loro" + bytes(20)):
        with pytest.raises(PylonError) as refused:
            await push(engine, ALICE, "Doc", row_id, junk)
        assert refused.value.code == "CRDT_DECODE_FAILED"
    await push(engine, ALICE, "Doc", row_id, update)
    assert (await row(engine, row_id))["body"] == "xhello"


async def test_plain_entities_have_no_documents(engine: Engine) -> None:
    row_id = (await engine.insert(ALICE, "Plain", b'{"title":"x"}')).row_id
    assert await show(engine, ALICE, "Plain", row_id) is None
    with pytest.raises(PylonError) as refused:
        await push(engine, ALICE, "Plain", row_id, b"junk")
    assert refused.value.code == "NOT_SUPPORTED"


async def test_a_write_that_is_undone_leaves_the_document_as_it_was(engine: Engine) -> None:
    row_id = await made(engine, body="hello")
    peer = await joined(engine, ALICE, "Doc", row_id, 1)
    plan = engine.plans["Doc"]

    def fail(tx: Any) -> None:
        tx.update(plan, row_id, {"body": "lost"})
        raise ValueError("changed my mind")

    with pytest.raises(ValueError, match="changed"):
        await engine.run(ALICE, fail)
    peer.field("body").insert(5, "!")
    change = await push(engine, ALICE, "Doc", row_id, peer.taken())
    assert change is not None
    assert change.row.body == "hello!"


async def test_a_row_deleted_and_made_again_has_a_document_of_its_own(engine: Engine) -> None:
    row_id = await made(engine, body="hello", id="a" * 40)
    old = await joined(engine, ALICE, "Doc", row_id, 1)
    await engine.delete(ALICE, "Doc", row_id)
    assert await show(engine, ALICE, "Doc", row_id) is None
    await made(engine, body="again", id="a" * 40)
    new = await joined(engine, ALICE, "Doc", row_id, 2)
    assert new.row["body"] == "again"
    old.receive(new.taken())
    old.field("body").insert(0, "x")
    await push(engine, ALICE, "Doc", row_id, old.taken())
    assert (await row(engine, row_id))["body"] == "again"


async def test_documents_are_compacted_bounded_in_memory_and_read_again(docs: AppSpec, tmp_path: Path) -> None:
    async with open_engine(docs, tmp_path, document_limits=Limits(cache=120_000)) as engine:
        rows = [await made(engine, body=f"{n}:") for n in range(8)]
        peers = [await joined(engine, ALICE, "Doc", row_id, n) for n, row_id in enumerate(rows, 1)]
        for step in range(60):
            peer, row_id = peers[step % 8], rows[step % 8]
            peer.field("body").insert(2, f"{step},")
            await push(engine, ALICE, "Doc", row_id, peer.taken())
        for _ in range(250):
            peers[0].field("body").insert(2, "x")
            await push(engine, ALICE, "Doc", rows[0], peers[0].taken())
        documents = engine.documents
        assert documents.cache.bytes <= 120_000
        assert documents.cache.evicted > 0
        assert documents.statistics.compacted > 8
    async with open_engine(docs, tmp_path) as engine:
        for peer, row_id in zip(peers, rows, strict=True):
            fresh = await joined(engine, ALICE, "Doc", row_id, 99)
            assert fresh.row["body"] == peer.row["body"] == (await row(engine, row_id))["body"]


async def test_updates_and_documents_over_their_limits_are_refused(docs: AppSpec, tmp_path: Path) -> None:
    limits = Limits(update=5_000, document=20_000)
    async with open_engine(docs, tmp_path, document_limits=limits) as engine:
        row_id = await made(engine, body="")
        peer = await joined(engine, ALICE, "Doc", row_id, 1)
        peer.field("body").insert(0, "".join(chr(0x4E00 + n) for n in range(6_000)))
        with pytest.raises(PylonError) as refused:
            await push(engine, ALICE, "Doc", row_id, peer.taken())
        assert refused.value.code == "PAYLOAD_TOO_LARGE"
        peer = await joined(engine, ALICE, "Doc", row_id, 2)
        refusal = ""
        written = -1
        while not refusal:
            written += 1
            peer.field("body").insert(0, "".join(chr(0x4E00 + written * 500 + n) for n in range(500)))
            try:
                await push(engine, ALICE, "Doc", row_id, peer.taken())
            except PylonError as error:
                refusal = error.code
        assert refusal == "DOCUMENT_TOO_LARGE"
        assert len((await row(engine, row_id))["body"]) == 500 * written


def digest(number: int) -> str:
    return hashlib.sha256(b"%d" % number).hexdigest()


async def test_a_document_whose_history_outgrew_it_goes_on_without_and_stale_edits_are_told(
    docs: AppSpec, tmp_path: Path
) -> None:
    async with open_engine(docs, tmp_path, document_limits=Limits(document=6_000)) as engine:
        row_id = await made(engine, body="start")
        stale = await joined(engine, ALICE, "Doc", row_id, 7)
        peer = await joined(engine, ALICE, "Doc", row_id, 1)
        for n in range(200):
            peer.field("body").delete(0, peer.field("body").len_unicode)
            peer.field("body").insert(0, digest(n))
            change = await push(engine, ALICE, "Doc", row_id, peer.taken())
            assert change is not None
            assert change.document is not None
            peer.receive(change.document)
        assert engine.documents.statistics.trimmed > 0
        assert (await row(engine, row_id))["body"] == peer.row["body"] == digest(199)
        stale.field("body").insert(5, "?")
        with pytest.raises(PylonError) as refused:
            await push(engine, ALICE, "Doc", row_id, stale.taken())
        assert refused.value.code == "CRDT_OUTDATED"


async def test_what_a_stage_makes_of_an_edit_goes_back_into_the_document(engine: Engine) -> None:
    class Shouting(Stage):
        def updating(self, transaction: Any, plan: Any, old: Any, patch: dict[str, Any]) -> None:
            if patch.get("body"):
                patch["body"] = patch["body"].upper()

    engine.plans["Doc"].stages.append(Shouting())
    row_id = await made(engine, body="hello")
    peer = await joined(engine, ALICE, "Doc", row_id, 1)
    peer.field("body").insert(5, " you")
    change = await push(engine, ALICE, "Doc", row_id, peer.taken())
    assert change is not None
    assert change.document is not None
    peer.receive(change.document)
    assert change.row.body == peer.row["body"] == peer.doc.get_text("body").to_string() == "HELLO YOU"


async def test_a_backup_carries_documents_with_their_history(docs: AppSpec, tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    async with open_engine(docs, tmp_path) as engine:
        row_id = await made(engine, body="hello")
        peer = await joined(engine, ALICE, "Doc", row_id, 1)
        peer.field("body").insert(5, "!")
        await push(engine, ALICE, "Doc", row_id, peer.taken())
        with contextlib.closing(apsw.Connection(str(tmp_path / "pylon.db"))) as source:
            source.execute("VACUUM INTO ?", (str(tmp_path / "copy" / "pylon.db"),))
    async with open_engine(docs, tmp_path / "copy") as engine:
        peer.field("body").insert(6, "?")
        await push(engine, ALICE, "Doc", row_id, peer.taken())  # builds on what the copy must know
        assert (await row(engine, row_id))["body"] == "hello!?"


async def test_a_document_that_made_room_is_gone_from_memory(docs: AppSpec, tmp_path: Path) -> None:
    async with open_engine(docs, tmp_path, document_limits=Limits(cache=0)) as engine:
        row_id = await made(engine, body="hello")
        peer = await joined(engine, ALICE, "Doc", row_id, 1)
        peer.field("body").insert(5, "!")
        await push(engine, ALICE, "Doc", row_id, peer.taken())
        document = weakref.ref(engine.documents.cache.get(("Doc", row_id)))
        assert document() is not None
        await show(engine, ALICE, "Doc", await made(engine))
        gc.collect()
        assert document() is None


async def test_a_stored_document_that_cannot_be_read_is_made_anew_from_its_row(docs: AppSpec, tmp_path: Path) -> None:
    async with open_engine(docs, tmp_path) as engine:
        row_id = await made(engine, body="hello")
        await joined(engine, ALICE, "Doc", row_id, 1)
    with contextlib.closing(apsw.Connection(str(tmp_path / "pylon.db"))) as database:
        database.execute("UPDATE _pylon_crdt_snapshots SET snapshot = x'00ff'")
    async with open_engine(docs, tmp_path) as engine:
        peer = await joined(engine, ALICE, "Doc", row_id, 2)
        assert peer.row["body"] == "hello"
        peer.field("body").insert(5, "!")
        await push(engine, ALICE, "Doc", row_id, peer.taken())
        assert (await row(engine, row_id))["body"] == "hello!"
