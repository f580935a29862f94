"""Keeps an app served while its files change (design §5c, "Reload in dev").

The supervisor owns the listening sockets and never runs the developer's code. On a save, a process that has already
imported the server loads the app. If the app is broken, that process ends and the one that serves goes on. If it is
fine, the old process drains and leaves the data folder, and the new one serves on the same sockets.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pylon.cli import watching
from pylon.cli.child import SUPERVISOR_FD
from pylon.cli.exits import Exit
from pylon.cli.narration import Narration
from pylon.listeners import Listeners

_STOP_SECONDS = 3.0
"""How long a child may take to drain before it is killed. Nothing acknowledged is lost by that."""

_SERVE_SECONDS = 40.0
_LINE_BYTES = 1 << 20
_SAME_WISH_SECONDS = 0.3
"""`make` and `timeout` signal a process and its group: two signals this close are one wish."""

_SETTLED_SECONDS = 2.0
"""A child that ends sooner than this after it began is not started again by itself."""


@dataclass(slots=True)
class Child:
    """One server process and the socket to it."""

    process: asyncio.subprocess.Process
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    began: float = field(default_factory=time.monotonic)

    @classmethod
    async def spawn(cls, listeners: Listeners) -> Child:
        """Start a process; it begins to import the server at once. Its own process group keeps the terminal's Ctrl-C
        from it: stopping is the supervisor's business."""
        ours, theirs = socket.socketpair()
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # the app's folder joins the path when the app is loaded: its `json.py` must not replace Python's
                "-m",
                "pylon.cli.child",
                env={**os.environ, **listeners.environment(), SUPERVISOR_FD: str(theirs.fileno())},
                pass_fds=(*listeners.descriptors(), theirs.fileno()),
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno(),
                process_group=0,
            )
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours, limit=_LINE_BYTES)
        return cls(process, reader, writer)

    async def ask(self, command: dict[str, Any]) -> dict[str, Any]:
        """Send a command and wait for its event; `{"event": "ended"}` when the process ends instead."""
        with contextlib.suppress(ConnectionError):
            self.writer.write(json.dumps(command).encode() + b"\n")
            await self.writer.drain()
        return await self.next_event()

    async def next_event(self) -> dict[str, Any]:
        with contextlib.suppress(ConnectionError):
            line = await self.reader.readline()
            if line:
                event: dict[str, Any] = json.loads(line)
                return event
        return {"event": "ended", "code": await self.ended()}

    async def ended(self) -> int:
        """Wait until the process has ended; its exit code."""
        return await self.process.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; a no-op when the process has ended."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL for one that does not leave in time."""
        self.signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.ended(), _STOP_SECONDS)
        except TimeoutError:
            self.signal(signal.SIGKILL)
            await self.ended()
        self.writer.close()


