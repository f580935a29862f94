"""Ack law: what was acknowledged survives SIGKILL, once; log and rows agree; a client that catches up converges."""

from __future__ import annotations

import http.client
import json
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from pylon.testing.process import ServerProcess

ROUNDS = 50 if os.environ.get("PYLON_TEST_LONG") else 5
WRITERS = 6

APP = '''
from pylon import App, Context, Entity

app = App("crash")


class Item(Entity, crdt=False):
    key: str
    n: int = 0

    class Policy:
        allow = "true"


class Total(Entity, crdt=False):
    n: int = 0

    class Policy:
        read = "true"


@app.mutation(auth="public")
def count(ctx: Context, total: str, key: str) -> int:
    """Both or neither: an item, and the total that counts it."""
    ctx.db.insert(Item, key=key)
    return ctx.db.update(Total, total, n=ctx.db.get(Total, total).n + 1).n
'''


class Writer(threading.Thread):
    """Pushes, inserts, patches and counts until told to stop; remembers what was acknowledged."""

    def __init__(self, server: ServerProcess, name: str, total: str) -> None:
        super().__init__(name=name)
        self.server, self.total = server, total
        self.stopping = threading.Event()
        self.keys: set[str] = set()
        self.counted: set[str] = set()
        self.patched: dict[str, int] = {}
        self.pushed: dict[str, str] = {}
        self.unsure: list[dict[str, Any]] = []
        self.serial = 0

    def run(self) -> None:
        while not self.stopping.is_set():
            self.serial += 1
            key = f"{self.name}-{self.serial}"
            try:
                self._one(key)
            except (OSError, http.client.HTTPException):
                time.sleep(0.01)

    def _one(self, key: str) -> None:
        match self.serial % 3:
            case 0:
                status, answer = self.server.request("POST", "/api/entities/Item", {"key": key})
                if status == 201:
                    self.keys.add(key)
                    status, _ = self.server.request("PATCH", f"/api/entities/Item/{answer['id']}", {"n": self.serial})
                    if status == 200:
                        self.patched[answer["id"]] = self.serial
            case 1:
                status, _ = self.server.request("POST", "/api/fn/count", {"total": self.total, "key": key})
                if status == 200:
                    self.counted.add(key)
            case _:
                change = {
                    "entity": "Item",
                    "row_id": "_pending_1",
                    "kind": "insert",
                    "data": {"key": key},
                    "op_id": key,
                }
                self.unsure.append(change)
                self.push(change)
                self.unsure.remove(change)

    def push(self, change: dict[str, Any]) -> None:
        body = {"changes": [change], "client_id": self.name}
        status, answer = self.server.request("POST", "/api/sync/push", body)
        assert status == 200, answer
        assert answer["applied"] == 1, answer
        self.pushed[change["data"]["key"]] = answer["results"][0]["row_id"]


def replica(server: ServerProcess, since: int, rows: dict[str, Any]) -> int:
    """Bring a replica up to date by pulls; the new cursor."""
    while True:
        status, answer = server.request("GET", f"/api/sync/pull?since={since}")
        assert status == 200, answer
        for change in answer["changes"]:
            if change["kind"] == "delete":
                rows.pop(change["row_id"], None)
            else:
                rows[change["row_id"]] = change["data"]
        assert answer["cursor"]["last_seq"] >= since
        since = answer["cursor"]["last_seq"]
        if not answer["has_more"]:
            return since


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_acknowledged_writes_survive_sigkill_at_random_points(tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text(APP)
    seed = random.randrange(2**32)
    chance = random.Random(seed)
    acknowledged: set[str] = set()
    counted: set[str] = set()
    patched: dict[str, int] = {}
    pushed: dict[str, str] = {}
    rows: dict[str, Any] = {}
    cursor = 0
    server = ServerProcess(app, tmp_path / "data", env={"PYLON_WS_PER_IP_MAX": "0"})
    with server:
        total = server.request("POST", "/api/entities/Total", {}, token="test-admin-token-0123456789")[1]["id"]
        for round_number in range(ROUNDS):
            writers = [Writer(server, f"{round_number}w{i}", total) for i in range(WRITERS)]
            for writer in writers:
                writer.start()
            time.sleep(chance.uniform(0.05, 0.8))
            server.kill()
            for writer in writers:
                writer.stopping.set()
            for writer in writers:
                writer.join()
            server.start()
            for writer in writers:
                for change in list(writer.unsure):  # the answer was lost: the client sends the same op again
                    writer.push(change)
                acknowledged |= writer.keys | writer.counted | writer.pushed.keys()
                counted |= writer.counted
                patched |= writer.patched
                pushed |= writer.pushed
            cursor = replica(server, cursor, rows)
        fresh: dict[str, Any] = {}
        replica(server, 0, fresh)
        assert rows == fresh, seed
    database = apsw.Connection(str(tmp_path / "data" / "pylon.db"))
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    keys = [key for (key,) in database.execute("SELECT key FROM Item")]
    assert len(keys) == len(set(keys)), f"a write was applied twice (seed {seed})"
    assert acknowledged <= set(keys), f"an acknowledged write is missing (seed {seed})"
    for row_id, n in patched.items():
        assert database.execute("SELECT n FROM Item WHERE id = ?", (row_id,)).fetchall() == [(n,)]
    for key, row_id in pushed.items():
        assert database.execute("SELECT id FROM Item WHERE key = ?", (key,)).fetchall() == [(row_id,)]
    in_functions = len([key for key in keys if int(key.rsplit("-", 1)[1]) % 3 == 1])
    assert database.execute("SELECT n FROM Total").fetchall() == [(in_functions,)], "a mutation was half applied"
    assert len(counted) <= in_functions
    assert_log_agrees_with_rows(database)
    database.close()


def assert_log_agrees_with_rows(database: apsw.Connection) -> None:
    """Replaying the log gives the table, and seq has no gap."""
    replayed: dict[str, Any] = {}
    seqs = []
    for seq, entity, row_id, kind, data in database.execute(
        "SELECT seq, entity, row_id, kind, data FROM _pylon_change_log ORDER BY seq"
    ):
        seqs.append(seq)
        if entity == "Item":
            replayed[row_id] = None if kind == "delete" else json.loads(data)
    assert seqs == list(range(1, len(seqs) + 1))
    stored = {i: {"id": i, "key": key, "n": n} for i, key, n in database.execute("SELECT id, key, n FROM Item")}
    assert {i: row for i, row in replayed.items() if row} == stored
