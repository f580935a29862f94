"""Catching up (spec 02 §5, design §5c): the snapshot for newcomers, the log for everybody else.

A snapshot walks entities in declared order and rows by id, in short reads, under the seq captured at its start: what
changes meanwhile is in the log after that seq, so the replica converges without any long read. Memory stays flat.

`sync_limit: N` starts an entity at the N-th newest id that this reader may replicate. What is written later is sent
whatever its age, and nothing is sent to evict a row: a replica holds the newest N of its snapshot and every readable
row that was written since, however it heard of them.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime

import msgspec

from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.plan import EntityPlan
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.store.protocol import LogEntry, ReadSession
from pylon.store.selection import Selection
from pylon.sync.log import change_of
from pylon.sync.subset import Subset, Subsets

PAGE_EVENTS = 1000
"""Visible events in one delta answer, and rows in one read of a snapshot."""

SCAN_EVENTS = 20_000
"""Log entries looked at in one delta answer: beyond it the cursor advances and the client asks again."""

SHORT_EVENTS = 20
"""So few log entries are looked at on the event loop: whoever comes back after a moment waits for no thread."""

_READ_SECONDS = 10.0


class Position(msgspec.Struct, frozen=True):
    """Where a paged snapshot goes on: after row `a` of entity `e`, `n` rows so far, under seq `s` (spec 02 §5.2)."""

    e: str
    a: str
    n: int
    s: int

    def token(self) -> str:
        """The opaque form that clients send back; safe in a URL as it is."""
        return base64.urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")


def parse_position(token: str) -> Position:
    """A client's token. Raises SNAPSHOT_CURSOR_INVALID."""
    try:
        if token.startswith("{"):
            return msgspec.json.decode(token, type=Position)
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
        return msgspec.json.decode(raw, type=Position)
    except (ValueError, msgspec.MsgspecError):
        raise PylonError("SNAPSHOT_CURSOR_INVALID", "snapshot_after is not a token of this server") from None


