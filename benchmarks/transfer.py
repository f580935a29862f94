"""A million rows through `POST /api/import/Item` as NDJSON: rate, the server's memory, and its CPU per row."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

ROWS = 1_000_000
_CHUNK = 1_000


@dataclass(frozen=True, slots=True)
class Transfer:
    """`cpu` is the server's, in microseconds a row; `memory` its largest resident size in bytes."""

    rate: float
    cpu: float
    memory: int


def measure(app: Path, folder: Path, rows: int = ROWS) -> Transfer:
    """Import that many rows into an empty database."""
    memory = 0
    with ServerProcess(app, folder / "data") as server:
        assert server.process is not None
        process = psutil.Process(server.process.pid)
        before = sum(process.cpu_times()[:2])

        def source() -> Iterator[bytes]:
            nonlocal memory
            for start in range(0, rows, _CHUNK):
                yield b"".join(b'{"title":"row %d","n":%d}\n' % (i, i) for i in range(start, start + _CHUNK))
                if start % (100 * _CHUNK) == 0:
                    memory = max(memory, process.memory_info().rss)

        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        began = time.perf_counter()
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        connection.request("POST", "/api/import/Item", body=source(), headers=headers, encode_chunked=False)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        seconds = time.perf_counter() - began
        cpu = (sum(process.cpu_times()[:2]) - before) / rows * 1e6
        memory = max(memory, process.memory_info().rss)
    return Transfer(rows / seconds, cpu, memory)
