"""What every request passes before it does anything: the switches, and for writes the budgets of its user and address.

The order is design §3's: authenticate, then limits and kill-switches, then everything else. Asking costs a comparison
while no switch is on, and two dictionary lookups for a write.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pylon.engine.caller import Caller
from pylon.engine.limits.buckets import Buckets
from pylon.engine.limits.switch import Board
from pylon.engine.limits.usage import ANONYMOUS, Meter
from pylon.engine.limits.waiting import spread
from pylon.engine.plan import EntityPlan
from pylon.model.change import Change
from pylon.model.errors import PylonError
from pylon.signals.talkers import Talkers

if TYPE_CHECKING:
    from pylon.engine.committer import Work
    from pylon.engine.engine import Engine


@dataclass(frozen=True, slots=True)
class RateLimits:
    """Row writes per second and the burst above it, for each user and for each address; pulls per second of one client
    that bring it up to date; and messages of one user to rooms. A rate of 0 is no limit."""

    user_rate: float = 0.0
    user_burst: float = 0.0
    address_rate: float = 0.0
    address_burst: float = 0.0
    pull_rate: float = 0.0
    pull_burst: float = 0.0
    publish_rate: float = 0.0
    publish_burst: float = 0.0


class TopTalkers:
    """Who and what causes writes now, in rows per second; and who polls, in refusals per second."""

    __slots__ = ("addresses", "entities", "functions", "pollers", "users")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.users = Talkers(clock=clock)
        self.addresses = Talkers(clock=clock)
        self.entities = Talkers(clock=clock)
        self.functions = Talkers(clock=clock)
        self.pollers = Talkers(clock=clock)


class Gate:
    """The gate of one engine. Use on its loop, but for `may_read` and `shown`, which any thread may call."""

    def __init__(self, engine: Engine, limits: RateLimits, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self.users = Buckets(limits.user_rate, limits.user_burst, clock=clock)
        self.addresses = Buckets(limits.address_rate, limits.address_burst, clock=clock)
        self.pulls = Buckets(limits.pull_rate, limits.pull_burst, clock=clock)
        self.publishes = Buckets(limits.publish_rate, limits.publish_burst, clock=clock)
        self.talkers = TopTalkers(clock)
        self.refused: dict[str, int] = {"user": 0, "address": 0, "switch": 0, "poll": 0, "publish": 0}

    @property
    def board(self) -> Board:
        """The switches that are on."""
        return self._engine.switches.board

    def enter(self, caller: Caller) -> None:
        """Whether a caller may come in. Raises MAINTENANCE, BLOCKED."""
        board = self.board
        if not board.is_quiet:
            self._counted(lambda: board.check_entry(caller.identity, caller.ip))

    def write(self, caller: Caller) -> None:
        """Whether a caller may write now; takes one row from its budgets. Raises MAINTENANCE, RATE_LIMITED, BLOCKED."""
        identity = caller.identity
        if identity.is_admin:
            return
        board = self._engine.switches.board
        if not board.is_quiet:
            self._counted(lambda: board.check_write(identity, caller.ip))
        users, addresses = self.users, self.addresses
        if users.rate and identity.user_id is not None and (wait := users.take(identity.user_id)):
            self.refused["user"] += 1
            raise limited(wait)
        if addresses.rate and caller.ip and (wait := addresses.take(caller.ip)):
            self.refused["address"] += 1
            raise limited(wait)

    def account(self, finished: Sequence[Work], changes: Sequence[Change]) -> None:
        """Charge what requests wrote beyond the one row that they were let in for, and count who wrote what."""
        talkers = self.talkers
        for entity, count in Counter([change.entity for change in changes]).items():
            talkers.entities.add(entity, count)
        users: dict[str | None, int] = {}
        addresses: dict[str, int] = {}
        doors: dict[str, int] = {}
        for work in finished:
            count = work.writes
            if not count:
                continue
            caller = work.caller
            identity = caller.identity
            user, ip, door = identity.user_id, caller.ip, caller.door
            users[user] = users.get(user, 0) + count
            addresses[ip] = addresses.get(ip, 0) + count
            doors[door] = doors.get(door, 0) + count
            if count > 1 and not identity.is_admin:
                if identity.user_id is not None:
                    self.users.charge(identity.user_id, count - 1)
                if caller.ip:
                    self.addresses.charge(caller.ip, count - 1)
        for user, count in users.items():
            talkers.users.add(user or ANONYMOUS, count)
            self._engine.usage.add(Meter.WRITES, user, count)
        for ip, count in addresses.items():
            if ip:
                talkers.addresses.add(ip, count)
        for door, count in doors.items():
            if door.startswith("fn:"):
                talkers.functions.add(door[3:], count)

    def pull(self, caller: Caller) -> None:
        """Whether a client may pull now, or polls. Raises RATE_LIMITED."""
        if caller.identity.is_admin or not (wait := self.pulls.wait(caller.principal)):
            return
        self.refused["poll"] += 1
        self.talkers.pollers.add(caller.principal)
        error = limited(wait)
        raise PylonError(
            error.code,
            "Polling: changes are pushed over WebSocket or SSE as they happen.",
            hint="Connect to /api/sync/ws, and pull once after connecting.",
            headers=error.headers,
            extra=error.extra,
        )

    def pulled(self, caller: Caller) -> None:
        """A pull brought its client up to date; those that have more to fetch count for nothing."""
        if not caller.identity.is_admin:
            self.pulls.charge(caller.principal, 1.0)

    def published(self, caller: Caller) -> None:
        """The app's code told others something in a call of this caller: that is never refused, and counts."""
        if not caller.identity.is_admin:
            self.publishes.charge(caller.principal, 1.0)

    def publish(self, caller: Caller) -> None:
        """Whether a caller may tell others something that is not stored. What stops sync or his writes stops this too.
        Raises MAINTENANCE, RATE_LIMITED, BLOCKED."""
        identity = caller.identity
        if identity.is_admin:
            return
        board = self.board
        if not board.is_quiet:
            self._counted(lambda: board.check_write(identity, caller.ip))
            self._counted(lambda: board.check_sync(identity))
        if wait := self.publishes.take(caller.principal):
            self.refused["publish"] += 1
            raise limited(wait, "Too many messages to rooms. Retry when Retry-After says.")

    def may_read(self, caller: Caller, plan: EntityPlan) -> None:
        """Whether an entity's rows may be shown. Raises MAINTENANCE."""
        board = self._engine.switches.board
        if not board.is_quiet:
            board.check_entity(plan.name, caller.identity, writing=False)

    def shown(self, caller: Caller, plan: EntityPlan, row_ids: bytes | Sequence[str]) -> None:
        """Rows were shown. Raises AUDIT_UNAVAILABLE."""
        if plan.spec.audit_reads:
            self._engine.audit.shown(caller, plan.name, row_ids)

    def _counted(self, check: Callable[[], None]) -> None:
        try:
            check()
        except PylonError:
            self.refused["switch"] += 1
            raise


class Viewer:
    """One caller's reads inside a function: each entity is asked for, each row shown is recorded where that is asked
    for."""

    __slots__ = ("_caller", "_gate")

    def __init__(self, gate: Gate, caller: Caller) -> None:
        self._gate = gate
        self._caller = caller

    def may_read(self, plan: EntityPlan) -> None:
        """Raises MAINTENANCE."""
        self._gate.may_read(self._caller, plan)

    def shown(self, plan: EntityPlan, rows: Sequence[Any]) -> None:
        """These rows were read. Raises AUDIT_UNAVAILABLE."""
        if plan.spec.audit_reads and rows:
            self._gate.shown(self._caller, plan, [row.id for row in rows])


def limited(wait: float, message: str = "Too many writes. Retry when Retry-After says.") -> PylonError:
    """RATE_LIMITED with a jittered Retry-After in whole seconds."""
    seconds = spread(wait)
    return PylonError(
        "RATE_LIMITED",
        message,
        headers={"Retry-After": str(seconds)},
        extra={"retry_after_secs": seconds},
    )
