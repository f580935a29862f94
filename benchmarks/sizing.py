"""`python -m benchmarks.sizing`: what a write costs on disk, and what is kept of it.

Inserts and updates rows through the write path, as one user, and measures by table what they leave in the database: the
rows, the change log that clients catch up from, the audit log; and what is handed to the disk in all, which is more, as
each page goes through the write-ahead log first. The archive, for restores to a point in time, is measured at a server.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import apsw

from benchmarks.app import app
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.transaction import Transaction
from pylon.model.identity import Identity
from pylon.testing.engine import open_engine
from pylon.testing.process import ADMIN_TOKEN, ServerProcess

WRITES = 10_000
BODY_BYTES = 200
LONE = 1
BATCHED = 32

Write = Callable[[Engine, int], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Cost:
    """Bytes per write, by what they are spent on."""

    what: str
    tables: dict[str, float]
    written: float

    @property
    def total(self) -> float:
        """What stays on disk."""
        return sum(self.tables.values())


def table_bytes(path: Path) -> dict[str, int]:
    """Bytes of each table with its indexes, by what it holds."""
    sizes: dict[str, int] = {}
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        owners = dict(connection.execute("SELECT name, tbl_name FROM sqlite_master").fetchall())
        for name, size in connection.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name").fetchall():
            owner = _kind(str(owners.get(name, name)))
            sizes[owner] = sizes.get(owner, 0) + int(size)
    finally:
        connection.close()
    return sizes


def _kind(table: str) -> str:
    for part, kind in (("audit", "audit log"), ("log", "change log"), ("change", "change log"), ("_pylon", "other")):
        if table.startswith("_pylon") and part in table:
            return kind
    return "other" if table.startswith("sqlite_") else "rows"


async def measure(what: str, folder: Path, write: Write, concurrency: int) -> Cost:
    """The cost of WRITES writes, `concurrency` of them at a time, as so many clients would send them."""
    path = folder / "pylon.db"
    async with open_engine(app.spec(), folder) as engine:  # it checkpoints when it stops: sizes are then whole
        await write(engine, 0)
    before, written = table_bytes(path), _written()
    async with open_engine(app.spec(), folder) as engine:
        for start in range(0, WRITES, concurrency):
            await asyncio.gather(*[write(engine, number) for number in range(start, start + concurrency)])
    after, written = table_bytes(path), _written() - written
    tables = {kind: (after[kind] - before.get(kind, 0)) / WRITES for kind in sorted(after)}
    return Cost(what, tables, written / WRITES)


def _written() -> int:
    """Bytes that this process has written so far."""
    counters = dict(line.split(": ") for line in Path("/proc/self/io").read_text("ascii").splitlines())
    return int(counters["wchar"])


def _insert(engine: Engine, number: int) -> Awaitable[object]:
    plan = engine.plans["Own"]
    body = plan.types.decode_insert(b'{"title":"hello world","body":"%b","n":5}' % (b"x" * BODY_BYTES))
    return engine.run(_CALLER, lambda tx: tx.insert(plan, body))


def _update() -> Write:
    """One row, changed again and again: the first write makes it."""
    made: list[str] = []

    async def write(engine: Engine, number: int) -> None:
        plan = engine.plans["Own"]
        if not made:
            body = plan.types.decode_insert(b'{"title":"hello","n":0}')
            await engine.run(_CALLER, lambda tx: made.append(tx.insert(plan, body).row_id))
        patch = plan.types.decode_patch(b'{"n":%d}' % number)

        def change(tx: Transaction) -> None:
            tx.update(plan, made[0], patch)

        await engine.run(_CALLER, change)

    return write


_CALLER = Caller(identity=Identity(user_id="u1"), ip="192.0.2.1", door="http")


async def run() -> list[Cost]:
    """Every case, each on a database of its own."""
    cases: list[tuple[str, Write, int]] = [
        (f"insert, one client, text of {BODY_BYTES} bytes", _insert, LONE),
        (f"insert, {BATCHED} clients at once", _insert, BATCHED),
        (f"update of one number, {BATCHED} clients at once", _update(), BATCHED),
    ]
    costs = []
    for what, write, concurrency in cases:
        with tempfile.TemporaryDirectory() as folder:
            costs.append(await measure(what, Path(folder), write, concurrency))
    return costs


def archived() -> float:
    """Bytes of the archive per insert. It is compressed: the text is hexadecimal, which halves at best."""
    batches = WRITES // 100
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with ServerProcess(Path(__file__).with_name("app.py"), data) as server:
            for _ in range(batches):
                rows = [{"title": secrets.token_hex(BODY_BYTES // 2), "n": 5} for _ in range(100)]
                operations = [{"op": "insert", "entity": "Item", "data": row} for row in rows]
                status, told = server.request("POST", "/api/transact", operations, token=ADMIN_TOKEN)
                assert status == 200, told
        size = sum(path.stat().st_size for path in (data / "archive").rglob("*") if path.is_file())
    return size / (batches * 100)


def main() -> None:
    """Print the table."""
    kinds = ("rows", "change log", "audit log")
    print("| bytes per write | " + " | ".join(kinds) + " | kept in all | written in all |")
    print("|---|" + "---|" * (len(kinds) + 2))
    for cost in asyncio.run(run()):
        cells = " | ".join(f"{cost.tables.get(kind, 0):,.0f}" for kind in kinds)
        print(f"| {cost.what} | {cells} | {cost.total:,.0f} | {cost.written:,.0f} |")
    print(f"archive: {archived():,.0f} bytes per insert")


if __name__ == "__main__":
    main()
