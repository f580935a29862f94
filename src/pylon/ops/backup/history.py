"""Reading the archive: the records that bring a backup forward, from this machine and from the place of the backups."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from pylon.model.errors import PylonError
from pylon.ops.backup import archive, manifest
from pylon.ops.backup.archive import DamagedError, Head, Record
from pylon.ops.backup.keys import Keyring, Reader
from pylon.ops.backup.manifest import Encryption
from pylon.ops.backup.shelf import Shelf
from pylon.store.protocol import LogEntry, LoggedOp

_KEY_END = b"-----END AGE ENCRYPTED FILE-----\n"


@dataclass(frozen=True, slots=True)
class _Segment:
    first: int
    key: str
    place: Shelf


@dataclass(slots=True)
class History:
    """The archive in one or more places, of which the first that has a segment is asked for it."""

    places: Sequence[Shelf]
    keys: Keyring
    _torn: PylonError | None = None

    def timelines(self) -> list[int]:
        """The lives of the database that are archived, oldest first."""
        lines = {line for place in self.places for line, _ in _keys(place)}
        return sorted(lines)

    def covers_until(self, timeline: int) -> float:
        """The time up to which a timeline is known to be complete; 0 when it isn't archived."""
        heads = [head.at for place in self.places if (head := self._head(place, timeline)) is not None]
        return max(heads, default=0.0)

    def records(self, timeline: int, after: int, until: int) -> Iterator[tuple[LogEntry, tuple[LoggedOp, ...]]]:
        """What was committed after the seq of a backup, up to and including the Unix second `until`, and the op-ids
        that made it. Raises ARCHIVE_GAP where something is missing."""
        last = after
        is_first = True
        segments = self._segments(timeline)
        for number, segment in enumerate(segments):
            following = segments[number + 1].first if number + 1 < len(segments) else None
            if following is not None and following <= after + 1:
                continue
            for record in self._read(segment, is_last=following is None):
                if record.seq <= last:
                    continue
                if record.after is None or (record.after > last if is_first else record.after != last):
                    raise archive.gap(last, record.seq)
                entry = record.entry()
                if entry.second > until:
                    return
                yield entry, record.ops
                last, is_first = record.seq, False
        head = max((h.seq for place in self.places if (h := self._head(place, timeline)) is not None), default=0)
        if head > last:
            raise archive.gap(last, None) if self._torn is None else self._torn

    def _segments(self, timeline: int) -> list[_Segment]:
        found: dict[int, _Segment] = {}
        for place in self.places:
            for line, key in _keys(place):
                name = key.rsplit("/", 1)[1]
                if line == timeline and archive.SUFFIX in name:
                    first = archive.first_seq(name)
                    found.setdefault(first, _Segment(first, key, place))
        return [found[first] for first in sorted(found)]

    def _read(self, segment: _Segment, *, is_last: bool) -> Iterator[Record]:
        data = segment.place.read(segment.key) or b""
        if segment.key.endswith(archive.SEALED):
            data = self._open(segment, data)
        stream: Reader = io.BytesIO(data)
        try:
            for _, records in archive.read_members(stream):
                yield from records
        except DamagedError as error:
            self._torn = manifest.invalid(f"{segment.place.label}/{segment.key}", str(error))
            if not is_last:  # a crash may tear the last append; the head tells whether it counts
                raise self._torn from error

    def _open(self, segment: _Segment, data: bytes) -> bytes:
        at = data.find(_KEY_END)
        sealed_key = data[: at + len(_KEY_END)].decode() if data.startswith(b"-----BEGIN") and at > 0 else ""
        method = Encryption("age-passphrase", sealed_key) if sealed_key else Encryption("age-x25519")
        opener = self.keys.opener(method)
        opened = io.BytesIO()
        try:
            opener.stream(io.BytesIO(data[len(sealed_key) :]), opened)
        except ValueError as error:
            raise manifest.invalid(f"{segment.place.label}/{segment.key}", str(error)) from error
        return opened.getvalue()

    def _head(self, place: Shelf, timeline: int) -> Head | None:
        text = place.read(f"{archive.FOLDER}/{timeline}/{archive.HEAD}")
        if text is None:
            return None
        try:
            return msgspec.json.decode(text, type=Head)
        except msgspec.MsgspecError:
            return None


def _keys(place: Shelf) -> list[tuple[int, str]]:
    """(timeline, key) of every archived file of a place."""
    found = []
    for key in place.keys(archive.FOLDER + "/"):
        parts = key.split("/")
        if len(parts) == 3 and parts[1].isdigit():
            found.append((int(parts[1]), key))
    return found
