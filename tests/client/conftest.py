"""One real server for all tests of the client."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from pylon.client import Backoff
from pylon.testing.process import ServerProcess

APP = """
from datetime import datetime
from typing import Literal

from pylon import App, Context, Entity, Event, Id, field

app = App("client")


class Todo(Entity, crdt=False):
    title: str
    n: int | None = None
    done: bool = False

    class Policy:
        allow = "true"


class Own(Entity, crdt=False):
    title: str
    author: Id["User"] = field(owner=True, name="authorId")
    state: Literal["draft", "live"] = "draft"
    at: datetime | None = None

    class Policy:
        allow = "auth.userId == data.authorId"


class Wall(Entity, crdt=False):
    title: str

    class Policy:
        read = "true"
        insert = "data.title != 'bad'"
        update = "new.title != 'bad'"


@app.mutation(auth="public")
def add(ctx: Context, title: str, n: int = 1) -> Todo:
    return ctx.db.insert(Todo, title=title, n=n)


@app.query(auth="public")
def todos(ctx: Context) -> list[Todo]:
    return ctx.db.query(Todo, order="title")


@app.mutation(auth="public")
def refuse(ctx: Context):
    raise ctx.error("TOO_LATE", "the shop is closed", status=409, hint="Come tomorrow.")


@app.action(auth="public")
async def words(ctx: Context, text: str):
    for word in text.split():
        yield word
    yield Event("progress", {"percent": 100})
    ctx.result = len(text.split())


@app.action(auth="public")
async def breaks(ctx: Context):
    yield "one"
    raise ctx.error("TOO_LATE", "the shop is closed")
"""

QUICK = Backoff(first=0.02, most=0.2, stable=1.0, random=Random(7))


@pytest.fixture(scope="session")
def app_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("client-app") / "app.py"
    path.write_text(APP)
    return path


@pytest.fixture(scope="session")
def server(app_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(app_file, tmp_path_factory.mktemp("client") / "data") as process:
        yield process
