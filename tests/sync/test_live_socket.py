"""Live queries through a real server's sockets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

APP = """
from pylon import App, Context, Entity, Id, field

app = App("live-queries")


class Todo(Entity, crdt=False):
    title: str
    owner: Id["User"] = field(owner=True)

    class Policy:
        allow = "auth.userId == data.owner"


@app.query
def mine(ctx: Context) -> list[Todo]:
    return ctx.db.query(Todo, owner=ctx.auth.user_id, order="title")


@app.mutation
def add(ctx: Context, title: str) -> Todo:
    return ctx.db.insert(Todo, title=title, owner=ctx.auth.user_id)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("live-queries")
    (folder / "app.py").write_text(APP)
    with ServerProcess(folder / "app.py", folder / "data") as process:
        yield process


def opened(server: ServerProcess, token: str, port: int = 0) -> ClientConnection:
    headers = {"Authorization": f"Bearer {token}"}
    return connect(f"ws://127.0.0.1:{server.port + port}/", proxy=None, compression=None, additional_headers=headers)


def subscribe(connection: ClientConnection, sub_id: str, name: str) -> None:
    connection.send(json.dumps({"type": "reactive-subscribe", "sub_id": sub_id, "fn_name": name, "args": {}}))


def frame(connection: ClientConnection) -> dict[str, Any]:
    """The next frame that is not a change event."""
    while True:
        found: dict[str, Any] = json.loads(connection.recv(timeout=5))
        if "seq" not in found:
            return found


def titles(connection: ClientConnection) -> list[str]:
    found = frame(connection)
    assert found["type"] == "reactive-result", found
    return [row["title"] for row in found["result"]]


@pytest.mark.parametrize("port", [0, 1])
def test_a_write_by_any_door_reaches_whoever_watches(server: ServerProcess, port: int) -> None:
    token, other = server.token_of(f"alice{port}"), server.token_of(f"bob{port}")
    with opened(server, token, port) as connection, opened(server, other, port) as stranger:
        for socket in (connection, stranger):
            subscribe(socket, "s1", "mine")
            assert titles(socket) == []
        assert server.request("POST", "/api/entities/Todo", {"title": "a"}, token=token)[0] == 201
        assert titles(connection) == ["a"]
        assert server.request("POST", "/api/fn/add", {"title": "b"}, token=token)[0] == 200
        assert titles(connection) == ["a", "b"]
        assert server.request("POST", "/api/fn/add", {"title": "c"}, token=other)[0] == 200
        assert titles(stranger) == ["c"]  # and of the others it was told nothing


def test_a_mutation_cannot_be_watched(server: ServerProcess) -> None:
    with opened(server, server.token_of("carol")) as connection:
        subscribe(connection, "s1", "add")
        refused = frame(connection)
        assert (refused["type"], refused["code"]) == ("reactive-error", "FN_TYPE_MISMATCH")


def test_the_metrics_tell_of_live_queries(server: ServerProcess) -> None:
    with opened(server, server.token_of("dave")) as connection:
        subscribe(connection, "s1", "mine")
        assert titles(connection) == []
        _, text = server.request("GET", "/metrics", headers={"Accept": "text/plain"}, token=ADMIN_TOKEN)
        assert "pylon_live_subscriptions 1" in str(text)
