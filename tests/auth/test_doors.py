"""Signing in and out through HTTP and sockets of a real server in production."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

APP = """
from pylon import App, Auth, Entity, Id, field

class User(Entity, crdt=False):
    email: str | None = field(unique=True)
    role: str | None = None
    passwordHash: str | None = None
    nickname: str | None = None
    class Policy:
        read = "auth.userId == data.id"

class OrgMember(Entity, crdt=False):
    orgId: str
    userId: Id["User"]
    role: str
    class Policy:
        allow = "auth.isAdmin"

class Post(Entity, crdt=False):
    title: str
    class Policy:
        read = "auth.isAdmin"
        insert = "auth.userId != null"

app = App("doors", auth=Auth(admin_field="role", hide=["nickname"], trusted_origins=["https://app.example.com"]))
"""
ORIGIN = "https://app.example.com"
COOKIE = "__Host-doors_session"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("doors")
    (folder / "app.py").write_text(APP)
    env = {"PYLON_DEV_MODE": "0", "PYLON_AUTH_GUEST_IP_PER_MIN": "0"}
    with ServerProcess(folder / "app.py", folder / "data", env=env) as process:
        yield process


def call(
    server: ServerProcess, method: str, path: str, body: Any = None, **headers: str
) -> tuple[int, Any, SimpleCookie]:
    """(status, body, cookies set); header names with `_` for `-`."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        cookies = SimpleCookie()
        for value in answer.headers.get_all("Set-Cookie") or []:
            cookies.load(value)
        text = answer.read()
        return answer.status, json.loads(text) if text else None, cookies
    finally:
        connection.close()


def user(server: ServerProcess, **fields: Any) -> tuple[str, str]:
    """(id, token) of a new user."""
    status, made = server.request("POST", "/api/entities/User", fields, token=ADMIN_TOKEN)
    assert status == 201, made
    return made["id"], server.token_of(made["id"])


def live(server: ServerProcess, token: str) -> ClientConnection:
    url = f"ws://127.0.0.1:{server.port}/api/sync/ws"
    return connect(url, additional_headers={"Authorization": f"Bearer {token}"})


