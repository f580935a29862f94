"""An app under test: the whole server in this process, on a database of its own, without a port.

    with app.test() as t:
        ada = t.as_user("ada")
        note = ada.insert(Note, title="hello")
        assert not t.as_user("ben").can_read(Note, note)
        t.clock.advance(days=1)

Everything goes through the same doors as in production; only who somebody is need not be proven.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import threading
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

from pylon.auth.credentials import Session, TokenKind
from pylon.listeners import Listeners
from pylon.model.identity import ADMIN, ANONYMOUS, Identity
from pylon.model.schema import AppSpec
from pylon.server import Server
from pylon.settings import Settings
from pylon.signals import logs
from pylon.testing import coverage
from pylon.testing.actor import Actor
from pylon.testing.asgi import Exchanged, exchange
from pylon.testing.changes import Changes
from pylon.testing.clock import TestClock
from pylon.testing.live import Listener, Live

if TYPE_CHECKING:
    from pylon.model.app import App

T = TypeVar("T")

_PREFIX = "test-identity."
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - the database of a test, gone with it; memory where there is some
_CALL_SECONDS = 60.0


class TestApp:
    """One app under test, for a `with` block or, with `start` and `close`, for a fixture."""

    __test__ = False

    def __init__(
        self, app: App | AppSpec, *, now: datetime | None = None, env: Mapping[str, str] | None = None
    ) -> None:
        self.clock = TestClock(now)
        self.changes = Changes()
        self._spec = app if isinstance(app, AppSpec) else app.spec()
        self._env = dict(env or {})
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="pylon-test", daemon=True)
        self._server: Server | None = None
        self._identities: dict[str, Identity] = {}
        self._logged = logs.level()
        self._coverage: coverage.Coverage | None = None

    # -- its life ------------------------------------------------------------------------------------------------

    def __enter__(self) -> TestApp:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the server. Raises what `pylon start` would refuse to start for."""
        where = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
        self._folder = tempfile.TemporaryDirectory(prefix="pylon-test-", dir=where)
        self._thread.start()
        logs.set_level("error")  # what a test provokes is no news; its level comes back with `close`
        try:
            self._run(self._start(Path(self._folder.name)))
        except BaseException:
            self.close()
            raise

    async def _start(self, folder: Path) -> None:
        settings = Settings.load(
            {
                "PYLON_DEV_MODE": "1",
                "PYLON_ARCHIVE_SECS": "0",
                "PYLON_SQLITE_SYNCHRONOUS": "NORMAL",
                "PYLON_READ_THREADS": "1",
                **self._env,
                "PYLON_DATA_DIR": str(folder),
            }
        )
        server = Server(self._spec, settings, Listeners(http=None), clock=self.clock)  # type: ignore[arg-type]
        server.sessions.accept(TokenKind("test", lambda token: token.startswith(_PREFIX), self._proven, self._current))
        server.engine.subscribe(self.changes.add)
        await server.open()
        self._server = server
        if coverage.wanted() is not None:
            self._coverage = coverage.Coverage(server.engine.plans, server.engine.reads)

    def close(self) -> None:
        """Stop the server and drop its data."""
        server, self._server = self._server, None
        logs.set_level(self._logged)
        if server is not None:
            self._run(server.close())
        if self._coverage is not None and (path := coverage.wanted()) is not None:
            self._coverage.save(path)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.cleanup()

    # -- somebody ------------------------------------------------------------------------------------------------

    def as_user(
        self, user_id: str, *, roles: Sequence[str] = (), tenant: str | None = None, email: str | None = None
    ) -> Actor:
        """A signed-in user, whether or not there is a row of it."""
        return self._actor(Identity(user_id=user_id, roles=tuple(roles), tenant_id=tenant, email=email))

    def as_guest(self, name: str = "1") -> Actor:
        """A guest."""
        return self._actor(Identity(user_id=f"guest_{name}", is_guest=True))

    def as_admin(self, *, tenant: str | None = None) -> Actor:
        """An operator, whom no policy stops."""
        return self._actor(ADMIN if tenant is None else Identity("__admin__", True, False, tenant, ADMIN.roles))

    def anonymous(self) -> Actor:
        """Nobody."""
        return Actor(self, ANONYMOUS, None)

    def _actor(self, identity: Identity) -> Actor:
        key = f"{_PREFIX}{len(self._identities)}"
        self._identities[key] = identity
        return Actor(self, identity, key)

    def _proven(self, token: str) -> Session:
        return Session(self._identities.get(token, ANONYMOUS), token.encode())

    def _current(self, key: bytes) -> Session | None:
        identity = self._identities.get(key.decode("latin-1"))
        return None if identity is None else Session(identity, key)

    # -- what actors do ------------------------------------------------------------------------------------------

    @property
    def server(self) -> Server:
        """The server itself, for what no door shows."""
        assert self._server is not None, "the test app is not started"
        return self._server

    def exchange(self, method: str, target: str, body: bytes, headers: Mapping[str, str]) -> Exchanged:
        """One request at the HTTP door."""
        return self._run(exchange(self.server.app, method, target, body, headers))

    def follow(self, identity: Identity) -> Live:
        """A live connection of this identity."""
        listener = Listener()
        hub = self.server.hub
        return Live(
            listener,
            lambda: self._run(_soon(hub.add, listener, identity)),
            lambda: self._run(self._settle()),
            lambda: self._run(_soon(hub.remove, listener, identity)),
        )

    async def _settle(self) -> None:
        """Until nothing that was committed waits to be decided or sent."""
        hub = self.server.hub
        while not hub.is_settled:  # noqa: ASYNC110 - the hub has no event for it, and only tests want to know
            await asyncio.sleep(0.001)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine on the server's loop."""
        return self._run(coroutine)

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_CALL_SECONDS)


async def _soon(call: Any, *arguments: Any) -> None:
    call(*arguments)
