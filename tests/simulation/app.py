"""What the simulated clients share, with a policy of each kind; and who may read what, once more by hand."""

from __future__ import annotations

from typing import Any

from pylon import App, Context, Entity, Id, RichText, field

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


class Story(Entity, crdt=False, sync_scope="data.shelf == 'open'", sync_limit=3):
    """Replicated in part: those in the scope, at first the newest of them, and without their notes."""

    mark: str
    shelf: str
    notes: str = field(default="", sync_omit=True)

    class Policy:
        allow = "auth.userId != null"


class Local(Entity, crdt=False, sync=False):
    """Not replicated at all."""

    mark: str

    class Policy:
        allow = "true"


class Page(Entity):
    """Edited together, as a document."""

    mark: str
    owner: str
    shared: bool = False
    body: RichText = ""

    class Policy:
        read = "data.shared == true || auth.userId == data.owner"
        insert = update = delete = "auth.userId != null && (data.shared == true || auth.userId == data.owner)"


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


@app.query
def first_own(ctx: Context, count: int) -> dict[str, Any]:
    """Whoever asks, and the first of their rows: a page of them, by equality."""
    rows = ctx.db.query(Own, owner=ctx.auth.user_id, order="mark", limit=count)
    return {"user": ctx.auth.user_id, "marks": [row.mark for row in rows]}


@app.query
def live_drafts(ctx: Context) -> dict[str, Any]:
    """Whoever asks, and how many drafts are live."""
    return {"user": ctx.auth.user_id, "count": ctx.db.count(Draft, status="live")}


USERS = ("ada", "ben", "cyd", "dan")
TEAMS = ("red", "blue")
ENTITIES = ("Open", "Own", "Draft", "Member", "Task", "Story", "Page")
STORIES = 3
"""The `sync_limit` above."""

SCOPE: dict[str, dict[str, Any]] = {"Open": {}, "Draft": {"status": "live"}, "Story": {}, "Page": {"shared": True}}
"""What a client follows that does not want everything."""

Teams = frozenset[tuple[str, str]]
"""(team, user) of every membership at one moment."""


def is_followed(entity: str, row: dict[str, Any]) -> bool:
    """Whether a row is in that scope."""
    return entity in SCOPE and all(row[name] == value for name, value in SCOPE[entity].items())


def may_read(user: str | None, entity: str, row: dict[str, Any], teams: Teams) -> bool:
    """What replicates to whom, by hand: the policies above, and what the entities declare."""
    if entity == "Open":
        return user is not None
    if entity == "Own":
        return user == row["owner"]
    if entity == "Draft":
        return row["status"] == "live" or user == row["owner"]
    if entity == "Member":
        return True
    if entity == "Story":
        return user is not None and row["shelf"] == "open"
    if entity == "Page":
        return row["shared"] or user == row["owner"]
    if entity == "Local":
        return False
    return (row["team"], user) in teams
