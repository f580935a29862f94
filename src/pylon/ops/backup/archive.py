"""The archive of change records: what brings a backup forward to any second after it.

    archive/<timeline>/<first seq>.ndjson.gz    records, one JSON object per line: `zcat` reads them
    archive/<timeline>/head.json                {"seq", "at"}: complete up to this record and this time

A segment is a row of gzip members, one per append. Each record carries its own sum, and in `after` the seq of the
record before it, so that a missing record shows wherever it was lost. A timeline is the life of a database between two
restores; 0 is the first.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from pylon.model.errors import PylonError
from pylon.ops.backup import shelf
from pylon.ops.backup.keys import Reader
from pylon.store.protocol import LogEntry, LoggedOp

FOLDER = "archive"
HEAD = "head.json"
SUFFIX = ".ndjson.gz"
SEALED = ".age"
SEGMENT_BYTES = 4 * 2**20
SEGMENT_SECONDS = 3600.0

_LEVEL = 1
_PIECE = 65_536
_SUM_BYTES = 8
_TAIL = len(b',"sum":""}') + 2 * _SUM_BYTES


class Record(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One line. `after` is the seq of the record before, null where the archive can't vouch for what was between."""

    after: int | None
    seq: int
    entity: str
    row_id: str
    kind: str
    timestamp: str
    data: msgspec.Raw
    prev: msgspec.Raw
    ops: tuple[LoggedOp, ...] = ()

    def entry(self) -> LogEntry:
        """The log entry that it was."""
        prev = bytes(self.prev)
        was = None if prev == b"null" else prev
        return LogEntry(self.seq, self.entity, self.row_id, self.kind, bytes(self.data), was, self.timestamp)


class Head(msgspec.Struct, frozen=True):
    """How far a timeline's archive goes: the last record, and the time at which nothing newer was there."""

    seq: int
    at: float


class DamagedError(Exception):
    """A segment ends in the middle, or holds what was not written."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Record).decode


def encode(entries: Sequence[LogEntry], ops: Sequence[LoggedOp], after: int | None) -> bytes:
    """One gzip member of these records and the op-ids that made them; the first record follows `after`."""
    lines = []
    made: dict[int, tuple[LoggedOp, ...]] = {}
    for op in ops:
        made[op.seq] = (*made.get(op.seq, ()), op)
    for entry in entries:
        prev = msgspec.Raw(entry.prev or b"null")
        data = msgspec.Raw(entry.data)
        record = Record(
            after,
            entry.seq,
            entry.entity,
            entry.row_id,
            entry.kind,
            entry.timestamp,
            data,
            prev,
            made.get(entry.seq, ()),
        )
        body = _encode(record)[:-1]
        lines.append(b'%b,"sum":"%b"}\n' % (body, _sum(body)))
        after = entry.seq
    packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    return packer.compress(b"".join(lines)) + packer.flush()


def decode(line: bytes) -> Record:
    """A record out of its line. Raises DamagedError."""
    body, end = line[:-_TAIL], line[-_TAIL:]
    if end != b',"sum":"%b"}' % _sum(body):
        raise DamagedError("a record's sum differs")
    try:
        return _decode(body + b"}")
    except msgspec.MsgspecError as error:
        raise DamagedError("a record can't be read") from error


def read_members(stream: Reader) -> Iterator[tuple[int, list[Record]]]:
    """(offset of its end, its records) of each gzip member of a stream. Raises DamagedError at what is torn."""
    unpacker = zlib.decompressobj(31)
    text: list[bytes] = []
    waiting = b""
    offset = 0
    while piece := waiting or stream.read(_PIECE):
        try:
            text.append(unpacker.decompress(piece))
        except zlib.error as error:
            raise DamagedError(f"it is damaged after byte {offset}") from error
        waiting = unpacker.unused_data
        offset += len(piece) - len(waiting)
        if unpacker.eof:
            lines = b"".join(text).split(b"\n")
            if lines.pop():
                raise DamagedError("a record is cut")
            yield offset, [decode(line) for line in lines]
            unpacker, text = zlib.decompressobj(31), []
    if text:
        raise DamagedError("it ends in the middle of an append")


def _sum(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_SUM_BYTES).hexdigest().encode()


def segment_name(first_seq: int) -> str:
    """A segment's file name; names sort by seq."""
    return f"{first_seq:020d}{SUFFIX}"


def first_seq(name: str) -> int:
    """The first seq that a segment's name states."""
    return int(name.split(".", 1)[0])


@dataclass(slots=True)
class Segments:
    """The segments of one timeline on this machine, written by one process. Call `resume` first."""

    folder: Path
    seq: int = 0
    _file: Path | None = None
    _descriptor: int = -1
    _size: int = 0
    _opened_at: float = 0.0

    def resume(self) -> bool:
        """Find the end of what was written, and cut off an append that a crash tore; whether there was anything."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for path in reversed(self.files()):
            good, last = _sound_part(path)
            if good < path.stat().st_size:
                os.truncate(path, good)
            if last is None:
                path.unlink()
                continue
            self.seq, self._file, self._size, self._opened_at = last.seq, path, good, float(last.entry().second)
            return True
        return False

    def files(self) -> list[Path]:
        """The segments, oldest first."""
        return sorted(self.folder.glob(f"*{SUFFIX}"))

    def append(self, entries: Sequence[LogEntry], ops: Sequence[LoggedOp], after: int | None, now: float) -> Path:
        """Add records; the segment that they went to. They are durable after `sync`."""
        full = self._size >= SEGMENT_BYTES or now - self._opened_at >= SEGMENT_SECONDS
        if self._file is None or full:
            self.close()
            self._file = self.folder / segment_name(entries[0].seq)
            self._size, self._opened_at = 0, now
        if self._descriptor < 0:
            is_new = not self._file.exists()
            self._descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            if is_new:
                shelf.sync_folder(self.folder)
        data = encode(entries, ops, after)
        written = os.write(self._descriptor, data)
        if written != len(data):  # the disk is full: take the torn part back, the next tick tries again
            os.ftruncate(self._descriptor, self._size)
            raise OSError(28, "no space left for the archive")
        self._size += written
        self.seq = entries[-1].seq
        return self._file

    def sync(self) -> None:
        """Make what was appended durable."""
        if self._descriptor >= 0:
            os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Close the segment that is being written; a later append goes on with it while it is not full."""
        if self._descriptor >= 0:
            os.fdatasync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


def _sound_part(path: Path) -> tuple[int, Record | None]:
    """How many bytes of a segment are whole, and the last record in them."""
    good, last = 0, None
    with path.open("rb") as file:
        try:
            for end, records in read_members(file):
                good, last = end, records[-1]
        except DamagedError:
            pass
    return good, last


def gap(after: int, found: int | None) -> PylonError:
    """The archive does not tell what happened after this seq."""
    until = "its end" if found is None else f"seq {found}"
    return PylonError(
        "ARCHIVE_GAP",
        f"The archive lacks the changes between seq {after} and {until}.",
        hint="Restore to a time before it, or from a later backup.",
    )
