"""Which sockets watch which documents, and what each still has to be sent. Pure bookkeeping, on the event loop.

A subscription first gets the whole document and then its edits. Whoever may not see the row any more gets nothing
further; if it may again, it is sent the whole document, since edits were left out in between.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping

from pylon.model.change import Change
from pylon.sync.connection import Connection
from pylon.sync.events import BinaryEvent, Event, Frames, Subscriber

SNAPSHOT, UPDATE = 0x10, 0x11
"""The type byte of a frame: a whole document, or edits to one."""

MAX_NAME = 0xFFFF

WAITING_BYTES = 2**20
"""What a document's edits may take while the document itself is being fetched; beyond it, it is fetched again."""

Key = tuple[str, str]
"""Entity and row."""


def document_frame(kind: int, entity: str, row_id: str, payload: bytes) -> bytes | None:
    """The binary message of spec 02 §10.5; None when a name doesn't fit its length."""
    name, row = entity.encode(), row_id.encode()
    if len(name) > MAX_NAME or len(row) > MAX_NAME:
        return None
    return b"%c%b%b%b%b%b" % (kind, len(name).to_bytes(2, "big"), name, len(row).to_bytes(2, "big"), row, payload)


class State(enum.Enum):
    """FETCHING: the document is on its way, and edits wait behind it. LIVE: edits go out as they come. LOST: edits were
    left out, so that only the whole document helps."""

    FETCHING = "fetching"
    LIVE = "live"
    LOST = "lost"


class Subscription:
    """One socket's of one document."""

    __slots__ = ("_fetch", "attempts", "connection", "key", "state", "waiting", "waiting_bytes", "was_live")

    def __init__(self, connection: Connection, key: Key, fetch: Callable[[Subscription], None]) -> None:
        self.connection = connection
        self.key = key
        self._fetch = fetch
        self.state = State.LOST
        self.was_live = False
        self.attempts = 0
        self.waiting: list[Event] = []
        self.waiting_bytes = 0

    def reload(self) -> None:
        """Send the whole document, as soon as it is fetched."""
        self.waiting, self.waiting_bytes = [], 0
        if self.state is not State.FETCHING:
            self.state = State.FETCHING
            self._fetch(self)
        else:
            self.waiting_bytes = WAITING_BYTES + 1

    def lose(self) -> None:
        """An edit is not for this reader."""
        if self.state is State.LIVE:
            self.state = State.LOST
        elif self.state is State.FETCHING:
            self.waiting_bytes = WAITING_BYTES + 1

    def takes(self, event: Event) -> bool:
        """Whether this edit can go out now; else it waits, or the whole document is fetched."""
        if self.state is State.LIVE:
            return True
        if self.state is State.LOST:
            self.reload()
            return False
        self.waiting_bytes += len(event.json)
        if self.waiting_bytes <= WAITING_BYTES:
            self.waiting.append(event)
        else:
            self.waiting = []
        return False

    def fetched(self) -> list[Event] | None:
        """The document is here: the edits behind it, and from now on they go out as they come. None when they are
        gone, so that it has to be fetched again."""
        waiting, self.waiting = self.waiting, []
        is_whole = self.waiting_bytes <= WAITING_BYTES
        self.waiting_bytes = 0
        self.state = State.LIVE if is_whole else State.FETCHING
        self.was_live |= is_whole
        return waiting if is_whole else None


class Watching:
    """Those who watch one document."""

    __slots__ = ("_subscriptions",)

    def __init__(self, subscriptions: list[Subscription]) -> None:
        self._subscriptions = subscriptions

    def __iter__(self) -> Iterator[Subscription]:
        return iter(self._subscriptions)

    @staticmethod
    def event(change: Change) -> Event | None:
        """The change's edit, framed once for all of them."""
        if change.document is None:
            return None
        payload = document_frame(UPDATE, change.entity, change.row_id, change.document)
        return None if payload is None else BinaryEvent(payload)


def deliver_with_edits(
    subscribers: Iterable[Subscriber], frames: Frames, edits: Mapping[Subscriber, list[tuple[int, Event]]]
) -> None:
    """Deliver the events of a turn, to each subscriber with the edits that are its own; framed once for those who get
    the same."""
    made: dict[tuple[tuple[int, int], ...], Frames] = {}
    for subscriber in list(subscribers):
        own = edits.get(subscriber)
        if own is not None:
            key = tuple([(place, id(edit)) for place, edit in own])
            if (spliced := made.get(key)) is None:
                spliced = made[key] = _with_edits(frames.events, own)
            subscriber.deliver(spliced)
        elif frames.number:
            subscriber.deliver(frames)


def _with_edits(events: list[Event], edits: list[tuple[int, Event]]) -> Frames:
    spliced: list[Event] = []
    at = 0
    for place, edit in edits:
        spliced += events[at:place]
        spliced.append(edit)
        at = max(at, place)
    return Frames(spliced + events[at:])


class Watchers:
    """All subscriptions. `fetch` is called with one that needs the whole document; `per_socket` bounds them."""

    def __init__(self, fetch: Callable[[Subscription], None], per_socket: int) -> None:
        self._fetch = fetch
        self._per_socket = per_socket
        self._documents: dict[Key, dict[Connection, Subscription]] = {}
        self._sockets: dict[Connection, dict[Key, Subscription]] = {}
        self.number = 0
        self.refused = 0

    def subscribe(self, connection: Connection, key: Key) -> None:
        """Watch a document from now on; subscribing again sends it again. Beyond the bound nothing happens."""
        own = self._sockets.setdefault(connection, {})
        subscription = own.get(key)
        if subscription is None:
            if len(own) >= self._per_socket:
                self.refused += 1
                return
            subscription = own[key] = Subscription(connection, key, self._fetch)
            self._documents.setdefault(key, {})[connection] = subscription
            self.number += 1
        subscription.reload()

    def unsubscribe(self, connection: Connection, key: Key) -> None:
        """Watch it no longer; a no-op for who doesn't."""
        own = self._sockets.get(connection)
        if own is None or own.pop(key, None) is None:
            return
        self.number -= 1
        if not own:
            del self._sockets[connection]
        watching = self._documents[key]
        del watching[connection]
        if not watching:
            del self._documents[key]

    def left(self, connection: Connection) -> None:
        """The socket is gone."""
        for key in list(self._sockets.get(connection, ())):
            self.unsubscribe(connection, key)

    def holds(self, subscription: Subscription) -> bool:
        """Whether it is still wanted."""
        return self._sockets.get(subscription.connection, {}).get(subscription.key) is subscription

    def of(self, change: Change) -> Watching | None:
        """Who watches the document of a changed row, None for nobody. A deleted row's are forgotten."""
        key = change.entity, change.row_id
        watching = self._documents.get(key)
        if watching is None:
            return None
        if change.kind == "delete":
            for connection in list(watching):
                self.unsubscribe(connection, key)
            return None
        return Watching(list(watching.values()))
