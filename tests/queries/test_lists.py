"""Lists, counts, projections and sorted cursors over HTTP."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.queries.conftest import Blog


def where(conditions: dict[str, Any]) -> str:
    return f"where={quote(json.dumps(conditions))}"


def test_a_count_is_of_the_rows_that_the_caller_may_read(blog: Blog) -> None:
    assert blog.get("/api/entities/Post/count") == (200, {"count": 1})
    assert blog.get("/api/entities/Post/count", "ann") == (200, {"count": 2})
    assert blog.get("/api/entities/Post/count?filter[votes]=3", "ann") == (200, {"count": 1})
    assert blog.get(f"/api/entities/Post/count?{where({'votes': {'$gt': 3}})}", "bob") == (200, {"count": 1})
    assert blog.code(blog.get("/api/entities/Secret/count", "ann")) == (403, "POLICY_DENIED")


def test_a_projection_shows_the_id_and_what_was_asked_for(blog: Blog) -> None:
    expected = {"id": blog.ids["open"], "title": "open"}
    assert blog.get("/api/entities/Post?fields=title")[1]["data"] == [expected]
    assert blog.get("/api/entities/Post?fields=title&page=1")[1]["data"] == [expected]
    assert blog.get("/api/entities/Post/cursor?fields=title")[1]["data"] == [expected]
    assert blog.get(f"/api/entities/Post/{blog.ids['open']}?fields=title") == (200, expected)
    assert blog.post("/api/query/Post", {"$fields": ["title"]}) == (200, [expected])


@pytest.mark.parametrize("who", ["ann", "admin"])
def test_a_projection_never_shows_hidden_fields(blog: Blog, who: str) -> None:
    for path in ("", "/cursor", f"/{blog.ids['open']}"):
        assert blog.code(blog.get(f"/api/entities/Post{path}?fields=rating", who)) == (400, "INVALID_COLUMN")
    assert blog.code(blog.post("/api/query/Post", {"$fields": ["rating"]}, who)) == (400, "INVALID_COLUMN")


@pytest.mark.parametrize(
    "path",
    [
        f"/api/entities/Post?{where({'rating': 'a'})}",
        "/api/entities/Post?filter[rating]=a",
        "/api/entities/Post?sort=rating",
        "/api/entities/Post/cursor?sort=-rating",
        "/api/entities/Post/count?filter[rating]=a",
        "/api/lookup/Post/rating/a",
    ],
)
def test_clients_can_neither_filter_nor_sort_nor_look_up_by_hidden_fields(blog: Blog, path: str) -> None:
    assert blog.code(blog.get(path, "ann")) == (400, "INVALID_COLUMN")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/query/Post", {"rating": {"$startsWith": "a"}}),
        ("/api/query/Post", {"$or": [{"title": "x"}, {"$not": {"rating": "a"}}]}),
        ("/api/query/Post", {"$order": {"rating": "asc"}}),
        ("/api/query", {"Post": {"where": {"rating": "a"}}}),
        ("/api/query", {"User": {"include": {"posts": {"where": {"rating": "a"}}}}}),
        ("/api/query", {"User": {"include": {"posts": {"where": {"$order": {"rating": "asc"}}}}}}),
        ("/api/aggregate/Post", {"count": "*", "where": {"rating": "a"}}),
    ],
)
def test_hidden_fields_can_not_be_asked_for_in_queries_at_any_depth(blog: Blog, path: str, body: Any) -> None:
    assert blog.code(blog.post(path, body, "ann")) == (400, "INVALID_COLUMN")


def test_lists_take_the_filter_language_and_several_sort_keys(blog: Blog) -> None:
    path = f"/api/entities/Post?{where({'$not': {'title': 'own'}})}&sort=-open,title&fields=title"
    assert [row["title"] for row in blog.get(path, "bob")[1]["data"]] == ["open", "bobs"]
    assert blog.code(blog.get("/api/entities/Post?where=5")) == (400, "INVALID_QUERY")
    assert blog.code(blog.get("/api/entities/Post?where={")) == (400, "INVALID_JSON")


@pytest.mark.parametrize(
    ("sort", "expected"), [("votes", "own open bobs"), ("-votes", "bobs open own"), ("-at,title", "bobs own open")]
)
def test_sorted_cursor_pages_hold_every_row_once(blog: Blog, sort: str, expected: str) -> None:
    seen: list[str] = []
    cursor = ""
    while True:
        _, page = blog.get(f"/api/entities/Post/cursor?sort={sort}&limit=1&after={cursor}", "admin")
        seen += [row["title"] for row in page["data"]]
        if not page["has_more"]:
            break
        cursor = page["next_cursor"]
    assert " ".join(seen) == expected


def test_a_sorted_cursor_stays_right_when_rows_come_before_it(blog: Blog) -> None:
    _, first = blog.get("/api/entities/Post/cursor?sort=votes&limit=2", "admin")
    row_id = blog.add("early", "Post", title="early", author=blog.ids["ann"], votes=0)
    try:
        path = f"/api/entities/Post/cursor?sort=votes&limit=2&after={first['next_cursor']}"
        assert [row["title"] for row in blog.get(path, "admin")[1]["data"]] == ["bobs"]
    finally:
        blog.server.request("DELETE", f"/api/entities/Post/{row_id}", token=blog.tokens["admin"])


def test_a_cursor_of_another_order_is_refused(blog: Blog) -> None:
    token = blog.get("/api/entities/Post/cursor?sort=votes&limit=1", "admin")[1]["next_cursor"]
    for path in (
        f"sort=-votes&after={token}",
        f"sort=title&after={token}",
        "sort=votes&after=x",
        "sort=votes&after=%ff",
    ):
        assert blog.code(blog.get(f"/api/entities/Post/cursor?{path}", "admin")) == (400, "CURSOR_INVALID")


def test_cursors_show_the_rows_of_their_filter_that_the_caller_may_read(blog: Blog) -> None:
    _, page = blog.get("/api/entities/Post/cursor?sort=votes&filter[open]=false", "ann")
    assert ([row["title"] for row in page["data"]], page["has_more"]) == (["own"], False)


@pytest.mark.parametrize("who", [None, "ann"])
def test_the_door_of_search_says_that_there_is_none(blog: Blog, who: str | None) -> None:
    assert blog.code(blog.post("/api/search/Post", {"query": "x"}, who)) == (400, "SEARCH_NOT_CONFIGURED")
    assert blog.code(blog.post("/api/query/Post", {"$search": "x"}, who)) == (400, "SEARCH_NOT_CONFIGURED")
    assert blog.code(blog.get("/api/entities/Post?q=x", who)) == (400, "SEARCH_NOT_CONFIGURED")
    assert blog.code(blog.post("/api/search/Secret", {}, who)) == (403, "POLICY_DENIED")
    assert blog.code(blog.post("/api/search/Nope", {}, "admin")) == (404, "ENTITY_NOT_FOUND")
    assert blog.code(blog.post("/api/search", {}, who)) == (400, "MISSING_ENTITY")
