"""What the tests of pylon.js need of an app."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from pylon import App, Context, Entity, RichText, field
from pylon.compute.streams import Event

app = App("pylon-js-tests")


class Todo(Entity):
    title: str
    done: bool = False
    created: datetime = field(default="now")

    class Policy:
        allow = "true"


class Private(Entity):
    text: str
    holder: str

    class Policy:
        read = "auth.userId == data.holder"
        insert = update = delete = "auth.userId != null"


class Note(Entity):
    title: str
    body: RichText = ""
    locked: bool = False

    class Policy:
        read = insert = delete = "true"
        update = "!data.locked"


@app.mutation(auth="guest")
def add(ctx: Context, title: str) -> Todo:
    return ctx.db.insert(Todo, title=title)


@app.action
async def send_out(ctx: Context, room: str, user: str) -> None:
    ctx.rooms.kick(room, user)
    ctx.rooms.broadcast(room, "gone", user)


@dataclass
class Counts:
    done: int
    open: int
    oldest: Todo | None


@app.query(auth="public")
def counts(ctx: Context, prefix: str = "") -> Counts:
    rows = [todo for todo in ctx.db.query(Todo, order="created") if todo.title.startswith(prefix)]
    done = sum(todo.done for todo in rows)
    return Counts(done, len(rows) - done, rows[0] if rows else None)


@app.action
async def poem(ctx: Context, fail: bool = False) -> AsyncIterator[str | Event]:
    yield "ein Weg, ü"
    yield Event("progress", {"p": 1})
    yield "two\nlines"
    if fail:
        raise ctx.error("BOOM", "no more words")
    ctx.result = {"ok": True}
