"""Reads under policies on a million rows, in process: lists, counts, aggregates and graphs.

Each is timed in turn with a baseline that reads 100 rows by nothing but SQLite, on the same thread: what the machine
kept that one waiting, it kept the read waiting too.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw
import uvloop

from pylon import App, Entity, Id, field, index, relation
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.plan import Plans
from pylon.model.identity import Identity
from pylon.store.sqlite.database import SqliteStore
from pylon.testing.engine import open_engine

ROWS = 1_000_000
OWNERS = 1_000
TEAMS = 5_000
RUNS = 400
_BARE = "SELECT id, title, n, owner FROM Task WHERE rowid > ? ORDER BY rowid LIMIT 100"

app = App("queries")


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds: the median, the 99th percentile, and those of the processor's time, which other load can't change
    as much; and the waiting of the baseline."""

    median: float
    p99: float
    cpu: float
    p99_cpu: float
    baseline: float
    baseline_p99: float

    def __str__(self) -> str:
        return (
            f"{self.median:.2f} ms, p99 {self.p99:.2f} ms; CPU {self.cpu:.2f} ms, p99 {self.p99_cpu:.2f} ms; "
            f"baseline {self.baseline:.2f} ms, p99 {self.baseline_p99:.2f} ms"
        )


class User(Entity, crdt=False):
    name: str

    class Policy:
        read = "true"


class Task(Entity, crdt=False):
    """A row policy over an indexed field."""

    title: str
    n: int
    owner: Id[User] = field(index=True)

    class Policy:
        read = "auth.userId == data.owner"


class Member(Entity, crdt=False):
    team: str
    user: Id[User]
    indexes = [index("user", "team")]

    class Policy:
        read = "true"


class Paper(Entity, crdt=False):
    """A row policy with `exists` over an indexed relation."""

    title: str
    team: str = field(index=True)

    class Policy:
        read = "exists(Member where team == data.team and user == auth.userId)"


class Parent(Entity, crdt=False):
    title: str
    relations = [relation("children", "Child", field="parent", many=True)]

    class Policy:
        read = "true"


class Child(Entity, crdt=False):
    title: str
    parent: Id[Parent]
    owner: Id[User] = field(index=True)

    class Policy:
        read = "auth.userId == data.owner"


def fill(path: Path, rows: int) -> None:
    """Rows straight into the store: what is measured are reads."""
    spec = app.spec()
    store = SqliteStore(path, {name: plan.types for name, plan in Plans(spec).items()}, synchronous="NORMAL")
    store.apply(spec.entities)
    writer = store.writer()
    writer.begin()
    for entity, values in _rows(rows):
        writer.insert(entity, values)
    writer.commit()
    writer.close()
    store.apply(spec.entities)


def _rows(rows: int) -> Iterator[tuple[str, tuple[str | int, ...]]]:
    """Columns in alphabetical order."""
    for i in range(rows):
        yield "Task", (_id(i), i % 97, f"u{i * 7919 % OWNERS}", f"task {i}")
        yield "Paper", (_id(i), f"t{i * 7919 % TEAMS}", f"paper {i}")
    for i in range(TEAMS):
        yield "Member", (_id(i), f"t{i}", f"u{i % OWNERS}")
    for i in range(2_000):
        yield "Parent", (_id(i), f"parent {i}")
        for j in range(10):
            yield "Child", (_id(i * 10 + j), "u1", _id(i), f"child {j}")


def _id(number: int) -> str:
    return f"{number:040x}"


async def measure(folder: Path, rows: int = ROWS) -> list[tuple[str, Times]]:
    """How long each read takes."""
    await asyncio.to_thread(fill, folder / "pylon.db", rows)
    async with open_engine(app.spec(), folder, read_threads=2) as engine:
        bare = apsw.Connection(str(folder / "pylon.db"), flags=apsw.SQLITE_OPEN_READONLY)
        return [(what, await _timed(step, bare)) for what, step in _steps(engine)]


def _steps(engine: Engine) -> Iterator[tuple[str, Callable[[int], Awaitable[object]]]]:
    reads, queries = engine.reads, engine.queries

    def caller(i: int) -> Caller:
        return Caller(identity=Identity(user_id=f"u{i % OWNERS}"))

    async def listed(entity: str, who: Caller, conditions: dict[str, object]) -> None:
        _, count = await reads.rows(who, entity, reads.filter(who, entity, conditions))
        assert count == 100, count

    graph = {"Parent": {"limit": 100, "include": {"children": {}}}}
    latest = {"$limit": 100, "$order": {"id": "desc"}}
    day = {"groupBy": ["n"], "count": "*", "sum": ["n"], "orderBy": {"count": "desc"}, "limit": 10}
    yield "list 100 rows, row policy", lambda i: listed("Task", caller(i), {"$limit": 100})
    yield "the latest 100 of them", lambda i: listed("Task", caller(i), latest)
    yield "list 100 rows, policy with exists", lambda i: listed("Paper", caller(i), {"$limit": 100})
    yield (
        "count 1,000 rows, row policy",
        lambda i: queries.count(caller(i), "Task", reads.filter(caller(i), "Task", {})),
    )
    yield "aggregate 1,000 rows, row policy", lambda i: queries.aggregate(caller(i), "Task", day)
    yield "graph, 100 parents of 10 children, row policy", lambda i: queries.graph(caller(1), graph)


async def _timed(step: Callable[[int], Awaitable[object]], bare: apsw.Connection) -> Times:
    for i in range(20):
        await step(i)
    walls, cpus, baselines = [], [], []
    for i in range(RUNS):
        began, used = time.perf_counter(), time.process_time()
        await step(i)
        cpus.append((time.process_time() - used) * 1000)
        walls.append((time.perf_counter() - began) * 1000)
        began = time.perf_counter()
        bare.execute(_BARE, (i * 2000,)).fetchall()
        baselines.append((time.perf_counter() - began) * 1000)
    (wall, wall_p99), (cpu, cpu_p99), (baseline, baseline_p99) = map(_half_and_last, (walls, cpus, baselines))
    return Times(wall, wall_p99, cpu, cpu_p99, baseline, baseline_p99)


def _half_and_last(times: list[float]) -> tuple[float, float]:
    """The median and the 99th percentile."""
    ordered = sorted(times)
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]


def run(rows: int = ROWS) -> list[tuple[str, Times]]:
    """One run on a fresh database."""
    with tempfile.TemporaryDirectory() as folder:
        return uvloop.run(measure(Path(folder), rows))


if __name__ == "__main__":
    print(f"load {os.getloadavg()[0]:.1f}")
    for what, times in run():
        print(f"{what}: {times}")
    print(f"load {os.getloadavg()[0]:.1f}")
