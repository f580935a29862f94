"""Backups that the running server takes: every so often, or when an operator asks; each is made in a thread, kept where
the others are, and old ones are rotated out. What went wrong is logged, audited and counted, and tried again."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.engine import Engine
from pylon.engine.threads import to_the_end
from pylon.model.errors import PylonError
from pylon.ops.backup import shelf as places
from pylon.ops.backup.archive import FOLDER as ARCHIVE
from pylon.ops.backup.archiver import Archiver
from pylon.ops.backup.keys import Keyring
from pylon.ops.backup.manifest import Manifest
from pylon.ops.backup.rotation import to_drop
from pylon.ops.backup.shelf import FolderShelf, Shelf
from pylon.ops.backup.take import WORK, Subject, take
from pylon.ops.backup.verify import Verdict, noted, verify
from pylon.signals.logs import Log
from pylon.signals.metrics import Counter, Registry

log = Log("pylon.backup")


LOOK_SECONDS = 1.0
RETRY_SECONDS = 300.0
"""How soon a failed backup is tried again, at most."""

_FOREIGN_SECONDS = 86_400.0


class BackupInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One backup as operators see it. `verified` is None until somebody verified it."""

    name: str
    taken_at: str
    seq: int
    bytes: int
    pylon: str
    encrypted: bool
    timeline: int
    verified: bool | None = None
    verified_at: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """When backups are taken and how many are kept. `every` 0 takes them only when asked."""

    every: float
    keep: int
    keys: Keyring = field(default_factory=Keyring)


class StoppedError(Exception):
    """The server stops while a backup is made."""


