"""Documents over sockets (spec 02 §10.4): a socket subscribes to the document of a row, is sent it whole, and then its
edits beside the change events of the row, which the hub puts in order.

The whole document is fetched off the loop, one at a time for each socket, and no faster than the socket takes them. Who
may not see the row learns nothing: there is no answer, as for a row that doesn't exist.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.engine import Engine
from pylon.engine.limits.usage import Meter
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.sync.connection import Connection
from pylon.sync.door import Door
from pylon.sync.events import BinaryEvent, Event, Frames
from pylon.sync.hub import Hub
from pylon.sync.messages import Message
from pylon.sync.watching import SNAPSHOT, Key, State, Subscription, Watchers, document_frame

log = Log("pylon.sync")

KEPT_BYTES = 16 * 2**20
"""Whole documents kept framed, for the next who subscribe to the same."""

RETRY_SECONDS = 1.0
RETRIES = 30
"""How often a document is asked for again while the server is too busy, or writes are switched off."""

PACE_SECONDS = 0.01


class DocumentSockets:
    """The subscriptions of one server. Everything here happens on the event loop."""

    def __init__(self, engine: Engine, door: Door, *, per_socket: int) -> None:
        self.watchers = Watchers(self._fetch, per_socket)
        self._engine = engine
        self._room = door.max_buffer // 4
        self._most = 2 * per_socket
        self._lines: dict[Connection, deque[Subscription]] = {}
        self._tasks: dict[Connection, asyncio.Task[None]] = {}
        self._kept: OrderedDict[Key, tuple[int, Event]] = OrderedDict()
        self._kept_bytes = 0
        self.sent = 0

    # -- what sockets say ----------------------------------------------------------------------------------------

    def on_subscribe(self, connection: Connection, message: Message) -> None:
        """`crdt-subscribe`."""
        if (key := self._key(message)) is not None:
            self.watchers.subscribe(connection, key)

    def on_unsubscribe(self, connection: Connection, message: Message) -> None:
        """`crdt-unsubscribe`."""
        if (key := self._key(message)) is not None:
            self.watchers.unsubscribe(connection, key)

    def on_leave(self, connection: Connection) -> None:
        """A socket is gone."""
        self.watchers.left(connection)
        self._lines.pop(connection, None)
        if (task := self._tasks.pop(connection, None)) is not None:
            task.cancel()

    def _key(self, message: Message) -> Key | None:
        entity, row_id = message.get("entity"), message.get("rowId", message.get("row_id"))
        if not isinstance(entity, str) or not isinstance(row_id, str):
            return None
        plan = self._engine.plans.get(entity)
        return (entity, row_id) if plan is not None and plan.spec.crdt and plan.spec.sync else None

    # -- whole documents -----------------------------------------------------------------------------------------

    def _fetch(self, subscription: Subscription) -> None:
        connection = subscription.connection
        line = self._lines.setdefault(connection, deque())
        if len(line) > self._most:  # a socket that subscribes and unsubscribes in a circle
            wanted = [waiting for waiting in line if self.watchers.holds(waiting)]
            line.clear()
            line.extend(wanted)
        line.append(subscription)
        if connection not in self._tasks:
            self._tasks[connection] = asyncio.create_task(self._serve(connection))

    async def _serve(self, connection: Connection) -> None:
        """Send one socket what it waits for, then end."""
        line = self._lines[connection]
        try:
            while line:
                subscription = line.popleft()
                if not self.watchers.holds(subscription):
                    continue
                while connection.unsent_bytes > self._room:  # noqa: ASYNC110 - no transport tells when it has room
                    await asyncio.sleep(PACE_SECONDS)
                await self._send(connection, subscription)
        except Exception:  # a supervised boundary: the other sockets must get theirs
            log.exception("a document could not be sent")
            connection.end(1013, "a document could not be sent; subscribe again")
        finally:
            if self._tasks.get(connection) is asyncio.current_task():
                del self._tasks[connection]
                self._lines.pop(connection, None)

    async def _send(self, connection: Connection, subscription: Subscription) -> None:
        try:
            event = await self._document(connection, subscription.key)
        except PylonError as error:
            if error.status in (429, 503, 507) and subscription.attempts < RETRIES:
                subscription.attempts += 1
                await asyncio.sleep(RETRY_SECONDS)
                self._lines[connection].append(subscription)
                return
            event = None
        if not self.watchers.holds(subscription):
            return
        if event is None:
            if subscription.was_live:
                subscription.state = State.LOST
            else:
                self.watchers.unsubscribe(connection, subscription.key)
            return
        waiting = subscription.fetched()
        if waiting is None:
            self._lines[connection].append(subscription)
            return
        subscription.attempts = 0
        self.sent += 1
        frames = Frames([event, *waiting])
        user, usage = connection.credential.identity.user_id, self._engine.usage
        usage.add(Meter.DELIVERIES, user, frames.number)
        usage.add(Meter.EGRESS, user, len(frames.websocket))
        connection.deliver(frames)

    async def _document(self, connection: Connection, key: Key) -> Event | None:
        """The document as a frame, None when it isn't there for this reader. Raises MAINTENANCE, RATE_LIMITED,
        OVERLOADED, AUDIT_UNAVAILABLE, STORAGE_*."""
        engine = self._engine
        plan = engine.plans[key[0]]
        caller = Caller(identity=connection.credential.identity, ip=connection.ip, door="live")
        engine.gate.may_read(caller, plan)
        stamp = engine.reads.document_stamp(*key)
        kept = self._kept.get(key)
        if kept is not None and kept[0] == stamp and plan.scope is None:
            return kept[1] if await self._is_readable(caller, key) else None
        if stamp is None:
            engine.gate.write(caller)  # one will be made
        shown = (await engine.run(SYSTEM, lambda tx: engine.documents.show(tx, plan, key[1], caller.identity))).value
        if shown is None:
            return None
        engine.gate.shown(caller, plan, [key[1]])
        payload = document_frame(SNAPSHOT, *key, shown.snapshot)
        if payload is None:
            return None
        event = BinaryEvent(payload)
        self._keep(key, shown.stamp, event)
        return event

    async def _is_readable(self, caller: Caller, key: Key) -> bool:
        try:
            await self._engine.reads.get(caller, *key)
        except PylonError as error:
            if error.code in ("NOT_FOUND", "POLICY_DENIED"):
                return False
            raise
        return True

    def _keep(self, key: Key, stamp: int, event: Event) -> None:
        if (old := self._kept.pop(key, None)) is not None:
            self._kept_bytes -= len(old[1].json)
        self._kept[key] = stamp, event
        self._kept_bytes += len(event.json)
        while self._kept_bytes > KEPT_BYTES:
            _, (_, gone) = self._kept.popitem(last=False)
            self._kept_bytes -= len(gone.json)


def serve_documents(engine: Engine, hub: Hub, door: Door, *, per_socket: int) -> DocumentSockets:
    """Let the door's sockets subscribe to documents, and the hub send them edits."""
    sockets = DocumentSockets(engine, door, per_socket=per_socket)
    hub.watchers = sockets.watchers
    door.messages.on("crdt-subscribe", sockets.on_subscribe)
    door.messages.on("crdt-unsubscribe", sockets.on_unsubscribe)
    door.messages.on_leave(sockets.on_leave)
    return sockets
