"""Budgets: an amount of a meter per day or month, for all together or for each user.

At 50, 80 and 95 % they warn, once each period; a hard one, when it is spent, turns a kill-switch on until the period
ends. What functions spend is compared at once, everything else every few seconds.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

import msgspec

from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.limits.switch import Blocks, Scope
from pylon.engine.limits.usage import ANONYMOUS, OTHERS, USERS, Meter, periods
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.store.protocol import ReadSession

if TYPE_CHECKING:
    from pylon.engine.engine import Engine

log = Log("pylon.budget")

KIND = "budget"
BY = "budget"
SHARES = (0.5, 0.8, 0.95, 1.0)
_USERS_CHECKED = 1000
_READ_SECONDS = 5.0
_STOPPED = {
    Meter.REQUESTS: (Scope.SERVER, Blocks.ALL),
    Meter.WRITES: (Scope.READ_ONLY, Blocks.WRITES),
    Meter.DELIVERIES: (Scope.SYNC, Blocks.ALL),
    Meter.EGRESS: (Scope.SERVER, Blocks.ALL),
    Meter.STORAGE: (Scope.READ_ONLY, Blocks.WRITES),
}
"""What a hard budget for all together turns off. Mail and LLM tokens have no door to close: `ctx.spend` refuses."""


class Budget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`limit` of a meter `per` period, for all `of` us or for `each` user. `hard` stops at the limit."""

    meter: Meter
    limit: int
    per: Literal["day", "month"] = "month"
    of: Literal["all", "each"] = "all"
    hard: bool = False

    @property
    def key(self) -> str:
        """What it is stored under: one for each meter, period and kind of owner."""
        return f"{self.meter.value}:{self.per}:{self.of}"


class State(msgspec.Struct, frozen=True):
    """How a budget stands: the most that one owner used of it, and who that is ("" for all together)."""

    budget: Budget
    period: str
    used: int
    share: float
    who: str = ""


