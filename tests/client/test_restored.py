"""A server is restored to an earlier moment while a replica still has changes that it does not know: each of them is
there once or named, and the replica is what the server is."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx

from pylon.client import AsyncClient, Conflict
from pylon.testing.process import ServerProcess
from pylon.testing.waiting import comes_true as until
from tests.backup.conftest import Command
from tests.client.conftest import QUICK


class Wire(httpx.AsyncHTTPTransport):
    """Holds pushes back, or delivers one and loses its answer."""

    mode = "open"

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/api/sync/push" or self.mode == "open":
            return await super().handle_async_request(request)
        if self.mode == "lose":
            self.mode = "hold"
            await super().handle_async_request(request)
        raise httpx.ReadError("lost")


async def next_second() -> int:
    now = int(time.time())
    await until(lambda: int(time.time()) > now)
    return now


def archived(data: Path) -> int:
    head = next(iter((data / "archive").rglob("head.json")), None)
    return int(json.loads(head.read_text())["seq"]) if head else 0


async def test_what_waits_reaches_a_restored_server_once_or_is_named(app_file: Path, tmp_path: Path) -> None:
    data, pylon = tmp_path / "data", Command(tmp_path)
    wire, conflicts = Wire(), list[Conflict]()
    server = ServerProcess(app_file, data, env={"PYLON_ARCHIVE_SECS": "0.2"})
    server.start()
    try:
        async with (
            AsyncClient(server.url, transport=wire, backoff=QUICK) as client,
            AsyncClient(server.url, backoff=QUICK) as other,
            client.replica(tmp_path / "replica.db", on_conflict=conflicts.append) as replica,
        ):
            await client.act_as("ann")
            before = replica.insert("Todo", title="before")
            await replica.quiet()
            pylon.json("backup", "base", "--data-dir", "data")
            wire.mode = "lose"
            replica.insert("Todo", title="applied before, its answer lost")
            await until(lambda: wire.mode == "hold")
            moment = await next_second()

            gone = await other.insert("Todo", title="lost with the restore")
            too = await other.insert("Todo", title="lost as well")
            await until(lambda: replica.get("Todo", too) is not None)
            wire.mode = "lose"
            replica.insert("Todo", title="applied after, its answer lost")
            await until(lambda: wire.mode == "hold")
            replica.update("Todo", before, n=1)
            replica.update("Todo", gone, n=2)
            replica.delete("Todo", too)
            replica.insert("Todo", title="never sent")
            head = (await other.request("GET", "/api/sync/pull", since=0))["cursor"]["last_seq"]
            await until(lambda: archived(data) >= head)
            server.kill()
            to = datetime.fromtimestamp(moment, UTC).isoformat()
            where = ("--app", str(app_file), "--data-dir", "data")
            pylon.json("restore", "base", "--to", to, *where, "--yes", "--replace")
            server.start()
            wire.mode = "open"
            await until(lambda: replica.status.state == "signed-out")
            assert len(replica.waiting) == 6
            await client.act_as("ann")
            await replica.quiet()

            there = {row["id"]: row async for row in other.rows("Todo")}
            assert {row["id"]: row for row in replica.rows("Todo")} == there
            assert sorted((row["title"], row["n"]) for row in there.values()) == [
                ("applied after, its answer lost", None),
                ("applied before, its answer lost", None),
                ("before", 1),
                ("never sent", None),
            ]
            assert [(c.change.kind, c.change.row_id) for c in conflicts] == [("update", gone), ("delete", too)]
    finally:
        server.kill()
