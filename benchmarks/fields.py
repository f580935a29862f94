"""What field options cost, in process: sealing, patterns, and reads of rows with an encrypted field."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from pylon import App, Entity, field
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.keyring import KeyRing
from pylon.model.identity import ADMIN
from pylon.model.patterns import Pattern
from pylon.testing.engine import open_engine

ROWS = 10_000
RUNS = 2_000
ADMINISTRATOR = Caller(identity=ADMIN, door="bench")


class Open(Entity, crdt=False):
    name: str
    ssn: str


class Sealed(Entity, crdt=False):
    name: str
    ssn: str = field(encrypted=True, lookup=True)


def micros(operation: Callable[[], object], runs: int = RUNS) -> float:
    """Microseconds of processor time, on average."""
    began = time.process_time()
    for _ in range(runs):
        operation()
    return (time.process_time() - began) / runs * 1e6


async def reads(engine: Engine, entity: str) -> tuple[float, float]:
    """Microseconds of a list of 100 rows, and of a lookup."""
    runs = 300
    times = []
    for conditions in ({"$limit": 100}, {"ssn": "ssn-5000"}):
        began = time.process_time()
        for _ in range(runs):
            await engine.reads.rows(ADMINISTRATOR, entity, engine.reads.filter(ADMINISTRATOR, entity, conditions))
        times.append((time.process_time() - began) / runs * 1e6)
    return times[0], times[1]


async def main() -> None:
    slug = Pattern("[a-z0-9]+(-[a-z0-9]+)*")
    print(f"pattern on 20 characters: {micros(lambda: slug.matches('a-slug-of-characters')):.1f} µs")
    app = App("fields", entities=[Open, Sealed]).spec()
    with tempfile.TemporaryDirectory() as folder:
        async with open_engine(app, Path(folder), keys=KeyRing(["key-of-the-benchmark-0123456789abcdef"])) as engine:
            for plan in engine.plans.values():
                types = plan.types
                row = types.convert_insert({"id": "0" * 40, "name": "n", "ssn": "123-45-6789"})
                stored = types.dump(row)
                print(
                    f"{plan.name}: dump {micros(lambda types=types, row=row: types.dump(row)):.1f} µs, "  # type: ignore[misc]
                    f"load {micros(lambda types=types, stored=stored: types.load(stored)):.1f} µs"  # type: ignore[misc]
                )
                bodies = [msgspec.json.encode({"name": "n", "ssn": f"ssn-{i}"}) for i in range(ROWS)]
                began = time.perf_counter()
                for start in range(0, ROWS, 1000):
                    page = bodies[start : start + 1000]
                    await asyncio.gather(*(engine.insert(ADMINISTRATOR, plan.name, body) for body in page))
                print(f"{plan.name}: {ROWS / (time.perf_counter() - began):,.0f} inserts/s")
                listed, found = await reads(engine, plan.name)
                print(f"{plan.name}: list of 100 rows {listed:.0f} µs, lookup {found:.0f} µs")


if __name__ == "__main__":
    asyncio.run(main())
