"""A request that names its user is never answered as somebody else's, or as nobody's."""

from __future__ import annotations

import json

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.web.exchange import Answer, request

PATHS = ["/api/sync/pull?since=0", "/api/entities/Post", "/api/entities/Post/count"]


def ask(server: ServerProcess, path: str, expected: str, token: str | None, method: str = "GET") -> Answer:
    headers = {"X-Pylon-Expect-User": expected} | ({"Authorization": f"Bearer {token}"} if token else {})
    return request(server, method, path, headers=headers)


def code(answer: Answer) -> str | None:
    return None if answer.status < 400 else str(json.loads(answer.body)["error"]["code"])


@pytest.mark.parametrize("path", PATHS)
def test_who_is_expected_is_answered_and_nobody_else(server: ServerProcess, path: str) -> None:
    ada = server.token_of("ada b/ü")
    assert ask(server, path, "ada%20b%2F%C3%BC", ada).status == 200
    assert ask(server, path, "*", ada).status == 200
    assert ask(server, path, "", None).status == 200
    assert code(ask(server, path, "ben", ada)) == "SESSION_CHANGED"
    assert code(ask(server, path, "", ada)) == "SESSION_CHANGED"
    for dead in (None, "not a session"):
        assert code(ask(server, path, "ada%20b%2F%C3%BC", dead)) == "SESSION_EXPIRED"
        assert code(ask(server, path, "*", dead)) == "SESSION_EXPIRED"
    assert ask(server, path, "*", ADMIN_TOKEN).status == 200


def test_nothing_is_written_as_somebody_else(server: ServerProcess) -> None:
    change = {"entity": "Post", "row_id": "x", "kind": "insert", "data": {"title": "as whom?"}}
    body = json.dumps({"changes": [change]}).encode()
    headers = {"X-Pylon-Expect-User": "ada", "Authorization": f"Bearer {server.token_of('ben')}"}
    answer = request(server, "POST", "/api/sync/push", body, headers)
    assert (answer.status, code(answer)) == (401, "SESSION_CHANGED")
    assert server.request("GET", "/api/entities/Post/count?filter[title]=as%20whom?")[1]["count"] == 0


def test_a_page_of_a_trusted_origin_may_send_the_header(production: ServerProcess) -> None:
    answer = request(production, "OPTIONS", "/api/sync/pull", headers={"Origin": "https://app.example.com"})
    assert "X-Pylon-Expect-User" in answer.headers["access-control-allow-headers"]
