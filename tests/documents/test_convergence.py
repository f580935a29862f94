"""Whoever edits what, in whatever order it arrives: at rest the row, the document and every copy say the same.

Peers edit by themselves for a while, push late and out of order, and hear of others late; others patch the row over the
same engine meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pylon.engine.documents.containers import is_same_tree, kept_ends, plain
from pylon.engine.documents.documents import Limits
from pylon.engine.engine import Engine
from pylon.model.schema import AppSpec
from pylon.testing.engine import open_engine
from tests.conftest import ALICE
from tests.documents.conftest import DOC
from tests.documents.peer import Peer, joined, push

EXAMPLES = 400 if os.environ.get("PYLON_TEST_LONG") else 40
WORDS = st.text(alphabet="abé😀 ", min_size=1, max_size=4)
PLACE = st.integers(0, 30)
EDIT = st.one_of(
    st.tuples(st.just("insert"), st.sampled_from(["field", "root"]), PLACE, WORDS),
    st.tuples(st.just("delete"), st.sampled_from(["field", "root"]), PLACE, st.integers(1, 4)),
    st.tuples(st.just("set"), st.sampled_from(["title", "slug_"]), WORDS),
    st.tuples(st.just("count"), st.integers(-3, 3)),
    st.tuples(st.just("vote"), st.integers(-3, 3)),
    st.tuples(st.just("tag"), PLACE, st.booleans(), WORDS),
    st.tuples(st.just("step"), PLACE, st.sampled_from(["insert", "delete", "move", "set"]), WORDS),
    st.tuples(st.just("node"), PLACE, st.sampled_from(["create", "delete", "move", "meta"]), WORDS),
)
PATCH = st.fixed_dictionaries(
    {},
    optional={
        "title": WORDS,
        "body": st.none() | st.text(alphabet="abé😀 ", max_size=12),
        "count": st.none() | st.integers(-9, 9),
        "votes": st.none() | st.integers(-9, 9),
        "tags": st.none() | st.lists(WORDS, max_size=4),
        "steps": st.none() | st.lists(WORDS, max_size=4),
        "outline": st.none()
        | st.lists(st.fixed_dictionaries({"meta": st.fixed_dictionaries({"t": WORDS})}), max_size=3),
    },
)
EVENT = st.one_of(
    st.tuples(st.just("edit"), st.integers(0, 2), EDIT),
    st.tuples(st.just("edit"), st.integers(0, 2), EDIT),
    st.tuples(st.just("push"), st.integers(0, 2), st.booleans()),
    st.tuples(st.just("hear"), st.integers(0, 2)),
    st.tuples(st.just("patch"), PATCH),
)


class Party:
    """Three peers of one row, and what is under way to and from each."""

    def __init__(self, engine: Engine, row_id: str, peers: list[Peer]) -> None:
        self.engine = engine
        self.row_id = row_id
        self.peers = peers
        self.unsent: list[list[bytes]] = [[] for _ in peers]
        self.unheard: list[list[bytes]] = [[] for _ in peers]

    async def play(self, event: Any) -> None:
        what, *rest = event
        if what == "edit":
            number, edit = rest
            make(self.peers[number], edit)
            if update := self.peers[number].taken():
                self.unsent[number].append(update)
        elif what == "push":
            number, last_first = rest
            if self.unsent[number]:
                await self.push(self.unsent[number].pop(-1 if last_first else 0))
        elif what == "hear":
            self.hear(rest[0])
        elif rest[0]:
            change = await self.engine.update(ALICE, "Doc", self.row_id, json.dumps(rest[0]).encode())
            assert change is not None
            self.tell(change.document)

    async def push(self, update: bytes) -> None:
        change = await push(self.engine, ALICE, "Doc", self.row_id, update)
        self.tell(None if change is None else change.document)

    def tell(self, update: bytes | None) -> None:
        if update is not None:
            for unheard in self.unheard:
                unheard.append(update)

    def hear(self, number: int) -> None:
        for update in self.unheard[number]:
            own = self.peers[number].taken()
            assert len(own) < 40, "edits are taken when they are made"
            self.peers[number].receive(update)
        self.unheard[number].clear()

    async def settle(self) -> None:
        for unsent in self.unsent:
            while unsent:
                await self.push(unsent.pop())
        for number in range(len(self.peers)):
            self.hear(number)


def make(peer: Peer, edit: Any) -> None:
    what, *rest = edit
    fields = peer.doc.get_map("row")
    if what in ("insert", "delete"):
        where, place, content = rest
        text = peer.field("body") if where == "field" else peer.doc.get_text("body")
        at = min(place, text.len_unicode)
        if what == "insert":
            text.insert(at, content)
        elif gone := min(content, text.len_unicode - at):
            text.delete(at, gone)
    elif what == "set":
        fields.insert("title", rest[1])
    elif what == "count":
        fields.insert("count", float(rest[0]))
    elif what == "vote":
        peer.field("votes").increment(rest[0])
    elif what == "tag":
        place, adds, word = rest
        tags = peer.field("tags")
        if adds:
            tags.insert(min(place, len(tags)), word)
        elif len(tags):
            tags.delete(place % len(tags), 1)
    elif what == "step":
        place, how, word = rest
        steps = peer.field("steps")
        if how == "insert" or not len(steps):
            steps.insert(min(place, len(steps)), word)
        elif how == "delete":
            steps.delete(place % len(steps), 1)
        elif how == "move":
            steps.mov(place % len(steps), 0)
        else:
            steps.set(place % len(steps), word)
    else:
        place, how, word = rest
        tree = peer.field("outline")
        nodes = [node.id for node in tree.get_nodes(False)]
        if how == "create" or not nodes:
            tree.get_meta(tree.create(nodes[place % len(nodes)] if nodes and place % 2 else None)).insert("t", word)
        elif how == "delete":
            tree.delete(nodes[place % len(nodes)])
        elif how == "move":
            tree.mov(nodes[place % len(nodes)], None)
        else:
            tree.get_meta(nodes[place % len(nodes)]).insert("t", word)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[asyncio.Runner, Engine]]:
    from pylon.model.schema import PolicySpec

    app = AppSpec(name="docs", entities=(DOC,), policies=(PolicySpec(name="docs", entity="Doc", allow="true"),))
    folder: Path = tmp_path_factory.mktemp("convergence")
    with asyncio.Runner() as runner:
        opening = open_engine(app, folder, document_limits=Limits(cache=0))
        engine = runner.run(opening.__aenter__())
        yield runner, engine
        runner.run(opening.__aexit__(None, None, None))


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=st.lists(EVENT, max_size=40), first=PATCH)
def test_row_document_and_every_copy_are_the_same_at_rest(
    running: tuple[asyncio.Runner, Engine], events: list[Any], first: dict[str, Any]
) -> None:
    runner, engine = running

    async def play() -> None:
        body = json.dumps({"title": "T", **first}).encode()
        row_id = (await engine.insert(ALICE, "Doc", body)).row_id
        peers = [await joined(engine, ALICE, "Doc", row_id, number) for number in (11, 22, 33)]
        party = Party(engine, row_id, peers)
        for event in events:
            await party.play(event)
        await party.settle()
        fresh = await joined(engine, ALICE, "Doc", row_id, 44)
        row = json.loads(await engine.reads.get(ALICE, "Doc", row_id))
        for peer in (*peers, fresh):
            assert peer.row == fresh.row
            assert peer.doc.get_text("body").to_string() == peer.row["body"]
        assert fresh.row["body"] == (row["body"] or "")
        assert fresh.row["title"] == row["title"]
        assert fresh.row.get("count") == row["count"]
        assert fresh.row["votes"] == (row["votes"] or 0)
        assert fresh.row["tags"] == (row["tags"] or [])
        assert fresh.row["steps"] == (row["steps"] or [])
        assert is_same_tree([trimmed(node) for node in fresh.row["outline"]], row["outline"] or [])

    runner.run(play())


def trimmed(node: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": node["id"],
        "meta": plain(node["meta"]),
        "children": [trimmed(child) for child in node["children"]],
    }


@given(st.lists(st.integers(0, 2)), st.lists(st.integers(0, 2)))
def test_only_what_lies_between_the_shared_ends_is_replaced(old: list[int], new: list[int]) -> None:
    head, tail = kept_ends(old, new)
    assert old[:head] == new[:head]
    assert old[len(old) - tail :] == new[len(new) - tail :]
    assert head + tail <= min(len(old), len(new))
    if head + tail < min(len(old), len(new)):
        assert old[head] != new[head]
        assert old[-1 - tail] != new[-1 - tail]
