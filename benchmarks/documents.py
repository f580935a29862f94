"""The load generator for documents: editors of one text, each with a socket and a keep-alive connection, in one
process.

Editors push edits at a steady rate altogether, whether or not the server keeps up; what each hears is timed from the
moment at which the edit was due, by a mark in the edit itself. At the end all copies must have the same text. Prints
one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import sys
import time
from base64 import b64encode
from typing import Any

import uvloop
from loro import ExportMode, LoroDoc

AUTHORS = 2
"""Copies that merge all edits and that all editors edit in turn: one process can't merge for fifty."""

MARK = re.compile(rb"<(\d+\.\d+)>")


class Editor(asyncio.Protocol):
    """A socket that subscribes, times what arrives, and merges it where `merges`."""

    def __init__(self, host: str, token: str, row_id: str, opened: asyncio.Future[None], merges: bool) -> None:
        self.host, self.token, self.row_id, self.opened, self.merges = host, token, row_id, opened, merges
        self.doc: Any = LoroDoc()  # type: ignore[no-untyped-call]
        self.buffer = bytearray()
        self.is_open = False
        self.delays: list[float] = []

    def connection_made(self, transport: Any) -> None:
        key = b64encode(os.urandom(16)).decode()
        self.transport = transport
        transport.write(
            f"GET / HTTP/1.1\r\nHost: {self.host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Authorization: Bearer {self.token}\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def _subscribe(self) -> None:
        message = json.dumps({"type": "crdt-subscribe", "entity": "Page", "rowId": self.row_id}).encode()
        self.transport.write(bytes((0x81, 0x80 | len(message))) + bytes(4) + message)

    def data_received(self, data: bytes) -> None:
        buffer = self.buffer
        buffer += data
        if not self.is_open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self.is_open = True
            del buffer[: end + 4]
            self._subscribe()
        while (frame := self._frame()) is not None:
            opcode, payload = frame
            if opcode == 2:
                self._heard(payload)

    def _frame(self) -> tuple[int, bytes] | None:
        buffer = self.buffer
        if len(buffer) < 2:
            return None
        size, at = buffer[1], 2
        if size == 126:
            size, at = int.from_bytes(buffer[2:4], "big"), 4
        elif size == 127:
            size, at = int.from_bytes(buffer[2:10], "big"), 10
        if len(buffer) < at + size:
            return None
        frame = buffer[0] & 15, bytes(buffer[at : at + size])
        del buffer[: at + size]
        return frame

    def _heard(self, payload: bytes) -> None:
        now = time.perf_counter()
        if payload[0] == 0x10:
            self.doc.import_(payload[5 + len("Page") + len(self.row_id) :])
            if not self.opened.done():
                self.opened.set_result(None)
            return
        if (mark := MARK.search(payload)) is not None:
            self.delays.append(now - float(mark[1]))
        if self.merges:
            self.doc.import_(payload[5 + len("Page") + len(self.row_id) :])


class Pusher(asyncio.Protocol):
    """One editor's keep-alive connection: the edits that it makes, one after another."""

    def __init__(self, host: str, token: str, row_id: str) -> None:
        self.head = (
            f"POST /api/crdt/Page/{row_id} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        )
        self.answered: asyncio.Future[None] | None = None
        self.answer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if self.answered is not None and self.answer.endswith(b"}"):
            if b" 200 " not in self.answer[:20]:
                self.answered.set_exception(RuntimeError(self.answer.decode()))
            else:
                self.answered.set_result(None)
            self.answer = b""

    async def push(self, update: bytes) -> None:
        body = json.dumps({"update": update.hex()}).encode()
        self.answered = asyncio.get_running_loop().create_future()
        self.transport.write((self.head % len(body)).encode() + body)
        await self.answered


async def edit(pusher: Pusher, editor: Editor, first: float, every: float, until: float) -> int:
    """Push an edit every so often; how many."""
    own = editor.doc
    text = own.get_map("row").get("body").container
    due, pushed = first, 0
    while due < until:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        before = own.oplog_vv
        mark = f"<{due:.6f}>"
        text.delete(random.randrange(text.len_unicode - len(mark)), len(mark))
        text.insert(random.randrange(text.len_unicode), mark)
        own.commit()
        await pusher.push(own.export(ExportMode.Updates(before)))
        pushed += 1
        due += every
    return pushed


async def run(port: int, token: str, row_id: str, editors: int, rate: float, seconds: float) -> dict[str, Any]:
    loop = asyncio.get_running_loop()
    host = f"127.0.0.1:{port}"
    opened, sockets, pushers = [], [], []
    for number in range(editors):
        future: asyncio.Future[None] = loop.create_future()
        socket = Editor(host, token, row_id, future, merges=number < AUTHORS)
        pusher = Pusher(host, token, row_id)
        await loop.create_connection(lambda socket=socket: socket, "127.0.0.1", port)  # type: ignore[misc]
        await loop.create_connection(lambda pusher=pusher: pusher, "127.0.0.1", port)  # type: ignore[misc]
        opened.append(future)
        sockets.append(socket)
        pushers.append(pusher)
    await asyncio.wait_for(asyncio.gather(*opened), 20)
    every = editors / rate
    began = time.perf_counter() + 0.2
    edits = [edit(p, sockets[n % AUTHORS], began + n / rate, every, began + seconds) for n, p in enumerate(pushers)]
    pushed = sum(await asyncio.gather(*edits))
    until = time.perf_counter() + 10
    while any(len(socket.delays) < pushed for socket in sockets):
        if time.perf_counter() > until:
            break
        await asyncio.sleep(0.02)
    delays = sorted(delay for socket in sockets for delay in socket.delays)
    texts = {socket.doc.get_deep_value()["row"]["body"] for socket in sockets[:AUTHORS]}
    return {
        "pushed": pushed,
        "all_arrived": all(len(socket.delays) == pushed for socket in sockets) and len(texts) == 1,
        "characters": len(texts.pop()),
        "p50_ms": round(delays[len(delays) // 2] * 1000, 2),
        "p99_ms": round(delays[int(len(delays) * 0.99)] * 1000, 2),
        "max_ms": round(delays[-1] * 1000, 2),
    }


if __name__ == "__main__":
    port, token, row_id = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    editors, rate, seconds = int(sys.argv[4]), float(sys.argv[5]), float(sys.argv[6])
    print(json.dumps(uvloop.run(run(port, token, row_id, editors, rate, seconds))))
