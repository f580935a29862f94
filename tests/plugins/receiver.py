"""Whom webhooks are posted to: a real HTTP server that answers as it is told and remembers what it got."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any


class Receiver:
    """`answers` are the statuses of the next answers, 200 once there are none; `extra` are header lines of each."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.answers: list[int] = []
        self.always = 200
        self.extra = ""
        self.payload = b"ok"
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/in?key=k"

    @property
    def seqs(self) -> list[int]:
        return [event["seq"] for event in self.got]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:] if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        status = self.answers.pop(0) if self.answers else self.always
        if status == 0:  # hang up without a word
            writer.close()
            return
        self.headers.append({**headers, ":line": lines[0]})
        self.bodies.append(body)
        if status < 300:
            self.got.append(json.loads(body))
        length = f"Content-Length: {len(self.payload)}\r\n"
        writer.write(f"HTTP/1.1 {status} X\r\n{length}{self.extra}Connection: close\r\n\r\n".encode())
        writer.write(self.payload)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()
        await server.wait_closed()
