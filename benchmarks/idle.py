"""What an idle server costs: cold start, resident memory, and memory per idle socket."""

from __future__ import annotations

import os
import resource
import socket
import time
from pathlib import Path

from pylon.testing.process import ServerProcess

SOCKETS = 10_000


def resident_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def cold_start(app: Path, data: Path) -> float:
    """Seconds from starting the process to its first 200."""
    server = ServerProcess(app, data)
    began = time.perf_counter()
    server.start()
    seconds = time.perf_counter() - began
    server.stop()
    return seconds


def open_sockets(port: int, count: int) -> list[socket.socket]:
    """WebSockets that have been accepted and stay silent."""
    opened = []
    request = (
        f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()
    for start in range(0, count, 200):
        batch = [socket.create_connection(("127.0.0.1", port)) for _ in range(min(200, count - start))]
        for connection in batch:
            connection.sendall(request)
        for connection in batch:
            assert b" 101 " in connection.recv(4096)[:20]
        opened += batch
    return opened


def raise_file_limit(wanted: int) -> None:
    """Allow this process, and those it starts, that many open files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def memory(app: Path, data: Path) -> tuple[float, float]:
    """(MB resident when idle, KB per idle socket at SOCKETS)."""
    raise_file_limit(SOCKETS * 2 + 1000)
    with ServerProcess(app, data, env={"PYLON_WS_PER_IP_MAX": "0", "PYLON_WS_PING_SECS": "3600"}) as server:
        assert server.process is not None
        pid = server.process.pid
        time.sleep(1.0)
        idle = resident_bytes(pid)
        warm = open_sockets(server.port, 100)
        time.sleep(0.5)
        before = resident_bytes(pid)
        sockets = open_sockets(server.port, SOCKETS)
        time.sleep(1.0)
        after = resident_bytes(pid)
        for connection in (*warm, *sockets):
            connection.close()
        os.sync()
        return idle / 1e6, (after - before) / SOCKETS / 1024
