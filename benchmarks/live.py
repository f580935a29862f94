"""The load generator for live queries: 1,000 sockets that watch 100 different queries, and one paced writer.

Prints one JSON object: what the server takes of one processor while rows are written that no query reads, without the
subscriptions and with them, the rows being of another entity and of the same one; and, while rows are written that they
do read, the time from a write's acknowledgement until a subscriber has its state.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from base64 import b64encode
from pathlib import Path
from typing import Any

import uvloop

SOCKETS, QUERIES, RATE, SECONDS = 1000, 100, 500, 6
RELATED_RATE = 100


class Watcher(asyncio.Protocol):
    """A socket that watches one query, and notes when it was told of which state."""

    def __init__(self, host: str, queue: str, opened: asyncio.Future[None]) -> None:
        self.host, self.queue, self.opened = host, queue, opened
        self.rest = b""
        self.seen: dict[int, float] = {}
        self.results = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        key = b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET / HTTP/1.1\r\nHost: {self.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def subscribe(self) -> None:
        args = {"queue": self.queue}
        message = {"type": "reactive-subscribe", "sub_id": "s", "fn_name": "queue_state", "args": args}
        payload = json.dumps(message).encode()
        self.transport.write(b"\x81" + bytes((0x80 | 126,)) + len(payload).to_bytes(2, "big") + b"\0\0\0\0" + payload)

    def data_received(self, data: bytes) -> None:
        self.rest += data
        if not self.opened.done():
            head, found, self.rest = self.rest.partition(b"\r\n\r\n")
            if not found:
                self.rest = head
                return
            assert b" 101 " in head[:20], head
            self.opened.set_result(None)
        now = time.perf_counter()
        *results, self.rest = self.rest.split(b"}}")
        for result in results:
            self.results += 1
            self.seen.setdefault(int(result.rpartition(b'"last":')[2]), now)


class Writer(asyncio.Protocol):
    """One keep-alive connection that posts a row at a time."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.answer = b""
        self.done: asyncio.Future[None] | None = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    async def post(self, entity: str, row: dict[str, Any]) -> None:
        self.done = asyncio.get_running_loop().create_future()
        body = json.dumps(row).encode()
        self.transport.write(
            b"POST /api/entities/%b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (entity.encode(), self.host.encode(), len(body), body)
        )
        await self.done

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if self.answer.endswith(b"}") and b"\r\n\r\n" in self.answer:
            assert b" 201 " in self.answer[:20], self.answer
            self.answer = b""
            assert self.done is not None
            self.done.set_result(None)


def processor_seconds(pid: int) -> float:
    """What a process used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def paced(writer: Writer, entity: str, rate: float, seconds: float, queue: str = "q") -> dict[int, float]:
    """Write rows of 100 queues in turn; when each was acknowledged, by its number."""
    acknowledged: dict[int, float] = {}
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (wait := due - time.perf_counter()) > 0:
            await asyncio.sleep(wait)
        await writer.post(entity, {"queue": f"{queue}{number % QUERIES}", "n": number})
        acknowledged[number] = time.perf_counter()
    return acknowledged


async def main(port: int, pid: int) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    host = f"127.0.0.1:{port}"
    watchers: list[Watcher] = []
    for i in range(SOCKETS):
        opened = loop.create_future()
        _, watcher = await loop.create_connection(
            lambda i=i, opened=opened: Watcher(host, f"q{i % QUERIES}", opened), "127.0.0.1", port
        )
        await opened
        watchers.append(watcher)
    _, writer = await loop.create_connection(lambda: Writer(host), "127.0.0.1", port)

    async def cost(entity: str) -> float:
        used, began = processor_seconds(pid), time.perf_counter()
        await paced(writer, entity, RATE, SECONDS, "others")
        return round(100 * (processor_seconds(pid) - used) / (time.perf_counter() - began), 1)

    without = await cost("Unwatched")
    began = time.perf_counter()
    for watcher in watchers:
        watcher.subscribe()
    while not all(watcher.results for watcher in watchers):  # noqa: ASYNC110 - counts of many sockets
        await asyncio.sleep(0.005)
    all_told = time.perf_counter() - began
    other_entity, same_entity = await cost("Unwatched"), await cost("Ticket")
    acknowledged = await paced(writer, "Ticket", RELATED_RATE, SECONDS)
    await asyncio.sleep(0.5)
    delays = []
    for i, watcher in enumerate(watchers):
        states = sorted(watcher.seen.items())
        for number in range(i % QUERIES, len(acknowledged), QUERIES):
            at = min(moment for last, moment in states if last >= number)
            delays.append(max(0.0, at - acknowledged[number]))
    delays.sort()
    return {
        "without": without,
        "other_entity": other_entity,
        "same_entity": same_entity,
        "first_results_ms": round(1000 * all_told),
        "states": len(delays),
        "p50_ms": round(1000 * delays[len(delays) // 2], 1),
        "p99_ms": round(1000 * delays[int(len(delays) * 0.99)], 1),
        "max_ms": round(1000 * delays[-1], 1),
    }


if __name__ == "__main__":
    uvloop.install()
    print(json.dumps(asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))))
