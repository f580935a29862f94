"""The write path in process: decode and validate, stamp, policy, row, change record, commit; no HTTP around it."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

import uvloop

from benchmarks.app import app
from pylon.engine.caller import Caller
from pylon.engine.transaction import Transaction
from pylon.model.identity import Identity
from pylon.testing.engine import open_engine

ROWS = 100_000
PER_OPERATION = 1000
BODY = b'{"title":"hello world","body":"some text that is a bit longer","n":5}'


async def measure(folder: Path) -> float:
    """Rows per second, with an owner policy on the row."""
    async with open_engine(app.spec(), folder) as engine:
        plan = engine.plans["Own"]
        caller = Caller(identity=Identity(user_id="u1"))
        decode = plan.types.decode_insert

        def rows(tx: Transaction) -> None:
            for _ in range(PER_OPERATION):
                tx.insert(plan, decode(BODY))

        await engine.run(caller, rows)
        began = time.perf_counter()
        await asyncio.gather(*[engine.run(caller, rows) for _ in range(ROWS // PER_OPERATION)])
        return ROWS / (time.perf_counter() - began)


def run() -> float:
    """The rate of one run on a fresh database."""
    with tempfile.TemporaryDirectory() as folder:
        return uvloop.run(measure(Path(folder)))
