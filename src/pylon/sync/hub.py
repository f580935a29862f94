"""Fan-out: who may see a change is decided per identity class, and what a loop turn brings leaves in one write.

A change is encoded once and framed once. Its audience comes from the read rule (`audiences`), for rules with `exists`
after the store was asked (`deciding`). An entity may be throttled: then what its readers are sent waits a little, in
order, and of each of its rows only the newest event leaves (`throttle`).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable

from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.sync.audiences import UNRECORDED, Answers, Audiences, IdentityClass, View
from pylon.sync.deciding import Decide, Deciding
from pylon.sync.events import Event, Frames, Key, Subscriber
from pylon.sync.statistics import Statistics
from pylon.sync.throttle import Throttle, coalesce
from pylon.sync.watching import Watchers

TAIL_SECONDS = 10.0
TAIL_CHANGES = 500
TAIL_BYTES = 2 * 2**20
"""What a newcomer is sent at most; it must fit into a connection's buffer."""

TIMER_SECONDS = 0.001
"""What a timer may come early by; it is not set again for less."""


class Hub:
    """The subscribers of one process. Everything here happens on the event loop; `decide` answers questions with
    `exists` off it. `entity_rate` is the number of events a second of any one entity, 0 for any number. `watchers` are
    the sockets that documents are sent to, where there are documents."""

    def __init__(
        self,
        views: dict[str, View],
        decide: Decide,
        *,
        tail_bytes: int = TAIL_BYTES,
        entity_rate: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.statistics = Statistics()
        self._views = views
        self._public = frozenset(name for name, view in views.items() if view.is_public)
        self._clock = clock
        self._audiences = Audiences(views, self.statistics)
        self._deciding: Deciding | None = None
        if any(view.uses_exists for view in views.values()):
            self._deciding = Deciding(self, self._audiences, decide, self.statistics)
        self._shared: list[Event] = []
        self._is_shared = True
        self._is_shared_held = False
        self._flushing = False
        self._throttle = Throttle(entity_rate, tail_bytes)
        self._release: asyncio.TimerHandle | None = None
        self._withheld: frozenset[str] = frozenset()
        self.watchers: Watchers | None = None
        self._tail: deque[tuple[float, Change]] = deque()
        self._tail_limit = tail_bytes
        self._tail_bytes = 0

    @property
    def queued(self) -> int:
        """Batches and newcomers that wait for the store."""
        return 0 if self._deciding is None else len(self._deciding)

    @property
    def held(self) -> int:
        """Rows and events that wait for a throttle."""
        return self._throttle.events

    # -- subscribers ---------------------------------------------------------------------------------------------

    def add(self, subscriber: Subscriber, identity: Identity) -> None:
        """Subscribe, and send the visible changes of the last seconds: what fell between a pull and now."""
        if self._deciding is not None:
            self._deciding.admit(subscriber, identity)
        else:
            self.join(subscriber, identity, {})

    def remove(self, subscriber: Subscriber, identity: Identity) -> None:
        """Unsubscribe, also one that still waits for its turn; a no-op for one that isn't there."""
        if self._deciding is not None:
            self._deciding.forget(subscriber)
        group = self._audiences.get(identity)
        if group is None or subscriber not in group.subscribers:
            return
        group.subscribers.discard(subscriber)
        self.statistics.subscribers -= 1
        if not group.subscribers:
            self._audiences.drop(group)
            if not self._audiences:  # whoever comes next is sent the tail
                self.flush()

    def join(self, subscriber: Subscriber, identity: Identity, answers: Answers) -> None:
        """Subscribe now. What is held back for the class comes to the newcomer with all others, so the tail ends
        before it."""
        self._end_turn()
        group = self._audiences.open(identity)
        held = self._shared if self._is_shared else group.events
        tail = self.recent() if not held else [change for change in self.recent() if change.seq < held[0].seq]
        try:
            found = [event for change in tail if (event := self._event_for(group, change, answers)) is not None]
        except PylonError:  # a row that must be recorded and can't be
            if not group.subscribers:
                self._audiences.drop(group)
            subscriber.end(1013, UNRECORDED)
            return
        events = coalesce(found)
        group.subscribers.add(subscriber)
        self.statistics.subscribers += 1
        if events:
            subscriber.deliver(Frames(events))

    # -- what an operator turns ----------------------------------------------------------------------------------

    @property
    def throttles(self) -> dict[str, float]:
        """The entities with a rate of their own, in events a second; 0 for any number."""
        return self._throttle.rates

    def throttle(self, entity: str, rate: float | None) -> None:
        """Broadcast an entity at this many events a second; 0 for any number, None for the server's own setting."""
        self.flush()
        self._throttle.limit(entity, rate)

    def withhold(self, entities: frozenset[str]) -> None:
        """Deliver no change of these entities to anybody but admins. Who was connected meanwhile has a gap when this
        is lifted, and must start over."""
        if entities != self._withheld:
            self.flush()  # what was committed before
            self._withheld = entities

    # -- changes -------------------------------------------------------------------------------------------------

    def preload(self, changes: Iterable[Change]) -> None:
        """Fill the tail at start with what was committed a moment ago, by the process before this one."""
        for change in changes:
            self._keep(self._clock(), change)

    def publish(self, changes: list[Change]) -> None:
        """Fan out committed changes, in seq order."""
        if self._deciding is None or not self._deciding.takes(changes):
            self.dispatch(changes, {})

    def recent(self) -> list[Change]:
        """The changes of the last seconds."""
        since = self._clock() - TAIL_SECONDS
        return [change for at, change in self._tail if at >= since]

    def dispatch(self, changes: list[Change], answers: Answers) -> None:
        """Route changes whose visibility is decided."""
        now = self._clock()
        throttle = self._throttle if self._throttle.is_on else None
        broadcasts: dict[str, int] = {}
        is_heard = bool(self._audiences)
        for change in changes:
            entity = change.entity
            if entity not in self._views:
                continue
            self._keep(now, change)
            broadcasts[entity] = broadcasts.get(entity, 0) + 1
            if is_heard:
                self._route(change, answers, None if throttle is None else throttle.take(change, now))
        self.statistics.count(broadcasts)
        if not self._flushing and is_heard:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _keep(self, now: float, change: Change) -> None:
        tail = self._tail
        tail.append((now, change))
        self._tail_bytes += len(change.data)
        while len(tail) > TAIL_CHANGES or self._tail_bytes > self._tail_limit:
            self._tail_bytes -= len(tail.popleft()[1].data)

    def _route(self, change: Change, answers: Answers, key: Key | None) -> None:
        is_withheld = change.entity in self._withheld
        if change.entity in self._public and not is_withheld:
            event = Event(change.event(), change.seq, key)
            if self._is_shared:
                self._shared.append(event)
                self._is_shared_held |= key is not None
            else:
                self._give(self._audiences, event)
            if change.document is not None or change.kind == "delete":
                self._insert_edit(change, None)
            return
        if self._is_shared:
            self._unshare()
        view = self._views[change.entity]
        admins = self._audiences.admins
        readers = admins if is_withheld else self._audiences.readers(view, change.row, answers)
        if view.witness is not None:
            readers = self._audiences.witnessed(readers, change, view.witness)
        if readers:
            self._give(readers, Event(change.event(), change.seq, key))
        if change.document is not None or change.kind == "delete":
            self._insert_edit(change, readers)
        if change.old is not None and not is_withheld:
            losers = self._audiences.readers(view, change.old, answers) - readers
            if losers:
                self._give(losers, Event(change.delete_event(), change.seq, key))

    def _insert_edit(self, change: Change, readers: set[IdentityClass] | None) -> None:
        """Put the edit of a document beside its change, for those who watch it and, now as well, may see the row:
        `readers`, or everybody for None."""
        watching = None if self.watchers is None else self.watchers.of(change)
        if not watching:
            return
        event = watching.event(change)
        for subscription in watching:
            group = self._audiences.get(subscription.identity)
            if group is None or subscription.connection not in group.subscribers:
                subscription.reload()  # it isn't in the stream yet
            elif readers is not None and group not in readers:
                subscription.lose()
            elif event is not None and subscription.takes(event):
                place = len(self._shared if self._is_shared else group.events) - change.document_leads
                group.edits.setdefault(subscription.connection, []).append((place, event))

    def _give(self, groups: Iterable[IdentityClass], event: Event) -> None:
        for group in groups:
            group.events.append(event)
        if event.key is not None:
            for group in groups:
                group.is_held = True

    def _unshare(self) -> None:
        self._is_shared = False
        for group in self._audiences:
            group.events.extend(self._shared)
            group.is_held |= self._is_shared_held
        self._shared = []
        self._is_shared_held = False

    def _event_for(self, group: IdentityClass, change: Change, answers: Answers) -> Event | None:
        if change.entity in self._withheld and not group.identity.is_admin:
            return None
        event = self._audiences.event_for(group, change, answers)
        if event is not None and (witness := self._views[change.entity].witness) is not None:
            witness(group.identity, change)
        if event is not None and self._throttle.rate(change.entity) > 0:
            event.key = change.entity, change.row_id
        return event

    # -- the end of a turn ---------------------------------------------------------------------------------------

    def _end_turn(self) -> None:
        """Send what the turn brought, but to those whom a throttle holds back."""
        self._flushing = False
        delay = self._throttle.wait(self._clock()) if self._throttle.events else 0.0
        if delay <= TIMER_SECONDS:
            self.flush()
            return
        if self._release is None:
            self._release = asyncio.get_running_loop().call_later(delay, self._release_due)
        self._flush_others()

    def _release_due(self) -> None:
        self._release = None
        self._end_turn()

    def flush(self) -> None:
        """Send all that waits, thinned where a throttle held it."""
        if self._throttle.events:
            self._throttle.left(self._clock())
        if self._is_shared:
            self._send_shared()
            return
        self._is_shared = True
        for group in list(self._audiences):
            if group.events:
                self._send(group)

    def _flush_others(self) -> None:
        """Send to those who see nothing of a throttled entity, and keep what the others wait for small."""
        limit = 2 * self._throttle.events + 64
        if self._is_shared:
            if not self._is_shared_held:
                self._send_shared()
            elif len(self._shared) > limit:
                self._shared = self._thinned(self._shared, self.statistics.subscribers)
            return
        for group in list(self._audiences):
            if not group.is_held:
                if group.events:
                    self._send(group)
            elif len(group.events) > limit:
                group.events = self._thinned(group.events, len(group.subscribers))

    def _thinned(self, events: list[Event], subscribers: int) -> list[Event]:
        kept = coalesce(events)
        self.statistics.coalesced += (len(events) - len(kept)) * subscribers
        return kept

    def _send_shared(self) -> None:
        if not self._shared:
            return
        events, self._shared = self._shared, []
        if self._is_shared_held:
            self._is_shared_held = False
            events = self._thinned(events, self.statistics.subscribers)
        frames = Frames(events)
        for group in list(self._audiences):
            self._deliver(group, frames)

    def _send(self, group: IdentityClass) -> None:
        events, group.events = group.events, []
        if group.is_held:
            group.is_held = False
            events = self._thinned(events, len(group.subscribers))
        self._deliver(group, Frames(events))

    def _deliver(self, group: IdentityClass, frames: Frames) -> None:
        number = len(group.subscribers)
        group.deliveries += number * frames.number
        group.bytes += number * len(frames.websocket)
        edits = group.edits
        if not edits:
            for subscriber in list(group.subscribers):
                subscriber.deliver(frames)
        else:
            group.edits = {}
            spliced: dict[tuple[tuple[int, int], ...], Frames] = {}
            for subscriber in list(group.subscribers):
                mine = edits.get(subscriber)
                subscriber.deliver(frames if mine is None else _with_edits(frames, mine, spliced))
        self.statistics.deliveries += number

    def delivered(self) -> list[tuple[str | None, int, int]]:
        """(user, events, bytes) sent since the last time this was asked, for the meters."""
        return self._audiences.delivered()

    async def stop(self) -> None:
        """Stop deciding and waiting; what is queued is left to the cursor."""
        if self._release is not None:
            self._release.cancel()
        if self._deciding is not None:
            await self._deciding.stop()


def _with_edits(
    frames: Frames, edits: list[tuple[int, Event]], made: dict[tuple[tuple[int, int], ...], Frames]
) -> Frames:
    """The events of a turn with edits at their places; one object for all who get the same."""
    key = tuple([(place, id(event)) for place, event in edits])
    if (found := made.get(key)) is None:
        events: list[Event] = []
        at = 0
        for place, event in edits:
            events += frames.events[at:place]
            events.append(event)
            at = max(at, place)
        found = made[key] = Frames(events + frames.events[at:])
    return found
