"""The audit log of one engine: operators' actions, rows shown, and questions about all of it.

Writes are recorded by the committer, in their own transaction. Rows shown of entities that ask for it are gathered
and stored every quarter of a second: up to that much can be lost with the process, nothing else. The buffer is
bounded; when the store takes no more, such reads are refused rather than shown unrecorded.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from pylon.engine.audit import records, search
from pylon.engine.audit.records import READ, AuditEntry, Detail, ReadRecord
from pylon.engine.audit.search import AuditFilter, Position, Verdict
from pylon.engine.audit.trail import ANCHOR_KEY, ANCHOR_KIND, anchor
from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.model.identity import Identity

if TYPE_CHECKING:
    from pylon.engine.engine import Engine

FLUSH_SECONDS = 0.25
BUFFERED_READS = 50_000
"""Reads that may wait to be stored; beyond it audited reads are refused."""

_BLOCK_READS = 2000
_SEARCH_SECONDS = 30.0
_PRUNE_BLOCKS = 2000


_Sight = tuple[Identity, str, str, bytes | None, str, bytes]
"""Who was shown what: identity, address, door, session, entity, row ids."""


class Audit:
    """Use on the engine's loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._reads: dict[_Sight, ReadRecord] = {}
        self._storing: list[ReadRecord] = []
        self._flushing = asyncio.Lock()
        self._oldest = 0.0
        self.refused = 0

    async def note(self, caller: Caller, action: str, target: str = "", **details: Detail) -> None:
        """Record an operator's action; durable when this returns."""
        await self._engine.run(
            caller, lambda transaction: transaction.note(action, target, **details), authority=Authority.TRUSTED
        )

    def shown(self, caller: Caller, entity: str, row_ids: bytes | Sequence[str]) -> None:
        """Record rows that a caller is shown, from any thread; `row_ids` may be a JSON array. Somebody who is shown the
        same rows again before they are stored is counted, under the first request's id. Raises AUDIT_UNAVAILABLE when
        the store has not taken what was recorded before."""
        encoded = row_ids if isinstance(row_ids, bytes) else msgspec.json.encode(row_ids)
        if encoded == b"[]":
            return
        key = (caller.identity, caller.ip, caller.door, caller.session, entity, encoded)
        with self._lock:
            known = self._reads.get(key)
            if known is not None:
                known.n += 1
                return
            if len(self._reads) + len(self._storing) >= BUFFERED_READS:
                self.refused += 1
                raise PylonError(
                    "AUDIT_UNAVAILABLE",
                    f"{entity} is shown only while reads can be recorded, and the store takes no more.",
                    headers={"Retry-After": "1"},
                )
            if not self._reads:
                self._oldest = time.monotonic()
            self._reads[key] = records.of_read(caller, entity, encoded)

    @property
    def waiting(self) -> int:
        """Reads not stored yet."""
        return len(self._reads) + len(self._storing)

    def lag(self) -> float:
        """Age in seconds of the oldest read not stored yet."""
        return time.monotonic() - self._oldest if self.waiting else 0.0

    async def flush(self) -> None:
        """Store the reads gathered so far. What can't be stored stays, in order."""
        async with self._flushing:
            with self._lock:
                self._storing += self._reads.values()
                self._reads = {}
            while self._storing:
                block = self._storing[:_BLOCK_READS]
                await self._engine.run(SYSTEM, lambda tx, b=block: tx.record_reads(b), authority=Authority.TRUSTED)  # type: ignore[misc]
                del self._storing[: len(block)]
            self._oldest = time.monotonic()

    async def search(self, wanted: AuditFilter) -> list[AuditEntry]:
        """Matching entries, newest first."""
        if READ in wanted.kinds:
            await self.flush()
        return await self._engine.reads.run(
            lambda session: search.search(session, wanted), _SEARCH_SECONDS, what="audit search"
        )

    async def page(
        self, wanted: AuditFilter, before: Position | None, size: int
    ) -> tuple[list[AuditEntry], Position | None]:
        """The same in pages of about `size`, each beginning where the one before ended."""
        if before is None and READ in wanted.kinds:
            await self.flush()
        return await self._engine.reads.run(
            lambda session: search.page(session, wanted, before, size), _SEARCH_SECONDS, what="audit search"
        )

    async def verify(self, expected: tuple[int, bytes] | None = None) -> Verdict:
        """Whether the chain is whole. `expected` is an earlier head."""
        check = search.Check(expected)
        while True:
            verdict = await self._engine.reads.run(check.go_on, _SEARCH_SECONDS, caller=SYSTEM, what="audit verify")
            if verdict is not None:
                return verdict

    async def prune(self, before: float) -> int:
        """Drop blocks from before a time (Unix seconds), a portion at a time; how many went."""
        gone = 0
        while True:
            portion = (
                await self._engine.run(SYSTEM, lambda tx: _prune(tx, int(before * 1000)), authority=Authority.TRUSTED)
            ).value
            gone += portion
            if portion < _PRUNE_BLOCKS:
                return gone
            await asyncio.sleep(0)


def _prune(transaction: Transaction, before: int) -> int:
    session = transaction.session
    last = session.audit_droppable(before, _PRUNE_BLOCKS)
    if last is None:
        return 0
    session.put_record(ANCHOR_KIND, ANCHOR_KEY, anchor(last))
    return session.prune_audit(last.id)
