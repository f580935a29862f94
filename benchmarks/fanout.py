"""The load generator for fan-out: N sockets that listen, M keep-alive connections that post, in one process.

Every socket must receive the same stream, so it is enough to count bytes on all of them and events on a few; those few
also measure the time from post to arrival, which the posted row carries. Prints one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from base64 import b64encode
from typing import Any

import uvloop

SAMPLED = 8
MARK = b'"timestamp":""}'
"""How every event ends."""


class Listener(asyncio.Protocol):
    def __init__(self, host: str, opened: asyncio.Future[None], sampled: bool) -> None:
        self.host, self.opened, self.sampled = host, opened, sampled
        self.bytes = self.events = 0
        self.head = b""
        self.rest = b""
        self.delays: list[float] = []

    def headers(self) -> str:
        """More lines of the handshake."""
        return ""

    def connection_made(self, transport: Any) -> None:
        key = b64encode(os.urandom(16)).decode()
        transport.write(
            f"GET / HTTP/1.1\r\nHost: {self.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n{self.headers()}\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        if not self.opened.done():
            self.head += data
            if b"\r\n\r\n" not in self.head:
                return
            assert b" 101 " in self.head[:20], self.head
            data = self.head.split(b"\r\n\r\n", 1)[1]
            self.opened.set_result(None)
        self.bytes += len(data)
        if self.sampled:
            now = time.perf_counter()
            lines = (self.rest + data).split(MARK)
            self.rest = lines.pop()
            for line in lines:
                self.events += 1
                self.delays.append(now - float(line.rsplit(b'"title":"t', 1)[1].split(b'"', 1)[0]))


class Poster(asyncio.Protocol):
    path = "/api/entities/Item"
    headers = ""

    def __init__(self, host: str, until: float, done: asyncio.Future[int]) -> None:
        self.host, self.until, self.done = host, until, done
        self.posted = 0
        self.answer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.post()

    def post(self) -> None:
        now = time.perf_counter()
        if now > self.until:
            self.done.set_result(self.posted)
            self.transport.close()
            return
        body = b'{"title":"t%.7f","n":1}' % now
        self.transport.write(
            b"POST %b HTTP/1.1\r\nHost: %b\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b"
            % (self.path.encode(), self.host.encode(), self.headers.encode(), len(body), body)
        )

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if not self.answer.endswith(b'"}'):
            return
        if b" 201 " not in self.answer[:20]:
            self.done.set_exception(RuntimeError(self.answer.decode()))
            return
        self.answer = b""
        self.posted += 1
        self.post()


async def run(port: int, sockets: int, posters: int, seconds: float) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    host = f"127.0.0.1:{port}"
    listeners = []
    for start in range(0, sockets, 100):
        batch = []
        for i in range(start, min(start + 100, sockets)):
            opened = loop.create_future()
            listener = Listener(host, opened, sampled=i % max(1, sockets // SAMPLED) == 0)
            await loop.create_connection(lambda listener=listener: listener, "127.0.0.1", port)  # type: ignore[misc]
            listeners.append(listener)
            batch.append(opened)
        await asyncio.gather(*batch)
    await asyncio.sleep(0.5)
    for listener in listeners:
        listener.bytes = listener.events = 0
        listener.delays.clear()
    began = time.perf_counter()
    done = []
    for _ in range(posters):
        future = loop.create_future()
        await loop.create_connection(lambda future=future: Poster(host, began + seconds, future), "127.0.0.1", port)  # type: ignore[misc]
        done.append(future)
    posted = sum(await asyncio.wait_for(asyncio.gather(*done), seconds + 30))
    sampled = [listener for listener in listeners if listener.sampled]
    until = time.perf_counter() + 10
    while time.perf_counter() < until:
        if all(s.events == posted for s in sampled) and len({s.bytes for s in listeners}) == 1:
            break
        await asyncio.sleep(0.02)
    elapsed = max(time.perf_counter() - began, seconds)
    delays = sorted(delay for s in sampled for delay in s.delays)
    return {
        "posted": posted,
        "deliveries_per_second": round(posted * sockets / elapsed),
        "all_arrived": all(s.events == posted for s in sampled) and len({s.bytes for s in listeners}) == 1,
        "p50_ms": round(delays[len(delays) // 2] * 1000, 2),
        "p99_ms": round(delays[int(len(delays) * 0.99)] * 1000, 2),
    }


if __name__ == "__main__":
    port, sockets, posters, seconds = (int(argument) for argument in sys.argv[1:5])
    print(json.dumps(uvloop.run(run(port, sockets, posters, seconds))))
