"""What the tests of pylon.js need of an app."""

from collections.abc import AsyncIterator
from datetime import datetime

from pylon import App, Context, Entity, field
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


@app.mutation
def add(ctx: Context, title: str) -> Todo:
    return ctx.db.insert(Todo, title=title)


@app.action
async def poem(ctx: Context, fail: bool = False) -> AsyncIterator[str | Event]:
    yield "ein Weg, ü"
    yield Event("progress", {"p": 1})
    yield "two\nlines"
    if fail:
        raise ctx.error("BOOM", "no more words")
    ctx.result = {"ok": True}
