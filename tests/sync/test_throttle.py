"""A throttled entity: fewer deliveries, the newest state for everybody, and no gap wherever a connection is cut."""

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
from pylon.model.rows import RowTypes, compile_rows
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind, PolicySpec
from pylon.policy.rules import Rule, compile_entity_policy
from pylon.sync.audiences import View
from pylon.sync.deciding import Question
from pylon.sync.events import Event, Frames
from pylon.sync.hub import Hub
from pylon.sync.throttle import MAX_EVENTS, MAX_WAIT, coalesce
from tests.sync import clockwork

FIELDS = tuple(Field(name=name, kind=Kind.STRING, optional=True) for name in ("owner", "team"))
ENTITIES = {name: EntitySpec(name=name, fields=FIELDS) for name in ("Hot", "Calm")}
TYPES: dict[str, RowTypes] = {name: compile_rows(entity) for name, entity in ENTITIES.items()}
POLICIES = [
    "true",
    "auth.userId != null",
    "auth.userId == data.owner",
    "!(auth.userId == data.owner)",
    "exists(Hot where owner == auth.userId and team == data.team)",
]
ANN, BEN = Identity(user_id="a"), Identity(user_id="b")
IDENTITIES = [ANONYMOUS, ADMIN, ANN, BEN]
Row = dict[str, Any]


def rule(entity: str, expression: str) -> Rule:
    policy = PolicySpec(name="p", entity=entity, allow_read=expression)
    app = AppSpec(name="x", entities=tuple(ENTITIES.values()), policies=(policy,))
    return compile_entity_policy(app, ENTITIES[entity]).read


def exists(entity: str, conditions: Sequence[tuple[str, Any]]) -> bool:
    return dict(conditions) in [{"owner": "a", "team": "x"}, {"owner": "b", "team": "y"}]


async def decide(questions: Sequence[Question]) -> list[bool]:
    await asyncio.sleep(0)
    return [r.allows(i, row, now=datetime.now(UTC), exists=exists) for r, i, row in questions]


