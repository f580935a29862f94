"""Every error is the envelope with a registered code, its status, and the headers of any other answer."""

from __future__ import annotations

import json

import pytest

from pylon.model.errors import REGISTRY
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.web.exchange import Answer, request

ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
ROW = "0" * 40
ERRORS = [
    ("GET", "/api/nope", b"", {}, "NOT_FOUND"),
    ("GET", "/nope.js", b"", {}, "NOT_FOUND"),
    ("POST", "/api/entities/Post/x", b"{}", {}, "METHOD_NOT_ALLOWED"),
    ("GET", f"/api/entities/Post/{ROW}", b"", {}, "NOT_FOUND"),
    ("GET", "/api/entities/Closed", b"", {}, "POLICY_DENIED"),
    ("POST", "/api/entities/Post", b"{", {}, "INVALID_JSON"),
    ("POST", "/api/entities/Post", b"[]", {}, "INVALID_DATA"),
    ("POST", "/api/entities/Post", b'{"id":"x","title":"t"}', {}, "INVALID_ID"),
    ("POST", "/api/entities/Post", b"{}", {}, "INSERT_FAILED"),
    ("POST", "/api/query/Post", b'{"nope":1}', {}, "INVALID_COLUMN"),
    ("POST", "/api/query/Post", b'{"n":{"$near":1}}', {}, "INVALID_QUERY"),
    ("GET", "/api/entities/Post?q=x", b"", {}, "SEARCH_NOT_CONFIGURED"),
    ("GET", "/api/entities/Nope", b"", ADMIN, "ENTITY_NOT_FOUND"),
    ("POST", "/api/transact", b"[]", {}, "FORBIDDEN"),
    ("POST", "/api/batch", b"{}", ADMIN, "MISSING_OPERATIONS"),
    ("GET", "/api/fn", b"", {}, "FORBIDDEN"),
    ("POST", "/api/fn/nope", b"{}", {}, "FN_NOT_FOUND"),
    ("POST", "/api/fn/add", b'{"title":5}', {}, "INVALID_ARGS"),
    ("POST", "/api/fn/nope", b"{}", {"Accept": "text/event-stream"}, "FN_NOT_FOUND"),
    ("GET", "/api/fn-streams/x", b"", {}, "STREAM_NOT_FOUND"),
    ("POST", "/api/auth/session", b"{}", {}, "MISSING_USER_ID"),
    ("POST", "/api/auth/refresh", b"", {}, "AUTH_REQUIRED"),
    ("GET", "/api/auth/sessions", b"", {}, "AUTH_REQUIRED"),
    ("GET", "/api/sync/pull?since=999999999", b"", {}, "RESYNC_REQUIRED"),
    ("GET", "/api/sync/pull?snapshot_after=!", b"", {}, "SNAPSHOT_CURSOR_INVALID"),
    ("POST", "/api/sync/push", b"[]", {}, "INVALID_JSON"),
]
STATUS_BY_DOOR = {"/api/entities/Nope": 400}
"""Spec 01 §4.3: an unknown entity is 400 where it is read."""


def assert_envelope(answer: Answer, code: str) -> None:
    error = json.loads(answer.body)["error"]
    assert list(json.loads(answer.body)) == ["error"]
    assert error["code"] == code
    assert code in REGISTRY
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error.get("hint", ""), str)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-request-id"]


@pytest.mark.parametrize(("method", "path", "body", "headers", "code"), ERRORS)
def test_every_error_is_the_envelope_with_its_codes_status(
    server: ServerProcess, method: str, path: str, body: bytes, headers: dict[str, str], code: str
) -> None:
    answer = request(server, method, path, body, headers)
    assert_envelope(answer, code)
    assert answer.status == STATUS_BY_DOOR.get(path, REGISTRY[code].status)


def test_an_error_may_be_read_by_a_page_of_a_trusted_origin(production: ServerProcess) -> None:
    answer = request(production, "GET", "/api/nope", headers={"Origin": "https://app.example.com"})
    assert_envelope(answer, "NOT_FOUND")
    assert answer.headers["access-control-allow-origin"] == "https://app.example.com"


def test_outside_dev_an_unknown_route_lists_no_others(production: ServerProcess) -> None:
    error = json.loads(request(production, "GET", "/api/nope").body)["error"]
    assert error == {"code": "NOT_FOUND", "message": "Not found"}


@pytest.mark.parametrize("header", [{"Origin": "http://["}, {"Referer": "http://[x"}, {"Origin": "null"}])
def test_an_origin_that_is_none_is_refused_like_a_strangers(production: ServerProcess, header: dict[str, str]) -> None:
    answer = request(production, "POST", "/api/auth/guest", b"{}", header)
    assert_envelope(answer, "CSRF_REJECTED")


def test_a_page_beyond_every_row_is_empty(server: ServerProcess) -> None:
    far = "9" * 18
    answer = request(server, "GET", f"/api/entities/Post?page={far}&per_page={far}")
    assert (answer.status, json.loads(answer.body)["data"]) == (200, [])