class Pull:
    """Answers `GET /api/sync/pull`."""

    def __init__(self, engine: Engine, subsets: Subsets | None = None) -> None:
        self._engine = engine
        self._subsets = subsets or Subsets(engine.plans)
        self._plans = engine.plans
        self._order = [name for name, plan in engine.plans.items() if plan.spec.sync]

    def subset(self, caller: Caller, scope: str | None) -> Subset | None:
        """What a `scope` parameter asks for, None for everything. Raises INVALID_SCOPE."""
        return self._subsets.parse(scope, caller.identity)

    async def delta(self, caller: Caller, since: int, limit: int | None = None, subset: Subset | None = None) -> bytes:
        """What changed after `since`, as this caller may see it. Raises RESYNC_REQUIRED."""
        wanted = PAGE_EVENTS if limit is None else min(limit, PAGE_EVENTS)
        self._admit(caller)
        reads = self._engine.reads
        run = reads.run_short if reads.log_head() - since <= SHORT_EVENTS else reads.run
        return await run(
            lambda s: self._delta(s, caller, since, wanted, subset), _READ_SECONDS, caller=caller, what="pull"
        )

    async def page(self, caller: Caller, after: Position | None, size: int, subset: Subset | None = None) -> bytes:
        """One page of a snapshot."""
        self._admit(caller)
        size = max(1, min(size, PAGE_EVENTS))
        # The seq is captured before the first row is read: what is committed meanwhile is behind it, in the log.
        after = after or Position("", "", 0, await self._head(caller))
        events, position = await self._read(caller, after, size, subset)
        if position is None:
            return _answer(events, after.s, f'"has_more":{self._is_behind(after.s)},"snapshot_after":null')
        return _answer(events, 0, f'"has_more":true,"snapshot_after":"{position.token()}"')

    async def snapshot(self, caller: Caller, subset: Subset | None = None) -> AsyncIterator[bytes]:
        """The whole readable snapshot in one answer, streamed. Raises MAINTENANCE before the first piece."""
        self._admit(caller)
        return self._pieces(caller, await self._head(caller), subset)

    async def _pieces(self, caller: Caller, seq: int, subset: Subset | None) -> AsyncIterator[bytes]:
        position: Position | None = Position("", "", 0, seq)
        yield b'{"changes":['
        is_first = True
        while position is not None:
            events, position = await self._read(caller, position, PAGE_EVENTS, subset)
            if events:
                yield (b"" if is_first else b",") + b",".join(events)
                is_first = False
        rest = f'"has_more":{self._is_behind(seq)},"snapshot_after":null'
        yield b'],"cursor":{"last_seq":%d},%b}' % (seq, rest.encode())

    def _is_behind(self, seq: int) -> str:
        """Whether anything was committed while a snapshot was read, as JSON: then its client pulls once more before it
        connects, since a newcomer's socket brings the last seconds only."""
        return "true" if self._engine.reads.log_head() > seq else "false"

    async def _head(self, caller: Caller) -> int:
        head = await self._engine.reads.run(
            lambda session: session.log_head(), _READ_SECONDS, caller=caller, what="snapshot"
        )
        self._not_lifting()
        return head

    def _admit(self, caller: Caller) -> None:
        """Raises MAINTENANCE while sync is switched off."""
        board = self._engine.switches.board
        if not board.is_quiet:
            board.check_sync(caller.identity)

    def _not_lifting(self) -> None:
        """A cursor must not be given out between the rise of the log's floor and the end of the switch that hid rows
        (engine/limits/switches.py): checked after the head was read. Raises MAINTENANCE."""
        if self._engine.switches.is_lifting:
            raise PylonError("MAINTENANCE", "An entity is being switched on again", headers={"Retry-After": "1"})

    async def _read(
        self, caller: Caller, position: Position, size: int, subset: Subset | None
    ) -> tuple[list[bytes], Position | None]:
        """Up to `size` rows as insert events, and where to go on; None when that was all."""
        if position.e and position.e not in self._order:
            raise PylonError("SNAPSHOT_CURSOR_INVALID", "snapshot_after names an entity that is not replicated")
        return await self._engine.reads.run(
            lambda s: self._snapshot_rows(s, caller, position, size, subset),
            _READ_SECONDS,
            caller=caller,
            what="snapshot",
        )

    def _snapshot_rows(
        self, session: ReadSession, caller: Caller, position: Position, size: int, subset: Subset | None
    ) -> tuple[list[bytes], Position | None]:
        events: list[bytes] = []
        last = position.a
        start = self._order.index(position.e) if position.e else 0
        for name in self._order[start:]:
            plan = self._plans[name]
            if subset is not None and name not in subset.parts:
                continue
            try:
                self._engine.gate.may_read(caller, plan)
                replicated = self._replicated(plan, caller.identity, subset)
                selection = _above(session, plan, replicated, last, size - len(events))
                rows = session.select_replica_rows(name, selection)
            except PylonError as error:
                if error.code not in ("POLICY_DENIED", "MAINTENANCE"):
                    raise
                rows = []
            self._engine.gate.shown(caller, plan, [row_id for row_id, _ in rows])
            head = b'{"seq":%d,"entity":"%b","row_id":"' % (max(position.s, 1), name.encode())
            for row_id, data in rows:
                events.append(b'%b%b","kind":"insert","data":%b,"timestamp":""}' % (head, row_id.encode(), data))
            if len(events) >= size:
                return events, Position(name, rows[-1][0], position.n + len(events), position.s)
            last = ""
        return events, None

    def _replicated(self, plan: EntityPlan, identity: Identity, subset: Subset | None) -> Selection:
        """All rows of an entity that go to this caller."""
        asked = Selection() if subset is None else subset.parts[plan.name].selection
        return self._engine.reads.visible(plan, identity, asked)

    def _delta(self, session: ReadSession, caller: Caller, since: int, wanted: int, subset: Subset | None) -> bytes:
        head, tail, floor = session.log_head(), session.log_tail(), session.log_floor()
        self._not_lifting()
        if since > head or 0 < since < floor or (since > 0 and since + 1 < tail):
            raise _resync(since, head + 1 if since > head else max(tail, floor))
        events: list[bytes] = []
        shown: dict[str, list[str]] = {}
        cursor = since
        scanned = 0
        now = self._engine.now()
        if not since and not wanted:  # the cursor alone, for who has read the rows by other ways
            return _answer([], head, '"has_more":false')
        while cursor < head and len(events) < wanted and scanned < SCAN_EVENTS:
            entries = session.log_after(cursor, min(PAGE_EVENTS, wanted - len(events)))
            if not entries:
                break
            for entry in entries:
                if (event := self._visible(session, entry, caller.identity, now, subset)) is not None:
                    events.append(event)
                    shown.setdefault(entry.entity, []).append(entry.row_id)
            cursor = entries[-1].seq
            scanned += len(entries)
        for entity, row_ids in shown.items():
            self._engine.gate.shown(caller, self._plans[entity], row_ids)
        more = "true" if cursor < head and wanted else "false"
        return _answer(events, cursor, f'"has_more":{more}')

    def _visible(
        self, session: ReadSession, entry: LogEntry, identity: Identity, now: datetime, subset: Subset | None
    ) -> bytes | None:
        """The event as this identity may see it, by the table of spec 02 §8."""
        plan = self._plans.get(entry.entity)
        if plan is None or not plan.spec.sync or (subset is not None and entry.entity not in subset.parts):
            return None
        if self._engine.switches.board.hides(entry.entity) and not identity.is_admin:
            return None
        change = change_of(plan.types, entry)

        def readable(row: object) -> bool:
            if subset is not None and not subset.matches(entry.entity, row):
                return False
            rules = (plan.policy.read,) if plan.scope is None else (plan.policy.read, plan.scope)
            return all(rule.allows(identity, row, now=now, exists=session.exists) for rule in rules)

        if readable(change.row):
            return change.event()
        if entry.kind == "update" and readable(change.old):
            return change.delete_event()
        return None


def _above(session: ReadSession, plan: EntityPlan, replicated: Selection, after: str, limit: int) -> Selection:
    """The next rows of an entity above an id; from its beginning, at most the newest `sync_limit` of them."""
    newest = plan.spec.sync_limit
    if newest is not None and not after:
        first = replace(replicated, order=(("id", True),), limit=1, offset=newest - 1)
        if rows := session.select_replica_rows(plan.name, first):
            return replace(replicated.narrowed("t.id >= :after", {"after": rows[0][0]}), limit=limit)
    return replace(replicated.narrowed("t.id > :after", {"after": after}), limit=limit)


def _answer(events: list[bytes], seq: int, rest: str) -> bytes:
    return b'{"changes":[%b],"cursor":{"last_seq":%d},%b}' % (b",".join(events), seq, rest.encode())


def _resync(since: int, oldest: int) -> PylonError:
    return PylonError(
        "RESYNC_REQUIRED",
        f"cursor last_seq={since} is older than the oldest retained seq={oldest}; client must re-sync",
        extra={"oldest_seq": oldest},
    )
