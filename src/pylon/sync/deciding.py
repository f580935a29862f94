"""Visibility that only the store can tell: rules with `exists` are decided off the loop, once per event and class.

Everything behind a change that is being decided waits its turn, newcomers too, so each connection sees changes in seq
order. Where the store fails, those it was asked about are closed: their cursor must not pass what they were not sent.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol, cast

from pylon.model.change import Change
from pylon.model.identity import Identity
from pylon.policy.rules import Rule
from pylon.signals.logs import Log
from pylon.sync.audiences import Answers, Audiences, IdentityClass
from pylon.sync.events import Subscriber
from pylon.sync.statistics import Statistics
from pylon.sync.subset import Subset

log = Log("pylon.sync")

UNDECIDED = "visibility could not be decided; catch up by cursor"
"""Why a connection is closed when the store fails: going on without the event would carry its cursor past it."""

QUEUE_LIMIT = 5000
"""Batches and newcomers that may wait for the store; beyond it everybody is sent to their cursor."""

MERGED_CHANGES = 200
"""Changes that are decided together when they wait behind one another."""

Question = tuple[Rule, Identity, Any]
"""May this identity read this row under this rule?"""

Decide = Callable[[Sequence[Question]], Awaitable[list[bool]]]


class Newcomer(NamedTuple):
    """Somebody who wants to join."""

    subscriber: Subscriber
    identity: Identity
    subset: Subset | None
    after: int
    """The seq up to which it has had everything."""


class Stream(Protocol):
    """What goes on once visibility is decided."""

    def recent(self) -> list[Change]:
        """What a newcomer is sent."""

    def dispatch(self, changes: list[Change], answers: Answers) -> None:
        """Route changes, in seq order."""

    def flush(self) -> None:
        """Send all that waits."""

    def join(self, subscriber: Subscriber, identity: Identity, answers: Answers, after: int) -> None:
        """Subscribe a newcomer."""


class Deciding:
    """The line before the hub. `decide` answers questions off the loop."""

    def __init__(self, stream: Stream, audiences: Audiences, decide: Decide, statistics: Statistics) -> None:
        self._stream = stream
        self._audiences = audiences
        self._decide = decide
        self._statistics = statistics
        self._queue: deque[list[Change] | Newcomer | Callable[[], None]] = deque()
        self._worker: asyncio.Task[None] | None = None
        self._waiting: dict[Subscriber, Newcomer] = {}

    def __len__(self) -> int:
        """Batches and newcomers in the line."""
        return len(self._queue)

    @property
    def is_busy(self) -> bool:
        """Whether anything waits to be decided."""
        return self._worker is not None

    def admit(self, subscriber: Subscriber, identity: Identity, subset: Subset | None, after: int) -> None:
        """Let a newcomer join when its turn comes."""
        self._waiting[subscriber] = newcomer = Newcomer(subscriber, identity, subset, after)
        self._queue.append(newcomer)
        self._work()

    def defer(self, step: Callable[[], None]) -> None:
        """Do something when all that waits now is done."""
        self._queue.append(step)
        self._work()

    def forget(self, subscriber: Subscriber) -> None:
        """A newcomer left before its turn."""
        self._waiting.pop(subscriber, None)

    def takes(self, changes: list[Change]) -> bool:
        """Put changes in the line, unless nothing of them must be asked and nothing waits."""
        if not self._queue and self._worker is None and not self._need_answers(changes):
            return False
        self._queue.append(changes)
        if len(self._queue) > QUEUE_LIMIT and (self._audiences or self._waiting):
            self._overflow()
        self._work()
        return True

    async def stop(self) -> None:
        """Stop deciding; what is queued is left to the cursor."""
        if self._worker is not None:
            self._worker.cancel()

    def _overflow(self) -> None:
        """The store can't keep up with deciding: close everybody, who catch up by cursor. With nobody left to decide
        for, the queue drains at once, in order, into the tail."""
        log.error("fan-out can't keep up with deciding visibility; closing all connections", waiting=len(self._queue))
        self._statistics.errors += 1
        connected = [subscriber for group in self._audiences for subscriber in group.subscribers]
        for subscriber in (*connected, *self._waiting):
            subscriber.end(1013, UNDECIDED)

    def _need_answers(self, changes: list[Change]) -> bool:
        views = self._audiences.views
        return bool(self._audiences) and any(v.uses_exists for c in changes if (v := views.get(c.entity)))

    def _work(self) -> None:
        if self._worker is None:
            self._worker = asyncio.create_task(self._drain())

    async def _drain(self) -> None:
        try:
            while self._queue:
                item = self._queue.popleft()
                if isinstance(item, list):
                    await self._decide_and_dispatch(self._merged(item))
                elif isinstance(item, Newcomer):
                    await self._join(item)
                else:
                    item()
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
            self._stream.flush()
            unsure = {identity for _, identity, _ in asked}
            for group in [group for group in self._audiences if group.identity in unsure]:
                for subscriber in list(group.subscribers):
                    subscriber.end(1013, UNDECIDED)
            answers = {}
        self._stream.dispatch(changes, answers)

    async def _join(self, newcomer: Newcomer) -> None:
        subscriber, identity, subset, after = newcomer
        group = IdentityClass(identity, subset)
        try:
            tail = [change for change in self._stream.recent() if change.seq > after]
            answers = await self._ask(self._questions(tail, only=group))
            if self._waiting.get(subscriber) is newcomer:  # not one that left, or came anew as somebody else
                del self._waiting[subscriber]
                self._stream.join(subscriber, identity, answers, after)
        except Exception:  # a newcomer that can't be shown the tail would have a gap, or hear nothing at all
            self._failed()
            subscriber.end(1013, UNDECIDED)
            self._waiting.pop(subscriber, None)

    def _failed(self) -> None:
        log.exception("visibility could not be decided")
        self._statistics.errors += 1

    def _questions(self, changes: list[Change], only: IdentityClass | None = None) -> list[Question]:
        """What the store must be asked about these changes: of the classes that a rule's audience names, or of one."""
        questions: list[Question] = []
        for change in changes:
            entity = change.entity
            view = self._audiences.views.get(entity)
            if view is None or not view.uses_exists:
                continue
            rules = [rule for rule in view.rules if rule.uses_exists]
            for row in (change.row, change.old):
                if row is None:
                    continue
                groups = self._audiences.candidates(entity, row) if only is None else (only,)
                for identity in {g.identity for g in groups if g.subset is None or g.subset.matches(entity, row)}:
                    if not identity.is_admin:
                        questions += [(rule, identity, row) for rule in rules]
        return questions

    async def _ask(self, questions: list[Question]) -> Answers:
        """The answers by the key that audiences look up. Raises what the store raises."""
        if not questions:
            return {}
        keys = [(id(rule), identity, id(row)) for rule, identity, row in questions]
        return dict(zip(keys, await self._decide(questions), strict=True))
