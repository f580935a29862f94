"""Rows over HTTP, in the shapes of spec 01 §4 and §5."""

from __future__ import annotations

from typing import Any

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.web.exchange import request


def code(answer: Any) -> str:
    value: str = answer["error"]["code"]
    return value


def post(server: ServerProcess, **data: Any) -> str:
    status, answer = server.request("POST", "/api/entities/Post", data)
    assert status == 201, answer
    row_id: str = answer["id"]
    return row_id


def test_insert_answers_the_id_and_the_change_seq(server: ServerProcess) -> None:
    answer = request(server, "POST", "/api/entities/Post", b'{"title":"x"}')
    assert answer.status == 201
    assert int(answer.headers["x-pylon-change-seq"]) >= 1
    assert answer.body.startswith(b'{"id":"')


def test_get_patch_and_delete_answer_as_documented(server: ServerProcess) -> None:
    row_id = post(server, title="x", tags={"a": [1]}, price=1)
    status, row = server.request("GET", f"/api/entities/Post/{row_id}")
    assert (status, row["title"], row["tags"], row["price"], row["done"]) == (200, "x", {"a": [1]}, 1.0, False)
    assert "secret" not in row
    assert server.request("PATCH", f"/api/entities/Post/{row_id}", {"n": 5}) == (200, {"updated": True})
    assert server.request("PATCH", f"/api/entities/Post/{row_id}", {}) == (200, {"updated": True})
    assert server.request("DELETE", f"/api/entities/Post/{row_id}") == (200, {"deleted": True})
    status, gone = server.request("GET", f"/api/entities/Post/{row_id}")
    assert (status, gone["error"]["message"]) == (404, f'Post with id "{row_id}" not found')


def test_list_echoes_its_window_and_page_mode_counts_all(server: ServerProcess) -> None:
    for i in range(3):
        post(server, title="paged", n=i, state="live")
    filtered = "filter[title]=paged&filter[state]=live"
    status, listed = server.request("GET", f"/api/entities/Post?{filtered}&limit=2&offset=1&sort=n&order=DESC")
    assert status == 200
    assert (listed["count"], listed["limit"], listed["offset"]) == (2, 2, 1)
    assert [row["n"] for row in listed["data"]] == [1, 0]
    _, unlimited = server.request("GET", f"/api/entities/Post?{filtered}&limit=-1&offset=x")
    assert (unlimited["count"], unlimited["limit"], unlimited["offset"]) == (3, None, 0)
    _, page = server.request("GET", f"/api/entities/Post?{filtered}&page=2&per_page=2")
    assert (len(page["data"]), page["page"], page["per_page"], page["total"]) == (1, 2, 2, 3)
    _, zero = server.request("GET", f"/api/entities/Post?{filtered}&page=0&per_page=0")
    assert (len(zero["data"]), zero["page"], zero["per_page"]) == (1, 0, 0)
    assert server.request("GET", "/api/entities/Post?filter%5Btitle%5D=paged&filter[done]=false")[1]["count"] == 3
    assert server.request("GET", "/api/entities/Post?filter[n]=1&filter[title]=paged")[1]["count"] == 1


def test_cursor_pages_are_full_under_a_row_policy(server: ServerProcess) -> None:
    token, stranger = server.token_of("cursor"), server.token_of("stranger")
    mine = []
    for i in range(5):
        mine.append(server.request("POST", "/api/entities/Own", {"title": str(i)}, token=token)[1]["id"])
        server.request("POST", "/api/entities/Own", {"title": str(i)}, token=stranger)
    _, first = server.request("GET", "/api/entities/Own/cursor?limit=3", token=token)
    assert ([r["id"] for r in first["data"]], first["has_more"]) == (mine[:3], True)
    _, rest = server.request("GET", f"/api/entities/Own/cursor?limit=3&after={first['next_cursor']}", token=token)
    assert ([r["id"] for r in rest["data"]], rest["has_more"], rest["next_cursor"]) == (mine[3:], False, mine[4])
    _, end = server.request("GET", "/api/entities/Own/cursor?after=zz", token=token)
    assert end == {"data": [], "has_more": False, "next_cursor": None}


def test_a_row_policy_filters_lists_and_counts_exactly(server: ServerProcess) -> None:
    token = server.token_of("counter")
    for i in range(3):
        server.request("POST", "/api/entities/Own", {"title": str(i)}, token=token)
    _, page = server.request("GET", "/api/entities/Own?page=1&per_page=2", token=token)
    assert (page["total"], len(page["data"])) == (3, 2)
    assert len(server.request("POST", "/api/query/Own", {}, token=token)[1]) == 3
    assert server.request("GET", "/api/entities/Own")[1]["count"] == 0


