"""The app whose whole API is tried: every kind of field, open and owned rows, and functions of each kind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal, TypedDict

import msgspec

from pylon import App, Context, Entity, Id, Json, RichText, field

app = App("contract")


class Note(Entity):
    title: str = field(max_length=80)
    body: RichText = ""
    count: int | None = None
    price: float | None = field(min=0)
    done: bool = False
    at: datetime | None = None
    size: Literal["small", "large"] = "small"
    data: Json | None = None
    code: str | None = field(unique=True)
    owner: Id[User] = field(owner=True)
    hidden: str | None = field(server_only=True)

    class Policy:
        read = "true"
        insert = update = delete = "auth.userId == data.owner || auth.isAdmin"


class User(Entity, crdt=False):
    name: str
    email: str | None = None

    class Policy:
        read = "auth.userId == data.id"


class Line(msgspec.Struct):
    text: str
    number: int = 0


class Told(TypedDict, total=False):
    note: str


@app.query(auth="public")
def notes(ctx: Context, size: Literal["small", "large"] = "small", since: datetime | None = None) -> list[Note]:
    """Notes of a size."""
    return list(ctx.db.query(Note, size=size, limit=5))


@app.mutation
def write(ctx: Context, lines: list[Line], told: Told | None = None) -> Note:
    """Make a note of some lines."""
    return ctx.db.insert(Note, title=" ".join(line.text for line in lines)[:80])


@app.action(auth="guest")
async def count(ctx: Context, number: int = 3) -> AsyncIterator[int]:
    """Count."""
    for step in range(min(max(number, 0), 5)):
        yield step
