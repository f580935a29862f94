"""Broadcasting an entity slower than it changes, without a gap in anybody's stream.

A client's cursor is the highest seq that it was sent, so an event may not be sent late: whoever got a later one of
another entity first would never ask for it again. What may be left out is an event that the same connection gets a
newer one of, of the same row: wherever the connection is cut, the newer one is still ahead of the cursor. So while an
entity is above its rate, the whole stream of those who see it waits, in seq order, and of each row of the entity only
the newest event leaves (`coalesce`). The wait ends when the rate allows, after MAX_WAIT at the latest, or when as much
waits as may.
"""

from __future__ import annotations

from pylon.model.change import Change
from pylon.sync.events import Event, Key

MAX_WAIT = 1.0
"""Seconds that anything waits at most: a writer waits two for the echo of its write before it pulls."""

MAX_EVENTS = 2000
"""Rows and other events that wait at most; then they leave at once."""


class Throttle:
    """The rates of one hub, and what waits because of them."""

    __slots__ = ("_default", "_free_at", "_max_bytes", "_rates", "_rows", "_since", "bytes", "events")

    def __init__(self, rate: float, max_bytes: int) -> None:
        self._default = rate
        self._max_bytes = max_bytes
        self._rates: dict[str, float] = {}
        self._free_at: dict[str, float] = {}
        self._rows: dict[str, dict[str, int]] = {}
        self._since = 0.0
        self.events = 0
        self.bytes = 0

    @property
    def is_on(self) -> bool:
        """Whether any entity has a rate."""
        return self._default > 0 or bool(self._rates)

    @property
    def rates(self) -> dict[str, float]:
        """The entities with a rate of their own; 0 lifts the one that all others have."""
        return dict(self._rates)

    def limit(self, entity: str, rate: float | None) -> None:
        """Give an entity a rate of its own, in events a second; 0 for none at all, None for that of all others."""
        if rate is None:
            self._rates.pop(entity, None)
        else:
            self._rates[entity] = rate

    def rate(self, entity: str) -> float:
        """The events a second of this entity, 0 for any number."""
        return self._rates.get(entity, self._default)

    def take(self, change: Change, now: float) -> Key | None:
        """Count a change that is about to wait; its key where it is throttled."""
        size = len(change.data)
        if self.rate(change.entity) <= 0:
            if self.events:
                self.events += 1
                self.bytes += size
            return None
        if not self.events:
            self._since = now
        rows = self._rows.setdefault(change.entity, {})
        if (replaced := rows.get(change.row_id)) is None:
            self.events += 1
        else:
            self.bytes -= replaced
        rows[change.row_id] = size
        self.bytes += size
        return change.entity, change.row_id

    def wait(self, now: float) -> float:
        """Seconds until what waits may leave; 0 or less for at once."""
        if not self.events or self.events > MAX_EVENTS or self.bytes > self._max_bytes:
            return 0.0
        due = max(self._free_at.get(entity, now) for entity in self._rows)
        return min(due, self._since + MAX_WAIT) - now

    def left(self, now: float) -> None:
        """What waited has left: as many rows as there were take their share of each entity's rate."""
        for entity, rows in self._rows.items():
            rate = self.rate(entity)
            self._free_at[entity] = now + len(rows) / rate if rate > 0 else now
        self._rows.clear()
        self.events = self.bytes = 0


def coalesce(events: list[Event]) -> list[Event]:
    """These events of one audience without those that a newer one of the same throttled row follows."""
    seen: set[Key] = set()
    kept: list[Event] = []
    for event in reversed(events):
        if event.key is not None:
            if event.key in seen:
                continue
            seen.add(event.key)
        kept.append(event)
    kept.reverse()
    return kept
