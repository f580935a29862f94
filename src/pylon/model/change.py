"""One committed change of one row, and its wire forms (spec 02 §3)."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pylon.model.rows import RowTypes

ChangeKind = Literal["insert", "update", "delete"]


class Change(msgspec.Struct, gc=False):
    """`row` is the row after the write (before it, for a delete); `old` the row before an update that set `fields`.
    `data` and `prev` are their full encodings as the log keeps them. `seq` is 0 until the log allocated it. `document`
    are the edits of the row's document that go with it; they lead where the change was made by editing it."""

    types: RowTypes
    entity: str
    row_id: str
    kind: ChangeKind
    row: Any
    data: bytes
    old: Any = None
    prev: bytes | None = None
    seq: int = 0
    timestamp: str = ""
    fields: tuple[str, ...] = ()
    document: bytes | None = None
    document_leads: bool = False
    _event: bytes | None = None

    def event(self) -> bytes:
        """The change event as one JSON object, encoded once for all who may see it."""
        if self._event is None:
            self._event = b'{"seq":%d,"entity":"%b","row_id":"%b","kind":"%b","data":%b,"timestamp":"%b"}' % (
                self.seq,
                self.entity.encode(),
                _text(self.row_id),
                self.kind.encode(),
                self.types.encode_replica(self.row, self.data),
                self.timestamp.encode(),
            )
        return self._event

    def delete_event(self) -> bytes:
        """The synthetic delete for a reader whom an update took the row from: same seq, the row before."""
        assert self.prev is not None
        return b'{"seq":%d,"entity":"%b","row_id":"%b","kind":"delete","data":%b,"timestamp":"%b"}' % (
            self.seq,
            self.entity.encode(),
            _text(self.row_id),
            self.types.encode_replica(self.old, self.prev),
            self.timestamp.encode(),
        )


def _text(value: str) -> bytes:
    return value.encode() if value.isalnum() and value.isascii() else msgspec.json.encode(value)[1:-1]
