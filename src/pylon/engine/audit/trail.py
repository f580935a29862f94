"""The chain of audit blocks, as the writer thread grows it: in the transaction of what a block records.

    hash = SHA-256(hash before ‖ id ‖ time ‖ kind ‖ records)

So a changed, removed or inserted block shows (`verify`). Ids are never given out twice, so a cut tail shows as well;
whoever could forge the whole chain is caught by a head noted elsewhere: backups and the log hold such heads.
"""

from __future__ import annotations

import hashlib

import msgspec

from pylon.engine.audit.records import KINDS, Record, encode_records
from pylon.store.protocol import AuditBlock, WriteSession

GENESIS = bytes(32)
ANCHOR_KIND, ANCHOR_KEY = "audit", "anchor"
"""The record that keeps the id and hash of the last block that retention dropped."""


def block_hash(before: bytes, block_id: int, at: int, kind: str, records: bytes) -> bytes:
    """The hash of a block behind the block whose hash is `before`."""
    head = before + block_id.to_bytes(8, "big") + at.to_bytes(8, "big") + kind.encode() + b"\0"
    return hashlib.sha256(head + records).digest()


class Trail:
    """The end of the chain. `append` in an open transaction, `commit` once it is durable, `rollback` if it is not."""

    def __init__(self, session: WriteSession) -> None:
        self._session = session
        last = session.audit_last()
        anchor = None if last is not None else session.record(ANCHOR_KIND, ANCHOR_KEY)
        if last is not None:
            self._hash = last.hash
        elif anchor is not None:
            self._hash = parse_anchor(anchor)[1]
        else:
            self._hash = GENESIS
        self._id = session.audit_issued()
        self._durable = (self._id, self._hash)
        self.blocks = 0

    def append(self, at: int, kind: str, records: list[Record]) -> None:
        """Append a block of these records. `at` is Unix milliseconds. Raises STORAGE_*."""
        assert kind in KINDS
        encoded = encode_records(records)
        self._id += 1
        self._hash = block_hash(self._hash, self._id, at, kind, encoded)
        self._session.append_audit(AuditBlock(self._id, at, kind, encoded, self._hash))
        self.blocks += 1

    def commit(self) -> None:
        """What was appended is durable."""
        self._durable = (self._id, self._hash)

    def rollback(self) -> None:
        """What was appended is gone."""
        self._id, self._hash = self._durable


def anchor(block: AuditBlock) -> bytes:
    """What is remembered of the last block that retention drops."""
    return msgspec.json.encode({"id": block.id, "hash": block.hash.hex()})


def parse_anchor(record: bytes) -> tuple[int, bytes]:
    """(id, hash) of an anchor."""
    found = msgspec.json.decode(record)
    return int(found["id"]), bytes.fromhex(found["hash"])