def frames_until(socket: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        frame: dict[str, Any] = json.loads(socket.recv(timeout=5))
        if frame.get("type") == kind:
            return frame


def test_browsers_get_a_cookie_that_no_script_other_host_or_plain_connection_gets(server: ServerProcess) -> None:
    _, _, cookies = call(server, "POST", "/api/auth/guest", Origin=ORIGIN)
    cookie = cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["secure"]
    assert (cookie["path"], cookie["domain"], cookie["samesite"]) == ("/", "", "Lax")
    assert abs(int(cookie["max-age"]) - 2_592_000) < 5
    assert not call(server, "POST", "/api/auth/guest")[2]


def test_a_cookie_signs_in_refreshes_and_is_taken_away(server: ServerProcess) -> None:
    _, guest, cookies = call(server, "POST", "/api/auth/guest", Origin=ORIGIN)
    sent = f"{COOKIE}={cookies[COOKIE].value}"
    assert call(server, "GET", "/api/auth/me", Cookie=sent)[1]["user_id"] == guest["user_id"]
    _, fresh, cookies = call(server, "POST", "/api/auth/refresh", Cookie=sent, Origin=ORIGIN)
    assert cookies[COOKIE].value == fresh["token"]
    sent = f"{COOKIE}={fresh['token']}"
    _, answer, cookies = call(server, "DELETE", "/api/auth/session", Cookie=sent, Origin=ORIGIN)
    assert answer == {"revoked": True}
    assert (cookies[COOKIE].value, cookies[COOKIE]["max-age"]) == ("", "0")
    assert call(server, "GET", "/api/auth/me", Cookie=sent)[1]["user_id"] is None


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Referer": "https://evil.example/page"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_no_strange_page_writes_with_its_visitors_cookie(server: ServerProcess, headers: dict[str, str]) -> None:
    _, _, cookies = call(server, "POST", "/api/auth/guest", Origin=ORIGIN)
    sent = f"{COOKIE}={cookies[COOKIE].value}"
    for method, path in (
        ("POST", "/api/auth/refresh"),
        ("DELETE", "/api/auth/session"),
        ("POST", "/api/entities/Post"),
    ):
        status, answer, _ = call(server, method, path, {"title": "x"}, Cookie=sent, **headers)
        assert (status, answer["error"]["code"]) == (403, "CSRF_REJECTED")
    assert call(server, "GET", "/api/auth/me", Cookie=sent)[1]["user_id"] is not None


def test_a_bearer_token_wins_over_the_cookie_even_when_it_is_no_good(server: ServerProcess) -> None:
    _, _, cookies = call(server, "POST", "/api/auth/guest", Origin=ORIGIN)
    sent = f"{COOKIE}={cookies[COOKIE].value}"
    me = call(server, "GET", "/api/auth/me", Cookie=sent, Authorization="Bearer pylon_bogus")[1]
    assert me == {"avatar_url": None, "is_admin": False, "roles": [], "user_id": None}


def test_the_context_and_the_own_row_are_shown_as_the_app_says(server: ServerProcess) -> None:
    identifier, token = user(server, email="Row@Example.com", passwordHash="$argon2id$x", nickname="nick")
    status, shown = server.request("GET", "/api/auth/session", token=token)
    assert (status, list(shown)) == (200, ["avatar_url", "session", "user"])
    assert shown["session"] == {"is_admin": False, "roles": [], "user_id": identifier}
    assert shown["user"] == {"id": identifier, "email": "row@example.com", "role": None}


def test_one_of_several_sessions_is_revoked_by_its_id(server: ServerProcess) -> None:
    identifier, token = user(server, email="many@example.com")
    other = server.token_of(identifier)
    listed = server.request("GET", "/api/auth/sessions", token=token)[1]
    assert [entry["current"] for entry in listed].count(True) == 1
    assert token not in json.dumps(listed)
    victim = next(entry["id"] for entry in listed if not entry["current"])
    _, stranger = user(server, email="stranger@example.com")
    assert server.request("DELETE", f"/api/auth/sessions/{victim}", token=stranger)[0] == 404
    assert server.request("DELETE", f"/api/auth/sessions/{victim}", token=token)[0] == 200
    assert server.request("GET", "/api/auth/me", token=other)[1]["user_id"] is None
    actions = [event["action"] for event in server.request("GET", "/api/auth/audit", token=token)[1]]
    assert actions[0] == "session_revoke"


def test_the_sockets_of_a_revoked_session_close_and_those_of_a_refreshed_one_stay(server: ServerProcess) -> None:
    _, token = user(server, email="socket@example.com")
    with live(server, token) as socket:
        fresh = server.request("POST", "/api/auth/refresh", token=token)[1]["token"]
        socket.ping().wait(5)
        assert server.request("DELETE", "/api/auth/session", token=fresh)[0] == 200
        with pytest.raises(ConnectionClosed) as closed:
            frames_until(socket, "never")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


def test_a_socket_is_told_of_new_rights_and_has_them_at_once(server: ServerProcess) -> None:
    identifier, token = user(server, email="climber@example.com")
    with live(server, token) as socket:
        server.request("PATCH", f"/api/entities/User/{identifier}", {"role": "admin"}, token=ADMIN_TOKEN)
        frames_until(socket, "session-changed")
        assert server.request("GET", "/api/auth/me", token=token)[1]["is_admin"] is True
        server.request("POST", "/api/entities/Post", {"title": "for admins"}, token=ADMIN_TOKEN)
        while json.loads(socket.recv(timeout=5)).get("data", {}).get("title") != "for admins":
            pass
        server.request("PATCH", f"/api/entities/User/{identifier}", {"role": None}, token=ADMIN_TOKEN)
        frames_until(socket, "session-changed")


def test_the_socket_of_a_locked_or_deleted_user_closes(server: ServerProcess) -> None:
    identifier, token = user(server, email="gone@example.com")
    with live(server, token) as socket:
        assert server.request("DELETE", f"/api/entities/User/{identifier}", token=ADMIN_TOKEN)[0] == 200
        with pytest.raises(ConnectionClosed):
            frames_until(socket, "never")
    assert server.request("GET", "/api/auth/me", token=token)[1]["user_id"] is None


def test_guests_are_kept_from_what_is_for_users(server: ServerProcess) -> None:
    guest = server.request("POST", "/api/auth/guest")[1]["token"]
    assert server.request("GET", "/api/auth/audit", token=guest)[1]["error"]["code"] == "AUTH_REQUIRED"


def test_a_switch_turns_guests_off_but_not_signing_out(server: ServerProcess) -> None:
    guest = server.request("POST", "/api/auth/guest")[1]["token"]
    switch = server.request("POST", "/api/admin/switches", {"scope": "auth", "target": "*"}, token=ADMIN_TOKEN)[1]
    try:
        for path in ("/api/auth/guest", "/api/auth/anonymous"):
            assert server.request("POST", path)[1]["error"]["code"] == "MAINTENANCE"
        assert server.request("GET", "/api/auth/session", token=guest)[0] == 200
        assert server.request("DELETE", "/api/auth/session", token=guest)[0] == 200
    finally:
        server.request("DELETE", f"/api/admin/switches/{switch['id']}", token=ADMIN_TOKEN)


def test_an_upgrade_is_for_admins_outside_dev_mode(server: ServerProcess) -> None:
    guest = server.request("POST", "/api/auth/guest")[1]["token"]
    status, answer = server.request("POST", "/api/auth/upgrade", {"user_id": "x"}, token=guest)
    assert (status, answer["error"]["code"]) == (403, "FORBIDDEN")


def test_sessions_are_purged_by_the_way_they_came(server: ServerProcess) -> None:
    _, token = user(server, email="purged@example.com")
    guest = server.request("POST", "/api/auth/guest")[1]["token"]
    assert server.request("POST", "/api/admin/sessions/purge", {"method": "guest"}, token=token)[0] == 403
    assert server.request("POST", "/api/admin/sessions/purge", {"method": "guest"}, token=ADMIN_TOKEN)[0] == 200
    assert server.request("GET", "/api/auth/me", token=guest)[1]["user_id"] is None
    assert server.request("GET", "/api/auth/me", token=token)[1]["user_id"] is not None


def test_the_secret_key_is_the_owners_alone(server: ServerProcess) -> None:
    path: Path = server.data / "secret.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(path.read_text().strip()) == 64
