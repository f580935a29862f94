"""Fan-out equals asking the policy for every socket: the table of spec 02 §8, in seq order, with nothing dropped."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.model.change import Change
from pylon.model.identity import ADMIN, ANONYMOUS, Identity
from pylon.model.rows import compile_rows
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind, PolicySpec
from pylon.policy.rules import Rule, compile_entity_policy, compile_scope
from pylon.sync.audiences import View
from pylon.sync.deciding import Question
from pylon.sync.events import Frames
from pylon.sync.hub import Hub

DOC = EntitySpec(
    name="Doc",
    fields=(
        Field(name="owner", kind=Kind.STRING, optional=True),
        Field(name="team", kind=Kind.STRING, optional=True),
        Field(name="public", kind=Kind.BOOL, optional=True),
        Field(name="secret", kind=Kind.STRING, optional=True, server_only=True),
    ),
)
TYPES = compile_rows(DOC)
POLICIES = [
    "true",
    "auth.userId != null",
    "auth.userId == data.owner",
    "auth.userId == data.owner || auth.tenantId == data.team",
    "data.team in auth.roles",
    "data.public == true || auth.userId == data.owner",
    "auth.isAdmin",
    "exists(Doc where owner == auth.userId and team == data.team)",
    "!(auth.userId == data.owner)",
]
IDENTITIES = [
    ANONYMOUS,
    ADMIN,
    Identity(user_id="a"),
    Identity(user_id="b", tenant_id="x"),
    Identity(user_id="c", roles=("x", "y")),
]
rows = st.fixed_dictionaries(
    {
        "owner": st.sampled_from([None, "a", "b", "c"]),
        "team": st.sampled_from([None, "x", "y"]),
        "public": st.sampled_from([None, True, False]),
    }
)


class Listener:
    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.writes = 0
        self.ended: list[int] = []

    def end(self, code: int, reason: str) -> None:
        self.ended.append(code)

    def deliver(self, frames: Frames) -> None:
        self.writes += 1
        for line in frames.sse.split(b"\n\n"):
            if line:
                self.events.append(json.loads(line.removeprefix(b"data: ")))


def rule(expression: str) -> Rule:
    app = AppSpec(name="x", entities=(DOC,), policies=(PolicySpec(name="p", entity="Doc", allow_read=expression),))
    return compile_entity_policy(app, DOC).read


def exists(entity: str, conditions: Sequence[tuple[str, Any]]) -> bool:
    return dict(conditions) in [{"owner": "a", "team": "x"}, {"owner": "b", "team": "y"}]


async def decide(questions: Sequence[Question]) -> list[bool]:
    await asyncio.sleep(0)
    return [r.allows(i, row, now=datetime.now(UTC), exists=exists) for r, i, row in questions]


def change(seq: int, kind: Any, row: dict[str, Any], old: dict[str, Any] | None = None) -> Change:
    after, before = TYPES.row(id=str(seq), **row), None if old is None else TYPES.row(id=str(seq), **old)
    prev = None if before is None else TYPES.encode(before)
    return Change(TYPES, "Doc", str(seq), kind, after, TYPES.encode(after), before, prev, seq)


def expected(read: Rule, identity: Identity, changes: list[Change]) -> list[tuple[int, str, Any]]:
    def may(row: Any) -> bool:
        return read.allows(identity, row, now=datetime.now(UTC), exists=exists)

    seen = []
    for c in changes:
        if may(c.row):
            seen.append((c.seq, c.kind, c.row.owner))
        elif c.kind == "update" and may(c.old):
            seen.append((c.seq, "delete", c.old.owner))
    return seen


def seen(listener: Listener) -> list[tuple[int, str, Any]]:
    return [(e["seq"], e["kind"], e["data"]["owner"]) for e in listener.events]


async def settle() -> None:
    for _ in range(300):
        await asyncio.sleep(0)


@settings(max_examples=150, deadline=None)
@given(
    expression=st.sampled_from(POLICIES),
    steps=st.lists(st.tuples(st.sampled_from(["insert", "update", "delete"]), rows, rows), max_size=12),
    sizes=st.lists(st.integers(1, 4), min_size=12, max_size=12),
)
def test_each_socket_sees_what_its_own_policy_check_would_show(
    expression: str, steps: list[tuple[str, dict[str, Any], dict[str, Any]]], sizes: list[int]
) -> None:
    read = rule(expression)
    changes = [change(i + 1, kind, row, old if kind == "update" else None) for i, (kind, row, old) in enumerate(steps)]

    async def run() -> list[Listener]:
        hub = Hub({"Doc": View(read, None)}, decide)
        listeners = [Listener() for _ in IDENTITIES for _ in range(2)]
        for listener, identity in zip(listeners, [i for i in IDENTITIES for _ in range(2)], strict=True):
            hub.add(listener, identity)
        await settle()
        rest = list(changes)
        for size in sizes:
            batch, rest = rest[:size], rest[size:]
            if batch:
                hub.publish(batch)
            if size % 2:
                await asyncio.sleep(0)
        await settle()
        return listeners

    listeners = asyncio.run(run())
    for listener, identity in zip(listeners, [i for i in IDENTITIES for _ in range(2)], strict=True):
        assert seen(listener) == expected(read, identity, changes)


@pytest.mark.parametrize("expression", POLICIES)
async def test_a_newcomer_is_sent_the_tail_and_then_the_rest_without_gap_or_duplicate(expression: str) -> None:
    read = rule(expression)
    hub = Hub({"Doc": View(read, None)}, decide)
    changes = [change(i, "insert", {"owner": "abc"[i % 3], "team": "x", "public": True}) for i in range(1, 31)]
    listeners = []
    for i in range(0, 30, 3):
        listener = Listener()
        listeners.append(listener)
        hub.add(listener, IDENTITIES[2])
        hub.publish(changes[i : i + 2])
        late = Listener()
        listeners.append(late)
        hub.add(late, IDENTITIES[2])
        hub.publish(changes[i + 2 : i + 3])
    await settle()
    for listener in listeners:
        assert seen(listener) == expected(read, IDENTITIES[2], changes)


@pytest.mark.parametrize("expression", POLICIES)
@pytest.mark.parametrize("turns", [0, 300])
async def test_who_becomes_somebody_else_is_sent_the_rest_as_that_one_and_nothing_twice(
    expression: str, turns: int
) -> None:
    read = rule(expression)
    hub = Hub({"Doc": View(read, None)}, decide)
    changes = [change(i, "insert", {"owner": "abc"[i % 3], "team": "xy"[i % 2], "public": True}) for i in range(1, 31)]
    before, now = IDENTITIES[2], IDENTITIES[3]
    listener = Listener()
    hub.publish(changes[:5])
    hub.add(listener, before)
    hub.publish(changes[5:15])
    for _ in range(turns):  # its turn came, or not yet
        await asyncio.sleep(0)
    hub.publish(changes[15:20])
    had = hub.sent_up_to(listener, before)
    hub.remove(listener, before)
    hub.add(listener, now, None, had)
    hub.publish(changes[20:])
    await settle()
    as_before = expected(read, before, changes[:had])
    assert seen(listener) == as_before + expected(read, now, changes[had:])
    assert had in (0, 15, 20)


async def test_one_turn_is_one_write_and_the_same_bytes_for_all() -> None:
    hub = Hub({"Doc": View(rule("true"), None)}, decide)
    listeners = [Listener() for _ in range(3)]
    for listener in listeners:
        hub.add(listener, ANONYMOUS)
    for i in range(1, 6):
        hub.publish([change(i, "insert", {"owner": "a"})])
    await settle()
    assert [listener.writes for listener in listeners] == [1, 1, 1]
    assert [len(listener.events) for listener in listeners] == [5, 5, 5]


async def test_the_tail_ends_after_its_seconds() -> None:
    now = [0.0]
    hub = Hub({"Doc": View(rule("true"), None)}, decide, clock=lambda: now[0])
    hub.publish([change(1, "insert", {"owner": "a"})])
    now[0] = 11.0
    hub.publish([change(2, "insert", {"owner": "a"})])
    listener = Listener()
    hub.add(listener, ANONYMOUS)
    assert [e["seq"] for e in listener.events] == [2]


async def test_a_scope_narrows_and_unknown_entities_stay_away() -> None:
    app = AppSpec(name="x", entities=(DOC,))
    hub = Hub({"Doc": View(rule("true"), compile_scope(app, DOC, "data.public == true"))}, decide)
    listener = Listener()
    hub.add(listener, ANONYMOUS)
    hub.publish([change(1, "insert", {"public": True}), change(2, "insert", {"public": False})])
    hub.publish([change(3, "update", {"public": False}, {"public": True})])
    stray = change(4, "insert", {"public": True})
    stray.entity = "Hidden"
    hub.publish([stray])
    await settle()
    assert [(e["seq"], e["kind"]) for e in listener.events] == [(1, "insert"), (3, "delete")]


@pytest.mark.parametrize("expression", ["true", POLICIES[7]])
async def test_what_a_new_process_finds_in_the_log_of_entities_that_stay_home_keeps_nobody_out(expression: str) -> None:
    hub = Hub({"Doc": View(rule(expression), None)}, decide)
    stray = change(1, "insert", {"public": True})
    stray.entity = "Hidden"
    hub.preload([stray, change(2, "insert", {"owner": "a", "team": "x"})], 2)
    listener = Listener()
    hub.add(listener, IDENTITIES[2])
    hub.publish([change(3, "insert", {"owner": "a", "team": "x"})])
    await settle()
    assert [e["seq"] for e in listener.events] == [2, 3]


async def test_who_left_gets_nothing_more() -> None:
    hub = Hub({"Doc": View(rule("auth.userId == data.owner"), None)}, decide)
    stays, leaves = Listener(), Listener()
    for listener in (stays, leaves):
        hub.add(listener, IDENTITIES[2])
    hub.remove(leaves, IDENTITIES[2])
    hub.publish([change(1, "insert", {"owner": "a"})])
    await settle()
    assert (len(stays.events), len(leaves.events)) == (1, 0)
    hub.remove(stays, IDENTITIES[2])
    assert hub.statistics.subscribers == 0


async def test_a_store_that_fails_denies_and_the_stream_goes_on() -> None:
    async def broken(questions: Sequence[Question]) -> list[bool]:
        raise RuntimeError("store is away")

    hub = Hub({"Doc": View(rule(POLICIES[7]), None)}, broken)
    admin, user = Listener(), Listener()
    hub.add(admin, ADMIN)
    hub.add(user, IDENTITIES[2])
    hub.publish([change(1, "insert", {"owner": "a", "team": "x"})])
    await settle()
    assert (len(admin.events), len(user.events), hub.statistics.errors) == (1, 0, 1)
    assert (admin.ended, user.ended) == ([], [1013])


async def test_a_store_too_slow_to_decide_sends_everybody_to_their_cursor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pylon.sync.deciding.QUEUE_LIMIT", 5)
    release = asyncio.Event()

    async def slow(questions: Sequence[Question]) -> list[bool]:
        await release.wait()
        return await decide(questions)

    hub = Hub({"Doc": View(rule(POLICIES[7]), None)}, slow)

    class Connection(Listener):
        def end(self, code: int, reason: str) -> None:
            super().end(code, reason)
            hub.remove(self, IDENTITIES[2])

    early, late = Connection(), Connection()
    hub.add(early, IDENTITIES[2])
    await settle()
    changes = [change(i, "insert", {"owner": "a", "team": "x"}) for i in range(1, 10)]
    for one in changes:
        hub.publish([one])
        await asyncio.sleep(0)
    assert early.ended == [1013]
    release.set()
    await settle()
    hub.add(late, IDENTITIES[2])
    await settle()
    assert seen(late) == expected(rule(POLICIES[7]), IDENTITIES[2], changes)
