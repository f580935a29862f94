"""Telling plugins what was committed: off the write path, in order, by one thread or coroutine at a time."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pylon.model.change import Change
from pylon.signals.logs import Log

log = Log("pylon.plugins")

MAX_QUEUED = 10_000
"""Changes that wait. What doesn't fit is dropped, counted and logged: the writer never waits for a plugin."""

HOOK_SECONDS = 30.0
STOP_SECONDS = 5.0


class Commits:
    """The queue and its one consumer. True when somebody listens."""

    def __init__(self, listeners: Sequence[tuple[str, Callable[..., Any], Any]]) -> None:
        self._listeners = [
            (name, call, getattr(plugin, "entities", None), inspect.iscoroutinefunction(plugin.committed))
            for name, call, plugin in listeners
        ]
        self._queue: deque[Change] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None
        self._threads: ThreadPoolExecutor | None = None
        self.dropped = self.told = 0

    def __bool__(self) -> bool:
        return bool(self._listeners)

    def statistics(self) -> dict[str, int]:
        """Changes that wait, were told and were dropped."""
        return {"queued": len(self._queue), "told": self.told, "dropped": self.dropped}

    def start(self) -> None:
        """Begin to tell."""
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="pylon-plugin")
        self._task = asyncio.create_task(self._run(), name="plugin commits")

    def queue(self, changes: list[Change]) -> None:
        """Take up a commit's changes; never raises."""
        room = MAX_QUEUED - len(self._queue)
        if room < len(changes):
            if not self.dropped:
                log.warning("plugins are behind: changes are dropped", limit=MAX_QUEUED)
            self.dropped += len(changes) - max(room, 0)
            changes = changes[: max(room, 0)]
        self._queue.extend(changes)
        self._idle.clear()
        self._wake.set()

    async def stop(self) -> None:
        """Tell what waits, for a few seconds at most, and end."""
        if self._task is None:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), STOP_SECONDS)
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        assert self._threads is not None
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            changes = list(self._queue)
            self._queue.clear()
            for name, call, entities, is_async in self._listeners:
                wanted = changes if entities is None else [c for c in changes if c.entity in entities]
                if wanted:
                    await self._tell(name, call, wanted, is_async)
            self.told += len(changes)
            if not self._queue:
                self._idle.set()

    async def _tell(self, name: str, call: Callable[..., Any], changes: list[Change], is_async: bool) -> None:
        try:
            async with asyncio.timeout(HOOK_SECONDS):
                if is_async:
                    await call(changes=changes)
                else:
                    loop = asyncio.get_running_loop()
                    await loop.run_in_executor(self._threads, lambda: call(changes=changes))
        except Exception:  # a supervised boundary: the write is done, and the next changes are to be told
            log.exception("hook failed", plugin=name, hook="committed")
