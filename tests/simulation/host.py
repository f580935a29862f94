"""The server of a simulation: all of it but uvicorn, on a disk that fails, in a process that is killed."""

from __future__ import annotations

import asyncio
import queue
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from pylon.engine.committer import Committer, Work
from pylon.listeners import Listeners
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.server import Server
from pylon.settings import Settings
from pylon.sync.tail import recent_changes
from pylon.sync.websocket import SocketProtocol, socket_protocol
from pylon.testing.asgi import exchange
from tests.simulation.world import World, owner

ADMIN_TOKEN = "simulated-admin-token-0123456789"
BUFFER_BYTES = (5_000, 8_000, 20_000)
"""What a socket may hold back before its client counts as slow: little, so that it happens."""


class Down(Exception):
    """The server is not there, or went away before it answered."""


class FailingDisk:
    """The writer's session, whose commits fail as often as the simulation wants."""

    def __init__(self, session: Any, fails: Callable[[], bool]) -> None:
        self._session = session
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def commit(self) -> None:
        if self._fails():
            raise PylonError("STORAGE_FULL", "The disk is full; nothing of this write was applied.")
        self._session.commit()


class InlineCommitter(Committer):
    """Group commit without its thread: batches of chance sizes, answers a moment after their commit."""

    host: Host

    def __init__(self, session: Any, *args: Any, **options: Any) -> None:
        host = type(self).host
        super().__init__(FailingDisk(session, host.disk_fails), *args, **options)
        self._world = host.world
        self._mine = host
        self._is_due = False
        self._answer_at = 0.0

    def start(self) -> None:
        self.is_dead = False

    def submit(self, work: Work) -> None:
        super().submit(work)
        self._schedule()

    async def stop(self) -> None:
        self.is_dead = True
        self._session.close()

    def _schedule(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._world.call_later(self._world.between(0.0001, 0.006), self._turn)

    def _turn(self) -> None:
        self._is_due = False
        if self.is_dead:
            return
        try:
            work = self._queue.get_nowait()
        except queue.Empty:
            return
        assert work is not None
        finished, changes, _ = self._batch(work)
        self._mine.committed(changes)
        self._answer_at = max(self._world.time() + self._world.between(0.0, 0.003), self._answer_at + 1e-6)
        self._world.call_at(self._answer_at, self._answer, finished, changes)
        if not self._queue.empty():
            self._schedule()

    def _answer(self, finished: list[Work], changes: list[Change]) -> None:
        if not self.is_dead:
            self._delivered(finished, changes)


class SimulatedTransport(asyncio.Transport):
    """The server's end of one simulated connection; `Wire` takes what is written."""

    def __init__(self, wire: Any) -> None:
        super().__init__({"peername": ("10.0.0.1", 1)})
        self._wire = wire
        self.held = 0

    def write(self, data: Any) -> None:
        self._wire.written(bytes(data))

    def get_write_buffer_size(self) -> int:
        return self.held

    def is_closing(self) -> bool:
        return bool(self._wire.is_closing)

    def close(self) -> None:
        self._wire.close()

    def abort(self) -> None:
        self._wire.cut()


class Host:
    """One machine: it starts servers on the same data folder, one after another."""

    def __init__(self, world: World, spec: AppSpec, folder: Path) -> None:
        self.world = world
        self.server: Server | None = None
        self.disk_fault = 0.0
        self.on_commit: Callable[[list[Change]], None] = lambda changes: None
        self.wires: list[Any] = []
        self._spec = spec
        self._settings = Settings.load(
            {
                "PYLON_DEV_MODE": "1",
                "PYLON_ADMIN_TOKEN": ADMIN_TOKEN,
                "PYLON_DATA_DIR": str(folder),
                "PYLON_SQLITE_SYNCHRONOUS": "NORMAL",
                "PYLON_WS_BUFFER_MAX_BYTES": str(world.chance.choice(BUFFER_BYTES)),
                "PYLON_ARCHIVE_SECS": "0",
                "PYLON_READ_THREADS": "1",
            }
        )

    def disk_fails(self) -> bool:
        return self.world.happens(self.disk_fault)

    def committed(self, changes: list[Change]) -> None:
        if changes:
            self.on_commit(changes)

    async def start(self) -> None:
        """Start a server on whatever the last one left."""
        owner.set(self)
        InlineCommitter.host = self
        self._socket_type: type[SocketProtocol] | None = None
        server = Server(
            self._spec,
            self._settings,
            Listeners(http=None),
            clock=self.world.wall,
            monotonic=self.world.time,  # type: ignore[arg-type]
        )
        server.engine.documents._source = random.Random(self.world.chance.getrandbits(64))
        server.engine.documents._nonce = self.world.chance.randbytes(16)
        server.engine.reads._open_session()
        await server.engine.start()
        server.hub.preload(await recent_changes(server.engine))
        self._socket_type = socket_protocol(server.door, main_port=True)
        self.server = server
        owner.set(None)

    def kill(self) -> None:
        """SIGKILL: what was committed stays, everything else is gone."""
        server, self.server = self.server, None
        if server is None:
            return
        self.world.note("server killed")
        committer = server.engine.committer
        assert isinstance(committer, InlineCommitter)
        committer.is_dead = True
        server.engine._committer = None
        self.world.end_tasks_of(self)
        for wire in list(self.wires):
            wire.cut()
        server.engine._watchdog.stop()
        committer._session.rollback()
        committer._session.close()
        server.engine.reads.close()
        server.engine.housekeeping._checkpoints.close()

    async def request(
        self, method: str, target: str, body: bytes = b"", *, token: str | None = None, user: str | None = None
    ) -> tuple[int, bytes]:
        """One HTTP request at the server's door, which `user` expects to be his; (status, body). Raises Down when the
        server dies meanwhile."""
        server = self.server
        if server is None:
            raise Down
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        if user is not None:
            headers["x-pylon-expect-user"] = user
        token_ = owner.set(self)
        try:
            task = self.world.create_task(exchange(server.app, method, target, body, headers))
        finally:
            owner.reset(token_)
        await asyncio.wait([task])
        if task.cancelled() or self.server is not server:
            raise Down
        answer = task.result()
        return answer.status, answer.body

    async def ask(self, method: str, target: str, value: Any = None, *, token: str | None = ADMIN_TOKEN) -> Any:
        """The same by JSON, for the simulation's own needs: the network does not touch it. Raises Down, also when the
        server says that it can't."""
        body = b"" if value is None else msgspec.json.encode(value)
        status, answer = await self.request(method, target, body, token=token)
        if status >= 500:
            raise Down
        assert status < 300, (status, answer)
        return msgspec.json.decode(answer)

    def accept(self, wire: Any) -> tuple[SocketProtocol, SimulatedTransport]:
        """A new connection at the WebSocket's door. Raises Down."""
        if self.server is None or self._socket_type is None:
            raise Down
        protocol = self._socket_type()
        transport = SimulatedTransport(wire)
        token = owner.set(self)
        try:
            protocol.connection_made(transport)
        finally:
            owner.reset(token)
        return protocol, transport

    def as_server(self, call: Callable[..., None], *args: Any) -> None:
        """Run a callback of the server as the server."""
        token = owner.set(self)
        try:
            call(*args)
        finally:
            owner.reset(token)
