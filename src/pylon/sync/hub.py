"""Fan-out: who may see a change is decided per identity class, and what a loop turn brings leaves in one write.

A change is encoded once and framed once. Its audience comes from the read rule (design §5): everybody; identity
classes that pass a rule which doesn't read the row; classes found by an index of user, tenant, e-mail or role; or,
where nothing narrows it, every class. Rules with `exists` are decided off the loop, and everything behind them waits
its turn, so each connection sees changes in seq order.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol, cast

from pylon.model.change import Change
from pylon.model.identity import Identity
from pylon.policy.audience import ByIdentity, ByKey, Everyone, Nobody
from pylon.policy.rules import Rule
from pylon.signals.logs import Log
from pylon.sync.frames import frame

log = Log("pylon.sync")

TAIL_SECONDS = 10.0
TAIL_CHANGES = 500
TAIL_BYTES = 2 * 2**20
"""What a newcomer is sent at most; it must fit into a connection's buffer."""

UNDECIDED = "visibility could not be decided; catch up by cursor"
"""Why a connection is closed when the store fails: going on without the event would carry its cursor past it."""

Question = tuple[Rule, Identity, Any]
"""May this identity read this row under this rule?"""

Answers = dict[tuple[int, Identity, int], bool]
"""What the store said: by rule, identity and row object."""

QUEUE_LIMIT = 5000
"""Batches and newcomers that may wait for the store; beyond it everybody is sent to their cursor."""

MERGED_CHANGES = 200
"""Changes that are decided together when they wait behind one another."""

Decide = Callable[[Sequence[Question]], Awaitable[list[bool]]]


class View(NamedTuple):
    """What fan-out needs of an entity: its read rule, and what narrows replication further."""

    read: Rule
    scope: Rule | None


class Subscriber(Protocol):
    """A socket or stream."""

    def deliver(self, frames: Frames) -> None:
        """Send what this turn brought. Never raises, never blocks."""

    def end(self, code: int, reason: str) -> None:
        """Close, and deliver nothing more: the client catches up by its cursor."""


class Frames:
    """The events of one turn for those who see the same, in the form each kind of connection sends."""

    __slots__ = ("_events", "_sse", "_websocket")

    def __init__(self, events: list[Event]) -> None:
        self._events = events
        self._websocket: bytes | None = None
        self._sse: bytes | None = None

    @property
    def websocket(self) -> bytes:
        """Text frames, ready to write."""
        if self._websocket is None:
            self._websocket = b"".join([event.frame() for event in self._events])
        return self._websocket

    @property
    def messages(self) -> list[bytes]:
        """The events one by one, as JSON."""
        return [event.json for event in self._events]

    @property
    def sse(self) -> bytes:
        """`data:` lines, ready to write."""
        if self._sse is None:
            self._sse = b"".join([b"data: %b\n\n" % event.json for event in self._events])
        return self._sse


class Event:
    """One event's JSON, framed once."""

    __slots__ = ("_frame", "json")

    def __init__(self, json: bytes) -> None:
        self.json = json
        self._frame: bytes | None = None

    def frame(self) -> bytes:
        """The WebSocket text frame."""
        if self._frame is None:
            self._frame = frame(self.json)
        return self._frame


class IdentityClass:
    """All subscribers of one identity, and what the current turn has for them."""

    __slots__ = ("events", "identity", "subscribers", "verdicts")

    def __init__(self, identity: Identity) -> None:
        self.identity = identity
        self.subscribers: set[Subscriber] = set()
        self.events: list[Event] = []
        self.verdicts: dict[Rule, bool] = {}


class Statistics:
    """What the hub has done; read by metrics."""

    __slots__ = ("broadcasts", "deliveries", "errors", "events", "subscribers")

    def __init__(self) -> None:
        self.subscribers = self.events = self.deliveries = self.errors = 0
        self.broadcasts: dict[str, int] = {}


