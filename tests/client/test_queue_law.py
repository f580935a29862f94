"""The law of queue and rebase: whatever is lost, repeated, refused or killed in between, after quiet the replica is
what the server has, in memory and on disk, and each change happened once.

The client's own code runs against a model of the server, one step at a time, in any order that hypothesis thinks of.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pylon.client import ApiError, Backoff, Change, Conflict, Unreachable, new_id
from pylon.client.replica.changes import ServerEvent, View
from pylon.client.replica.link import Link
from pylon.client.replica.push import Pusher, new_op_id
from pylon.client.replica.storage import Storage
from pylon.client.replica.switched import SwitchBoard

BAD = 3
"""A value that the server refuses."""


class ModelServer:
    """Rows, a log with a floor, and op-ids, as the real one has them; and a network that may lose an answer."""

    def __init__(self) -> None:
        self.url = "http://model"
        self.token = None
        self.backoff = Backoff()
        self.rows: dict[str, dict[str, Any]] = {}
        self.log: list[dict[str, Any]] = []
        self.floor = 0
        self.ops: dict[str, tuple[str, int]] = {}
        self.effects: list[str] = []
        self.loses = 0

    @property
    def head(self) -> int:
        return len(self.log)

    def write(self, kind: str, row_id: str, data: dict[str, Any] | None) -> int:
        before = self.rows.get(row_id)
        if kind == "delete":
            after = self.rows.pop(row_id)
        else:
            after = self.rows[row_id] = {**(before or {}), **(data or {}), "id": row_id}
        told = {"seq": self.head + 1, "entity": "E", "row_id": row_id, "kind": kind, "data": dict(after)}
        self.log.append(told)
        return self.head

    async def call(self, method: str, path: str, body: Any = None, *, params: Any = None, **options: Any) -> Any:
        if path == "/api/auth/me":
            answer: dict[str, Any] = {"user_id": None}
        elif path == "/api/sync/push":
            answer = self.push(body["changes"])
        elif params["since"] == 0:
            answer = self.snapshot(params)
        else:
            answer = self.pull(params["since"])
        if self.loses:
            self.loses -= 1
            raise Unreachable("the answer was lost")
        return answer

    def push(self, changes: list[dict[str, Any]]) -> dict[str, Any]:
        results = []
        for change in changes:
            row_id, op_id, error = change["row_id"], change["op_id"], None
            if op_id not in self.ops:
                exists = row_id in self.rows
                if change["kind"] == "insert" and exists:
                    error = "OPTIMISTIC_ID_CONFLICT"
                elif change["kind"] != "insert" and not exists:
                    error = "NOT_FOUND"
                elif change.get("data", {}).get("v") == BAD:
                    error = "POLICY_DENIED"
                else:
                    self.ops[op_id] = row_id, self.write(change["kind"], row_id, change.get("data"))
                    self.effects.append(op_id)
            if error is not None:
                results.append({"status": "error", "row_id": row_id, "error": {"code": error, "message": error}})
            else:
                results.append({"status": "applied", "row_id": row_id, "seq": self.ops[op_id][1]})
        return {"results": results, "cursor": {"last_seq": self.head}}

    def snapshot(self, params: dict[str, Any]) -> dict[str, Any]:
        """Pages of two rows: `after id`, under the seq of the first page."""
        after, _, captured = params.get("snapshot_after", "").partition("@")
        seq = int(captured) if captured else self.head
        page = sorted(row_id for row_id in self.rows if row_id > after)[:2]
        events = [
            {"seq": max(seq, 1), "entity": "E", "row_id": i, "kind": "insert", "data": dict(self.rows[i])} for i in page
        ]
        if len(page) == 2:
            token = f"{page[-1]}@{seq}"
            return {"changes": events, "has_more": True, "snapshot_after": token, "cursor": {"last_seq": 0}}
        return {"changes": events, "has_more": False, "snapshot_after": None, "cursor": {"last_seq": seq}}

    def pull(self, since: int) -> dict[str, Any]:
        if since > self.head or since < self.floor:
            raise ApiError("RESYNC_REQUIRED", "too old", status=410)
        events = self.log[since : since + 3]
        last = since + len(events)
        return {"changes": [dict(e) for e in events], "cursor": {"last_seq": last}, "has_more": last < self.head}


VALUES = st.integers(0, 5)
PICK = st.integers(0, 30)


class QueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.server = ModelServer()
        self.open()

    def open(self) -> None:
        self.storage = Storage(Path(self.folder.name) / "replica.db")
        self.view = View()
        self.storage.read(self.view)
        self.link = Link(
            self.server,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            self.view,
            self.storage,
            None,
            lambda keys: None,
            SwitchBoard(lambda switches: None),
        )
        self.link.user = ""
        self.pusher = Pusher(
            self.server,  # type: ignore[arg-type]
            self.view,
            self.storage,
            self.link,
            "client",
            self.mend,
            lambda keys: None,
        )

    def teardown(self) -> None:
        self.storage.close()
        self.folder.cleanup()
        self.loop.close()

    def mend(self, conflict: Conflict) -> dict[str, Any] | None:
        return {"v": 0} if conflict.error.code == "POLICY_DENIED" and conflict.change.kind == "update" else None

    def run(self, work: Coroutine[Any, Any, Any]) -> None:
        with contextlib.suppress(Unreachable):
            self.loop.run_until_complete(work)

    def visible(self, pick: int) -> str | None:
        ids = sorted(row["id"] for row in self.view.all("E"))
        return ids[pick % len(ids)] if ids else None

    def enqueue(self, row_id: str, kind: Any, data: dict[str, Any] | None) -> None:
        change = Change(new_op_id(), "E", row_id, kind, data, is_own_id=kind == "insert")
        self.storage.enqueue(change)
        self.view.add(change)

    # -- ours ----------------------------------------------------------------------------------------------------

    @rule(v=VALUES)
    def insert(self, v: int) -> None:
        row_id = new_id()
        self.enqueue(row_id, "insert", {"v": v})
        assert self.view.get("E", row_id) == {"id": row_id, "v": v}

    @rule(pick=PICK, v=VALUES, name=st.sampled_from("vw"))
    def update(self, pick: int, v: int, name: str) -> None:
        if (row_id := self.visible(pick)) is not None:
            self.enqueue(row_id, "update", {name: v})
            row = self.view.get("E", row_id)
            assert row is not None
            assert row[name] == v

    @rule(pick=PICK)
    def delete(self, pick: int) -> None:
        if (row_id := self.visible(pick)) is not None:
            self.enqueue(row_id, "delete", None)
            assert self.view.get("E", row_id) is None

    # -- others --------------------------------------------------------------------------------------------------

    @rule(v=VALUES)
    def others_insert(self, v: int) -> None:
        self.server.write("insert", new_id(), {"v": v})

    @rule(pick=PICK, v=VALUES)
    def others_update(self, pick: int, v: int) -> None:
        if ids := sorted(self.server.rows):
            self.server.write("update", ids[pick % len(ids)], {"v": v})

    @rule(pick=PICK)
    def others_delete(self, pick: int) -> None:
        if ids := sorted(self.server.rows):
            self.server.write("delete", ids[pick % len(ids)], None)

    # -- the wire ------------------------------------------------------------------------------------------------

    @rule(is_lost=st.booleans(), size=st.integers(1, 4))
    def push(self, is_lost: bool, size: int) -> None:
        self.pusher._size = size
        if batch := self.pusher.unsent():
            self.server.loses = int(is_lost)
            self.run(self.pusher._send(batch))
            self.server.loses = 0

    @rule(back=st.integers(0, 4), count=st.integers(1, 5))
    def hear(self, back: int, count: int) -> None:
        """Events from the socket: no gap, but perhaps some, or all, once more."""
        if self.view.cursor:
            start = max(0, self.view.cursor - back)
            told = self.server.log[start : start + count]
            self.link.apply([ServerEvent(**event) for event in told])

    @rule(lost=st.integers(0, 3))
    def catch_up(self, lost: int) -> None:
        """Pull, perhaps with an answer lost on the way: a snapshot or a pull that breaks off."""
        calls, self.server.call = self.server.call, self.flaky(lost)  # type: ignore[method-assign]
        self.run(self.link.catch_up())
        self.server.call = calls  # type: ignore[method-assign]

    def flaky(self, lost: int) -> Any:
        inner, left = self.server.call, lost

        async def call(*args: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                raise Unreachable("no answer")
            return await inner(*args, **options)

        return call

    @rule()
    def server_forgets(self) -> None:
        """The log is pruned: a cursor in it is too old."""
        self.server.floor = self.server.head

    @rule()
    def kill(self) -> None:
        self.storage.close()
        self.open()

    # -- what holds ----------------------------------------------------------------------------------------------

    @invariant()
    def no_change_happens_twice(self) -> None:
        assert len(self.server.effects) == len(set(self.server.effects))

    @rule()
    def quiet(self) -> None:
        for _ in range(40):
            while batch := self.pusher.unsent():
                self.run(self.pusher._send(batch))
            self.run(self.link.catch_up())
            if not self.view.waiting:
                break
        assert self.view.waiting == {}
        seen = {row["id"]: row for row in self.view.all("E")}
        assert seen == self.server.rows
        assert seen == self.view.rows.get("E", {})
        self.kill()
        assert {row["id"]: row for row in self.view.all("E")} == self.server.rows


TestQueueMachine = QueueMachine.TestCase


def test_an_insert_that_has_arrived_does_not_hide_what_others_made_of_it() -> None:
    view = View()
    view.add(Change("op", "E", "1", "insert", {"v": 1}, n=1))
    view.apply([ServerEvent(5, "E", "1", "update", {"id": "1", "v": 2, "w": 3})], 5)
    assert view.get("E", "1") == {"id": "1", "v": 2, "w": 3}
    view.add(Change("op2", "E", "1", "update", {"w": 4}, n=2))
    assert view.get("E", "1") == {"id": "1", "v": 2, "w": 4}
    view.drop([1, 2])
    assert view.get("E", "1") == {"id": "1", "v": 2, "w": 3}


EXAMPLES = 1000 if os.environ.get("PYLON_TEST_LONG") else 25
TestQueueMachine.settings = settings(max_examples=EXAMPLES, stateful_step_count=40, deadline=None)
