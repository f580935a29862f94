"""What is used, by day and month, in total and by user; and budgets, which warn before they are spent and may stop.

Counting is an addition in memory; every two seconds the sums join the table in one commit, so that at most that much is
lost with the process. Users beyond the bound of one interval are counted together.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pylon.engine.caller import SYSTEM
from pylon.engine.transaction import Authority

if TYPE_CHECKING:
    from pylon.engine.engine import Engine

FLUSH_SECONDS = 2.0
USERS = 10_000
"""Users counted by name in one interval."""

OTHERS = "(others)"
ANONYMOUS = "anonymous"
_USER_DAYS = 62


class Meter(enum.StrEnum):
    """What is counted. Storage is not added up but measured: its amount is the growth."""

    REQUESTS = "requests"
    WRITES = "writes"
    DELIVERIES = "deliveries"
    EGRESS = "egress_bytes"
    STORAGE = "storage_bytes"
    MAIL = "mail"
    LLM_TOKENS = "llm_tokens"


class Usage:
    """The meters of one engine. Adding may happen on any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._amounts: dict[Meter, dict[str, int]] = {}
        self._requests: dict[str, int] = {}
        self._egress: dict[str, int] = {}
        self._begin()
        self._stored_bytes: int | None = None
        self._sources: list[Callable[[], None]] = []

    def _begin(self) -> dict[Meter, dict[str, int]]:
        """Count anew; what was counted so far."""
        taken, self._amounts = self._amounts, {meter: {} for meter in Meter}
        self._requests, self._egress = self._amounts[Meter.REQUESTS], self._amounts[Meter.EGRESS]
        return taken

    def answered(self, user: str | None, size: int) -> None:
        """Count a request and the bytes of its answer: what `add` does, on the path of every request."""
        name = user or ANONYMOUS
        held = self._requests.get(name)
        if held is None:
            self.add(Meter.REQUESTS, user)
            self.add(Meter.EGRESS, user, size)
            return
        self._requests[name] = held + 1
        self._egress[name] = self._egress.get(name, 0) + size

    def add(self, meter: Meter, user: str | None, amount: int = 1) -> None:
        """Count."""
        amounts = self._amounts[meter]
        name = user or ANONYMOUS
        held = amounts.get(name)
        if held is None and len(amounts) >= USERS:
            name, held = OTHERS, amounts.get(OTHERS)
        amounts[name] = (held or 0) + amount

    def before_flush(self, callback: Callable[[], None]) -> None:
        """Call back before the sums are stored, for rooms that count by themselves and add up then."""
        self._sources.append(callback)

    async def flush(self) -> None:
        """Store what was counted since the last time. What can't be stored is kept."""
        for source in self._sources:
            source()
        self._measure_storage()
        taken = self._begin()
        now = datetime.fromtimestamp(self._engine.clock(), UTC)
        rows = _rows(taken, now)
        if not rows:
            return
        try:
            await self._engine.run(SYSTEM, lambda tx: tx.session.add_usage(rows), authority=Authority.TRUSTED)
        except BaseException:
            for meter, amounts in taken.items():
                for user, amount in amounts.items():
                    self.add(meter, user, amount)
            raise

    async def prune(self) -> None:
        """Drop the days of single users that are long gone."""
        day = datetime.fromtimestamp(self._engine.clock() - _USER_DAYS * 86_400, UTC).strftime("%Y-%m-%d")
        await self._engine.run(SYSTEM, lambda tx: tx.session.prune_usage(day), authority=Authority.TRUSTED)

    def _measure_storage(self) -> None:
        stored = self._engine.store.used_bytes()
        if self._stored_bytes is not None and stored > self._stored_bytes:
            self.add(Meter.STORAGE, None, stored - self._stored_bytes)
        self._stored_bytes = stored


def periods(now: datetime) -> tuple[str, str]:
    """The day and the month that a time belongs to."""
    return now.strftime("%Y-%m-%d"), now.strftime("%Y-%m")


def _rows(taken: dict[Meter, dict[str, int]], now: datetime) -> list[tuple[str, str, str, int]]:
    rows = []
    for meter, amounts in taken.items():
        if not amounts:
            continue
        total = sum(amounts.values())
        for period in periods(now):
            rows.append((period, meter.value, "", total))
            rows += [(period, meter.value, user, amount) for user, amount in amounts.items()]
    return rows