class Hub:
    """The subscribers of one process. Everything here happens on the event loop; `decide` answers questions with
    `exists` off it."""

    def __init__(
        self,
        views: dict[str, View],
        decide: Decide,
        *,
        tail_bytes: int = TAIL_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._views = views
        self._decide = decide
        self._clock = clock
        self._asks_store = any(_uses_exists(view) for view in views.values())
        self._classes: dict[Identity, IdentityClass] = {}
        self._admins: set[IdentityClass] = set()
        self._index: dict[str, dict[str, set[IdentityClass]]] = {
            "user_id": {},
            "tenant_id": {},
            "email": {},
            "role": {},
        }
        self._shared: list[Event] = []
        self._is_shared = True
        self._flushing = False
        self._tail: deque[tuple[float, Change]] = deque()
        self._tail_limit = tail_bytes
        self._tail_bytes = 0
        self._queue: deque[list[Change] | tuple[Subscriber, Identity]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._waiting: set[Subscriber] = set()
        self.statistics = Statistics()

    # -- subscribers ---------------------------------------------------------------------------------------------

    def add(self, subscriber: Subscriber, identity: Identity) -> None:
        """Subscribe, and send the visible changes of the last seconds: what fell between a pull and now."""
        if self._asks_store:
            self._waiting.add(subscriber)
            self._queue.append((subscriber, identity))
            self._work()
        else:
            self._join(subscriber, identity, {})

    def remove(self, subscriber: Subscriber, identity: Identity) -> None:
        """Unsubscribe, also one that still waits for its turn; a no-op for one that isn't there."""
        self._waiting.discard(subscriber)
        group = self._classes.get(identity)
        if group is None or subscriber not in group.subscribers:
            return
        group.subscribers.discard(subscriber)
        self.statistics.subscribers -= 1
        if not group.subscribers:
            self._drop(group)

    def _join(self, subscriber: Subscriber, identity: Identity, answers: Answers) -> None:
        self._flush()
        group = self._classes.get(identity) or self._class(identity)
        events = [event for change in self._recent() if (event := self._event_for(group, change, answers)) is not None]
        group.subscribers.add(subscriber)
        self.statistics.subscribers += 1
        if events:
            subscriber.deliver(Frames(events))

    def _class(self, identity: Identity) -> IdentityClass:
        group = IdentityClass(identity)
        self._classes[identity] = group
        if identity.is_admin:
            self._admins.add(group)
        for member, value in _keys(identity):
            self._index[member].setdefault(value, set()).add(group)
        return group

    def _drop(self, group: IdentityClass) -> None:
        del self._classes[group.identity]
        self._admins.discard(group)
        for member, value in _keys(group.identity):
            groups = self._index[member][value]
            groups.discard(group)
            if not groups:
                del self._index[member][value]

    # -- changes -------------------------------------------------------------------------------------------------

    def preload(self, changes: Iterable[Change]) -> None:
        """Fill the tail at start with what was committed a moment ago, by the process before this one."""
        for change in changes:
            self._keep(self._clock(), change)

    def publish(self, changes: list[Change]) -> None:
        """Fan out committed changes, in seq order."""
        if self._asks_store and (self._queue or self._worker is not None or self._need_answers(changes)):
            self._queue.append(changes)
            if len(self._queue) > QUEUE_LIMIT and (self._classes or self._waiting):
                self._overflow()
            self._work()
        else:
            self._dispatch(changes, {})

    def _overflow(self) -> None:
        """The store can't keep up with deciding: close everybody, who catch up by cursor. With nobody left to decide
        for, the queue drains at once, in order, into the tail."""
        log.error("fan-out can't keep up with deciding visibility; closing all connections", waiting=len(self._queue))
        self.statistics.errors += 1
        connected = [subscriber for group in self._classes.values() for subscriber in group.subscribers]
        for subscriber in (*connected, *self._waiting):
            subscriber.end(1013, UNDECIDED)

    def _need_answers(self, changes: list[Change]) -> bool:
        return bool(self._classes) and any(_uses_exists(v) for c in changes if (v := self._views.get(c.entity)))

    def _work(self) -> None:
        if self._worker is None:
            self._worker = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        try:
            while self._queue:
                item = self._queue.popleft()
                if isinstance(item, list):
                    await self._decide_and_dispatch(self._merged(item))
                else:
                    await self._admit(*item)
        finally:
            self._worker = None
            if self._queue:
                self._work()

    def _merged(self, changes: list[Change]) -> list[Change]:
        """These changes and those that wait right behind them: one visit to the store decides them all."""
        merged = list(changes)
        while self._queue and len(merged) < MERGED_CHANGES and isinstance(self._queue[0], list):
            merged += cast("list[Change]", self._queue.popleft())
        return merged

    async def _decide_and_dispatch(self, changes: list[Change]) -> None:
        asked = self._questions(changes)
        try:
            answers = await self._ask(asked)
        except Exception:  # a store that fails must not stop the stream
            self._failed()
            self._flush()
            for identity in {identity for _, identity, _ in asked}:
                if (group := self._classes.get(identity)) is not None:
                    for subscriber in list(group.subscribers):
                        subscriber.end(1013, UNDECIDED)
            answers = {}
        self._dispatch(changes, answers)

    async def _admit(self, subscriber: Subscriber, identity: Identity) -> None:
        group = self._classes.get(identity) or IdentityClass(identity)
        try:
            answers = await self._ask(self._questions(self._recent(), only=group))
        except Exception:  # a newcomer that can't be shown the tail would have a gap
            self._failed()
            subscriber.end(1013, UNDECIDED)
            self._waiting.discard(subscriber)
            return
        if subscriber in self._waiting:
            self._waiting.discard(subscriber)
            self._join(subscriber, identity, answers)

    def _failed(self) -> None:
        log.exception("visibility could not be decided")
        self.statistics.errors += 1

    def _questions(self, changes: list[Change], only: IdentityClass | None = None) -> list[Question]:
        """What the store must be asked about these changes: of the classes that a rule's audience names, or of one."""
        questions: list[Question] = []
        for change in changes:
            view = self._views.get(change.entity)
            if view is None or not _uses_exists(view):
                continue
            rules = [rule for rule in _rules(view) if rule.uses_exists]
            for row in (change.row, change.old):
                if row is None:
                    continue
                for group in self._candidates(view.read, row) if only is None else (only,):
                    if not group.identity.is_admin:
                        questions += [(rule, group.identity, row) for rule in rules]
        return questions

    async def _ask(self, questions: list[Question]) -> Answers:
        """The answers by the key that `_holds` looks up. Raises what the store raises."""
        if not questions:
            return {}
        keys = [(id(rule), identity, id(row)) for rule, identity, row in questions]
        return dict(zip(keys, await self._decide(questions), strict=True))

    def _keep(self, now: float, change: Change) -> None:
        tail = self._tail
        tail.append((now, change))
        self._tail_bytes += len(change.data)
        while len(tail) > TAIL_CHANGES or self._tail_bytes > self._tail_limit:
            self._tail_bytes -= len(tail.popleft()[1].data)

    def _recent(self) -> list[Change]:
        since = self._clock() - TAIL_SECONDS
        return [change for at, change in self._tail if at >= since]

    def _dispatch(self, changes: list[Change], answers: Answers) -> None:
        now = self._clock()
        for change in changes:
            if change.entity not in self._views:
                continue
            self._keep(now, change)
            self.statistics.events += 1
            broadcasts = self.statistics.broadcasts
            broadcasts[change.entity] = broadcasts.get(change.entity, 0) + 1
            if self._classes:
                self._route(change, answers)
        if not self._flushing and self._classes:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _route(self, change: Change, answers: Answers) -> None:
        view = self._views[change.entity]
        if isinstance(view.read.audience, Everyone) and view.scope is None:
            event = Event(change.event())
            if self._is_shared:
                self._shared.append(event)
            else:
                for group in self._classes.values():
                    group.events.append(event)
            return
        if self._is_shared:
            self._unshare()
        readers = self._readers(view, change.row, answers)
        if readers:
            event = Event(change.event())
            for group in readers:
                group.events.append(event)
        if change.old is not None:
            losers = self._readers(view, change.old, answers) - readers
            if losers:
                event = Event(change.delete_event())
                for group in losers:
                    group.events.append(event)

    def _unshare(self) -> None:
        self._is_shared = False
        for group in self._classes.values():
            group.events.extend(self._shared)
        self._shared = []

    def _readers(self, view: View, row: Any, answers: Answers) -> set[IdentityClass]:
        candidates = self._candidates(view.read, row)
        readers = {group for group in candidates if self._reads(group, view, row, answers)}
        return readers | self._admins

    def _candidates(self, rule: Rule, row: Any) -> Iterable[IdentityClass]:
        audience = rule.audience
        if isinstance(audience, Nobody):
            return ()
        if isinstance(audience, ByKey):
            found: set[IdentityClass] = set()
            for key in audience.keys:
                value = getattr(row, key.field)
                if value is not None:
                    found |= self._index[key.member].get(value, _NONE)
            return found
        return self._classes.values()

    def _reads(self, group: IdentityClass, view: View, row: Any, answers: Answers) -> bool:
        return all(self._holds(rule, group, row, answers) for rule in _rules(view))

    def _holds(self, rule: Rule, group: IdentityClass, row: Any, answers: Answers) -> bool:
        if rule.uses_exists:
            return answers.get((id(rule), group.identity, id(row)), False)
        by_identity = isinstance(rule.audience, ByIdentity) and not rule.uses_clock
        if by_identity and (verdict := group.verdicts.get(rule)) is not None:
            return verdict
        try:
            verdict = rule.allows(group.identity, row, now=datetime.now(UTC))
        except Exception:  # one rule that fails denies its row; it must not stop the others
            log.exception("policy failed in fan-out")
            self.statistics.errors += 1
            return False
        if by_identity:
            group.verdicts[rule] = verdict
        return verdict

    def _event_for(self, group: IdentityClass, change: Change, answers: Answers) -> Event | None:
        view = self._views[change.entity]
        is_admin = group.identity.is_admin
        if is_admin or self._reads(group, view, change.row, answers):
            return Event(change.event())
        if change.old is not None and self._reads(group, view, change.old, answers):
            return Event(change.delete_event())
        return None

    def _flush(self) -> None:
        self._flushing = False
        if self._is_shared:
            if self._shared:
                frames = Frames(self._shared)
                self._shared = []
                for group in list(self._classes.values()):
                    self._deliver(group, frames)
            return
        self._is_shared = True
        for group in list(self._classes.values()):
            if group.events:
                frames = Frames(group.events)
                group.events = []
                self._deliver(group, frames)

    def _deliver(self, group: IdentityClass, frames: Frames) -> None:
        for subscriber in list(group.subscribers):
            subscriber.deliver(frames)
        self.statistics.deliveries += len(group.subscribers)

    @property
    def queued(self) -> int:
        """Batches and newcomers that wait for the store."""
        return len(self._queue)

    async def stop(self) -> None:
        """Stop deciding; what is queued is left to the cursor."""
        if self._worker is not None:
            self._worker.cancel()


_NONE: frozenset[IdentityClass] = frozenset()


def _rules(view: View) -> tuple[Rule, ...]:
    return (view.read,) if view.scope is None else (view.read, view.scope)


def _uses_exists(view: View) -> bool:
    return any(rule.uses_exists for rule in _rules(view))


def _keys(identity: Identity) -> list[tuple[str, str]]:
    pairs = [("user_id", identity.user_id), ("tenant_id", identity.tenant_id), ("email", identity.email)]
    return [(m, v) for m, v in pairs if v is not None] + [("role", role) for role in identity.roles]
