"""The task that archives change records while the server runs: what the log gained goes to a segment on this machine,
durably, and on to the place of the backups, every few seconds.

It reads the log on a connection of its own and never touches the write path. What it wrote last tells it where to go
on, so a crash at any point leaves neither a gap nor a record twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import msgspec

from pylon.ops.backup import archive
from pylon.ops.backup.archive import HEAD, SEALED, Head, Segments
from pylon.ops.backup.keys import Keyring, Seal
from pylon.ops.backup.shelf import FolderShelf, Shelf
from pylon.signals.logs import Log
from pylon.signals.tasks import Task, Tasks
from pylon.store.protocol import LogEntry, ReadSession, Store

log = Log("pylon.archive")

IDLE_HEAD_SECONDS = 10.0
"""How often a place that is not this machine is told that nothing happened."""

_PAGE_BYTES = 4 * 2**20
_PAGE_MOST = 1000
_PAGE_LEAST = 16


class Archiver:
    """Archives one database. `shelf` is where segments are sent on to; `keep_days` bounds those that stay here."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        seconds: float,
        shelf: Shelf | None,
        keys: Keyring,
        keep_days: int,
        clock: Callable[[], float] = time.time,
        task: Task | None = None,
    ) -> None:
        self._figures = task or Tasks().add("archive", seconds)
        self._store = store
        self._folder = folder
        self._seconds = seconds
        self._shelf = shelf
        self._keys = keys
        self._seal: Seal | None = None
        self._keep = keep_days * 86400
        self._clock = clock
        self._session: ReadSession | None = None
        self._segments: Segments | None = None
        self._unsent: list[Path] = []
        self._told = 0.0
        self._page = _PAGE_MOST
        self._task: asyncio.Task[None] | None = None
        self._complete_at = clock()
        self.timeline = 0
        self.records = 0
        self.failures = 0

    def lag(self) -> float:
        """Seconds since the archive last held everything that was committed."""
        return max(0.0, self._clock() - self._complete_at)

    def start(self) -> None:
        """Start on the running loop."""
        self._task = asyncio.create_task(self._run(), name="pylon-archive")

    async def stop(self) -> None:
        """Archive what is left, and close. Call it when no more writes can come."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await self._supervised_tick()
        if self._segments is not None:
            self._segments.close()
        if self._session is not None:
            self._session.close()

    async def _run(self) -> None:
        while True:
            await self._supervised_tick()
            await asyncio.sleep(self._seconds)

    async def _supervised_tick(self) -> None:
        work = asyncio.ensure_future(asyncio.to_thread(self.tick))
        try:
            with self._figures.turn():
                await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise
        except Exception:  # a supervised boundary: the next round tries again, and the lag shows it
            self.failures += 1
            log.exception("archiving failed")

    def tick(self) -> int:
        """Archive everything that the log holds by now; how many records."""
        if self._session is None:
            self._session = self._store.reader()
        began = self._clock()
        segments = self._segments or self._resume(self._session)
        made = 0
        while entries := self._session.log_after(segments.seq, self._page):
            after = self._predecessor(segments.seq, entries[0])
            path = segments.append(entries, self._session.ops_of(entries), after, began)
            if path not in self._unsent:
                self._unsent.append(path)
            made += len(entries)
            size = sum(len(entry.data) + len(entry.prev or b"") for entry in entries)
            self._page = max(_PAGE_LEAST, min(_PAGE_MOST, _PAGE_BYTES * len(entries) // (size + 1)))
        segments.sync()
        self._finish(segments, Head(segments.seq, began), changed=made > 0)
        self._complete_at = began
        self.records += made
        return made

    def forget(self, timeline: int, seq: int) -> None:
        """Drop what no kept backup needs: the oldest of them is of this timeline and seq."""
        places: list[Shelf] = [FolderShelf(self._folder.parent)]
        if self._shelf is not None:
            places.append(self._shelf)
        for place in places:
            for key in droppable(place.keys(archive.FOLDER + "/"), timeline, seq):
                place.delete(key)

    def _resume(self, session: ReadSession) -> Segments:
        self.timeline = session.timeline()
        segments = Segments(self._folder / str(self.timeline))
        if not segments.resume() and self.timeline:
            segments.seq = session.log_floor()  # what the log holds of before the restore is in the older timeline
        if self._shelf is not None:
            self._seal = self._keys.seal()
            every = [
                path for path in sorted(self._folder.rglob(f"*{archive.SUFFIX}")) if path.parent != segments.folder
            ]
            self._unsent = [*every, *segments.files()]
        self._segments = segments
        return segments

    def _predecessor(self, last: int, first: LogEntry) -> int | None:
        """The seq that `first` follows, None where the log no longer tells."""
        if first.seq == last + 1:
            return last
        assert self._session is not None
        before = self._session.log_after(last - 1, 1) if last > 0 else []
        is_known = bool(before) and before[0].seq == last
        if is_known or (self.timeline and last == self._session.log_floor()):
            return last
        log.warning("changes are missing from the archive: take a backup", after=last, before=first.seq)
        return None

    def _finish(self, segments: Segments, head: Head, *, changed: bool) -> None:
        here = FolderShelf(self._folder.parent)
        is_due = changed or self._clock() - self._told >= IDLE_HEAD_SECONDS
        key, text = f"{archive.FOLDER}/{self.timeline}/{HEAD}", msgspec.json.encode(head)
        if is_due:
            here.write(key, text)
        if self._shelf is None:
            self._expire(segments)
        else:
            while self._unsent:
                self._send(self._unsent[0], self._shelf)
                del self._unsent[0]
            if is_due:
                self._shelf.write(key, text)
            for path in segments.files()[:-1]:  # sent and finished: it needn't stay here
                path.unlink()
        if is_due:
            self._told = self._clock()

    def _send(self, path: Path, shelf: Shelf) -> None:
        """Send a segment as it is now."""
        key = f"{archive.FOLDER}/{path.parent.name}/{path.name}"
        if self._seal is None:
            shelf.write(key, path.read_bytes())
            return
        sealed = io.BytesIO((self._seal.encryption.key or "").encode())
        sealed.seek(0, io.SEEK_END)
        with path.open("rb") as file:
            self._seal.stream(file, sealed)
        shelf.write(key + SEALED, sealed.getvalue())

    def _expire(self, segments: Segments) -> None:
        """Without a place to send them to, segments stay for some days."""
        current = segments.files()[-1:]
        for path in self._folder.rglob(f"*{archive.SUFFIX}"):
            if path not in current and path.stat().st_mtime < self._clock() - self._keep:
                path.unlink()


def droppable(keys: list[str], timeline: int, seq: int) -> list[str]:
    """The segments among `keys` that hold nothing after `seq` of `timeline`, nor anything of a later one."""
    lines: dict[int, list[str]] = {}
    for key in keys:
        _, line, name = key.rsplit("/", 2)
        if line.isdigit() and archive.SUFFIX in name:
            lines.setdefault(int(line), []).append(key)
    gone = []
    for number, found in lines.items():
        if number < timeline:
            gone += found
        elif number == timeline:
            starts = sorted({archive.first_seq(key.rsplit("/", 1)[1]) for key in found})
            # A segment ends where the next one begins.
            past = {start for start, following in pairwise(starts) if following <= seq + 1}
            gone += [key for key in found if archive.first_seq(key.rsplit("/", 1)[1]) in past]
    return gone
