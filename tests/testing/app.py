"""The app that the testing kit is tried on."""

from __future__ import annotations

from datetime import datetime

from pylon import App, Context, Entity, Id, field

app = App("kit")


class Note(Entity, crdt=False):
    title: str
    author: Id[User] = field(owner=True)
    team: str | None = None
    ends: datetime | None = None

    class Policy:
        read = "auth.userId == data.author || data.team in auth.roles"
        insert = update = delete = "auth.userId == data.author"


class Shared(Entity, crdt=False):
    title: str
    team: str

    class Policy:
        read = "exists(Member where team == data.team and user == auth.userId)"
        insert = "true"


class Member(Entity, crdt=False):
    team: str
    user: str


class Fresh(Entity, crdt=False):
    title: str
    made: datetime = field(default="now")

    class Policy:
        read = "data.made > ago('1h')"
        insert = "true"


class User(Entity, crdt=False):
    name: str


@app.mutation
def rename(ctx: Context, note: Id[Note], title: str) -> str:
    ctx.db.update(Note, note, title=title)
    return title


@app.mutation
def refuse(ctx: Context) -> None:
    raise ctx.error("TOO_LATE", "the shop is closed", status=409, hint="Come tomorrow.")
