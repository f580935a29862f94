"""The app behind `pylon_client.py`, with names that mean something else in Python."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NotRequired, TypedDict

import msgspec

from pylon import App, Context, Entity, Id, Json, RichText, field

app = App("shelf")


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Book(Entity, crdt=False):
    title: str = field(max_length=80)
    size: Size = Size.SMALL
    stock: int = 0
    price: float | None = None
    is_new: bool = field(default=True, name="isNew")
    from_: str | None = field(name="from")
    datetime_: datetime | None = field(name="datetime")
    tags: Json | None = None
    owner: Id[User] = field(owner=True)
    made: datetime = field(default="now", readonly=True)
    bought_for: float = field(default=0.0, server_only=True)
    notes: str | None = field(sync_omit=True)
    code: str | None = field(encrypted=True, lookup=True)

    class Policy:
        read = "true"
        insert = update = delete = "auth.userId == data.owner"


class User(Entity, crdt=False):
    name: str
    bio: RichText = ""

    class Policy:
        allow = "true"


class Client(Entity, crdt=False):
    """Named as a class of what the file stands on, and as a class of its own."""

    name: str

    class Policy:
        allow = "true"


class query(Entity, crdt=False):  # noqa: N801 - named as a method of the client
    text: str

    class Policy:
        allow = "true"


class Where(TypedDict):
    size: Size
    least: NotRequired[int]


class Line(msgspec.Struct):
    title: str
    count: int = 1
    marks: list[str] = msgspec.field(default_factory=list)


@dataclass
class Report:
    books: list[Book]
    by_size: dict[str, int]
    newest: datetime | None


@app.query(auth="public")
def find(ctx: Context, where: Where, limit: int = 10) -> list[Book]:
    """Books of a size.

    In no order.
    """
    return ctx.db.query(Book, {"size": where["size"], "stock": {"$gte": where.get("least", 0)}}, limit=limit)


@app.query(auth="public")
def report(ctx: Context) -> Report:
    books = ctx.db.query(Book, order="title")
    counts = {size.value: sum(book.size is size for book in books) for size in Size}
    return Report(books, counts, max((book.made for book in books), default=None))


@app.mutation(auth="guest")
def order(ctx: Context, lines: list[Line], self: str = "x", *, note: str | None = None) -> int:
    return sum(line.count for line in lines)


@app.mutation(auth="public")
def forget(ctx: Context, name: Literal["a", "b"] = "a") -> None: ...


@app.action(auth="public")
async def spell(ctx: Context, word: str):
    """Letter by letter."""
    for letter in word:
        yield letter


@app.action(auth="public")
async def anything(ctx: Context, value: Json) -> Json:
    return value


@app.mutation(internal=True)
def inside(ctx: Context) -> None: ...
