"""What must hold, kept beside the product and never asked of it: the rows, who may read them, and what was answered."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from pylon.model.change import Change
from tests.simulation.app import Teams, is_followed, may_read
from tests.simulation.network import Row
from tests.simulation.world import World

WINDOW_SECONDS = 1.0
"""How old a membership may be that an event was let through by: events are decided and sent within milliseconds."""


class Oracle:
    """Told of every commit, every answer and every row that any client is shown."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.rows: dict[tuple[str, str], Row] = {}
        self.seq = 0
        self.events = Counter[str]()
        self.deletes = Counter[str]()
        self.memberships: list[tuple[float, Teams]] = [(0.0, frozenset())]
        self.acknowledged: list[dict[str, Any]] = []
        self.unknown_bumps = Counter[str]()
        self.bumps = Counter[str]()

    # -- what happens --------------------------------------------------------------------------------------------

    def committed(self, changes: list[Change]) -> None:
        """A commit, in order: the ack and the order laws."""
        for change in changes:
            assert change.seq > self.seq, f"seq {change.seq} after {self.seq}"
            self.seq = change.seq
            row = msgspec.json.decode(change.data)
            key = change.entity, change.row_id
            if change.kind == "delete":
                del self.rows[key]
                self.deletes[change.row_id] += 1
            else:
                self.rows[key] = row
                if change.kind == "insert" or "mark" in change.fields:
                    self.events[row["mark"]] += 1
        teams = frozenset((row["team"], row["user"]) for (entity, _), row in self.rows.items() if entity == "Member")
        if teams != self.memberships[-1][1]:
            self.memberships.append((self._world.time(), teams))

    def saw(self, user: str | None, event: Row, since: float, until: float) -> None:
        """The deny law: a client was sent this, by a decision between these moments."""
        row = event.get("data")
        if row is None:
            return
        for teams in self._teams_between(since, until):
            if may_read(user, event["entity"], row, teams):
                return
        raise AssertionError(f"{user} was shown {event}, which it may not read")

    def _teams_between(self, since: float, until: float) -> list[Teams]:
        held = []
        for i, (at, teams) in enumerate(self.memberships):
            ends = self.memberships[i + 1][0] if i + 1 < len(self.memberships) else float("inf")
            if at <= until and ends >= since:
                held.append(teams)
        return held

    # -- what holds in the end -----------------------------------------------------------------------------------

    def readable(self, user: str | None, *, follows_all: bool) -> dict[tuple[str, str], Row]:
        """What a fresh query would show this user, of what its client follows."""
        teams = self.memberships[-1][1]
        return {
            key: row
            for key, row in self.rows.items()
            if may_read(user, key[0], row, teams) and (follows_all or is_followed(key[0], row))
        }

    def check_answers(self) -> None:
        """Every acknowledged write happened exactly once, and no other more than once."""
        for mark, count in self.events.items():
            assert count == 1, f"{mark} was written {count} times"
        for change in self.acknowledged:
            if change["kind"] == "delete":
                assert self.deletes[change["row_id"]] == 1, f"{change} is acknowledged"
            else:
                assert self.events[change["data"]["mark"]] == 1, f"{change} is acknowledged"
        for (entity, row_id), row in self.rows.items():
            if entity == "Open":
                least = self.bumps[row_id]
                assert least <= row["n"] <= least + self.unknown_bumps[row_id], (row, least)
