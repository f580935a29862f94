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
from pylon.sync.subset import Subset
from pylon.sync.throttle import Throttle, coalesce
from pylon.sync.watching import Watchers, Watching, deliver_with_edits

TAIL_SECONDS = 10.0
TAIL_CHANGES = 500
TAIL_BYTES = 2 * 2**20
"""What a newcomer is sent at most; it must fit into a connection's buffer."""

TIMER_SECONDS = 0.001
"""What a timer may come early by; it is not set again for less."""


class Hub:
    """The subscribers of one process. Everything here happens on the event loop; `decide` answers questions with
    `exists` off it. `entity_rate` is the number of events a second of any one entity, 0 for any number. `watchers`
    are the sockets that documents are sent to, once there are documents."""

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
        self._subsets: dict[Subscriber, Subset] = {}
        self._seq = 0
        self._throttle = Throttle(entity_rate, tail_bytes)
        self._release: asyncio.TimerHandle | None = None
        self._withheld: frozenset[str] = frozenset()
        self.watchers: Watchers | None = None
        self._tail: deque[tuple[float, Change, int]] = deque()
        self._tail_limit = tail_bytes
        self._tail_bytes = 0
        self._is_tail_fixed = not any(view.witness is not None or view.uses_time_or_store for view in views.values())
        self._replayed: tuple[object, Frames] | None = None

    @property
    def queued(self) -> int:
        """Batches and newcomers that wait for the store."""
        return 0 if self._deciding is None else len(self._deciding)

    @property
    def is_settled(self) -> bool:
        """Whether everything that was published has been sent."""
        waits = self._flushing or self._release is not None
        return not waits and (self._deciding is None or not self._deciding.is_busy)

    @property
    def held(self) -> int:
        """Rows and events that wait for a throttle."""
        return self._throttle.events

    # -- subscribers ---------------------------------------------------------------------------------------------

    def add(self, subscriber: Subscriber, identity: Identity, subset: Subset | None = None, after: int = 0) -> None:
        """Subscribe to all that this identity may see, or to a subset of it, and send the visible changes of the last
        seconds behind the seq `after`: what fell between a pull and now."""
        if subset is not None:
            self._subsets[subscriber] = subset
        if self._deciding is not None:
            self._deciding.admit(subscriber, identity, subset, after)
        else:
            self.join(subscriber, identity, {}, after)

    def remove(self, subscriber: Subscriber, identity: Identity) -> None:
        """Unsubscribe, also one that still waits for its turn; a no-op for one that isn't there."""
        if self._deciding is not None:
            self._deciding.forget(subscriber)
        group = self._audiences.get(identity, self._subsets.pop(subscriber, None))
        if group is not None and subscriber in group.subscribers:
            self._leave(group, subscriber)

    def sent_up_to(self, subscriber: Subscriber, identity: Identity) -> int:
        """Send a subscriber what waits for it; the seq up to which it has had everything, 0 for one that still waits
        for its turn. One that can't keep up is ended by this."""
        group = self._audiences.get(identity, self._subsets.get(subscriber))
        if group is None or subscriber not in group.subscribers:
            return 0
        self._send_pending(group)
        return self._seq

    def subset_of(self, subscriber: Subscriber) -> Subset | None:
        """What a subscriber asked for, None for everything."""
        return self._subsets.get(subscriber)

    def switch(
        self, subscriber: Subscriber, identity: Identity, subset: Subset | None, done: Callable[[int], None]
    ) -> None:
        """Let a subscriber want another subset, or all, in its turn. `done` is told the last seq that it had by what it
        wanted before; nothing is replayed, and it isn't called for one that is gone by then."""
        if self._deciding is not None:
            self._deciding.defer(lambda: self._switch(subscriber, identity, subset, done))
        else:
            self._switch(subscriber, identity, subset, done)

    def _switch(
        self, subscriber: Subscriber, identity: Identity, subset: Subset | None, done: Callable[[int], None]
    ) -> None:
        left = self._audiences.get(identity, self._subsets.get(subscriber))
        if left is None or subscriber not in left.subscribers:
            return
        self._send_pending(left)
        if subscriber not in left.subscribers:  # it couldn't keep up
            return
        if (joined := self._audiences.get(identity, subset)) is not None:
            self._send_pending(joined)  # what is up to now must not come to the newcomer a second time
        self._subsets.pop(subscriber, None)
        self._leave(left, subscriber)
        if subset is not None:
            self._subsets[subscriber] = subset
        self._enter(self._audiences.open(identity, subset), subscriber)
        done(self._seq)

    def _enter(self, group: IdentityClass, subscriber: Subscriber) -> None:
        group.subscribers.add(subscriber)
        self.statistics.subscribers += 1

    def _leave(self, group: IdentityClass, subscriber: Subscriber) -> None:
        group.subscribers.discard(subscriber)
        self.statistics.subscribers -= 1
        if not group.subscribers:
            self._audiences.drop(group)
            if not self._audiences:  # whoever comes next is sent the tail
                self.flush()

    def join(self, subscriber: Subscriber, identity: Identity, answers: Answers, after: int) -> None:
        """Subscribe now. What is held back for the class comes to the newcomer with all others, so the tail ends
        before it."""
        self._end_turn()
        group = self._audiences.open(identity, self._subsets.get(subscriber))
        held = self._pending(group)
        tail = [c for c in self.recent() if c.seq > after and not (held and c.seq >= held[0].seq)]
        try:
            frames = self._replay(group, tail, answers) if tail else None
        except PylonError:  # a row that must be recorded and can't be
            if not group.subscribers:
                self._audiences.drop(group)
            subscriber.end(1013, UNRECORDED)
            return
        self._enter(group, subscriber)
        if frames is not None and frames.number:
            subscriber.deliver(frames)

    def _replay(self, group: IdentityClass, tail: list[Change], answers: Answers) -> Frames:
        """The tail as a class may see it. A crowd of one class that comes back is sent the same one; it is kept only
        where nothing but the changes decides what it holds."""
        key = group, tail[0].seq, tail[-1].seq, self._withheld
        if self._replayed is not None and self._replayed[0] == key and not self._throttle.is_on:
            return self._replayed[1]
        events = [event for change in tail if (event := self._event_for(group, change, answers)) is not None]
        frames = Frames(coalesce(events))
        if self._is_tail_fixed:
            self._replayed = key, frames
        return frames

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

    def preload(self, changes: Iterable[Change], head: int = 0) -> None:
        """Fill the tail at start with what was committed a moment ago, by the process before this one; `head` is the
        last seq of all."""
        self._seq = max(self._seq, head)
        for change in changes:
            if change.entity in self._views:
                self._keep(self._clock(), change)

    def publish(self, changes: list[Change]) -> None:
        """Fan out committed changes, in seq order."""
        if self._deciding is None or not self._deciding.takes(changes):
            self.dispatch(changes, {})

    def recent(self) -> list[Change]:
        """The changes of the last seconds."""
        since = self._clock() - TAIL_SECONDS
        return [change for at, change, _ in self._tail if at >= since]

    def dispatch(self, changes: list[Change], answers: Answers) -> None:
        """Route changes whose visibility is decided."""
        now = self._clock()
        throttle = self._throttle if self._throttle.is_on else None
        broadcasts: dict[str, int] = {}
        is_heard, watchers = bool(self._audiences), self.watchers
        if changes:
            self._seq = changes[-1].seq
        for change in changes:
            entity = change.entity
            if entity not in self._views:
                continue
            self._keep(now, change)
            broadcasts[entity] = broadcasts.get(entity, 0) + 1
            if is_heard:
                self._route(change, answers, None if throttle is None else throttle.take(change, now))
                if watchers is not None and (change.document is not None or change.kind == "delete"):
                    self._place_edit(change, watchers.of(change), answers)
        self.statistics.count(broadcasts)
        if not self._flushing and is_heard:
            self._flushing = True
            asyncio.get_running_loop().call_soon(self._end_turn)

    def _keep(self, now: float, change: Change) -> None:
        tail, document = self._tail, change.document
        size = len(change.data) if document is None else len(change.data) + len(document)
        tail.append((now, change, size))
        self._tail_bytes += size
        while len(tail) > TAIL_CHANGES or self._tail_bytes > self._tail_limit:
            self._tail_bytes -= tail.popleft()[2]

    def _route(self, change: Change, answers: Answers, key: Key | None) -> None:
        audiences, entity = self._audiences, change.entity
        is_withheld = entity in self._withheld
        event: Event | None = None
        if entity in self._public and not is_withheld:
            event = Event(change.event(), change.seq, key)
            if self._is_shared:
                self._shared.append(event)
                self._is_shared_held |= key is not None
            else:
                self._give(audiences.whole, event)
            if not audiences.has_partial:
                return
            readers = audiences.partial_readers(entity, change.row, answers)
        else:
            if self._is_shared:
                self._unshare()
            if is_withheld:
                readers = audiences.admin_readers(entity, change.row)
            else:
                readers = audiences.readers(entity, change.row, answers)
            witness = self._views[entity].witness
            if witness is not None:
                readers = audiences.witnessed(readers, change, witness)
        if readers:
            self._give(readers, event or Event(change.event(), change.seq, key))
        if change.old is not None and not is_withheld:
            find = audiences.readers if event is None else audiences.partial_readers
            had = find(entity, change.old, answers)
            if had is not readers and (losers := had - readers):
                self._give(losers, Event(change.delete_event(), change.seq, key))

    def _place_edit(self, change: Change, watching: Watching | None, answers: Answers) -> None:
        """Put the edit of a document beside its change, for those who watch it and may see the row, now as well."""
        if watching is None:
            return
        event = watching.event(change)
        for subscription in watching:
            connection = subscription.connection
            group = self._audiences.get(connection.credential.identity, self._subsets.get(connection))
            if group is None or connection not in group.subscribers:
                subscription.reload()  # it isn't in the stream yet
                continue
            pending = self._pending(group)
            has_event = bool(pending) and pending[-1].seq == change.seq
            if not self._may_watch(group, change, answers):
                # Of a class that doesn't want the rows the store was not asked: fetching the document asks it.
                unasked = group.subset is not None and self._views[change.entity].uses_exists and not has_event
                subscription.reload() if unasked else subscription.lose()
            elif not has_event and not self._is_recorded(group, change):
                connection.end(1013, UNRECORDED)
            elif event is not None and subscription.takes(event):
                place = len(pending) - (has_event and change.document_leads)
                group.edits.setdefault(connection, []).append((place, event))

    def _may_watch(self, group: IdentityClass, change: Change, answers: Answers) -> bool:
        if change.entity in self._withheld and not group.identity.is_admin:
            return False
        return self._audiences.may_see(group, change.entity, change.row, answers)

    def _is_recorded(self, group: IdentityClass, change: Change) -> bool:
        """Record a row that is shown by its document alone; whether it may be shown."""
        witness = self._views[change.entity].witness
        return witness is None or bool(self._audiences.witnessed((group,), change, witness))

    def _give(self, groups: Iterable[IdentityClass], event: Event) -> None:
        for group in groups:
            group.events.append(event)
        if event.key is not None:
            for group in groups:
                group.is_held = True

    def _unshare(self) -> None:
        self._is_shared = False
        for group in self._audiences.whole:
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
        groups: Iterable[IdentityClass] = self._audiences
        if self._is_shared:
            self._send_shared()
            groups = self._audiences.partial
        self._is_shared = True
        for group in [group for group in groups if group.events or group.edits]:
            self._send(group)

    def _flush_others(self) -> None:
        """Send to those who see nothing of a throttled entity, and keep what the others wait for small."""
        limit = 2 * self._throttle.events + 64
        groups: Iterable[IdentityClass] = self._audiences
        if self._is_shared:
            if not self._is_shared_held:
                self._send_shared()
            elif len(self._shared) > limit:
                self._shared = self._thinned(self._shared, self.statistics.subscribers)
            groups = self._audiences.partial
        for group in list(groups):
            if not group.is_held:
                if group.events or group.edits:
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
        for group in list(self._audiences.whole):
            self._deliver(group, frames)

    def _pending(self, group: IdentityClass) -> list[Event]:
        """What waits for a class."""
        return self._shared if self._is_shared and group.subset is None else group.events

    def _send_pending(self, group: IdentityClass) -> None:
        """Send what waits for a class, whatever holds it."""
        if self._is_shared and group.subset is None:
            self._send_shared()
        elif group.events or group.edits:
            self._send(group)

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
        if group.edits:
            edits, group.edits = group.edits, {}
            group.bytes += sum([len(edit.json) for own in edits.values() for _, edit in own])
            deliver_with_edits(group.subscribers, frames, edits)
        else:
            for subscriber in list(group.subscribers):
                subscriber.deliver(frames)
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
