"""One real server for all tests of this room."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pylon.testing.process import ServerProcess

APP = """
from datetime import datetime
from typing import Literal

from pylon import App, Context, Entity, Id, Json, field, index

app = App("web")


class Post(Entity, crdt=False):
    title: str
    n: int | None = None
    price: float | None = None
    done: bool = False
    tags: Json | None = None
    slug: str | None = field(unique=True)
    state: Literal["draft", "live"] | None = None
    at: datetime | None = None
    secret: str | None = field(server_only=True)

    class Policy:
        allow = "true"


class Own(Entity, crdt=False):
    title: str
    owner: Id["User"] = field(owner=True)

    class Policy:
        allow = "auth.userId == data.owner"


class Closed(Entity, crdt=False):
    title: str


class User(Entity, crdt=False):
    name: str
    passwordHash: str | None = field(server_only=True)

    class Policy:
        read = "true"


@app.mutation(auth="public")
def add(ctx: Context, title: str) -> str:
    return ctx.db.insert(Post, title=title).id


@app.query(auth="public")
def total(ctx: Context) -> int:
    return ctx.db.count(Post)


@app.action(auth="public")
async def words(ctx: Context, text: str):
    for word in text.split():
        yield word
    ctx.result = len(text.split())
"""


@pytest.fixture(scope="session")
def app_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web-app")
    (folder / "app.py").write_text(APP)
    site = folder / "web"
    (site / "sub").mkdir(parents=True)
    (site / "index.html").write_text("<h1>home</h1>")
    (site / "sub" / "x.js").write_text("export {}")
    (site / ".hidden").write_text("no")
    (folder / "secret.txt").write_text("no")
    return folder


@pytest.fixture(scope="session")
def server(app_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(app_folder / "app.py", tmp_path_factory.mktemp("web") / "data") as process:
        yield process


@pytest.fixture(scope="session")
def production(app_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    env = {
        "PYLON_DEV_MODE": "0",
        "PYLON_CORS_ORIGIN": "https://app.example.com",
        "PYLON_HTTP_BODY_MAX_BYTES": "2000",
        "PYLON_METRICS_TOKEN": "metrics-token-0123456789",
        "PYLON_TRUST_PROXY_HOPS": "1",
    }
    with ServerProcess(app_folder / "app.py", tmp_path_factory.mktemp("production") / "data", env=env) as process:
        yield process
