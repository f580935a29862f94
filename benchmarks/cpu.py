"""What a request costs in processor time, for an app that uses no optional feature; beside other checkouts of Pylon.

`python -m benchmarks.cpu [CHECKOUT...]` measures this code and that of each checkout (`git worktree add`) in turn: a
server process for each, the HTTP protocol with transports of memory, no network and no load generator. What counts is
the processor's time of the process, the least of many slices: other work on the machine can only add to it.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

CONNECTIONS = 16
ROUNDS = 24
REQUESTS = {"get": 100, "list": 30, "insert": 60, "mutation": 60}
"""Requests of each connection in one slice."""

HERE = Path(__file__).resolve()
APP = """
from pylon import App, Context, Entity, Id, field

app = App("cpu")
class Item(Entity, crdt=False):
    title: str
    n: int = 0
    class Policy:
        allow = "true"
class Own(Entity, crdt=False):
    title: str
    n: int = 0
    owner: Id["User"] = field(owner=True, index=True)
    class Policy:
        allow = "auth.userId == data.owner"
class User(Entity, crdt=False):
    name: str
    class Policy:
        read = "true"

@app.mutation(auth="public")
def copy(ctx: Context, item: str) -> str:
    row = ctx.db.get(Item, item)
    if row is None:
        raise ctx.error("NOT_FOUND", "no such item")
    return ctx.db.insert(Item, title=row.title, n=row.n + 1).id
"""
ADMIN_TOKEN = "x" * 40
SETTINGS = dict.fromkeys(("PYLON_PORT", "PYLON_WRITES_PER_IP"), "0") | {
    "PYLON_DEV_MODE": "1",
    "PYLON_SQLITE_SYNCHRONOUS": "normal",  # a disk's fsync is no processor time of ours
}


class Wire(asyncio.Transport):
    """A transport of memory that tells when an answer was written."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self.written = b""
        self.answered: asyncio.Future[None] = loop.create_future()

    def write(self, data: Any) -> None:
        self.written = data
        if not self.answered.done():
            self.answered.set_result(None)

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return ("127.0.0.1", 5) if name in ("peername", "sockname") else default


class Connection:
    """A client on a wire of its own."""

    def __init__(self, server: Any) -> None:
        self._loop = asyncio.get_running_loop()
        protocol = server.config.http_protocol_class
        self._protocol = protocol(server.config, server.server_state, {}, self._loop)
        self._wire = Wire(self._loop)
        self._protocol.connection_made(self._wire)

    async def ask(self, request: bytes) -> bytes:
        """The answer to one request, head and body; it must be a 2xx."""
        self._wire.answered = self._loop.create_future()
        self._protocol.data_received(request)
        await self._wire.answered
        assert self._wire.written[9:10] == b"2", self._wire.written
        return self._wire.written

    async def repeat(self, request: bytes, count: int) -> None:
        """Ask so many times, one after the other."""
        for _ in range(count):
            await self.ask(request)

    async def json(self, request: bytes) -> Any:
        """The same, decoded."""
        return json.loads((await self.ask(request)).split(b"\r\n\r\n", 1)[1])


def http(method: str, path: str, body: object = None, token: str | None = None) -> bytes:
    """One request as it is on the wire."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "User-Agent: bench"]
    sent = b"" if body is None else json.dumps(body).encode()
    if token:
        lines.append(f"Authorization: Bearer {token}")
    if sent:
        lines += ["Content-Type: application/json", f"Content-Length: {len(sent)}"]
    return "\r\n".join([*lines, "", ""]).encode() + sent


async def serve(folder: Path) -> None:
    """One server; a slice of every operation for each line that comes in, its times in microseconds out."""
    from pylon import server as servers
    from pylon.listeners import bind
    from pylon.loading import find_entry, load
    from pylon.settings import Settings
    from pylon.sync.websocket import socket_protocol
    from pylon.web.uvicorn_server import http_server

    (folder / "app.py").write_text(APP)
    data = {"PYLON_DATA_DIR": str(folder / "data"), "PYLON_ADMIN_TOKEN": ADMIN_TOKEN}
    settings = Settings.load({**SETTINGS, **data})
    (folder / "data").mkdir()
    pylon = servers.Server(load(find_entry(str(folder / "app.py"), folder)), settings, bind(settings))
    await (pylon.open() if hasattr(pylon, "open") else pylon.engine.start())  # the first release had no `open`
    servers._spare_the_collector()
    server = http_server(pylon.app, socket_protocol(pylon.door, main_port=True), drain_seconds=1)
    server.lifespan = server.config.lifespan_class(server.config)
    await server.on_tick(0)

    clients = [Connection(server) for _ in range(CONNECTIONS)]
    first = clients[0]
    token = (await first.json(http("POST", "/api/auth/session", {"user_id": "u1"}, ADMIN_TOKEN)))["token"]
    own = [await first.json(http("POST", "/api/entities/Own", {"title": f"row {i}"}, token)) for i in range(150)]
    item = await first.json(http("POST", "/api/entities/Item", {"title": "hello"}))
    requests = {
        "get": http("GET", f"/api/entities/Own/{own[0]['id']}", token=token),
        "list": http("GET", "/api/entities/Own?limit=100", token=token),
        "insert": http("POST", "/api/entities/Item", {"title": "hello", "n": 1}),
        "mutation": http("POST", "/api/fn/copy", {"item": item["id"]}),
    }

    for _ in sys.stdin:
        await asyncio.sleep(0.05)  # what fell due while the others were measured
        times = {}
        for name, request in requests.items():
            began = time.process_time()
            await asyncio.gather(*[client.repeat(request, REQUESTS[name]) for client in clients])
            times[name] = (time.process_time() - began) / REQUESTS[name] / CONNECTIONS * 1e6
        print(json.dumps(times), flush=True)
    await pylon.engine.stop()


def start(checkout: Path) -> subprocess.Popen[str]:
    """The server process of a checkout."""
    command, env = [sys.executable, str(HERE), "serve"], {**os.environ, "PYTHONPATH": str(checkout / "src")}
    pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
    return subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, stderr=nothing, text=True)


def main(checkouts: list[Path]) -> None:
    """Measure and print the table."""
    processes = [start(checkout) for checkout in checkouts]
    best: list[dict[str, float]] = [dict.fromkeys(REQUESTS, float("inf")) for _ in checkouts]
    try:
        for _ in range(ROUNDS):
            for process, times in zip(processes, best, strict=True):
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write("\n")
                process.stdin.flush()
                for name, micros in json.loads(process.stdout.readline()).items():
                    times[name] = min(times[name], micros)
    finally:
        for process in processes:
            process.communicate()  # the end of its input is its end
    print(f"| µs of processor time | {' | '.join(checkout.name for checkout in checkouts)} |")
    print("|---" * (len(checkouts) + 1) + "|")
    for name, now in best[0].items():
        shown = [f"{times[name]:.1f} ({now / times[name] - 1:+.0%})" for times in best[1:]]
        print(f"| {' | '.join([name, f'{now:.1f}', *shown])} |")


if __name__ == "__main__":
    if sys.argv[1:] == ["serve"]:
        import uvloop

        with tempfile.TemporaryDirectory() as made:
            uvloop.run(serve(Path(made)))
    else:
        main([HERE.parent.parent, *(Path(argument).resolve() for argument in sys.argv[1:])])
