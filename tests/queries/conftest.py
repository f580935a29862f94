"""One real server with related entities, each under a policy of its own, and some rows of two users."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

APP = """
from datetime import datetime

from pylon import App, Context, Entity, Id, Json, field, relation

app = App("blog")


class User(Entity, crdt=False):
    name: str
    email: str | None = field(server_only=True)
    relations = [relation("posts", "Post", field="author", many=True)]

    class Policy:
        read = "true"


class Post(Entity, crdt=False):
    title: str
    author: Id["User"]
    editor: Id["User"] | None
    votes: int | None = None
    price: float | None = None
    open: bool = False
    meta: Json | None = None
    at: datetime | None = None
    rating: str | None = field(server_only=True)
    relations = [
        relation("writer", "User", field="author"),
        relation("editor", "User", field="editor"),
        relation("comments", "Comment", field="post", many=True),
        relation("secrets", "Secret", field="post", many=True),
    ]

    class Policy:
        read = "data.open || auth.userId == data.author"


class Comment(Entity, crdt=False, audit_reads=True):
    post: Id["Post"]
    text: str
    author: Id["User"]
    relations = [
        relation("writer", "User", field="author"),
        relation("of", "Post", field="post"),
    ]

    class Policy:
        read = "auth.userId == data.author || exists(Post where id == data.post and author == auth.userId)"


class Secret(Entity, crdt=False):
    post: Id["Post"]

    class Policy:
        read = "auth.isAdmin"
"""


class Blog:
    """The server, and its rows by a short name."""

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self.ids: dict[str, str] = {}
        self.tokens: dict[str, str] = {"admin": ADMIN_TOKEN}

    def add(self, name: str, entity: str, /, **data: Any) -> str:
        status, answer = self.server.request("POST", f"/api/entities/{entity}", data, token=ADMIN_TOKEN)
        assert status == 201, answer
        self.ids[name] = answer["id"]
        return self.ids[name]

    def sign_in(self, name: str) -> None:
        _, answer = self.server.request("POST", "/api/auth/session", {"user_id": self.ids[name]}, token=ADMIN_TOKEN)
        self.tokens[name] = answer["token"]

    def get(self, path: str, who: str | None = None) -> Any:
        return self.server.request("GET", path, token=self.tokens.get(who or ""))

    def post(self, path: str, body: Any, who: str | None = None) -> Any:
        return self.server.request("POST", path, body, token=self.tokens.get(who or ""))

    def code(self, answer: tuple[int, Any]) -> tuple[int, str]:
        return answer[0], answer[1]["error"]["code"]


@pytest.fixture(scope="session")
def blog(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Blog]:
    folder: Path = tmp_path_factory.mktemp("blog")
    (folder / "app.py").write_text(APP)
    with ServerProcess(folder / "app.py", folder / "data") as server:
        blog = Blog(server)
        for name in ("ann", "bob"):
            blog.add(name, "User", name=name, email=f"{name}@x")
            blog.sign_in(name)
        ann, bob = blog.ids["ann"], blog.ids["bob"]
        blog.add(
            "open",
            "Post",
            title="open",
            author=ann,
            editor=bob,
            votes=3,
            price=1.5,
            open=True,
            at="2026-03-01T23:30:00Z",
        )
        blog.add("own", "Post", title="own", author=ann, votes=None, price=2.5, at="2026-03-02T00:10:00+01:00")
        blog.add("bobs", "Post", title="bobs", author=bob, votes=7, at="2026-04-02T10:00:00Z")
        for number in range(3):
            blog.add(f"c{number}", "Comment", post=blog.ids["open"], text=f"c{number}", author=bob if number else ann)
        blog.add("c3", "Comment", post=blog.ids["bobs"], text="c3", author=bob)
        blog.add("s", "Secret", post=blog.ids["open"])
        yield blog
