"""Notes of an incident while the database can't take them: a file in the data folder, one JSON object per line.

An entry is on the disk when `append` returns. The server, or the next command that reaches one, tells the entries to
the database and empties the file under a lock, so that a line appended meanwhile is neither lost nor told twice.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from pylon.ops.incident.record import Event, Incident

FILE = "incident-journal.jsonl"
UNREADABLE = "incident-journal.unreadable.jsonl"


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One line: a start, or a note. A note whose `incident` is empty belongs to the incident that is open when it is
    told to the database."""

    start: Incident | None = None
    note: Event | None = None


class Drain:
    """Entries on their way into the database. `refused` is for those that it will never take."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self.refused: list[Entry] = []


class Journal:
    """The journal of one data folder."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / FILE
        self._unreadable = folder / UNREADABLE

    def append(self, entry: Entry) -> None:
        """Write one entry; durable when this returns. Raises OSError."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked(os.O_RDWR | os.O_CREAT) as file:
            assert file is not None
            size = os.fstat(file).st_size
            torn = size > 0 and os.pread(file, 1, size - 1) != b"\n"
            line = (b"\n" if torn else b"") + msgspec.json.encode(entry) + b"\n"
            os.lseek(file, 0, os.SEEK_END)
            _write(file, line)
            os.fsync(file)
        _sync_folder(self.path.parent)

    def entries(self) -> list[Entry]:
        """What stands in it, in the order of writing; lines that can't be read are left out."""
        if not self.path.exists():
            return []
        with self._locked(os.O_RDONLY) as file:
            assert file is not None
            return [entry for _, entry in _parse(_read(file)) if entry is not None]

    @contextmanager
    def drained(self) -> Iterator[Drain]:
        """The entries, for the caller to store; the file is emptied when the block ends well, and left when it raises.
        Lines that can't be read, and entries that are refused, are kept in a file beside it. Nothing where somebody
        else is at it."""
        if not self.path.exists() or not self.path.stat().st_size:
            yield Drain(())
            return
        with self._locked(os.O_RDWR, fcntl.LOCK_NB) as file:  # never waits: the other one may be telling them to us
            if file is None:
                yield Drain(())
                return
            lines = _parse(_read(file))
            drain = Drain(tuple(entry for _, entry in lines if entry is not None))
            yield drain
            self._keep([line for line, entry in lines if entry is None or entry in drain.refused])
            os.ftruncate(file, 0)
            os.fsync(file)

    def _keep(self, lines: list[bytes]) -> None:
        if lines:
            with self._unreadable.open("ab") as file:
                file.write(b"\n".join(lines) + b"\n")
                file.flush()
                os.fsync(file.fileno())

    @contextmanager
    def _locked(self, flags: int, waiting: int = 0) -> Iterator[int | None]:
        file = os.open(self.path, flags | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | waiting)
            except BlockingIOError:
                yield None
            else:
                yield file
        finally:
            os.close(file)


def open_start(entries: Sequence[Entry]) -> Incident | None:
    """The incident that was started last in the journal: later notes of it belong there."""
    started = [entry.start for entry in entries if entry.start is not None]
    return started[-1] if started else None


def _parse(content: bytes) -> list[tuple[bytes, Entry | None]]:
    return [(line, _entry(line)) for line in content.split(b"\n") if line.strip()]


_decode: Callable[[bytes], Entry] = msgspec.json.Decoder(Entry).decode


def _entry(line: bytes) -> Entry | None:
    """None for a line that a crash cut off, or that is no entry."""
    try:
        entry = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return entry if entry.start is not None or entry.note is not None else None


def _read(file: int) -> bytes:
    parts = []
    os.lseek(file, 0, os.SEEK_SET)
    while part := os.read(file, 2**20):
        parts.append(part)
    return b"".join(parts)


def _write(file: int, data: bytes) -> None:
    while data:
        data = data[os.write(file, data) :]


def _sync_folder(folder: Path) -> None:
    """The new file's name is durable as well."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
