"""Graph queries over HTTP: related rows, each level under the policy of its own entity."""

from __future__ import annotations

from typing import Any

from tests.queries.conftest import Blog


def titles(rows: list[dict[str, Any]], key: str = "title") -> list[Any]:
    return [row[key] for row in rows]


def test_rows_come_with_their_related_rows(blog: Blog) -> None:
    graph = {"Post": {"where": {"title": "open"}, "include": {"writer": {}, "comments": {"include": {"writer": {}}}}}}
    status, answer = blog.post("/api/query", graph, "ann")
    [post] = answer["Post"]
    assert status == 200
    assert post["writer"] == {"id": blog.ids["ann"], "name": "ann"}
    assert titles(post["comments"], "text") == ["c0", "c1", "c2"]
    assert [comment["writer"]["name"] for comment in post["comments"]] == ["ann", "bob", "bob"]


def test_a_related_row_that_may_not_be_read_is_absent_as_one_that_is_not_there(blog: Blog) -> None:
    graph = {"Post": {"where": {"title": "open"}, "include": {"comments": {}, "secrets": {}}}}
    _, of_bob = blog.post("/api/query", graph, "bob")
    _, of_nobody = blog.post("/api/query", graph)
    _, of_admin = blog.post("/api/query", graph, "admin")
    assert titles(of_bob["Post"][0]["comments"], "text") == ["c1", "c2"]
    assert of_bob["Post"][0]["secrets"] == []
    assert of_nobody["Post"][0]["comments"] == []
    assert len(of_admin["Post"][0]["secrets"]) == 1


def test_a_to_one_row_that_may_not_be_read_leaves_no_key(blog: Blog) -> None:
    graph = {"Comment": {"where": {"text": "c3"}, "include": {"of": {}}}}
    assert "of" in blog.post("/api/query", graph, "bob")[1]["Comment"][0]
    unreadable = {"Comment": {"include": {"of": {"where": {"title": "nope"}}}}}
    assert all("of" not in row for row in blog.post("/api/query", unreadable, "bob")[1]["Comment"])


def test_a_relation_takes_the_place_of_a_field_of_its_name(blog: Blog) -> None:
    _, answer = blog.post("/api/query", {"Post": {"include": {"editor": {}}, "where": {"open": True}}})
    assert answer["Post"][0]["editor"]["name"] == "bob"


def test_each_level_is_filtered_ordered_cut_and_projected(blog: Blog) -> None:
    comments = {"order": {"text": "desc"}, "limit": 1, "offset": 1, "fields": ["text"], "where": {"text": {"$gt": "b"}}}
    graph = {"User": {"where": {"name": "ann"}, "include": {"posts": {"include": {"comments": comments}}}}}
    _, answer = blog.post("/api/query", graph, "ann")
    posts = answer["User"][0]["posts"]
    assert titles(posts) == ["open", "own"]
    assert posts[0]["comments"] == [{"id": blog.ids["c1"], "text": "c1"}]
    assert posts[1]["comments"] == []


def test_limits_of_an_include_count_for_each_row_apart(blog: Blog) -> None:
    _, answer = blog.post("/api/query", {"Post": {"include": {"comments": {"limit": 1}}}}, "bob")
    assert [len(post["comments"]) for post in answer["Post"]] == [1, 1]


def test_several_entities_are_asked_at_once(blog: Blog) -> None:
    status, answer = blog.post("/api/query", {"Post": {"limit": 1}, "User": {"where": {"$order": {"name": "desc"}}}})
    assert status == 200
    assert (len(answer["Post"]), titles(answer["User"], "name")) == (1, ["bob", "ann"])
    assert blog.post("/api/query", {}) == (200, {})


def test_what_a_graph_query_can_not_be_is_refused(blog: Blog) -> None:
    def refused(body: Any, who: str | None = "ann") -> tuple[int, str]:
        return blog.code(blog.post("/api/query", body, who))

    assert refused([]) == (400, "INVALID_QUERY")
    assert refused({"Post": []}) == (400, "INVALID_QUERY")
    assert refused({"Post": {"select": ["title"]}}) == (400, "INVALID_QUERY")
    assert refused({"Post": {"include": ["writer"]}}) == (400, "INVALID_QUERY")
    assert refused({"Post": {"include": {"writer": {"where": {"$search": "x"}}}}}) == (400, "INVALID_QUERY")
    assert refused({"Post": {"where": {"$search": "x"}}}) == (400, "SEARCH_NOT_CONFIGURED")
    assert refused({"Post": {"include": {"nope": {}}}}) == (400, "RELATION_NOT_FOUND")
    assert refused({"Post": {"where": {"rating": "x"}}}) == (400, "INVALID_COLUMN")
    assert refused({"Post": {"include": {"writer": {"where": {"email": "ann@x"}}}}}) == (400, "INVALID_COLUMN")
    assert refused({"Post": {"fields": ["rating"]}}, "admin") == (400, "INVALID_COLUMN")
    assert refused({"Nope": {}}) == (403, "POLICY_DENIED")
    assert refused({"Nope": {}}, "admin") == (400, "ENTITY_NOT_FOUND")
    assert refused({"Secret": {}}) == (403, "POLICY_DENIED")


def test_includes_go_five_levels_deep_and_no_deeper(blog: Blog) -> None:
    def nested(levels: int) -> dict[str, Any]:
        node: dict[str, Any] = {}
        for level in range(levels):
            node = {"include": {"posts" if (levels - level) % 2 else "writer": node}}
        return {"User": node}

    assert blog.post("/api/query", nested(5), "ann")[0] == 200
    assert blog.code(blog.post("/api/query", nested(6), "ann")) == (400, "QUERY_FAILED")


def test_sights_of_included_rows_are_recorded_like_any(blog: Blog) -> None:
    blog.post("/api/query", {"Post": {"where": {"title": "bobs"}, "include": {"comments": {}}}}, "bob")
    path = f"/api/admin/audit?kind=read&entity=Comment&user={blog.ids['bob']}"
    entries = blog.get(path, "admin")[1]["entries"]
    assert any(blog.ids["c3"] in str(entry) for entry in entries)
