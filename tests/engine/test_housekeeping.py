"""What the engine does between requests ends in order too."""

from __future__ import annotations

import time
from pathlib import Path

from pylon.engine.caller import SYSTEM
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind
from pylon.testing.engine import open_engine
from pylon.testing.waiting import comes_true

APP = AppSpec(name="x", entities=(EntitySpec(name="Note", crdt=False, fields=(Field(name="text", kind=Kind.STRING),)),))


async def test_a_stop_waits_for_the_checkpoint_that_is_under_way(tmp_path: Path) -> None:
    steps: list[str] = []
    async with open_engine(APP, tmp_path) as engine:
        checkpoints = engine.housekeeping._checkpoints
        run, close = checkpoints.run, checkpoints.close

        def slow() -> int:
            steps.append("begun")
            time.sleep(0.2)
            left: int = run()
            steps.append("done")
            return left

        def closing() -> None:
            steps.append("closed")
            close()

        checkpoints.run, checkpoints.close = slow, closing  # type: ignore[method-assign]
        body = b'{"text":"%s"}' % (b"x" * 300_000)
        await engine.insert(SYSTEM, "Note", body)
        await comes_true(lambda: "begun" in steps)
    assert steps == ["begun", "done", "closed"]
