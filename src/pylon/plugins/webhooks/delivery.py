"""Following the change log for one endpoint: reads what is behind its cursor, posts what it wants, and moves the cursor
once that has arrived. A crash in between posts again (at least once); order is that of the log.

A delivery that fails is tried again, with doubling pauses and jitter, and what is behind it waits. After the last
attempt it is dead: remembered by its seq, to be tried again by hand, and the next one has its turn.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from pylon.engine.caller import SYSTEM
from pylon.engine.transaction import Authority, Transaction
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.timestamps import iso_seconds
from pylon.outbound import Outbound, OutboundError
from pylon.plugins.server import PluginServer
from pylon.plugins.webhooks.endpoints import (
    CURSOR,
    DEAD,
    ENDPOINT,
    MAX_DEAD,
    Cursor,
    Dead,
    StoredEndpoint,
    Target,
    dead_key,
    target_of,
)
from pylon.plugins.webhooks.signing import DELIVERY, SIGNATURE, TIMESTAMP, sign
from pylon.signals.logs import Log
from pylon.store.protocol import LogEntry, ReadSession

log = Log("pylon.webhooks")

PAGE = 200
"""Log entries in one read."""

STORE_EVERY = 20
"""Deliveries after which the cursor is stored: so many are posted again after a crash, at most."""

SKIPPED_STORE = 10_000
"""Entries that an endpoint doesn't want, after which its cursor is stored."""

GATHER_SECONDS = 0.01
"""How long commits are gathered before the log is read, so that many are one read."""

POLL_SECONDS = 5.0
_READ_SECONDS = 5.0


class Retrying(msgspec.Struct, frozen=True):
    """Pauses between attempts in seconds: `first`, doubled each time up to `longest`; `attempts` in all."""

    attempts: int = 12
    first: float = 1.0
    longest: float = 3600.0

    def pause(self, failed: int, jitter: float) -> float:
        """Before the next attempt, after so many failed; `jitter` is from 0 to 1."""
        pause: float = min(self.longest, self.first * 2 ** (failed - 1))
        return pause * (0.5 + jitter / 2)


