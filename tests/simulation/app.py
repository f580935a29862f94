"""What the simulated clients share, with a policy of each kind; and who may read what, once more by hand."""

from __future__ import annotations

from typing import Any

from pylon import App, Context, Entity, Id

app = App("simulation")


class Open(Entity, crdt=False):
    """Everybody signed in reads and writes these: a policy that does not read the row."""

    mark: str
    n: int = 0

    class Policy:
        allow = "auth.userId != null"


class Own(Entity, crdt=False):
    """Decided by equality; an owner may give a row away."""

    mark: str
    owner: str

    class Policy:
        allow = "auth.userId == data.owner"


class Draft(Entity, crdt=False):
    """Decided by evaluating; rows come into view and leave it."""

    mark: str
    status: str
    owner: str

    class Policy:
        read = "data.status == 'live' || auth.userId == data.owner"
        insert = update = delete = "auth.userId == data.owner"


class Member(Entity, crdt=False):
    """Who is in which team; an admin's."""

    mark: str
    team: str
    user: str

    class Policy:
        read = "true"
        insert = update = delete = "auth.isAdmin"


class Task(Entity, crdt=False):
    """Decided by looking at another entity."""

    mark: str
    team: str

    class Policy:
        allow = "exists(Member where team == data.team and user == auth.userId)"


class User(Entity, crdt=False):
    """Nobody needs to read these here."""

    name: str


@app.mutation
def bump(ctx: Context, row: Id[Open]) -> int:
    """Not idempotent: each run counts."""
    found = ctx.db.get(Open, row)
    if found is None:
        raise ctx.error("NOT_FOUND", "no such row")
    return ctx.db.update(Open, row, n=found.n + 1).n


USERS = ("ada", "ben", "cyd", "dan")
TEAMS = ("red", "blue")
ENTITIES = ("Open", "Own", "Draft", "Member", "Task")

SCOPE: dict[str, dict[str, str]] = {"Open": {}, "Draft": {"status": "live"}}
"""What a client follows that does not want everything."""

Teams = frozenset[tuple[str, str]]
"""(team, user) of every membership at one moment."""


def is_followed(entity: str, row: dict[str, Any]) -> bool:
    """Whether a row is in that scope."""
    return entity in SCOPE and all(row[name] == value for name, value in SCOPE[entity].items())


def may_read(user: str | None, entity: str, row: dict[str, Any], teams: Teams) -> bool:
    """The read policies above, by hand."""
    if entity == "Open":
        return user is not None
    if entity == "Own":
        return user == row["owner"]
    if entity == "Draft":
        return row["status"] == "live" or user == row["owner"]
    if entity == "Member":
        return True
    return (row["team"], user) in teams
