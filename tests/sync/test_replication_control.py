"""`sync`, `sync_scope`, `sync_limit` and `sync_omit` say the same to a snapshot, a delta and a live frame.

With `sync_limit: N` a replica holds the newest N rows of its snapshot and every readable row written since: that is a
function of what was committed, so a replica that pulls and one that listens are equal after any schedule.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.model.findings import DeclarationError
from pylon.model.identity import Identity
from pylon.model.manifest_reader import from_manifest
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind, PolicySpec
from pylon.store.selection import Selection
from pylon.sync.audiences import View
from pylon.sync.deciding import Question
from pylon.sync.hub import Hub
from pylon.sync.pull import Pull, parse_position
from pylon.testing.engine import open_engine
from tests.conftest import ADMINISTRATOR
from tests.sync.test_hub import Listener, settle

LIMIT = 3
FIELDS = (
    Field(name="owner", kind=Kind.STRING, optional=True),
    Field(name="hot", kind=Kind.BOOL, optional=True),
    Field(name="body", kind=Kind.STRING, optional=True, sync_omit=True),
)
POLICIES = {
    "public": "true",
    "owner equality": "auth.userId == data.owner",
    "general": "data.hot == true || auth.userId != data.owner",
    "asks the store": "exists(Friend where who == auth.userId and whom == data.owner)",
}
ALICE = Caller(identity=Identity(user_id="alice"), door="test")


def app(policy: str, *, scope: str | None = None, limit: int | None = None) -> AppSpec:
    friend = EntitySpec(
        name="Friend",
        fields=(Field(name="who", kind=Kind.STRING), Field(name="whom", kind=Kind.STRING)),
        sync=False,
    )
    return AppSpec(
        name="x",
        entities=(
            EntitySpec(name="Row", fields=FIELDS, sync_scope=scope, sync_limit=limit),
            EntitySpec(name="Local", fields=FIELDS, sync=False),
            friend,
        ),
        policies=(
            PolicySpec(name="p", entity="Row", allow_read=policy),
            PolicySpec(name="l", entity="Local", allow="true"),
        ),
    )


def live_hub(engine: Engine) -> Hub:
    async def decide(questions: Sequence[Question]) -> list[bool]:
        def answer(session: Any) -> list[bool]:
            return [r.allows(i, row, now=engine.now(), exists=session.exists) for r, i, row in questions]

        return await engine.reads.run(answer, 5.0)

    views = {name: View(plan.policy.read, plan.scope) for name, plan in engine.plans.items() if plan.spec.sync}
    hub = Hub(views, decide)
    engine.subscribe(hub.publish)
    return hub


class Replica:
    """What a client holds that heard of everything in one way."""

    def __init__(self) -> None:
        self.rows: dict[str, Any] = {}
        self.cursor = 0

    def take(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            assert event["entity"] == "Row"
            assert "body" not in event["data"]
            if event["kind"] == "delete":
                self.rows.pop(event["row_id"], None)
            else:
                self.rows[event["row_id"]] = event["data"]

    async def pull(self, door: Pull, size: int | None = None) -> None:
        while True:
            if self.cursor:
                answer = json.loads(await door.delta(ALICE, self.cursor, size))
            elif size is None:
                answer = json.loads(b"".join([part async for part in await door.snapshot(ALICE)]))
            else:
                answer = await self._pages(door, size)
            self.take(answer["changes"])
            self.cursor = answer["cursor"]["last_seq"]
            if not answer["has_more"]:
                return

    async def _pages(self, door: Pull, size: int) -> Any:
        token = None
        while True:
            answer = json.loads(await door.page(ALICE, parse_position(token) if token else None, size))
            if (token := answer["snapshot_after"]) is None:
                return answer
            self.take(answer["changes"])


writes = st.tuples(
    st.sampled_from(["insert", "insert", "update", "delete"]),
    st.integers(0, 7),
    st.sampled_from([None, "alice", "bob"]),
    st.sampled_from([None, True, False]),
)


@settings(max_examples=60, deadline=None)
@given(
    policy=st.sampled_from(sorted(POLICIES)),
    scope=st.sampled_from([None, "data.hot == null || data.hot == true"]),
    limit=st.sampled_from([None, LIMIT]),
    before=st.lists(writes, max_size=8),
    after=st.lists(writes, max_size=8),
    size=st.sampled_from([None, 1, 2]),
)
def test_who_pulls_and_who_listens_hold_the_same(
    policy: str, scope: str | None, limit: int | None, before: list[Any], after: list[Any], size: int | None
) -> None:
    async def run(folder: Path) -> None:
        async with open_engine(app(POLICIES[policy], scope=scope, limit=limit), folder) as engine:
            hub, door = live_hub(engine), Pull(engine)
            await engine.insert(ADMINISTRATOR, "Friend", b'{"who":"alice","whom":"bob"}')
            ids: list[str] = []
            written: list[str] = []
            for write in before:
                await _write(engine, ids, write)
            pulls, listens, listener = Replica(), Replica(), Listener()
            await pulls.pull(door, size)
            visible = await _visible(engine, door)
            base = sorted(visible)[-limit:] if limit else sorted(visible)
            assert sorted(pulls.rows) == base
            listens.rows, listens.cursor = dict(pulls.rows), pulls.cursor
            hub.add(listener, ALICE.identity)
            for write in after:
                written += await _write(engine, ids, write)
                await engine.insert(ADMINISTRATOR, "Local", b'{"owner":"alice"}')
            await settle_until(listener, hub)
            listens.take([event for event in listener.events if event["seq"] > listens.cursor])
            await pulls.pull(door, size)
            visible = await _visible(engine, door)
            wanted = {row_id: visible[row_id] for row_id in {*base, *written} if row_id in visible}
            assert pulls.rows == wanted
            assert listens.rows == wanted

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def settle_until(listener: Listener, hub: Hub) -> None:
    """Wait until all that was published was decided and sent."""
    for _ in range(500):
        await settle()
        if not hub.queued and (hub._deciding is None or hub._deciding._worker is None):
            return
        await asyncio.sleep(0.002)
    raise AssertionError("never quiet")


async def _write(engine: Engine, ids: list[str], write: tuple[str, int, Any, Any]) -> list[str]:
    """Do it as an admin; the row that it wrote."""
    kind, which, owner, hot = write
    body = json.dumps({"owner": owner, "hot": hot, "body": "long"}).encode()
    if kind == "insert":
        ids.append((await engine.insert(ADMINISTRATOR, "Row", body)).row_id)
        return [ids[-1]]
    if not ids:
        return []
    row_id = ids[which % len(ids)]
    if kind == "update":
        await engine.update(ADMINISTRATOR, "Row", row_id, body)
    else:
        ids.remove(row_id)
        await engine.delete(ADMINISTRATOR, "Row", row_id)
    return [row_id]


async def _visible(engine: Engine, door: Pull) -> dict[str, Any]:
    """Every row that alice may replicate, by a fresh query without a limit."""
    plan = engine.plans["Row"]

    def read(session: Any) -> list[tuple[str, bytes]]:
        rows: list[tuple[str, bytes]] = session.select_replica_rows(
            "Row", engine.reads.visible(plan, ALICE.identity, Selection())
        )
        return rows

    return {row_id: json.loads(data) for row_id, data in await engine.reads.run(read, 5.0)}


@pytest.mark.parametrize("limit", [0, -1])
def test_a_limit_that_is_no_number_of_rows_is_refused(limit: int) -> None:
    entity = {"name": "Row", "fields": [], "indexes": [], "sync_limit": limit}
    with pytest.raises(DeclarationError, match="sync_limit"):
        from_manifest({"manifest_version": 1, "name": "x", "version": "1", "entities": [entity]})
