"""A client that asks for a part is sent that part, whatever the policy, and never more than it may see."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.auth.sessions import Session
from pylon.engine.plan import Plans
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.identity import ADMIN, ANONYMOUS, Identity
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind, PolicySpec
from pylon.sync.audiences import View
from pylon.sync.hub import Hub
from pylon.sync.pull import Pull, parse_position
from pylon.sync.scopes import Scopes
from pylon.sync.subset import MAX_BYTES, MAX_OPERANDS, Subset, Subsets
from pylon.testing.engine import open_engine
from tests.conftest import ADMINISTRATOR, ALICE, BOB
from tests.sync.test_asgi_socket import Peer, door
from tests.sync.test_hub import DOC, IDENTITIES, POLICIES, TYPES, Listener, change, decide, exists, rows, rule, settle

SCOPES: list[Any] = [
    None,
    {"Doc": {}},
    {"Doc": {"owner": "a"}},
    {"Doc": {"owner": {"$in": ["a", "b"]}}},
    {"Doc": {"team": {"$not": "x"}}},
    {"Doc": {"public": True, "team": "x"}},
    {},
]


def subsets(expression: str) -> Subsets:
    policy = PolicySpec(name="p", entity="Doc", allow_read=expression)
    return Subsets(Plans(AppSpec(name="x", entities=(DOC,), policies=(policy,))))


def expected(
    expression: str, identity: Identity, subset: Subset | None, changes: Sequence[Change]
) -> list[tuple[int, str, Any]]:
    read = rule(expression)

    def wants(row: Any) -> bool:
        visible = read.allows(identity, row, now=datetime.now(UTC), exists=exists)
        return visible and (subset is None or subset.matches("Doc", row))

    seen = []
    for c in changes:
        if wants(c.row):
            seen.append((c.seq, c.kind, c.row.owner))
        elif c.kind == "update" and wants(c.old):
            seen.append((c.seq, "delete", c.old.owner))
    return seen


def seen(listener: Listener) -> list[tuple[int, str, Any]]:
    return [(e["seq"], e["kind"], e["data"]["owner"]) for e in listener.events]


@settings(max_examples=120, deadline=None)
@given(
    expression=st.sampled_from(POLICIES),
    steps=st.lists(st.tuples(st.sampled_from(["insert", "update", "delete"]), rows, rows), max_size=10),
    sizes=st.lists(st.integers(1, 4), min_size=10, max_size=10),
    switches=st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, len(IDENTITIES) * len(SCOPES) - 1), st.sampled_from(SCOPES)),
        max_size=6,
    ),
    witness=st.booleans(),
)
def test_each_socket_sees_its_part_and_from_its_switch_on_the_other(
    expression: str,
    steps: list[tuple[str, dict[str, Any], dict[str, Any]]],
    sizes: list[int],
    switches: list[tuple[int, int, Any]],
    witness: bool,
) -> None:
    changes = [change(i + 1, kind, row, old if kind == "update" else None) for i, (kind, row, old) in enumerate(steps)]
    compiled = subsets(expression)
    who = [(identity, compiled.of(scope, identity)) for identity in IDENTITIES for scope in SCOPES]
    turns: list[list[tuple[int, Subset | None]]] = [[(0, subset)] for _, subset in who]

    async def run() -> list[Listener]:
        hub = Hub({"Doc": View(rule(expression), None, (lambda i, c: None) if witness else None)}, decide)
        listeners = [Listener() for _ in who]
        for listener, (identity, subset) in zip(listeners, who, strict=True):
            hub.add(listener, identity, subset)
        await settle()
        rest = list(changes)
        for at, size in enumerate(sizes):
            batch, rest = rest[:size], rest[size:]
            if batch:
                hub.publish(batch)
            for _, which, scope in (s for s in switches if s[0] == at):
                identity = who[which][0]
                subset = compiled.of(scope, identity)
                hub.switch(
                    listeners[which],
                    identity,
                    subset,
                    lambda n, w=which, s=subset: turns[w].append((n, s)),  # type: ignore[misc]
                )
            if size % 2:
                await asyncio.sleep(0)
        await settle()
        for listener, (identity, _) in zip(listeners, who, strict=True):
            hub.remove(listener, identity)
        assert hub.statistics.subscribers == 0
        assert not hub._subsets
        assert not hub._audiences
        assert not hub._audiences.partial._any_row
        assert not hub._audiences.partial._by_value
        return listeners

    listeners = asyncio.run(run())
    for listener, (identity, _), parts in zip(listeners, who, turns, strict=True):
        wanted = []
        for (since, subset), (until, _) in zip(parts, [*parts[1:], (len(changes), None)], strict=True):
            wanted += expected(expression, identity, subset, changes[since:until])
        assert seen(listener) == wanted


async def test_sockets_of_one_identity_and_scope_share_one_audience() -> None:
    hub = Hub({"Doc": View(rule("true"), None)}, decide)
    compiled = subsets("true")
    for text in ('{"Doc":{"owner":"a","team":"x"}}', '{"Doc": {"team": "x", "owner": "a"}}'):
        hub.add(Listener(), ANONYMOUS, compiled.parse(text, ANONYMOUS))
    assert len(hub._audiences) == 1


@settings(max_examples=100, deadline=None)
@given(rows, st.sampled_from(SCOPES[1:-1]))
def test_the_key_of_a_part_never_hides_a_row_that_matches(values: dict[str, Any], scope: Any) -> None:
    subset = subsets("true").of(scope, ANONYMOUS)
    assert subset is not None
    part, row = subset.parts["Doc"], TYPES.row(id="1", **values)
    if part.key is not None and part.matches(row):
        assert getattr(row, part.key[0]) in part.key[1]


async def test_an_equality_filter_is_found_by_its_value_and_costs_the_others_nothing() -> None:
    hub = Hub({"Doc": View(rule("true"), None)}, decide)
    compiled = subsets("true")
    for i in range(100):
        hub.add(Listener(), ANONYMOUS, compiled.of({"Doc": {"owner": f"u{i}"}}, ANONYMOUS))
    row = TYPES.row(id="1", owner="u7")
    assert len(hub._audiences.partial.candidates("Doc", row)) == 1


# -- what may be asked for ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "junk",
        "[]",
        "1",
        '{"Doc":1}',
        '{"Doc":{"nosuch":1}}',
        '{"Doc":{"secret":"x"}}',
        '{"Doc":{"$order":{"owner":"asc"}}}',
        '{"Doc":{"$limit":5}}',
        json.dumps({"Doc": {"owner": "x" * MAX_BYTES}}),
        json.dumps({"Doc": {"owner": {"$in": ["x"] * (MAX_OPERANDS + 1)}}}),
        json.dumps({f"E{i}": {} for i in range(65)}),
        "[" * 5000,
    ],
)
def test_a_scope_that_is_too_large_or_wrong_is_refused_with_one_code(text: str) -> None:
    with pytest.raises(PylonError) as refused:
        subsets("true").parse(text, ANONYMOUS)
    assert (refused.value.code, refused.value.status) == ("INVALID_SCOPE", 400)


def test_what_nobody_lets_the_caller_see_selects_nothing_and_tells_nothing() -> None:
    for scope in ('{"Doc":{"nosuch":1}}', '{"Nosuch":{"nosuch":1}}'):
        subset = subsets("auth.userId != null").parse(scope, ANONYMOUS)
        assert subset is not None
        assert subset.parts == {}


def test_admins_may_filter_on_server_only_fields() -> None:
    subset = subsets("true").of({"Doc": {"secret": "x"}}, ADMIN)
    assert subset is not None
    assert subset.matches("Doc", TYPES.row(id="1", secret="x"))


# -- pull --------------------------------------------------------------------------------------------------------

ITEM = EntitySpec(
    name="Item",
    fields=(
        Field(name="room", kind=Kind.STRING),
        Field(name="owner", kind=Kind.STRING, optional=True),
        Field(name="n", kind=Kind.INT, optional=True),
        Field(name="body", kind=Kind.STRING, optional=True, sync_omit=True),
    ),
)
APP = AppSpec(
    name="items",
    entities=(ITEM, EntitySpec(name="Other", fields=(Field(name="x", kind=Kind.INT),))),
    policies=(
        PolicySpec(name="mine", entity="Item", allow="data.owner == null || auth.userId == data.owner"),
        PolicySpec(name="all", entity="Other", allow="true"),
    ),
)


async def whole(pull: Pull, caller: Any, scope: Any) -> list[Any]:
    subset = pull.subset(caller, json.dumps(scope))
    answer = json.loads(b"".join([part async for part in await pull.snapshot(caller, subset)]))
    return list(answer["changes"])


async def test_a_snapshot_answers_the_part_alone_whole_and_in_pages(tmp_path: Path) -> None:
    async with open_engine(APP, tmp_path) as engine:
        pull = Pull(engine)
        for i in range(9):
            await engine.insert(ALICE, "Item", b'{"room":"r%d","n":%d}' % (i % 3, i))
            await engine.insert(ALICE, "Other", b'{"x":%d}' % i)
        await engine.insert(BOB, "Item", b'{"room":"r1","owner":"bob","n":99}')
        found = await whole(pull, ALICE, {"Item": {"room": "r1"}})
        assert [(c["entity"], c["data"]["n"]) for c in found] == [("Item", 1), ("Item", 4), ("Item", 7)]
        assert await whole(pull, ALICE, {}) == []
        assert len(await whole(pull, ALICE, None)) == 18
        subset = pull.subset(ALICE, '{"Item":{"room":"r1"}}')
        paged: list[Any] = []
        token = None
        while True:
            page = json.loads(await pull.page(ALICE, parse_position(token) if token else None, 2, subset))
            paged += page["changes"]
            if (token := page["snapshot_after"]) is None:
                break
        assert paged == found


async def test_a_delta_follows_the_filter_in_and_out(tmp_path: Path) -> None:
    async with open_engine(APP, tmp_path) as engine:
        pull = Pull(engine)
        row = (await engine.insert(ALICE, "Item", b'{"room":"a","n":1}')).row_id
        await engine.insert(ALICE, "Other", b'{"x":1}')
        await engine.update(ALICE, "Item", row, b'{"room":"b"}')
        await engine.update(ALICE, "Item", row, b'{"n":2}')

        async def delta(scope: Any) -> list[tuple[int, str, Any, Any]]:
            answer = json.loads(await pull.delta(ALICE, 1, subset=pull.subset(ALICE, json.dumps(scope))))
            assert answer["cursor"] == {"last_seq": 4}
            return [(c["seq"], c["kind"], c["data"].get("room"), c["data"].get("n")) for c in answer["changes"]]

        assert await delta({"Item": {"room": "a"}}) == [(3, "delete", "a", 1)]
        assert await delta({"Item": {"room": "b"}}) == [(3, "update", "b", 1), (4, "update", "b", 2)]
        assert await delta({"Other": {}}) == [(2, "insert", None, None)]
        assert await delta({"Item": {"n": {"$gt": 1}}}) == [(4, "update", "b", 2)]


async def test_a_scope_never_shows_what_the_policy_hides(tmp_path: Path) -> None:
    async with open_engine(APP, tmp_path) as engine:
        pull = Pull(engine)
        row = (await engine.insert(BOB, "Item", b'{"room":"a","owner":"bob"}')).row_id
        subset = pull.subset(ALICE, '{"Item":{"owner":"bob"}}')
        assert await whole(pull, ALICE, {"Item": {"owner": "bob"}}) == []
        await engine.update(ADMINISTRATOR, "Item", row, b'{"n":1}')
        assert json.loads(await pull.delta(ALICE, 1, subset=subset))["changes"] == []


async def test_a_session_that_changes_keeps_the_scope_that_its_socket_asked_for_last() -> None:
    live = door()
    Scopes(live, subsets("auth.userId == data.owner"))
    peer = Peer(live, headers=[(b"authorization", b"Bearer a")])
    await peer.settle()
    peer.incoming.put_nowait({"type": "websocket.receive", "text": '{"type":"scope","entities":{"Doc":{"team":"x"}}}'})
    await peer.settle()
    live.identify_by(lambda key: Session(Identity(user_id="a", tenant_id="t"), key))
    live.reidentify({b"key"}, set())
    live.hub.publish([change(i, "insert", {"owner": "a", "team": team}) for i, team in ((1, "y"), (2, "x"))])
    texts = [json.loads(message["text"]) for message in (await peer.settle())[1:]]
    assert [text.get("type", text.get("seq")) for text in texts] == ["scoped", "session-changed", 2]
    peer.incoming.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await peer.task
