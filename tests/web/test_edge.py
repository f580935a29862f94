"""What surrounds every route: headers, CORS, CSRF, methods, request ids, who am I."""

from __future__ import annotations

import json

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.web.exchange import request

ORIGIN = "https://app.example.com"


@pytest.mark.parametrize("path", ["/health", "/api/auth/me", "/api/nope", "/"])
def test_security_headers_are_on_every_answer(server: ServerProcess, path: str) -> None:
    headers = request(server, "GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert "camera=()" in headers["permissions-policy"]
    assert (headers.get("cache-control") == "no-store") == path.startswith("/api/")


def test_a_sane_request_id_is_kept_and_a_strange_one_replaced(server: ServerProcess) -> None:
    assert request(server, "GET", "/health", headers={"X-Request-Id": "abc-1"}).headers["x-request-id"] == "abc-1"
    strange = request(server, "GET", "/health", headers={"X-Request-Id": "a b\tc"}).headers["x-request-id"]
    assert strange not in ("", "a b\tc")


def test_a_preflight_is_204_with_the_methods(production: ServerProcess) -> None:
    answer = request(production, "OPTIONS", "/api/entities/Post", headers={"Origin": ORIGIN})
    assert answer.status == 204
    assert "PATCH" in answer.headers["access-control-allow-methods"]
    assert "Authorization" in answer.headers["access-control-allow-headers"]


def test_only_trusted_origins_may_read(production: ServerProcess) -> None:
    trusted = request(production, "GET", "/api/auth/me", headers={"Origin": ORIGIN}).headers
    assert trusted["access-control-allow-origin"] == ORIGIN
    assert trusted["access-control-allow-credentials"] == "true"
    assert (
        "access-control-allow-origin"
        not in request(production, "GET", "/api/auth/me", headers={"Origin": "https://evil.example"}).headers
    )


def test_a_strange_page_may_not_write_with_a_cookie_but_a_bearer_may(production: ServerProcess) -> None:
    evil = {"Origin": "https://evil.example"}
    answer = request(production, "POST", "/api/auth/guest", b"{}", evil)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (403, "CSRF_REJECTED")
    assert request(production, "POST", "/api/auth/guest", b"{}", {"Origin": "null"}).status == 403
    assert request(production, "POST", "/api/auth/guest", b"{}", {"Referer": "https://evil.example/x"}).status == 403
    assert request(production, "POST", "/api/auth/guest", b"{}", {"Origin": ORIGIN}).status == 201
    assert request(production, "POST", "/api/auth/guest", b"{}").status == 201
    bearer = evil | {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    assert request(production, "POST", "/api/entities/Post", b'{"title":"x"}', bearer).status == 201
    own = {"Origin": f"http://127.0.0.1:{production.port}"}
    assert request(production, "POST", "/api/auth/guest", b"{}", own).status == 201


def test_wrong_methods_are_405_with_allow(server: ServerProcess) -> None:
    wrong = [("POST", "/api/entities/Post/x"), ("PATCH", "/api/entities/Post"), ("POST", "/api/manifest")]
    for method, path in (*wrong, ("PURGE", "/api/entities/Post")):
        answer = request(server, method, path, b"{}")
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (405, "METHOD_NOT_ALLOWED")
        assert "GET" in answer.headers["allow"]


def test_head_is_get_without_the_body(server: ServerProcess) -> None:
    for path in ("/health", "/api/entities/Post", "/", "/pylon.js"):
        answer = request(server, "HEAD", path)
        assert (answer.status, answer.body) == (200, b"")


def test_an_unknown_token_is_anonymous_and_a_revoked_one_too(server: ServerProcess) -> None:
    assert server.request("GET", "/api/auth/me", token="pylon_nope")[1]["user_id"] is None
    token = server.token_of("mallory")
    assert server.request("GET", "/api/auth/me", token=token)[1]["user_id"] == "mallory"
    assert server.request("DELETE", "/api/auth/session", token=token) == (200, {"revoked": True})
    assert server.request("GET", "/api/auth/me", token=token)[1]["user_id"] is None
    for scheme in ("bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {ADMIN_TOKEN}"}
        assert server.request("GET", "/api/auth/me", headers=headers)[1]["is_admin"], scheme


def test_the_cookie_counts_only_without_a_bearer(server: ServerProcess) -> None:
    cookie = {"Cookie": f"web_session={server.token_of('cookie')}"}
    assert server.request("GET", "/api/auth/me", headers=cookie)[1]["user_id"] == "cookie"
    assert server.request("GET", "/api/auth/me", token="pylon_nope", headers=cookie)[1]["user_id"] is None


def test_sessions_are_listed_refreshed_and_revoked_together(server: ServerProcess) -> None:
    tokens = [server.token_of("many") for _ in range(3)]
    _, listed = server.request("GET", "/api/auth/sessions", token=tokens[0])
    assert len(listed) == 3
    assert all(tokens[0][6:14] not in entry["token_prefix"] for entry in listed)
    status, fresh = server.request("POST", "/api/auth/refresh", token=tokens[0])
    assert (status, fresh["user_id"]) == (200, "many")
    assert server.request("POST", "/api/auth/refresh", token=tokens[0])[1]["token"] == fresh["token"]
    assert server.request("DELETE", "/api/auth/sessions", token=fresh["token"])[1] == {"revoked_count": 3}
    assert server.request("GET", "/api/auth/sessions", token=tokens[1])[0] == 401


def test_sessions_of_any_user_are_for_dev_and_admins(production: ServerProcess) -> None:
    assert production.request("POST", "/api/auth/session", {"user_id": "x"})[0] == 403
    assert production.request("POST", "/api/auth/session", {"user_id": "x"}, token=ADMIN_TOKEN)[0] == 201
    assert (
        production.request("POST", "/api/auth/session", {}, token=ADMIN_TOKEN)[1]["error"]["code"] == "MISSING_USER_ID"
    )


def test_a_guest_is_somebody(server: ServerProcess) -> None:
    status, guest = server.request("POST", "/api/auth/guest")
    assert (status, guest["guest"], guest["user_id"][:6]) == (201, True, "guest_")
    me = server.request("GET", "/api/auth/me", token=guest["token"])[1]
    assert (me["user_id"], me["is_guest"], me["is_admin"]) == (guest["user_id"], True, False)


def test_metrics_need_a_token_behind_a_proxy(production: ServerProcess) -> None:
    proxied = {"X-Forwarded-For": "203.0.113.9"}
    assert production.request("GET", "/metrics", headers=proxied)[0] == 401
    assert production.request("GET", "/metrics", headers=proxied, token="metrics-token-0123456789")[0] == 200
    assert production.request("GET", "/metrics", headers=proxied, token=ADMIN_TOKEN)[0] == 200
    status, text = production.request("GET", "/metrics", headers={"Accept": "text/plain"})
    assert status == 200
    assert "# TYPE pylon_http_requests_total counter" in text


def test_no_stack_no_sql_no_path_leaks(server: ServerProcess) -> None:
    for path in ("/api/nope", "/api/entities/Post/x", "/api/lookup/Post/title/x"):
        text = str(server.request("GET", path)[1])
        assert not any(word in text for word in ("SELECT", "Traceback", ".py", "/tmp"))


def test_functions_answer_stream_and_list(server: ServerProcess) -> None:
    answer = request(server, "POST", "/api/fn/add", b'{"title":"fn"}')
    assert (answer.status, int(answer.headers["x-pylon-change-seq"]) > 0) == (200, True)
    assert server.request("POST", "/api/fn/words", {"text": "a b"}) == (200, 2)
    stream = request(server, "POST", "/api/fn/words", b'{"text":"a b"}', {"Accept": "text/event-stream"})
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.body.endswith(b"id: 3\nevent: result\ndata: 2\n\n")
    resumed = request(
        server, "GET", f"/api/fn-streams/{stream.headers['x-pylon-stream-id']}", headers={"Last-Event-ID": "2"}
    )
    assert resumed.body == b"retry: 1000\n\nid: 3\nevent: result\ndata: 2\n\n"
    assert server.request("GET", "/api/fn")[0] == 403
    listed = server.request("GET", "/api/fn", token=ADMIN_TOKEN)[1]
    assert {entry["name"] for entry in listed} == {"add", "total", "words"}


def test_files_have_etags_types_and_a_fallback(server: ServerProcess) -> None:
    page = request(server, "GET", "/")
    assert (page.status, page.body) == (200, b"<h1>home</h1>")
    again = request(server, "GET", "/", headers={"If-None-Match": page.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert request(server, "GET", "/sub/x.js").headers["content-type"].startswith("text/javascript")
    assert request(server, "GET", "/some/page", headers={"Accept": "text/html"}).body == b"<h1>home</h1>"
    assert request(server, "GET", "/some/page").status == 404
    assert request(server, "GET", "/missing.js", headers={"Accept": "text/html"}).status == 404
    assert b"export" in request(server, "GET", "/pylon.js").body


@pytest.mark.parametrize(
    "path", ["/.hidden", "/../secret.txt", "/%2e%2e/secret.txt", "/sub/../../secret.txt", "/..%5csecret.txt"]
)
def test_nothing_outside_the_folder_is_served(server: ServerProcess, path: str) -> None:
    assert request(server, "GET", path).status == 404
