"""A new version whose table is written anew, with 1,000 sockets connected: `python -m benchmarks.schema_change [ROWS]`.

The new form is prepared while the old version serves, then the new version takes its place (`pylon start --replace`).
Readers and writers go on all the while, and ask again when nobody answers; clients pull and connect as soon as they
lose their socket. With `--unprepared` the table is written anew at the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from benchmarks.idle import raise_file_limit
from benchmarks.storm import Client
from pylon.loading import find_entry, load
from pylon.model.rows import compile_rows
from pylon.store.sqlite.connection import connect_writer
from pylon.store.sqlite.database import SqliteStore
from pylon.testing.process import ServerProcess

SOCKETS = 1000
OPEN = dict.fromkeys(
    ("PYLON_PULLS_PER_CLIENT", "PYLON_WRITES_PER_IP", "PYLON_HTTP_PER_IP_MAX", "PYLON_WS_PER_IP_MAX"), "0"
)
OLD = """
from pylon import App, Entity, field, index
app = App("bench")
class Item(Entity, crdt=False):
    title: str
    body: str = ""
    n: int = field(default=0, index=True)
    class Policy:
        allow = "true"
"""
NEW = OLD.replace('body: str = ""', 'body: str = ""\n    rank: str = "middle"')


class Prober:
    """Asks one thing again and again; how long it went without an answer, at most, and how many answers were errors."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request
        self.longest = 0.0
        self.errors = self.answers = 0

    async def run(self) -> None:
        last = time.perf_counter()
        reader = writer = None
        while True:
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(self._request)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
            except (OSError, asyncio.IncompleteReadError):
                writer = None
                await asyncio.sleep(0.005)
                continue
            now = time.perf_counter()
            self.answers += 1
            self.errors += b" 20" not in head[:14]
            self.longest, last = max(self.longest, now - last), now
            await asyncio.sleep(0.005)

    def begin(self) -> None:
        self.longest, self.errors = 0.0, 0


def fill(app: Path, data: Path, rows: int) -> None:
    data.mkdir()
    entities = load(find_entry(str(app), app.parent)).entities
    store = SqliteStore(data / "pylon.db", {entity.name: compile_rows(entity) for entity in entities})
    store.apply(entities)
    with contextlib.closing(connect_writer(data / "pylon.db", "NORMAL")) as connection:
        connection.execute("BEGIN")
        values = ((f"{n:040x}", f"title {n}", "x" * 120, n) for n in range(rows))
        connection.executemany("INSERT INTO Item VALUES (?, ?, ?, ?)", values)
        connection.execute("COMMIT")


async def measure(rows: int, folder: Path) -> None:
    app = folder / "app.py"
    app.write_text(OLD)
    fill(app, folder / "data", rows)
    server = ServerProcess(app, folder / "data", env=OPEN)
    await asyncio.to_thread(server.start)
    clients = [Client(server.port) for _ in range(SOCKETS)]
    for client in clients:
        client.cursor = 1
    body = b'{"title":"new"}'
    reads = Prober(server.port, b"GET /api/entities/Item?limit=10 HTTP/1.1\r\nHost: x\r\n\r\n")
    writes = Prober(
        server.port,
        b"POST /api/entities/Item HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(body), body),
    )
    probing = [asyncio.create_task(prober.run()) for prober in (reads, writes)]
    server.request("POST", "/api/entities/Item", {"title": "first"})
    for start in range(0, SOCKETS, 100):
        await asyncio.gather(*[client.come() for client in clients[start : start + 100]])
    reads.begin(), writes.begin()
    app.write_text(NEW)
    command = [sys.executable, "-m", "pylon", "schema", "push", str(app), "--data-dir", str(folder / "data")]
    began = time.perf_counter()
    if "--unprepared" not in sys.argv:
        await asyncio.to_thread(subprocess.run, command, check=True)
    print(f"prepared in {time.perf_counter() - began:.1f} s; longest wait meanwhile:", told(reads, writes))
    reads.begin(), writes.begin()
    began = time.perf_counter()
    coming = [asyncio.create_task(back(client)) for client in clients]
    successor = ServerProcess(app, folder / "data", env=OPEN, port=server.port, options=("--replace",))
    await asyncio.to_thread(successor.start)
    assert server.process is not None
    print(f"the old server left with {server.process.wait()}")
    times = sorted(await asyncio.gather(*coming))
    print(f"a socket was away for {times[500] * 1000:.0f} ms, the last for {times[-1] * 1000:.0f} ms")
    print("longest wait:", told(reads, writes))
    for task in probing:
        task.cancel()
    successor.stop()


async def back(client: Client) -> float:
    """Come back, once the socket is lost, as soon as somebody answers; the seconds that took. A cursor from before is
    refused, so the client begins anew."""
    assert client.reading is not None
    await client.reading
    began = time.perf_counter()
    client.cursor = 0
    while True:
        try:
            await client.come()
            return time.perf_counter() - began
        except (OSError, asyncio.IncompleteReadError):
            await asyncio.sleep(0.02)


def told(reads: Prober, writes: Prober) -> str:
    return (
        f"read {reads.longest * 1000:.0f} ms, {reads.errors} of {reads.answers} failed; "
        f"write {writes.longest * 1000:.0f} ms, {writes.errors} of {writes.answers} failed"
    )


if __name__ == "__main__":
    raise_file_limit(SOCKETS * 4)
    with tempfile.TemporaryDirectory() as passing:
        uvloop.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 300_000, Path(passing)))
