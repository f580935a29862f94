"""A new version takes the place of an old one beside 1,000 sockets: `python -m benchmarks.schema_change [ROWS]`.

Once as it is, which is the baseline of the run; once with a table that is written anew; once with one more index.
`pylon start --replace` prepares what takes long while the old version serves. Readers and writers go on all the while,
and ask again when nobody answers; clients pull and connect as soon as they lose their socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
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
INDEXED = NEW.replace('rank: str = "middle"', 'rank: str = field(default="middle", index=True)')


class Prober:
    """Asks one thing again and again; how long it went without an answer, at most, and how many answers were errors."""

    def __init__(self, port: int, request: bytes) -> None:
        self._port = port
        self._request = request
        self.begin()

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
            except (OSError, asyncio.IncompleteReadError) as error:
                self.refused += isinstance(error, ConnectionRefusedError)
                writer = None
                await asyncio.sleep(0.005)
                continue
            now = time.perf_counter()
            self.answers += 1
            self.errors += b" 20" not in head[:14]
            self.longest, last = max(self.longest, now - last), now
            await asyncio.sleep(0.005)

    def begin(self) -> None:
        self.longest, self.errors, self.answers, self.refused = 0.0, 0, 0, 0

    def told(self) -> str:
        return f"{self.longest * 1000:.0f} ms, {self.errors} of {self.answers} failed, {self.refused} not connected"


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
    for what, source in (("the same version", OLD), ("a table written anew", NEW), ("an index", INDEXED)):
        app.write_text(source)
        server = await replaced(server, clients, (reads, writes), what)
    for task in probing:
        task.cancel()
    server.stop()


async def replaced(
    server: ServerProcess, clients: list[Client], probers: tuple[Prober, Prober], what: str
) -> ServerProcess:
    """A new version takes the server's place; what everybody noticed of it, and what the machine did meanwhile."""
    assert server.process is not None
    await asyncio.sleep(2)
    for prober in probers:
        prober.begin()
    began, worked = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    coming = [asyncio.create_task(back(client)) for client in clients]
    successor = ServerProcess(server.app, server.data, env=OPEN, port=server.port, options=("--replace",))
    await asyncio.to_thread(successor.start)
    left = await asyncio.to_thread(server.process.wait, 60)
    assert left == 0, server.log()
    away = sorted(await asyncio.gather(*coming))
    assert successor.process is not None
    lasted, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    print(f"{what}: done in {lasted:.1f} s, beside a load of {os.getloadavg()[0]:.1f}")
    print(f"  longest wait: read {probers[0].told()}; write {probers[1].told()}")
    print(f"  a socket was away for {away[500] * 1000:.0f} ms, the last for {away[-1] * 1000:.0f} ms")
    ours = now.ru_utime + now.ru_stime - worked.ru_utime - worked.ru_stime
    print(f"  processor: the new server {cpu_seconds(successor.process.pid):.2f} s, the clients {ours:.2f} s")
    return successor


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


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


if __name__ == "__main__":
    raise_file_limit(SOCKETS * 4)
    with tempfile.TemporaryDirectory() as passing:
        uvloop.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 300_000, Path(passing)))