class Backups:
    """The backups of one server."""

    def __init__(
        self,
        engine: Engine,
        subject: Subject,
        shelf: Shelf | None,
        plan: Plan,
        *,
        archiver: Archiver | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._engine = engine
        self._subject = subject
        self._shelf = shelf
        self._plan = plan
        self._archiver = archiver
        self._clock = clock
        self._lock = asyncio.Lock()
        self._stopping = threading.Event()
        self._task: asyncio.Task[None] | None = None
        self._not_before = 0.0
        self.last_success = 0.0
        self.last_seconds = 0.0
        self.failures = Counter()

    def watch(self, registry: Registry) -> None:
        """Register the series."""
        registry.gauge(
            "pylon_backup_last_success_timestamp_seconds",
            "When the newest backup was taken, 0 if there is none.",
            lambda: self.last_success,
        )
        registry.gauge("pylon_backup_duration_seconds", "How long the newest backup took.", lambda: self.last_seconds)
        self.failures = registry.counter("pylon_backup_failures_total", "Backups that failed.")
        if self._archiver is not None:
            registry.gauge(
                "pylon_archive_lag_seconds",
                "Seconds since the archive of changes last held everything that was committed.",
                self._archiver.lag,
            )

    def start(self) -> None:
        """Start on the running loop."""
        if self._archiver is not None:
            self._archiver.start()
        if self._shelf is not None:
            if self._plan.every:
                self._engine.tasks.add("backup", self._plan.every)
            self._task = asyncio.create_task(self._run(), name="pylon-backup")

    async def stop(self) -> None:
        """Give up the backup that is being made, if there is one, and the schedule."""
        self._stopping.set()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        async with self._lock:
            pass

    async def stop_archive(self) -> None:
        """Archive the last changes; after the last request and before the engine stops. What comes still is archived
        by the next process."""
        if self._archiver is not None:
            await self._archiver.stop()

    async def take_now(self, caller: Caller = SYSTEM) -> BackupInfo:
        """Take a backup. Raises BACKUP_NOT_CONFIGURED, BACKUP_RUNNING, and what making one raises."""
        shelf = self._place()
        if self._lock.locked():
            raise PylonError("BACKUP_RUNNING", "A backup is being taken; wait for it.")
        async with self._lock:
            began = self._clock()
            try:
                with self._engine.reads.readers.track("backup", caller, _go_on):
                    name, made = await to_the_end(lambda: self._make(shelf))
                dropped = await to_the_end(lambda: self._rotate(shelf))
            except StoppedError:
                raise PylonError("SHUTTING_DOWN", "The server is stopping; the backup was given up.") from None
            except Exception as error:  # the boundary of a backup: whatever failed, it is told and tried again
                self.failures.value += 1
                code = error.code if isinstance(error, PylonError) else "BACKUP_FAILED"
                log.exception("backup failed", code=code)
                await self._note(caller, "backup.fail", "", code=code)
                if isinstance(error, PylonError):
                    raise
                raise PylonError("BACKUP_FAILED", "The backup failed; the server's log says why.") from error
            self.last_success, self.last_seconds = made.taken, self._clock() - began
            log.info("backup taken", name=name, seq=made.seq, bytes=made.size, dropped=len(dropped))
            await self._note(caller, "backup.take", name, seq=made.seq, bytes=made.size)
            return info(name, made)

    async def listing(self) -> list[BackupInfo]:
        """The backups, newest first. Raises BACKUP_NOT_CONFIGURED."""
        shelf = self._place()
        return await to_the_end(lambda: list_backups(shelf))

    async def verify(self, name: str) -> Verdict:
        """Verify one. Raises BACKUP_NOT_FOUND, BACKUP_INVALID, BACKUP_KEY_REFUSED."""
        bundle = self._place().bundle(name)
        bundle.label = name  # as the caller calls it: where backups lie is not told over HTTP
        return await to_the_end(lambda: verify(bundle, self._plan.keys, clock=self._clock))

    async def run_due(self) -> bool:
        """Take a backup if one is due; whether it was taken."""
        now = self._clock()
        if not self._plan.every or now < max(self.last_success + self._plan.every, self._not_before):
            return False
        try:
            with self._engine.tasks.add("backup", self._plan.every).turn():
                await self.take_now()
        except PylonError:
            self._not_before = now + min(self._plan.every, RETRY_SECONDS)
            return False
        return True

    async def recall(self) -> None:
        """Find out when the newest backup was taken."""
        kept = await self.listing()
        if kept:
            self.last_success = _seconds(kept[0].taken_at)

    async def _run(self) -> None:
        recalled = False
        while True:
            try:
                if not recalled:
                    await self.recall()
                    recalled = True
                await self.run_due()
            except Exception:  # a supervised boundary: the next round tries again
                log.exception("backup schedule failed")
            await asyncio.sleep(LOOK_SECONDS if recalled else 10 * LOOK_SECONDS)

    def _make(self, shelf: Shelf) -> tuple[str, Manifest]:
        name = self._free_name(shelf)
        staged = shelf.stage(name, self._subject.data_dir / WORK)
        try:
            made = take(self._subject, staged, seal=self._plan.keys.seal(), progress=self._progress, clock=self._clock)
            shelf.publish(staged, name)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return name, made

    def _free_name(self, shelf: Shelf) -> str:
        base = name = places.backup_name(self._clock())
        taken, number = set(shelf.names()), 1
        while name in taken:
            number += 1
            name = f"{base}-{number}"
        return name

    def _rotate(self, shelf: Shelf) -> list[str]:
        kept = list_backups(shelf)
        gone = to_drop([(one.name, _seconds(one.taken_at)) for one in kept], self._plan.keep, self._clock())
        for name in gone:
            shelf.remove(name)
        rest = [one for one in kept if one.name not in gone]
        if self._archiver is not None and rest:
            self._archiver.forget(rest[-1].timeline, rest[-1].seq)
        return gone

    def _progress(self, what: str, done: int, total: int) -> None:
        if self._stopping.is_set():
            raise StoppedError

    def _place(self) -> Shelf:
        if self._shelf is None:
            raise PylonError(
                "BACKUP_NOT_CONFIGURED",
                "This server has no place for backups.",
                hint="Set PYLON_BACKUP_TARGET, or run `pylon backup DIR` on its machine.",
            )
        return self._shelf

    async def _note(self, caller: Caller, action: str, target: str, **details: Any) -> None:
        try:
            await self._engine.audit.note(caller, action, target, **details)
        except PylonError as error:  # a store that takes no writes must not hide what the backup did
            log.warning("backup could not be audited", code=error.code)


def list_backups(shelf: Shelf) -> list[BackupInfo]:
    """What a place holds, newest first; what can't be read is left out."""
    found = []
    for name in shelf.names():
        bundle = shelf.bundle(name)
        try:
            held = bundle.manifest()
        except PylonError as error:
            log.warning("backup can't be read", name=name, code=error.code)
            continue
        note = noted(bundle)
        one = info(name, held)
        if note is not None:
            one = msgspec.structs.replace(one, verified=note.ok, verified_at=note.at, problem=note.problem)
        found.append(one)
    return sorted(found, key=lambda one: _seconds(one.taken_at), reverse=True)


def info(name: str, held: Manifest) -> BackupInfo:
    """A backup as operators see it."""
    return BackupInfo(
        name=name,
        taken_at=held.taken_at,
        seq=held.seq,
        bytes=held.size,
        pylon=held.pylon,
        encrypted=held.encryption is not None,
        timeline=held.timeline,
    )


def clean_up(data_dir: Path, shelf: Shelf | None) -> None:
    """Delete what killed processes left half-made: backups, tar files, and files of the archive."""
    places.sweep(data_dir / WORK)
    if isinstance(shelf, FolderShelf):  # which other machines may write to as well
        for folder in (shelf.folder, *(shelf.folder / ARCHIVE).glob("*/")):
            places.sweep(folder, _FOREIGN_SECONDS)


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _go_on() -> None:
    """A backup may hold its snapshot for longer than a request's read."""