class Budgets:
    """The budgets of one engine. Use on its loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._raw: list[tuple[str, bytes]] = []
        self._budgets: dict[str, Budget] = {}
        self._told: dict[tuple[str, str, str], float] = {}
        self._hard: dict[Meter, list[Budget]] = {}
        self._used: dict[tuple[str, str], int] = {}
        self._storing: dict[tuple[Meter, str], int] = {}
        self._unstored: dict[tuple[Meter, str], int] = {}
        engine.usage.before_flush(self._begin)
        self.states: list[State] = []

    def all(self) -> list[Budget]:
        """Every budget."""
        return list(self._budgets.values())

    def refresh(self) -> None:
        """Take up what changed in the store."""
        raw = self._engine.reads.records(KIND)
        if raw != self._raw:
            self._raw = raw
            self._budgets = {key: msgspec.json.decode(record, type=Budget) for key, record in raw}
            self._hard = {}
            for budget in self._budgets.values():
                if budget.hard:
                    self._hard.setdefault(budget.meter, []).append(budget)

    async def put(self, caller: Caller, budget: Budget) -> None:
        """Set a budget, durably and recorded. Raises INVALID_DATA."""
        if budget.limit < 1:
            raise PylonError("INVALID_DATA", "limit is at least 1")

        def store(transaction: Transaction) -> None:
            transaction.session.put_record(KIND, budget.key, msgspec.json.encode(budget))
            transaction.note("budget.put", budget.key, limit=budget.limit, hard=budget.hard)

        await self._engine.run(caller, store, authority=Authority.TRUSTED)
        self._told = {told: share for told, share in self._told.items() if told[0] != budget.key}
        self.refresh()
        await self.look()

    async def delete(self, caller: Caller, key: str) -> None:
        """Forget a budget. Raises NOT_FOUND."""

        def forget(transaction: Transaction) -> None:
            if not transaction.session.delete_record(KIND, key):
                raise PylonError("NOT_FOUND", "No such budget")
            transaction.note("budget.delete", key)

        await self._engine.run(caller, forget, authority=Authority.TRUSTED)
        self.refresh()

    def spend(self, meter: Meter, user: str | None, amount: int) -> None:
        """Count what a function uses. Any thread may. Raises BUDGET_EXCEEDED once a hard budget of it is spent,
        INVALID_DATA for less than nothing."""
        if amount < 0:
            raise PylonError("INVALID_DATA", "what is spent is never less than nothing")
        for budget in self._hard.get(meter, ()):
            owner = "" if budget.of == "all" else user
            if owner is not None and self._so_far(budget, owner) >= budget.limit:
                raise PylonError("BUDGET_EXCEEDED", f"The budget for {meter.value} is spent")
        self._engine.usage.add(meter, user, amount)
        if meter in self._hard:
            for owner in ("", user):
                if owner is not None and (len(self._unstored) < USERS or (meter, owner) in self._unstored):
                    self._unstored[meter, owner] = self._unstored.get((meter, owner), 0) + amount

    def _so_far(self, budget: Budget, owner: str) -> int:
        spender = (budget.meter, owner)
        stored = self._used.get((budget.key, owner), 0)
        return stored + self._storing.get(spender, 0) + self._unstored.get(spender, 0)

    def _begin(self) -> None:
        """What was counted so far is being stored: the next look finds it."""
        taken, self._unstored = self._unstored, {}
        for spender, amount in list(taken.items()):  # a thread that spends may still hold it
            self._storing[spender] = self._storing.get(spender, 0) + amount

    async def look(self) -> None:
        """Compare with what was used; warn, and stop what is spent."""
        budgets = self.all()
        if not budgets:
            self.states, self._used, self._storing = [], {}, {}
            return
        day, month = periods(self._engine.now())
        states: list[State] = []
        known: dict[tuple[str, str], int] = {}
        for budget in budgets:
            period = day if budget.per == "day" else month
            used = await self._engine.reads.run(lambda s, b=budget, p=period: _used(s, b, p), _READ_SECONDS)  # type: ignore[misc]
            for who, amount in used:
                share = amount / budget.limit
                known[budget.key, who] = amount
                await self._tell(budget, period, who, amount, share)
            who, amount = used[0] if used else ("", 0)
            states.append(State(budget, period, amount, amount / budget.limit, who))
        self.states, self._used, self._storing = states, known, {}

    async def _tell(self, budget: Budget, period: str, who: str, amount: int, share: float) -> None:
        reached = max((s for s in SHARES if share >= s), default=0.0)
        told = (budget.key, period, who)
        if reached <= self._told.get(told, 0.0):
            return
        if len(self._told) > _USERS_CHECKED * 10:
            self._told = {key: value for key, value in self._told.items() if key[1] == period}
        self._told[told] = reached
        percent = int(reached * 100)
        log.warning("budget used", budget=budget.key, percent=percent, used=amount, limit=budget.limit, user=who)
        await self._engine.audit.note(
            SYSTEM, "budget.reached", budget.key, percent=percent, used=amount, limit=budget.limit, user=who
        )
        if reached >= 1.0 and budget.hard:
            await self._stop(budget, period, who)

    async def _stop(self, budget: Budget, period: str, who: str) -> None:
        until = period_end(period).timestamp() - self._engine.clock()
        reason = f"the budget for {budget.meter.value} of this {budget.per} is spent"
        if who:
            blocks = Blocks.ALL if budget.meter is Meter.REQUESTS else Blocks.WRITES
            scope, target = Scope.USER, who
        else:
            stopped = _STOPPED.get(budget.meter)
            if stopped is None:
                return
            (scope, blocks), target = stopped, ""
        await self._engine.switches.turn_on(
            SYSTEM, scope, target, blocks=blocks, reason=reason, expires_in=max(until, 1.0), retry_after=3600, by=BY
        )


def period_end(period: str) -> datetime:
    """When a day ("2026-11-23") or month ("2026-11") is over."""
    if len(period) == 10:
        return datetime.strptime(period, "%Y-%m-%d").replace(tzinfo=UTC) + timedelta(days=1)
    first = datetime.strptime(period, "%Y-%m").replace(tzinfo=UTC)
    return (first + timedelta(days=32)).replace(day=1)


def _used(session: ReadSession, budget: Budget, period: str) -> list[tuple[str, int]]:
    """(owner, amount), the most first."""
    if budget.of == "all":
        return [("", session.usage_totals(period).get(budget.meter.value, 0))]
    top = session.usage_top(period, budget.meter.value, _USERS_CHECKED)
    return [(user, amount) for user, amount in top if user not in (ANONYMOUS, OTHERS)]