class Delivery:
    """The deliveries to one endpoint."""

    def __init__(
        self,
        server: PluginServer,
        endpoint: StoredEndpoint,
        outbound: Outbound,
        retrying: Retrying,
        random: Callable[[], float],
        count: Callable[[str, str], None],
    ) -> None:
        self.endpoint = endpoint
        self._server = server
        self._engine = server.engine
        self._outbound = outbound
        self._retrying = retrying
        self._random = random
        self._count = count
        self._wake = asyncio.Event()
        self._unstored = 0
        self._may_be_due = True
        self.cursor = self._stored_cursor()
        self.oldest_at = self._engine.clock() if self.cursor.attempts else 0.0

    @property
    def oldest_seconds(self) -> float:
        """How long the change that is next has waited, 0 when none waits. After a start, since then."""
        return max(0.0, self._engine.clock() - self.oldest_at) if self.oldest_at else 0.0

    def told(self, changes: Sequence[Change]) -> None:
        """These were committed."""
        endpoint = self.endpoint
        if not self._wake.is_set() and any(endpoint.wants(change.entity, change.kind) for change in changes):
            self._wake.set()

    def hurry(self) -> None:
        """Make the next attempt now, also of dead letters that are due."""
        self.cursor = msgspec.structs.replace(self.cursor, next_at=0.0)
        self._may_be_due = True
        self._wake.set()

    async def run(self) -> None:
        """Deliver for ever."""
        self.cursor = self._stored_cursor()
        try:
            while True:
                self._wake.clear()
                if not (await self._retry_dead() or await self._go_on()):
                    await self._rest()
        finally:
            if self._unstored:
                with contextlib.suppress(PylonError):  # a store that is closed: what is not stored comes again
                    await asyncio.shield(self._store(self.cursor))

    # -- one step ------------------------------------------------------------------------------------------------

    async def _go_on(self) -> bool:
        """Deliver the next page of the log; whether there may be more to do at once."""
        if self.cursor.attempts and self.cursor.next_at > self._engine.clock():
            return False
        after = self.cursor.seq

        def read(session: ReadSession) -> tuple[list[LogEntry], int]:
            return session.log_after(after, PAGE), session.log_tail()

        entries, tail = await self._engine.reads.run(read, _READ_SECONDS, what="webhooks")
        if entries and tail > after + 1 and entries[0].seq == tail:
            await self._missed(tail - after - 1)
        for entry in entries:
            if self._wants(entry):
                self.oldest_at = float(entry.second)
                if not await self._deliver(entry):
                    return False
                await self._advance(entry.seq, delivered=1)
            else:
                await self._advance(entry.seq, delivered=0)
        if len(entries) < PAGE:
            self.oldest_at = 0.0
        return len(entries) == PAGE

    def _wants(self, entry: LogEntry) -> bool:
        return self.endpoint.wants(entry.entity, entry.kind) and entry.entity in self._engine.plans

    async def _deliver(self, entry: LogEntry) -> bool:
        """Post one change; whether the cursor may pass it: it arrived, or it is dead."""
        problem = await self._post(entry)
        if problem is None:
            self._count(self.endpoint.name, "delivered")
            return True
        failed = self.cursor.attempts + 1
        if failed >= self._retrying.attempts:
            self._count(self.endpoint.name, "dead")
            await self._bury(entry, problem)
            return True
        self._count(self.endpoint.name, "failed")
        pause = self._retrying.pause(failed, self._random())
        next_at = self._engine.clock() + pause
        await self._store(msgspec.structs.replace(self.cursor, attempts=failed, next_at=next_at, error=problem))
        log.warning("webhook failed", webhook=self.endpoint.name, seq=entry.seq, attempt=failed, problem=problem)
        return False

    async def _post(self, entry: LogEntry) -> str | None:
        """Post a change; what went wrong, None when it arrived."""
        try:
            target = target_of(self._server.vault, self.endpoint)
            body = self._body(entry)
            answer = await self._outbound.post(target.url, body, self._headers(target, entry, body))
        except OutboundError as error:
            return str(error)
        except PylonError as error:  # sealed under a key that is gone
            return error.message
        return None if 200 <= answer.status < 300 else f"answered {answer.status}"

    def _headers(self, target: Target, entry: LogEntry, body: bytes) -> dict[str, str]:
        now = int(self._engine.clock())
        return {
            "Content-Type": "application/json",
            "User-Agent": "pylon-webhooks",
            DELIVERY: f"{self.endpoint.name}:{entry.seq}",
            TIMESTAMP: str(now),
            SIGNATURE: sign(target.secret.encode(), now, body),
        }

    def _body(self, entry: LogEntry) -> bytes:
        types = self._engine.plans[entry.entity].types
        data: Any = None
        if entry.kind != "delete":
            row = types.parse(entry.data)
            data = msgspec.Raw(types.encode_replica(row, entry.data))
        return msgspec.json.encode(
            {
                "id": f"{self.endpoint.name}:{entry.seq}",
                "event": entry.kind,
                "entity": entry.entity,
                "row_id": entry.row_id,
                "seq": entry.seq,
                "timestamp": iso_seconds(datetime.fromtimestamp(entry.second, UTC)),
                "data": data,
            }
        )

    # -- dead letters --------------------------------------------------------------------------------------------

    async def _retry_dead(self) -> bool:
        """Try one failed delivery that is due; whether there was one."""
        if not self._may_be_due:
            return False
        letter = next((letter for letter in self.dead() if letter.is_due), None)
        if letter is None:
            self._may_be_due = False
            return False
        found = await self._engine.reads.run(lambda s: s.log_after(letter.seq - 1, 1), _READ_SECONDS, what="webhooks")
        problem: str | None = "the change log does not reach back to it any more"
        if found and found[0].seq == letter.seq and found[0].entity in self._engine.plans:
            problem = await self._post(found[0])
        key = dead_key(self.endpoint.name, letter.seq)
        if problem is None:
            self._count(self.endpoint.name, "delivered")
            await self._run(lambda tx: tx.session.delete_record(DEAD, key))
        else:
            failed = msgspec.structs.replace(letter, is_due=False, error=problem, at=self._engine.clock())
            await self._run(lambda tx: tx.session.put_record(DEAD, key, msgspec.json.encode(failed)))
        return True

    def dead(self) -> list[Dead]:
        """The deliveries that failed for good, oldest first."""
        prefix = f"{self.endpoint.name}/"
        records = self._engine.reads.records(DEAD)
        return [msgspec.json.decode(record, type=Dead) for key, record in records if key.startswith(prefix)]

    async def _bury(self, entry: LogEntry, problem: str) -> None:
        letter = Dead(
            seq=entry.seq,
            entity=entry.entity,
            row_id=entry.row_id,
            kind=entry.kind,
            error=problem,
            at=self._engine.clock(),
        )
        name = self.endpoint.name
        forgotten = self.dead()[: 1 - MAX_DEAD]

        def bury(transaction: Transaction) -> None:
            transaction.session.put_record(DEAD, dead_key(name, letter.seq), msgspec.json.encode(letter))
            for old in forgotten:
                transaction.session.delete_record(DEAD, dead_key(name, old.seq))

        await self._run(bury)
        log.error("webhook gave up", webhook=name, seq=entry.seq, problem=problem)

    # -- the cursor ----------------------------------------------------------------------------------------------

    def _stored_cursor(self) -> Cursor:
        record = self._engine.reads.record(CURSOR, self.endpoint.name)
        return Cursor(seq=self._engine.reads.log_head()) if record is None else msgspec.json.decode(record, type=Cursor)

    async def _advance(self, seq: int, *, delivered: int) -> None:
        was_failing = self.cursor.attempts > 0
        self.cursor = msgspec.structs.replace(
            self.cursor, seq=seq, attempts=0, next_at=0.0, error="", delivered=self.cursor.delivered + delivered
        )
        self._unstored += SKIPPED_STORE // STORE_EVERY if delivered else 1
        if was_failing or self._unstored >= SKIPPED_STORE:
            await self._store(self.cursor)

    async def _missed(self, count: int) -> None:
        log.error("webhook is behind the change log: changes are lost", webhook=self.endpoint.name, entries=count)
        await self._store(msgspec.structs.replace(self.cursor, missed=self.cursor.missed + count))

    async def _store(self, cursor: Cursor) -> None:
        """Store the cursor, unless the endpoint is gone."""
        name, encoded = self.endpoint.name, msgspec.json.encode(cursor)

        def store(transaction: Transaction) -> None:
            if transaction.session.record(ENDPOINT, name) is not None:
                transaction.session.put_record(CURSOR, name, encoded)

        self.cursor = cursor
        await self._run(store)
        self._unstored = 0

    async def _run(self, operation: Callable[[Transaction], Any]) -> None:
        await self._engine.run(SYSTEM, operation, authority=Authority.TRUSTED)

    async def _rest(self) -> None:
        """Until woken, or until the next attempt is due."""
        if self._unstored >= SKIPPED_STORE // STORE_EVERY:
            await self._store(self.cursor)
        wait = POLL_SECONDS
        if self.cursor.attempts:
            wait = min(wait, max(0.0, self.cursor.next_at - self._engine.clock()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):  # not wait_for, which may swallow the cancellation that ends this task
                await self._wake.wait()
        await asyncio.sleep(GATHER_SECONDS)
