"""What fan-out has done, in plain numbers that metrics read."""

from __future__ import annotations

from pylon.signals.talkers import Talkers

RATE_SECONDS = 10.0
"""Half-life of the broadcast rates."""


class Statistics:
    """Counts of one hub. `coalesced` are deliveries spared because a newer state of their row replaced them; `rates`
    are broadcasts a second by entity."""

    __slots__ = ("broadcasts", "coalesced", "deliveries", "errors", "events", "rates", "subscribers")

    def __init__(self) -> None:
        self.subscribers = self.events = self.deliveries = self.errors = self.coalesced = 0
        self.broadcasts: dict[str, int] = {}
        self.rates = Talkers(RATE_SECONDS)

    def count(self, broadcasts: dict[str, int]) -> None:
        """Count the changes that one batch brought, by entity."""
        for entity, number in broadcasts.items():
            self.events += number
            self.broadcasts[entity] = self.broadcasts.get(entity, 0) + number
            self.rates.add(entity, number)
