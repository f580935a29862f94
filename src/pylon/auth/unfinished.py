"""Work of many transactions that outlives its request and its process: erasing a user, removing a large organisation.

What is to be done stands in the store from the transaction that began it until the one that ends it. Whoever asked may
wait for it; a process that starts finds what an earlier one left, and goes on. Each piece of work can be begun again at
any point without harm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.signals.logs import Log

log = Log("pylon.auth")

RETRY_SECONDS = 30.0

Work = Callable[[str], Awaitable[Any]]
"""Does what stands in the store under this key, to its end."""


class Unfinished:
    """The unfinished work of one server. Use on its loop."""

    def __init__(self, engine: Engine, *, retry_seconds: float = RETRY_SECONDS) -> None:
        self._engine = engine
        self._kinds: dict[str, Work] = {}
        self._running: dict[tuple[str, str], asyncio.Task[Any]] = {}
        self._retry_seconds = retry_seconds
        self._looking: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    def add(self, kind: str, work: Work) -> None:
        """Take a kind of work in; its records in the store are of that kind."""
        self._kinds[kind] = work

    @property
    def count(self) -> int:
        """How much there is to do."""
        return sum(len(self._engine.reads.records(kind)) for kind in self._kinds)

    async def finish(self, kind: str, key: str) -> Any:
        """What the work answers, once it is done. Whoever stops waiting does not stop it. Raises what it raises."""
        return await asyncio.shield(self._task(kind, key))

    def wake(self) -> None:
        """There is something to do for nobody who waits."""
        self._wake.set()

    def start(self) -> None:
        """Go on with what was left, and with what comes."""
        self._wake.set()
        self._looking = asyncio.get_running_loop().create_task(self._look())

    async def stop(self) -> None:
        """Stop where it is; the next start goes on from there."""
        tasks = [task for task in (self._looking, *self._running.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _task(self, kind: str, key: str) -> asyncio.Task[Any]:
        name = (kind, key)
        task = self._running.get(name)
        if task is None:
            task = self._running[name] = asyncio.get_running_loop().create_task(self._kinds[kind](key))  # type: ignore[arg-type]
            task.add_done_callback(lambda _: self._running.pop(name, None))
        return task

    async def _look(self) -> None:
        task = self._engine.tasks.add("unfinished", 0.0)
        while True:
            wait = None
            for kind in self._kinds:
                for key, _ in self._engine.reads.records(kind):
                    try:
                        with task.turn():
                            await self.finish(kind, key)
                    except PylonError as problem:
                        log.warning("unfinished work is tried again later", kind=kind, code=problem.code)
                        wait = self._retry_seconds
                    except Exception:  # a supervised boundary: what fails for one is no reason to leave the others
                        log.exception("unfinished work failed and is tried again later", kind=kind)
                        wait = self._retry_seconds
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()
