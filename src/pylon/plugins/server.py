"""What a plugin may use of the server that it runs in, and the tasks that it runs beside it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TypeVar

from pylon.auth.vault import Vault
from pylon.compute.database import Database
from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority, Transaction
from pylon.settings import Settings
from pylon.signals.logs import Log
from pylon.signals.metrics import Registry

log = Log("pylon.plugins")

T = TypeVar("T")

RESTART_SECONDS = 5.0
"""How long a task that failed rests before it begins again."""


class PluginServer:
    """The server, for plugins.

    Attributes:
        engine: reads, writes and records of the app.
        settings: what is set for this server.
        registry: where metrics are added.
        vault: seals what must be kept secret at rest.
        database: the rows as a transaction sees them, with server code's rights.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        registry: Registry,
        vault: Vault,
    ) -> None:
        self.engine = engine
        self.settings = settings
        self.registry = registry
        self.vault = vault
        self.database: Callable[[Transaction], Database]
        self._tasks: set[asyncio.Task[None]] = set()

    async def write(self, operation: Callable[[Database], T], *, caller: Caller = SYSTEM) -> T:
        """Run an operation with server code's rights as one transaction, on the writer thread. Raises what it
        raises."""
        database = self.database
        outcome = await self.engine.run(caller, lambda tx: operation(database(tx)), authority=Authority.TRUSTED)
        return outcome.value

    def spawn(self, name: str, work: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        """Run a task beside the server until it stops. One that fails is logged and begun again a little later."""

        figures = self.engine.tasks.add(name, 0.0)

        async def supervised() -> None:
            while True:
                try:
                    with figures.turn():
                        await work()
                except Exception:  # a supervised boundary: a plugin's task must not end unseen
                    log.exception("task failed", task=name)
                    await asyncio.sleep(RESTART_SECONDS)
                else:
                    return

        task = asyncio.create_task(supervised(), name=f"plugin {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: self.engine.tasks.drop(name))
        return task

    async def stop(self) -> None:
        """Cancel the tasks and wait for their end."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