class Log:
    """The server's rows and its change log."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.rows: dict[tuple[str, str], Row] = {}

    def write(self, entity: str, row_id: str, row: Row | None) -> Change:
        """Set a row, or delete it: the change that this makes."""
        types, before = TYPES[entity], self.rows.get((entity, row_id))
        kind: Any = "delete" if row is None else "insert" if before is None else "update"
        if row is None:
            row = before or {}
            self.rows.pop((entity, row_id), None)
        else:
            self.rows[entity, row_id] = row
        after = types.row(id=row_id, **row)
        old = types.row(id=row_id, **before) if kind == "update" and before is not None else None
        prev = None if old is None else types.encode(old)
        change = Change(types, entity, row_id, kind, after, types.encode(after), old, prev, seq=len(self.changes) + 1)
        self.changes.append(change)
        return change


class Client:
    """What every client does: it applies what lies above its cursor, which is the highest seq it saw."""

    def __init__(self, views: dict[str, View], identity: Identity) -> None:
        self.views, self.identity = views, identity
        self.cursor = 0
        self.rows: dict[tuple[str, str], Row] = {}

    def may(self, entity: str, row: Any) -> bool:
        return self.identity.is_admin or all(
            r.allows(self.identity, row, now=datetime.now(UTC), exists=exists) for r in self.views[entity].rules
        )

    def fresh(self, log: Log) -> dict[tuple[str, str], Row]:
        """What a policy-filtered query answers."""
        return {
            key: {"id": key[1], **row}
            for key, row in log.rows.items()
            if self.may(key[0], TYPES[key[0]].row(id=key[1], **row))
        }

    def start(self, log: Log) -> None:
        """The first pull."""
        self.rows, self.cursor = self.fresh(log), len(log.changes)

    def apply(self, event: dict[str, Any]) -> None:
        if event["seq"] <= self.cursor:
            return
        self.cursor = event["seq"]
        key = event["entity"], event["row_id"]
        if event["kind"] == "delete":
            self.rows.pop(key, None)
        else:
            self.rows[key] = {**self.rows.get(key, {}), **event["data"]}

    def pull(self, log: Log) -> None:
        """A pull by cursor: the log after it, each entry by the table of spec 02 §8."""
        for change in log.changes[self.cursor :]:
            if self.may(change.entity, change.row):
                self.apply(json.loads(change.event()))
            elif change.old is not None and self.may(change.entity, change.old):
                self.apply(json.loads(change.delete_event()))
        self.cursor = len(log.changes)


class Listener:
    """A socket, and the state of its client when it opened."""

    def __init__(self, client: Client, log: Log) -> None:
        self.before, self.opened_at = client, len(log.changes)
        client.start(log)
        self.events: list[dict[str, Any]] = []
        self.writes = 0

    def deliver(self, frames: Frames) -> None:
        self.writes += 1
        self.events += [json.loads(message) for message in frames.messages]

    def end(self, code: int, reason: str) -> None:
        raise AssertionError(reason)


def client_cut_after(count: int, listener: Listener, log: Log) -> Client:
    """The client that was sent so many events, lost its socket, and pulled."""
    client = Client(listener.before.views, listener.before.identity)
    client.rows, client.cursor = dict(listener.before.rows), listener.before.cursor
    for event in listener.events[:count]:
        client.apply(event)
    client.pull(log)
    return client


values = st.fixed_dictionaries({"owner": st.sampled_from([None, "a", "b"]), "team": st.sampled_from(["x", "y"])})
write = st.tuples(st.sampled_from(["Hot", "Hot", "Calm"]), st.sampled_from("123"), st.one_of(st.none(), values))
step = st.one_of(
    st.tuples(st.just("write"), st.lists(write, min_size=1, max_size=4)),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.004, 0.05, 0.3, 1.5])),
    st.tuples(st.just("join"), st.sampled_from(IDENTITIES)),
    st.tuples(st.just("rate"), st.sampled_from([None, 0.0, 0.2, 2.0, 50.0])),
)


async def follow(views: dict[str, View], steps: list[tuple[str, Any]], rate: float) -> tuple[Log, list[Listener]]:
    """Run a schedule against a hub: the log that it left, and what each listener was sent."""
    loop = asyncio.get_running_loop()
    log = Log()
    hub = Hub(views, decide, entity_rate=rate, clock=loop.time)
    listeners: list[Listener] = []

    def join(identity: Identity) -> None:
        listeners.append(Listener(Client(views, identity), log))
        hub.add(listeners[-1], identity)

    for identity in IDENTITIES:
        join(identity)
    for what, value in steps:
        if what == "write":
            made = [log.write(*w) for w in value if w[2] is not None or w[:2] in log.rows]
            hub.publish(made)
        elif what == "wait":
            await asyncio.sleep(value)
        elif what == "join":
            join(value)
        else:
            hub.throttle("Hot", value)
    await asyncio.sleep(2 * MAX_WAIT + 0.1)
    assert hub.held == 0
    return log, listeners


@settings(max_examples=300, deadline=None)
@given(
    hot=st.sampled_from(POLICIES),
    calm=st.sampled_from(POLICIES),
    rate=st.sampled_from([0.0, 0.2, 3.0]),
    steps=st.lists(step, max_size=25),
)
def test_wherever_a_connection_is_cut_the_client_that_pulls_ends_with_the_right_replica(
    hot: str, calm: str, rate: float, steps: list[tuple[str, Any]]
) -> None:
    views = {"Hot": View(rule("Hot", hot), None), "Calm": View(rule("Calm", calm), None)}
    log, listeners = clockwork.run(follow(views, steps, rate))
    for listener in listeners:
        seqs = [event["seq"] for event in listener.events]
        assert seqs == sorted(set(seqs))
        for count in range(len(seqs) + 1):
            client = client_cut_after(count, listener, log)
            assert client.rows == client.fresh(log), (count, seqs)
        uncut = client_cut_after(0, listener, Log())
        uncut.rows, uncut.cursor = dict(listener.before.rows), listener.before.cursor
        for event in listener.events:
            uncut.apply(event)
        assert uncut.rows == uncut.fresh(log), "what arrives by itself is complete, too"


async def hot_row(hub: Hub, log: Log, *, seconds: float, others: int = 0) -> None:
    """A thousand writes a second to one row, and so many to one of the other entity."""
    for i in range(int(seconds * 1000)):
        hub.publish([log.write("Hot", "1", {"owner": "a", "team": str(i)})])
        if others and i % (1000 // others) == 0:
            hub.publish([log.write("Calm", "1", {"owner": "a", "team": str(i)})])
        await asyncio.sleep(0.001)
    await asyncio.sleep(2 * MAX_WAIT)


def hub_with(log: Log, rate: float, hot: str = "true", calm: str = "true", *identities: Identity) -> tuple[Any, ...]:
    views = {"Hot": View(rule("Hot", hot), None), "Calm": View(rule("Calm", calm), None)}
    hub = Hub(views, decide, entity_rate=rate, clock=asyncio.get_running_loop().time)
    listeners = [Listener(Client(views, identity), log) for identity in identities or (ANN,)]
    for listener in listeners:
        hub.add(listener, listener.before.identity)
    return hub, listeners


@pytest.mark.parametrize("policy", ["true", "auth.userId == data.owner"])
def test_a_hot_row_is_sent_at_the_rate_and_its_last_state_arrives(policy: str) -> None:
    async def main() -> None:
        log = Log()
        hub, [listener] = hub_with(log, 0.0, policy)
        hub.throttle("Hot", 10)
        await hot_row(hub, log, seconds=3)
        assert 28 <= len(listener.events) <= 32
        assert listener.events[-1]["seq"] == len(log.changes)
        assert hub.statistics.coalesced == 3000 - len(listener.events)

    clockwork.run(main())


def test_below_its_rate_an_entity_is_not_held_back_at_all() -> None:
    async def main() -> None:
        log = Log()
        hub, [listener] = hub_with(log, 20)
        for i in range(40):
            hub.publish([log.write("Hot", "1", {"owner": "a", "team": str(i)})])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(listener.events) == i + 1
            await asyncio.sleep(0.06)
        assert hub.statistics.coalesced == 0

    clockwork.run(main())


@pytest.mark.parametrize("policy", ["true", "auth.userId == data.owner"])
def test_other_entities_wait_with_it_but_none_of_their_events_is_left_out(policy: str) -> None:
    async def main() -> None:
        log = Log()
        hub, [listener] = hub_with(log, 0.0, "true", policy)
        hub.throttle("Hot", 5)
        await hot_row(hub, log, seconds=2, others=100)
        assert sum(event["entity"] == "Calm" for event in listener.events) == 200
        assert listener.writes <= 12

    clockwork.run(main())


def test_who_sees_nothing_of_the_throttled_entity_waits_for_nothing() -> None:
    async def main() -> None:
        log = Log()
        hub, [reader, other] = hub_with(log, 0.0, "auth.userId == data.owner", "auth.userId == data.owner", ANN, BEN)
        hub.throttle("Hot", 2)
        hub.publish([log.write("Hot", "1", {"owner": "a", "team": "x"})])
        await asyncio.sleep(0.01)
        hub.publish([log.write("Hot", "1", {"owner": "a", "team": "y"})])
        hub.publish([log.write("Calm", "1", {"owner": "b", "team": "y"})])
        await asyncio.sleep(0.01)
        assert ([e["seq"] for e in reader.events], [e["seq"] for e in other.events]) == ([1], [3])
        await asyncio.sleep(MAX_WAIT)
        assert [e["seq"] for e in reader.events] == [1, 2]

    clockwork.run(main())


def test_many_rows_share_the_rate_and_nothing_waits_longer_than_a_second() -> None:
    async def main() -> None:
        log = Log()
        hub, [listener] = hub_with(log, 10)
        for i in range(50):
            hub.publish([log.write("Hot", str(i), {"owner": "a", "team": "x"})])
        await asyncio.sleep(0.01)
        assert len(listener.events) == 50
        hub.publish([log.write("Hot", "1", {"owner": "a", "team": "y"})])
        await asyncio.sleep(MAX_WAIT - 0.1)
        assert len(listener.events) == 50
        await asyncio.sleep(0.2)
        assert len(listener.events) == 51

    clockwork.run(main())


def test_what_waits_is_bounded_in_number_and_in_bytes() -> None:
    async def main() -> None:
        for size, most in ((1, MAX_EVENTS), (40_000, 60)):
            log = Log()
            hub, [listener] = hub_with(log, 0.5)
            hub.publish([log.write("Hot", "first", {"owner": "a", "team": "x"})])
            await asyncio.sleep(0)
            for i in range(most + 1):
                hub.publish([log.write("Hot", str(i), {"owner": "a", "team": "x" * size})])
                await asyncio.sleep(0)
                assert hub.held <= MAX_EVENTS + 1
            await asyncio.sleep(0)
            assert len(listener.events) > most / 2

    clockwork.run(main())


def test_lifting_a_throttle_sends_what_waits() -> None:
    async def main() -> None:
        log = Log()
        hub, [listener] = hub_with(log, 0.0)
        hub.throttle("Hot", 1)
        assert hub.throttles == {"Hot": 1}
        for team in "xyz":
            hub.publish([log.write("Hot", "1", {"owner": "a", "team": team})])
            await asyncio.sleep(0.01)
        assert [e["seq"] for e in listener.events] == [1]
        hub.throttle("Hot", None)
        assert [e["seq"] for e in listener.events] == [1, 3]
        assert hub.throttles == {}

    clockwork.run(main())


def test_when_the_last_reader_leaves_nothing_stays_behind_for_the_next() -> None:
    async def main() -> None:
        log = Log()
        hub, [listener] = hub_with(log, 1.0)
        for team in "xy":
            hub.publish([log.write("Hot", "1", {"owner": "a", "team": team})])
            await asyncio.sleep(0.01)
        hub.remove(listener, ANN)
        hub.publish([log.write("Calm", "1", {"owner": "a", "team": "x"})])
        late = Listener(Client(listener.before.views, ANN), log)
        hub.add(late, ANN)
        await asyncio.sleep(2 * MAX_WAIT)
        assert [e["seq"] for e in late.events] == [2, 3]

    clockwork.run(main())


def test_a_withheld_entity_reaches_admins_only() -> None:
    async def main() -> None:
        log = Log()
        hub, [reader, admin] = hub_with(log, 0.0, "true", "true", ANN, ADMIN)
        hub.withhold(frozenset({"Hot"}))
        hub.publish(
            [log.write("Hot", "1", {"owner": "a", "team": "x"}), log.write("Calm", "1", {"owner": "a", "team": "x"})]
        )
        late = Listener(Client(reader.before.views, BEN), log)
        hub.add(late, BEN)
        await asyncio.sleep(0.01)
        assert [[e["seq"] for e in who.events] for who in (reader, late, admin)] == [[2], [2], [1, 2]]

    clockwork.run(main())


@given(st.lists(st.tuples(st.sampled_from([None, "r1", "r2"]), st.integers()), max_size=30))
def test_coalescing_keeps_the_newest_of_each_key_and_everything_without_one_in_order(
    made: list[tuple[str | None, int]],
) -> None:
    events = [Event(b"{}", seq, None if row is None else ("E", row)) for seq, (row, _) in enumerate(made, 1)]
    kept = coalesce(events)
    last = {event.key: event.seq for event in events if event.key is not None}
    assert [e.seq for e in kept] == [e.seq for e in events if e.key is None or last[e.key] == e.seq]
