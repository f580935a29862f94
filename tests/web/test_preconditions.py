"""Optimistic concurrency on rows: ETag, If-Match, If-None-Match, and PUT."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor

from pylon.testing.process import ServerProcess
from tests.web.exchange import Answer, request


def insert(server: ServerProcess, **data: object) -> str:
    status, answer = server.request("POST", "/api/entities/Post", data)
    assert status == 201, answer
    return f"/api/entities/Post/{answer['id']}"


def tag(server: ServerProcess, path: str) -> str:
    return request(server, "GET", path).headers["etag"]


def code(answer: Answer) -> str:
    value: str = json.loads(answer.body)["error"]["code"]
    return value


def test_a_row_that_the_client_holds_is_not_sent_again(server: ServerProcess) -> None:
    path = insert(server, title="x")
    etag = tag(server, path)
    known = request(server, "GET", path, headers={"If-None-Match": f'"other", {etag}'})
    assert (known.status, known.body, known.headers["etag"]) == (304, b"", etag)
    assert request(server, "GET", path, headers={"If-None-Match": f"W/{etag}"}).status == 304
    server.request("PATCH", path, {"title": "y"})
    assert request(server, "GET", path, headers={"If-None-Match": etag}).status == 200


def test_a_write_to_a_row_that_has_changed_is_refused_and_changes_nothing(server: ServerProcess) -> None:
    path = insert(server, title="x")
    etag = tag(server, path)
    first = request(server, "PATCH", path, b'{"title":"mine"}', {"If-Match": etag})
    assert first.status == 200
    assert first.headers["etag"] == tag(server, path) != etag
    for method in ("PATCH", "PUT", "DELETE"):
        late = request(server, method, path, b'{"title":"late"}' if method != "DELETE" else b"", {"If-Match": etag})
        assert (late.status, code(late)) == (412, "PRECONDITION_FAILED")
    assert server.request("GET", path)[1]["title"] == "mine"
    assert request(server, "DELETE", path, headers={"If-Match": first.headers["etag"]}).status == 200
    assert request(server, "PATCH", path, b'{"title":"x"}', {"If-Match": "*"}).status == 404


def test_of_many_writers_with_one_tag_exactly_one_wins(server: ServerProcess) -> None:
    path = insert(server, title="x", n=0)
    etag = tag(server, path)
    with ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(lambda i: request(server, "PATCH", path, b'{"n":%d}' % (i + 1), {"If-Match": etag}), range(12))
        )
    assert sorted(answer.status for answer in answers) == [200] + [412] * 11
    winner = next(i for i, answer in enumerate(answers) if answer.status == 200)
    assert server.request("GET", path)[1]["n"] == winner + 1


def test_who_may_not_write_learns_nothing_from_the_tag(server: ServerProcess) -> None:
    ada, ben = server.token_of("ada"), server.token_of("ben")
    _, answer = server.request("POST", "/api/entities/Own", {"title": "secret"}, token=ada)
    path = f"/api/entities/Own/{answer['id']}"
    etag = request(server, "GET", path, headers={"Authorization": f"Bearer {ada}"}).headers["etag"]
    for tried in (etag, '"000000000000000000000000"'):
        refused = request(
            server, "PATCH", path, b'{"title":"x"}', {"Authorization": f"Bearer {ben}", "If-Match": tried}
        )
        assert (refused.status, code(refused)) == (403, "POLICY_DENIED")


def test_put_makes_a_row_and_then_replaces_it_as_a_whole(server: ServerProcess) -> None:
    row_id = secrets.token_hex(20)
    path = f"/api/entities/Post/{row_id}"
    made = request(server, "PUT", path, b'{"title":"x","n":1,"state":"live"}')
    assert (made.status, json.loads(made.body)) == (201, {"id": row_id})
    replaced = request(server, "PUT", path, b'{"title":"y","done":true}')
    assert (replaced.status, replaced.body) == (200, b'{"updated":true}')
    row = server.request("GET", path)[1]
    assert (row["title"], row["n"], row["state"], row["done"]) == ("y", None, None, True)
    same = request(server, "PUT", path, b'{"title":"y","done":true}')
    assert (same.status, "x-pylon-change-seq" in same.headers) == (200, False)
    assert code(request(server, "PUT", path, b'{"title":null}')) == "UPDATE_FAILED"
    assert code(request(server, "PUT", "/api/entities/Post/short", b'{"title":"x"}')) == "INVALID_ID"


def test_put_keeps_what_clients_do_not_write(server: ServerProcess) -> None:
    ada = server.token_of("ada")
    path = f"/api/entities/Own/{secrets.token_hex(20)}"
    assert server.request("PUT", path, {"title": "x"}, token=ada)[0] == 201
    assert server.request("PUT", path, {"title": "y"}, token=ada)[0] == 200
    assert server.request("GET", path, token=ada)[1]["owner"] == "ada"
    assert server.request("PUT", path, {"title": "z"}, token=server.token_of("ben"))[0] == 403


def test_put_can_be_told_to_make_only(server: ServerProcess) -> None:
    path = insert(server, title="there")
    refused = request(server, "PUT", path, b'{"title":"x"}', {"If-None-Match": "*"})
    assert (refused.status, code(refused)) == (412, "PRECONDITION_FAILED")
    assert server.request("GET", path)[1]["title"] == "there"
    fresh = f"/api/entities/Post/{secrets.token_hex(20)}"
    assert request(server, "PUT", fresh, b'{"title":"x"}', {"If-None-Match": "*"}).status == 201
