"""The app and the server that the clients of both generations are run against."""

from __future__ import annotations

from typing import Any

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

APP = """
from pylon import App, Context, Entity, Id, RichText, field

app = App("checklist")


class Todo(Entity, crdt=False):
    title: str
    done: bool = False
    n: int | None = None

    class Policy:
        allow = "true"


class Priv(Entity, crdt=False):
    text: str
    owner: Id["User"] | None = field(owner=True)

    class Policy:
        read = "auth.userId == data.owner"
        insert = update = delete = "auth.userId != null"


class Note(Entity):
    body: RichText = ""

    class Policy:
        allow = "true"


class Sheet(Entity, sync_scope="data.open == true"):
    body: RichText = ""
    open: bool = True
    notes: str | None = field(sync_omit=True)

    class Policy:
        allow = "true"


class Shelf(Entity, crdt=False, sync_scope="data.open == true", sync_limit=2):
    title: str
    open: bool = True
    notes: str | None = field(sync_omit=True)

    class Policy:
        allow = "true"


class Home(Entity, crdt=False, sync=False):
    title: str

    class Policy:
        allow = "true"


@app.query(auth="public")
def titles(ctx: Context) -> list[str]:
    return [row.title for row in ctx.db.query(Todo, limit=5)]


@app.query
def mine(ctx: Context) -> list[str]:
    return [row.text for row in ctx.db.query(Priv, owner=ctx.auth.user_id)]


@app.mutation
def whoami(ctx: Context) -> str:
    return ctx.auth.user_id
"""


def put(server: ServerProcess, title: str, entity: str = "Todo", **data: Any) -> str:
    """Insert a row as an admin; its id."""
    status, made = server.request("POST", f"/api/entities/{entity}", {"title": title, **data}, token=ADMIN_TOKEN)
    assert status == 201, made
    row_id: str = made["id"]
    return row_id


def head(server: ServerProcess) -> int:
    """The newest seq."""
    answer = server.request("GET", "/api/sync/pull?since=0&limit=0")[1]
    seq: int = answer["cursor"]["last_seq"]
    return seq
