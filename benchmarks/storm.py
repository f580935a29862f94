"""What a server bears: a storm of clients that all come back at once, and a first pull of everything.

The clients of the storm do what those of the 0.3.x generation do when a socket is lost, without the random wait that
spreads them: pull from the cursor, then connect. Rows are written all the while. Run it alone as
`python -m benchmarks storm pull`.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
import urllib.request
from typing import Any, NamedTuple

import uvloop

from benchmarks.idle import raise_file_limit, resident_bytes
from pylon.testing.process import ADMIN_TOKEN, ServerProcess

WRITERS = 4
_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Client:
    """One client's cursor and socket."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cursor = self.refused = 0
        self.writer: asyncio.StreamWriter | None = None
        self.reading: asyncio.Task[None] | None = None

    async def come(self) -> None:
        """Pull from the cursor, then connect."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        more = True
        while more:
            path = f"/api/sync/pull?since={self.cursor}" if self.cursor else "/api/sync/pull?since=0&limit=0"
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            answer = json.loads(await reader.readexactly(size))
            if b" 503 " in head[:20]:  # too many at once: come back in a moment
                self.refused += 1
                await asyncio.sleep(random.uniform(0.5, 1.5))
                continue
            assert b" 200 " in head[:20], head
            self.cursor, more = answer["cursor"]["last_seq"], answer["has_more"]
        writer.close()
        reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**20)
        self.writer.write(_UPGRADE)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in head[:20], head
        self.reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65536):
            at = data.rfind(b'{"seq":')
            if at >= 0 and (digits := data[at + 7 : at + 27].split(b",")[0]).isdigit():
                self.cursor = max(self.cursor, int(digits))

    def drop(self) -> None:
        """Lose the socket."""
        assert self.writer is not None
        assert self.reading is not None
        self.reading.cancel()
        self.writer.transport.abort()


async def write(port: int, counts: dict[str, int], stop: asyncio.Event) -> None:
    """Post rows until told to stop, a little at a time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = b'{"title":"storm","n":1}'
    while not stop.is_set():
        writer.write(
            b"POST /api/entities/Item HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))
        counts["written" if b" 201 " in head[:20] else "failed"] += 1
        await asyncio.sleep(0.05)
    writer.close()


async def storm(port: int, count: int) -> dict[str, Any]:
    """Drop all at once; the seconds until all are back and have seen what was written since."""
    counts, stop = {"written": 0, "failed": 0}, asyncio.Event()
    clients = [Client(port) for _ in range(count)]
    for start in range(0, count, 200):
        await asyncio.gather(*[client.come() for client in clients[start : start + 200]])
    writing = [asyncio.create_task(write(port, counts, stop)) for _ in range(WRITERS)]
    await asyncio.sleep(1.0)
    for client in clients:
        client.drop()
    began = time.perf_counter()
    await asyncio.gather(*[client.come() for client in clients])
    back = time.perf_counter() - began
    head = max(client.cursor for client in clients)
    async with asyncio.timeout(60):
        while min(client.cursor for client in clients) < head:  # noqa: ASYNC110 - 5,000 cursors, not one event
            await asyncio.sleep(0.02)
    caught_up = time.perf_counter() - began
    refused = sum(client.refused for client in clients)
    stop.set()
    await asyncio.gather(*writing)
    for client in clients:
        client.drop()
    return {"back_seconds": round(back, 2), "caught_up_seconds": round(caught_up, 2), "refused": refused, **counts}


class FirstPull(NamedTuple):
    """Seconds for the answer, its size, and what the server's memory grew by while it was sent."""

    rows: int
    seconds: float
    megabytes: float
    grown_megabytes: float


def first_pull(server: ServerProcess, rows: int) -> FirstPull:
    """Fill the table, then pull everything in one answer."""
    assert server.process is not None
    pid = server.process.pid
    for at in range(0, rows, 500):
        row = {"title": "a title of usual length", "n": at}
        operations = [{"op": "insert", "entity": "Item", "data": row}] * 500
        status, told = server.request("POST", "/api/transact", operations, token=ADMIN_TOKEN)
        assert status == 200, told
    with urllib.request.urlopen(f"{server.url}/api/sync/pull?since=0") as answer:
        answer.read()
    before = most = resident_bytes(pid)
    received = bytearray()
    began = time.perf_counter()
    with urllib.request.urlopen(f"{server.url}/api/sync/pull?since=0") as answer:
        while data := answer.read(2**20):
            received += data
            most = max(most, resident_bytes(pid))
    seconds = time.perf_counter() - began
    found = received.count(b'"kind":"insert"')
    return FirstPull(found, seconds, len(received) / 1e6, (most - before) / 1e6)


if __name__ == "__main__":
    count = int(sys.argv[2])
    raise_file_limit(count * 2 + 1000)
    print(json.dumps(uvloop.run(storm(int(sys.argv[1]), count))))
