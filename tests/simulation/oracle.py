"""What must hold, kept beside the product and never asked of it: the rows, who may read them, and what was answered."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from pylon.model.change import Change
from tests.simulation.app import STORIES, Teams, is_followed, may_read
from tests.simulation.network import Row
from tests.simulation.world import World

WINDOW_SECONDS = 1.0
"""How old a membership may be that an event was let through by: events are decided and sent within milliseconds."""

Rows = dict[tuple[str, str], Row]


class Oracle:
    """Told of every commit, every answer and every row that any client is shown."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.rows: Rows = {}
        self.seq = 0
        self.written_at: dict[tuple[str, str], int] = {}
        self.ever_open: set[str] = set()
        self.events = Counter[str]()
        self.deletes = Counter[str]()
        self.memberships: list[tuple[float, Teams]] = [(0.0, frozenset())]
        self.acknowledged: list[dict[str, Any]] = []
        self.unknown_bumps = Counter[str]()
        self.bumps = Counter[str]()
        self.edits: list[tuple[str, str]] = []
        self.acknowledged_edits: set[str] = set()

    # -- what happens --------------------------------------------------------------------------------------------

    def committed(self, changes: list[Change]) -> None:
        """A commit, in order: the ack and the order laws."""
        for change in changes:
            assert change.seq > self.seq, f"seq {change.seq} after {self.seq}"
            self.seq = change.seq
            row = msgspec.json.decode(change.data)
            key = change.entity, change.row_id
            self.written_at[key] = change.seq
            if change.kind == "delete":
                del self.rows[key]
                self.deletes[change.row_id] += 1
            else:
                self.rows[key] = row
                if change.kind == "insert" or "mark" in change.fields:
                    self.events[row["mark"]] += 1
                if change.entity == "Story" and row["shelf"] == "open":
                    self.ever_open.add(change.row_id)
        teams = frozenset((row["team"], row["user"]) for (entity, _), row in self.rows.items() if entity == "Member")
        if teams != self.memberships[-1][1]:
            self.memberships.append((self._world.time(), teams))

    def saw(self, user: str | None, event: Row, since: float, until: float) -> None:
        """The deny law: a client was sent this, by a decision between these moments."""
        row = event.get("data")
        if row is None:
            return
        assert "notes" not in row, f"{user} was shown what is omitted: {event}"
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

    def token(self, row_id: str) -> str:
        """A character that nobody wrote before, for an edit of this page."""
        token = chr(0xF0000 + len(self.edits))
        self.edits.append((row_id, token))
        return token

    # -- what holds in the end -----------------------------------------------------------------------------------

    def readable(self, user: str | None, *, follows_all: bool) -> Rows:
        """What a fresh query would show this user, of what its client follows."""
        teams = self.memberships[-1][1]
        return {
            key: {name: value for name, value in row.items() if name != "notes"}
            for key, row in self.rows.items()
            if may_read(user, key[0], row, teams) and (follows_all or is_followed(key[0], row))
        }

    def due(self, user: str | None, held: Rows, base: int, *, follows_all: bool) -> Rows:
        """What a replica that began with a snapshot under the seq `base` must hold, and holds or not: of stories, the
        newest of that snapshot and all that were written since."""
        rows = self.readable(user, follows_all=follows_all)
        still = {key[1] for key in rows if key[0] == "Story" and self.written_at[key] <= base}
        for row_id in still:
            # Between the seq and the reading of the rows other stories may have come and gone: both are right then.
            is_sure = sum(other > row_id for other in self.ever_open) < STORIES
            is_newest = sum(other > row_id for other in still) < STORIES
            if not is_newest or (not is_sure and ("Story", row_id) not in held):
                del rows["Story", row_id]
        return rows

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
        for row_id, token in self.edits:
            page = self.rows.get(("Page", row_id))
            if page is not None:
                count = page["body"].count(token)
                assert count <= 1, f"an edit of {page} is there {count} times"
                assert count or token not in self.acknowledged_edits, f"an acknowledged edit of {page} is lost"
