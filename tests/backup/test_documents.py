"""Documents come back with their rows, from a backup and to a second after it, and are edited on."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from pylon.model.manifest import to_manifest
from pylon.model.schema import AppSpec
from pylon.ops.backup.archiver import Archiver
from pylon.ops.backup.keys import Keyring
from pylon.testing.engine import open_engine
from tests.backup.conftest import Command
from tests.backup.test_point_in_time import rfc3339
from tests.conftest import ALICE
from tests.documents.conftest import docs  # noqa: F401 - a fixture
from tests.documents.peer import joined, push


async def test_documents_come_back_with_their_rows(docs: AppSpec, pylon: Command, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "pylon.manifest.json").write_text(json.dumps(to_manifest(docs)))
    data = tmp_path / "data"
    data.mkdir()
    async with open_engine(docs, data) as engine:
        archiver = Archiver(engine.store, data / "archive", seconds=1, shelf=None, keys=Keyring(), keep_days=7)
        row_id = (await engine.insert(ALICE, "Doc", b'{"title":"T","body":"hello","votes":1}')).row_id
        peer = await joined(engine, ALICE, "Doc", row_id, 5)
        peer.field("body").insert(5, " world")
        await push(engine, ALICE, "Doc", row_id, peer.taken())
        await asyncio.to_thread(pylon.json, "backup", "base", "--data-dir", "data")
        peer.field("body").insert(11, ", later")
        peer.field("votes").increment(2)
        change = await push(engine, ALICE, "Doc", row_id, peer.taken())
        assert change is not None
        archiver.tick()
        second = int(time.time()) + 1
        await archiver.stop()
    pylon.json("restore", "base", "--data-dir", "then", "--yes")
    words = ["--to", rfc3339(second), "--archive", "data", "--data-dir", "later", "--yes"]
    pylon.json("restore", "base", *words)
    for name, body, votes in (("then", "hello world", 1), ("later", "hello world, later", 3)):
        async with open_engine(docs, tmp_path / name) as engine:
            row = json.loads(await engine.reads.get(ALICE, "Doc", row_id))
            again = await joined(engine, ALICE, "Doc", row_id, 9)
            assert (row["body"], row["votes"]) == (body, votes)
            assert (again.row["body"], again.row["votes"]) == (body, votes)
            again.field("body").insert(0, "Oh, ")
            await push(engine, ALICE, "Doc", row_id, again.taken())
            assert json.loads(await engine.reads.get(ALICE, "Doc", row_id))["body"] == f"Oh, {body}"