def test_query_answers_a_bare_array(server: ServerProcess) -> None:
    for i in range(4):
        post(server, title="queried", n=i)
    found = server.request(
        "POST", "/api/query/Post", {"title": "queried", "n": {"$gte": 1}, "$order": {"n": "desc"}, "$limit": 2}
    )
    assert [row["n"] for row in found[1]] == [3, 2]
    assert isinstance(server.request("POST", "/api/query/Post", b"[1]")[1], list)


def test_lookup_finds_by_a_field_also_with_slashes_and_escapes(server: ServerProcess) -> None:
    row_id = post(server, title="x", slug="a/b c@x.com")
    status, row = server.request("GET", "/api/lookup/Post/slug/a/b%20c%40x.com")
    assert (status, row["id"]) == (200, row_id)
    assert server.request("GET", "/api/lookup/Post/slug/none")[1]["error"]["message"] == "Post.slug = none not found"
    assert code(server.request("GET", "/api/lookup/Post/secret/x")[1]) == "INVALID_COLUMN"


@pytest.mark.parametrize(
    ("body", "status", "expected", "message"),
    [
        (b"", 400, "INVALID_JSON", "Invalid request body"),
        (b"[1]", 400, "INVALID_DATA", "Insert data must be a JSON object"),
        (b'{"title":"x","nope":1}', 400, "INVALID_COLUMN", 'Unknown column "nope" -- valid columns: id, title, n, '),
        (b"{}", 400, "INSERT_FAILED", "Insert into Post failed: NOT NULL constraint failed: Post.title"),
        (b'{"title":"x","n":"5"}', 400, "INVALID_DATA", "Post.n: expected int, got string"),
        (b'{"title":"x","state":"gone"}', 400, "INVALID_DATA", "Post.state: expected one of 'draft', 'live'"),
        (b'{"title":"x","id":"short"}', 400, "INVALID_ID", "client-provided `id` must be"),
        (b'{"title":"x","secret":"s"}', 400, "INVALID_COLUMN", 'Unknown column "secret"'),
    ],
)
def test_a_wrong_insert_is_told_in_known_words(
    server: ServerProcess, body: bytes, status: int, expected: str, message: str
) -> None:
    got, answer = server.request("POST", "/api/entities/Post", body)
    assert (got, code(answer)) == (status, expected)
    assert message in answer["error"]["message"]


def test_a_unique_clash_keeps_the_wording_that_clients_parse(server: ServerProcess) -> None:
    post(server, title="x", slug="taken")
    status, answer = server.request("POST", "/api/entities/Post", {"title": "y", "slug": "taken"})
    assert (status, answer["error"]["message"]) == (400, "Insert into Post failed: UNIQUE constraint failed: Post.slug")


def test_unknown_entities_are_told_to_admins_only(server: ServerProcess) -> None:
    assert server.request("GET", "/api/entities/Nope")[0] == 403
    assert server.request("GET", "/api/entities/post")[0] == 403
    assert server.request("GET", "/api/entities/Nope", token=ADMIN_TOKEN)[0] == 400
    status, answer = server.request("POST", "/api/entities/Nope", {}, token=ADMIN_TOKEN)
    assert (status, code(answer)) == (404, "ENTITY_NOT_FOUND")


def test_transact_is_all_or_nothing(server: ServerProcess) -> None:
    good = {"op": "insert", "entity": "Post", "data": {"title": "t1"}}
    bad = {"op": "insert", "entity": "Post", "data": {}}
    status, answer = server.request("POST", "/api/transact", [good, bad, good], token=ADMIN_TOKEN)
    assert (status, answer["committed"], len(answer["results"])) == (400, False, 2)
    assert "NOT NULL" in answer["results"][1]["error"]
    assert server.request("POST", "/api/query/Post", {"title": "t1"})[1] == []
    status, answer = server.request("POST", "/api/transact", [good, good], token=ADMIN_TOKEN)
    assert (status, answer["committed"]) == (200, True)
    assert server.request("POST", "/api/transact", [good])[0] == 403


def test_batch_operations_stand_alone(server: ServerProcess) -> None:
    operations = [
        {"op": "insert", "entity": "Post", "data": {"title": "b"}},
        {"op": "update", "entity": "Post", "id": "nope", "data": {"title": "b"}},
        {"op": "bogus"},
    ]
    status, answer = server.request("POST", "/api/batch", {"operations": operations}, token=ADMIN_TOKEN)
    assert (status, answer["succeeded"], answer["failed"]) == (200, 1, 2)
    assert answer["results"][1] == {"error": "Row not found", "id": "nope", "ok": False, "op": "update"}
    assert code(server.request("POST", "/api/batch", {}, token=ADMIN_TOKEN)[1]) == "MISSING_OPERATIONS"
