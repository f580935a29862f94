"""Live queries that a client follows (spec 02 §9.2): after quiet, the last result is what a call would answer."""

from __future__ import annotations

from typing import Any

from tests.simulation.client import Client
from tests.simulation.network import Row
from tests.simulation.oracle import Oracle

COUNT = 3


class Watcher:
    """One client's results."""

    def __init__(self, client: Client, oracle: Oracle) -> None:
        self.results: dict[str, Any] = {}
        self.client = client
        self._oracle = oracle

    def connected(self) -> None:
        """Subscriptions end with the connection: make them again."""
        self.results.clear()
        for name, arguments in (("first_own", {"count": COUNT}), ("live_drafts", {})):
            self.client.say({"type": "reactive-subscribe", "sub_id": name, "fn_name": name, "args": arguments})

    def applied(self, event: Row) -> None:
        """Changes of rows."""

    def binary(self, payload: bytes) -> None:
        """Documents."""

    def heard(self, message: Row) -> None:
        """A result, or why there is none."""
        if message["type"] == "reactive-result":
            result = message["result"]
            assert result["user"] == self.client.user, f"{self.client.name} was sent {message}"
            assert result != self.results.get(message["sub_id"]), f"{message} is no news to {self.client.name}"
            self.results[message["sub_id"]] = result
        elif message["type"] == "reactive-error":
            self.results[message["sub_id"]] = message["code"]

    def wrong(self) -> str | None:
        """What is not as it must be after quiet, None when all is."""
        user, rows = self.client.user, self._oracle.rows
        own = sorted(row["mark"] for (entity, _), row in rows.items() if entity == "Own" and row["owner"] == user)
        live = sum(entity == "Draft" and row["status"] == "live" for (entity, _), row in rows.items())
        due = {"first_own": {"user": user, "marks": own[:COUNT]}, "live_drafts": {"user": user, "count": live}}
        return None if self.results == due else f"{self.client.name} was told {self.results}, and {due} is true"