class DevSupervisor:
    """Owns the sockets, the watcher and the children. `run` returns when it is told to stop."""

    def __init__(
        self, folder: Path, options: dict[str, Any], listeners: Listeners, env_files: list[Path], narration: Narration
    ) -> None:
        self._folder = folder
        self._options = options
        self._listeners = listeners
        self._env_files = env_files
        self._narration = narration
        self._current: Child | None = None
        self._spare: Child | None = None
        self._saved = asyncio.Event()
        self._stopping = asyncio.Event()
        self._asked = 0.0
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> int:
        """Serve until SIGINT or SIGTERM; a second one kills what still drains."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._asked_to_stop)
        self._tasks = [asyncio.create_task(self._watch(self._folder, recursive=True))]
        outside = {path.parent for path in self._env_files if not path.is_relative_to(self._folder)}
        self._tasks += [asyncio.create_task(self._watch(folder, recursive=False)) for folder in outside]
        try:
            await self._build()
            while not self._stopping.is_set():
                await self._wait_for_something()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*(child.stop() for child in self._children()))
        return Exit.OK

    def _children(self) -> list[Child]:
        return [child for child in (self._current, self._spare) if child is not None]

    def _asked_to_stop(self) -> None:
        now = time.monotonic()
        if self._stopping.is_set():
            if now - self._asked > _SAME_WISH_SECONDS:
                for child in self._children():
                    child.signal(signal.SIGKILL)
            return
        self._asked = now
        self._stopping.set()

    async def _wait_for_something(self) -> None:
        """A save, the end of the child that serves, or the wish to stop."""
        current = self._current
        waits: list[Awaitable[Any]] = [self._saved.wait(), self._stopping.wait()]
        if current is not None:
            waits.append(current.ended())
        await _first(waits)
        if self._stopping.is_set():
            return
        if self._saved.is_set():
            await self._build()
        elif current is not None and current.process.returncode is not None:
            self._current = None
            self._narration.stopped(current.process.returncode)
            if time.monotonic() - current.began > _SETTLED_SECONDS:
                await self._build()

    async def _build(self) -> None:
        """Load the app as it is now, and let it take over when it is fine."""
        self._saved.clear()
        began = time.monotonic()
        candidate = self._spare or await Child.spawn(self._listeners)
        self._spare = candidate
        loading = asyncio.ensure_future(candidate.ask({"command": "load", "options": self._options}))
        await _first([loading, self._saved.wait(), self._stopping.wait()])
        if not loading.done():  # saved again meanwhile, or stopped: this version is of no interest any more
            loading.cancel()
            await self._discard(candidate)
            return
        event = loading.result()
        if event["event"] != "loaded":
            await self._discard(candidate)
            self._narration.broken(_diagnostics(event))
        else:
            await self._take_over(candidate, event, began)
        if self._spare is None and not self._stopping.is_set():
            self._spare = await Child.spawn(self._listeners)

    async def _take_over(self, candidate: Child, loaded: dict[str, Any], began: float) -> None:
        """The old child leaves while the new one already waits for the data folder."""
        old, self._current, self._spare = self._current, candidate, None
        candidate.began = time.monotonic()
        serving = asyncio.ensure_future(candidate.ask({"command": "serve"}))
        if old is not None:
            await old.stop()
        await _first([serving, asyncio.sleep(_SERVE_SECONDS)])
        event = serving.result() if serving.done() else {"event": "silent"}
        if event["event"] == "ready":
            self._narration.serving(loaded, time.monotonic() - began)
            return
        serving.cancel()
        await candidate.stop()
        self._current = None
        self._narration.broken(_diagnostics(event))

    async def _discard(self, child: Child) -> None:
        if self._spare is child:
            self._spare = None
        child.signal(signal.SIGKILL)
        await child.stop()

    async def _watch(self, folder: Path, *, recursive: bool) -> None:
        """Turn saves into builds and page reloads; falls back to polling where the system can't watch."""
        polling = False
        while True:
            try:
                async for burst in watching.changes(folder, recursive=recursive, polling=polling):
                    if watching.Change.APP in burst:
                        self._saved.set()
                    elif watching.Change.PAGE in burst:
                        self._narration.page_changed()
            except OSError as error:
                if polling:
                    raise
                self._narration.polling(error)
                polling = True


async def _first(waits: list[Awaitable[Any]]) -> None:
    """Wait for the first of several awaitables; coroutines that lost are cancelled, futures are left alone."""
    tasks = [wait if isinstance(wait, asyncio.Future) else asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task, wait in zip(tasks, waits, strict=True):
        if task is not wait and not task.done():
            task.cancel()


def _diagnostics(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Why a child does not serve."""
    found = event.get("diagnostics")
    if found:
        return list(found)
    told = {
        "ended": f"The server process ended with code {event.get('code')} before it served",
        "silent": "The server process does not answer",
    }
    return [{"severity": "error", "code": "START_FAILED", "message": told.get(event["event"], "It did not start")}]
