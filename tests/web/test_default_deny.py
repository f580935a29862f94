"""Deny law: an entity without a policy is closed at every door, and a denial tells nothing."""

from __future__ import annotations

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

ROW = "0" * 40


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/api/entities/Closed", None),
        ("GET", "/api/entities/Closed/cursor", None),
        ("GET", f"/api/entities/Closed/{ROW}", None),
        ("POST", "/api/entities/Closed", {"title": "x"}),
        ("PATCH", f"/api/entities/Closed/{ROW}", {"title": "x"}),
        ("DELETE", f"/api/entities/Closed/{ROW}", None),
        ("POST", "/api/query/Closed", {}),
        ("GET", "/api/lookup/Closed/title/x", None),
        ("GET", "/api/entities/Closed?page=1", None),
    ],
)
def test_every_door_is_closed_without_a_policy(
    server: ServerProcess, method: str, path: str, body: object | None
) -> None:
    for token in (None, server.token_of("anybody")):
        status, answer = server.request(method, path, body, token=token)
        assert (status, answer["error"]["code"]) == (403, "POLICY_DENIED")
        assert answer["error"]["message"] == "Access denied by policy"
        assert "auth." not in str(answer)


def test_closed_rows_reach_no_replica(server: ServerProcess) -> None:
    server.request("POST", "/api/entities/Closed", {"title": "x"}, token=ADMIN_TOKEN)
    _, answer = server.request("GET", "/api/sync/pull?since=0", token=server.token_of("anybody"))
    assert all(change["entity"] != "Closed" for change in answer["changes"])


def test_a_strangers_row_and_a_missing_one_are_alike(server: ServerProcess) -> None:
    token = server.token_of("alice")
    row_id = server.request("POST", "/api/entities/Own", {"title": "x"}, token=token)[1]["id"]
    stranger = server.token_of("stranger")
    for method, body in (("GET", None), ("PATCH", {"title": "y"}), ("DELETE", None)):
        hidden = server.request(method, f"/api/entities/Own/{row_id}", body, token=stranger)
        missing = server.request(method, f"/api/entities/Own/{ROW}", body, token=stranger)
        assert hidden == missing


def test_the_manifest_tells_no_expression(server: ServerProcess) -> None:
    _, manifest = server.request("GET", "/api/manifest?full=1")
    assert "auth.userId" not in str(manifest)
    _, full = server.request("GET", "/api/manifest?full=1", token=ADMIN_TOKEN)
    assert "auth.userId" in str(full)
