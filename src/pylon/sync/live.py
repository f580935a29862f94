"""Live queries at the door: subscribing to a function's result over a socket (spec 02 §9.2).

Everybody of one identity class who asks for the same query with the same arguments shares its runs. The identity class
is the whole identity that a function can see: user, tenant, roles, e-mail, guest and admin flags; so nobody is ever
sent what was read in somebody else's name.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable

import msgspec

from pylon.compute.functions import Functions
from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.limits.usage import Meter
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.sync.connection import Connection
from pylon.sync.door import Door
from pylon.sync.events import Frames
from pylon.sync.live_query import Answer, Key, Outcome, Refusal, SharedQuery, State, Subscription
from pylon.sync.messages import Message
from pylon.sync.reruns import LiveLimits, Reruns

log = Log("pylon.sync")

PER_CONNECTION = 256
SUB_ID_CHARACTERS = 256
"""A longer `sub_id` is none."""

KEPT_BYTES, KEPT_BYTES_IN_ALL = 256 * 2**10, 64 * 2**20
"""Size of a result that is kept for newcomers, and of all that are; where none is kept, a newcomer's query runs."""


class LiveQueries:
    """The live queries of one server. Use on the event loop."""

    def __init__(
        self,
        engine: Engine,
        functions: Functions,
        door: Door,
        limits: LiveLimits,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._functions = functions
        self._door = door
        self._limits = limits
        self._connections: dict[Connection, dict[str, Subscription]] = {}
        self._queries: dict[Key, SharedQuery] = {}
        self._payers: dict[str, int] = {}
        self._kept_bytes = 0
        self._numbers = itertools.count()
        self._flags = engine.flags.generation
        self.reruns = Reruns(functions, limits, self._settled, clock=clock)
        self.statistics = self.reruns.statistics
        door.messages.on("reactive-subscribe", self._subscribe)
        door.messages.on("reactive-unsubscribe", self._unsubscribe)
        door.messages.on_leave(self._left)
        door.messages.on_moved(self._moved)
        engine.subscribe(self.reruns.changed)
        engine.switches.subscribe(lambda before, after: self._run_all())
        engine.on_refresh(self._follow_flags)

    @property
    def shared(self) -> int:
        """Different queries; those who ask for the same share one."""
        return len(self._queries)

    async def stop(self) -> None:
        """Run nothing more."""
        await self.reruns.stop()

    # -- what clients say ----------------------------------------------------------------------------------------

    def _subscribe(self, connection: Connection, message: Message) -> None:
        sub_id = message.get("sub_id")
        if not isinstance(sub_id, str) or not 0 < len(sub_id) <= SUB_ID_CHARACTERS or connection not in self._door:
            return
        held = self._connections.setdefault(connection, {})
        if (before := held.get(sub_id)) is not None:
            self._detach(before)
        elif len(held) >= PER_CONNECTION:
            full = Refusal("REACTIVE_LIMIT", f"A connection has at most {PER_CONNECTION} subscriptions")
            connection.deliver(full.frames(sub_id))
            return
        name = message.get("fn_name") or message.get("fnName")
        held[sub_id] = subscription = Subscription(connection, sub_id, name, message.get("args"))
        self._open(subscription)

    def _unsubscribe(self, connection: Connection, message: Message) -> None:
        sub_id = message.get("sub_id")
        held = self._connections.get(connection)
        if held is None or not isinstance(sub_id, str) or (subscription := held.pop(sub_id, None)) is None:
            return
        if not held:
            del self._connections[connection]
        self._detach(subscription)

    def _left(self, connection: Connection) -> None:
        for subscription in self._connections.pop(connection, {}).values():
            self._detach(subscription)

    def _moved(self, connection: Connection) -> None:
        """A connection has another identity: its queries are others now."""
        for subscription in list(self._connections.get(connection, {}).values()):
            self._detach(subscription)
            self._open(subscription)

    # -- subscriptions and the queries they share ----------------------------------------------------------------

    def _open(self, subscription: Subscription) -> None:
        """Give a subscription its query; what is refused keeps its place, without one."""
        if self._connections.get(subscription.connection, {}).get(subscription.sub_id) is not subscription:
            return  # what it was told a moment ago was too much for its connection
        subscription.is_passing = False
        try:
            self._attach(subscription)
        except PylonError as error:
            refusal = Refusal.of(error)
            subscription.is_passing = refusal.is_passing
            subscription.connection.deliver(refusal.frames(subscription.sub_id))
        except Exception:  # a supervised boundary: the client must hear of it
            log.exception("subscribing to a live query failed")
            refusal = Refusal("SUBSCRIBE_FAILED", "The subscription could not be made")
            subscription.connection.deliver(refusal.frames(subscription.sub_id))

    def _attach(self, subscription: Subscription) -> None:
        connection = subscription.connection
        identity = connection.credential.identity
        if not self._functions:
            raise PylonError("REACTIVE_UNAVAILABLE", "The app declares no functions")
        if not isinstance(subscription.name, str) or not subscription.name:
            raise PylonError("MISSING_FN_NAME", "fn_name is required")
        caller = Caller(identity=identity, ip=connection.ip, door="live")
        arguments = {} if subscription.arguments is None else subscription.arguments
        watched = self._functions.watch(caller, subscription.name, msgspec.json.encode(arguments))
        payer = None if identity.is_admin else caller.principal
        if payer is not None and 0 < self._limits.subscriptions <= self._payers.get(payer, 0):
            raise PylonError("REACTIVE_LIMIT", f"At most {self._limits.subscriptions} live queries at a time")
        key = (watched.function.name, watched.arguments, identity)
        query = self._queries.get(key)
        if query is None:
            if len(self._queries) >= self._limits.queries:
                raise PylonError("REACTIVE_LIMIT", "The server runs as many live queries as it may")
            query = self._queries[key] = SharedQuery(key, watched, caller, payer, next(self._numbers))
        if payer is not None:
            self._payers[payer] = self._payers.get(payer, 0) + 1
        self.statistics.subscriptions += 1
        subscription.payer, subscription.query, subscription.is_told = payer, query, False
        query.subscriptions[subscription] = None
        self._greet(query, subscription)

    def _greet(self, query: SharedQuery, subscription: Subscription) -> None:
        """Tell a newcomer what is known, unless it is old or wasn't kept; then it waits for a run."""
        if query.state is not State.IDLE:
            return
        outcome = query.outcome
        if outcome is None or (isinstance(outcome, Answer) and outcome.body is None):
            self.reruns.request(query)
        else:
            self._tell(query, outcome, [subscription])

    def _detach(self, subscription: Subscription) -> None:
        query, subscription.query = subscription.query, None
        if query is None:
            return
        self.statistics.subscriptions -= 1
        if (payer := subscription.payer) is not None:
            if (left := self._payers[payer] - 1) > 0:
                self._payers[payer] = left
            else:
                del self._payers[payer]
        del query.subscriptions[subscription]
        if not query.subscriptions:
            del self._queries[query.key]
            self._keep(query, None)
            self.reruns.forget(query)

    # -- results -------------------------------------------------------------------------------------------------

    def _settled(self, query: SharedQuery, outcome: Outcome) -> None:
        if outcome.is_as(query.outcome):
            self.statistics.unchanged += 1
            waiting = [subscription for subscription in query.subscriptions if not subscription.is_told]
        else:
            waiting = list(query.subscriptions)
        self._tell(query, outcome, waiting)
        if query.subscriptions:
            self._keep(query, outcome)

    def _tell(self, query: SharedQuery, outcome: Outcome, subscriptions: list[Subscription]) -> None:
        """Send an outcome: one encoding for all, one frame for all who chose the same `sub_id`."""
        frames: dict[str, Frames] = {}
        _, _, identity = query.key
        sent = 0
        for subscription in subscriptions:
            connection = subscription.connection
            if connection.credential.identity != identity:  # nobody told us: it must not see this
                self._moved(connection)
                continue
            frame = frames.get(subscription.sub_id)
            if frame is None:
                frame = frames[subscription.sub_id] = outcome.frames(subscription.sub_id)
            subscription.is_told = True
            sent += len(frame.websocket)
            connection.deliver(frame)
        self.statistics.pushed += len(subscriptions)
        self._engine.usage.add(Meter.DELIVERIES, identity.user_id, len(subscriptions))
        self._engine.usage.add(Meter.EGRESS, identity.user_id, sent)

    def _keep(self, query: SharedQuery, outcome: Outcome | None) -> None:
        """Remember what a query came to; its result only while there is room for it, and not where each sight of it
        must be recorded: then a newcomer's query runs, which does so."""
        if isinstance(query.outcome, Answer):
            self._kept_bytes -= query.outcome.size
        if isinstance(outcome, Answer):
            if query.is_audited or outcome.size > KEPT_BYTES or self._kept_bytes + outcome.size > KEPT_BYTES_IN_ALL:
                outcome = Answer(None, outcome.hash)
            self._kept_bytes += outcome.size
        query.outcome = outcome

    # -- what else a result may depend on ------------------------------------------------------------------------

    def _run_all(self) -> None:
        """The switches are others now: functions, entities or users may be on or off."""
        for query in self._queries.values():
            self.reruns.request(query)
        held = [subscription for held in self._connections.values() for subscription in held.values()]
        for subscription in held:
            if subscription.is_passing and subscription.query is None:
                self._open(subscription)

    def _follow_flags(self) -> None:
        if self._flags == self._engine.flags.generation:
            return
        self._flags = self._engine.flags.generation
        for query in self._queries.values():
            if query.flags or query.state is State.RUNNING:
                self.reruns.request(query)
