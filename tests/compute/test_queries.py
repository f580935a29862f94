"""`ctx.db`: filters, related rows and aggregates inside functions."""

from __future__ import annotations

import enum
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pylon import App, Context, Entity, Id, Included, PylonError, field, relation
from pylon.compute.functions import Functions
from pylon.testing.engine import open_engine
from tests.conftest import ALICE


class State(enum.StrEnum):
    DRAFT = "draft"
    LIVE = "live"


class Post(Entity, crdt=False):
    title: str
    state: State = State.DRAFT
    at: datetime | None = None
    secret: str | None = field(server_only=True)
    relations = [relation("comments", "Comment", field="postId", many=True)]


class Comment(Entity, crdt=False):
    post: Id[Post] = field(name="postId")
    text: str
    relations = [relation("of", "Post", field="postId")]


app = App("queries", entities=[Post, Comment])
DAY = datetime(2026, 3, 1, tzinfo=UTC)


@app.mutation(auth="public")
def fill(ctx: Context) -> None:
    for day, state in ((1, State.LIVE), (2, State.LIVE), (3, State.DRAFT)):
        post = ctx.db.insert(Post, title=f"p{day}", state=state, at=DAY.replace(day=day), secret="s")
        for number in range(day):
            ctx.db.insert(Comment, post=post, text=f"{day}.{number}")


@app.query(auth="public")
def titles(ctx: Context, how: str) -> list[str]:
    first = ctx.db.query(Post, title="p1")[0]
    ways: dict[str, dict[str, Any]] = {
        "where": {"where": {"$or": [{"title": "p1"}, {"title": {"$in": ["p3"]}}]}},
        "datetime": {"where": {"at": {"$gte": DAY.replace(day=2)}}},
        "enum": {"where": {"state": {"$not": State.LIVE}}},
        "row": {"where": {"id": {"$in": [first]}}},
        "both": {"where": {"title": {"$gt": "p1"}}, "state": State.LIVE},
        "order": {"where": {"$not": {"title": "p2"}}, "order": "-title"},
    }
    return [post.title for post in ctx.db.query(Post, **ways[how])]


@app.query(auth="public")
def newest_comments(ctx: Context) -> list[Included[Post]]:
    found = ctx.db.query(Post, order="title", include={"comments": {"order": "-text", "limit": 2}})
    assert found[0].title == found[0].row.title
    return found


@app.query(auth="public")
def nested(ctx: Context) -> list[str]:
    found = ctx.db.query(
        Comment, text="3.0", include={"of": {"include": {"comments": {"where": {"text": {"$gt": "3.0"}}}}}}
    )
    return [comment.text for comment in found[0].of.comments]


@app.query(auth="public")
def per_state(ctx: Context) -> list[dict[str, Any]]:
    return ctx.db.aggregate(
        Post, count="*", group_by=["state"], where={"at": {"$lt": DAY.replace(day=9)}}, order_by={"count": "desc"}
    )


@app.query(auth="public")
def wrong(ctx: Context, how: str) -> None:
    if how == "relation":
        ctx.db.query(Post, include={"nope": {}})
    elif how == "option":
        ctx.db.query(Post, include={"comments": {"fields": ["text"]}})
    elif how == "operator":
        ctx.db.query(Post, {"title": {"$regex": "x"}})
    else:
        ctx.db.aggregate(Post, sum=["title"])


@asynccontextmanager
async def filled(folder: Path) -> AsyncIterator[Any]:
    async with open_engine(app.spec(), folder) as engine:
        functions = Functions(engine, app.spec().functions)

        async def call(name: str, **arguments: Any) -> Any:
            return json.loads((await functions.call(ALICE, name, json.dumps(arguments).encode())).body)

        await call("fill")
        yield call


async def test_filters_take_python_values_and_the_whole_language(tmp_path: Path) -> None:
    async with filled(tmp_path) as call:
        assert await call("titles", how="where") == ["p1", "p3"]
        assert await call("titles", how="datetime") == ["p2", "p3"]
        assert await call("titles", how="enum") == ["p3"]
        assert await call("titles", how="row") == ["p1"]
        assert await call("titles", how="both") == ["p2"]
        assert await call("titles", how="order") == ["p3", "p1"]


async def test_related_rows_come_with_their_rows_and_leave_as_clients_know_them(tmp_path: Path) -> None:
    async with filled(tmp_path) as call:
        posts = await call("newest_comments")
        assert [[comment["text"] for comment in post["comments"]] for post in posts] == [
            ["1.0"],
            ["2.1", "2.0"],
            ["3.2", "3.1"],
        ]
        assert "secret" not in posts[0]
        assert posts[0]["comments"][0]["postId"] == posts[0]["id"]
        assert await call("nested") == ["3.1", "3.2"]


async def test_aggregates_are_lists_of_dicts(tmp_path: Path) -> None:
    async with filled(tmp_path) as call:
        assert await call("per_state") == [{"count": 2, "state": "live"}, {"count": 1, "state": "draft"}]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("relation", "RELATION_NOT_FOUND"),
        ("option", "INVALID_QUERY"),
        ("operator", "INVALID_QUERY"),
        ("sum", "INVALID_QUERY"),
    ],
)
async def test_what_can_not_be_asked_says_why(tmp_path: Path, how: str, code: str) -> None:
    async with filled(tmp_path) as call:
        with pytest.raises(PylonError) as refused:
            await call("wrong", how=how)
        assert refused.value.code == code
