"""API keys and JWTs at the doors of a real server: HTTP, sockets, streams, and over kills."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.auth.test_doors import APP, frames_until, live, user


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("bearers")
    (folder / "app.py").write_text(APP)
    env = {"PYLON_DEV_MODE": "0", "PYLON_JWT_ISSUER": "https://here.example.com"}
    with ServerProcess(folder / "app.py", folder / "data", env=env) as process:
        yield process


def key_of(server: ServerProcess, token: str) -> tuple[str, str]:
    """(key, id) of a new API key."""
    made = server.request("POST", "/api/auth/api-keys", {}, token=token)[1]
    return made["key"], made["id"]


def test_a_revoked_key_loses_its_socket(server: ServerProcess) -> None:
    _, token = user(server, email="a@example.com")
    key, identifier = key_of(server, token)
    with live(server, key) as socket:
        socket.recv(timeout=5)
        server.request("DELETE", f"/api/auth/api-keys/{identifier}", token=token)
        with pytest.raises(ConnectionClosed) as closed:
            frames_until(socket, "nothing")
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "session revoked")


def test_a_jwt_loses_its_socket_with_its_session(server: ServerProcess) -> None:
    _, token = user(server, email="b@example.com")
    jwt = server.request("POST", "/api/auth/jwt", token=token)[1]["token"]
    with live(server, jwt) as socket:
        socket.recv(timeout=5)
        server.request("DELETE", "/api/auth/session", token=token)
        with pytest.raises(ConnectionClosed) as closed:
            frames_until(socket, "nothing")
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


@pytest.mark.parametrize("token", ["pk.key_x.y", "e30.e30.AA"])
def test_a_bad_token_opens_no_socket_and_no_stream(server: ServerProcess, token: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        live(server, token)
    assert refused.value.response.status_code == 401
    assert server.request("GET", "/api/sync/events", token=token)[0] == 401


def test_keys_and_jwts_and_their_end_survive_a_kill(server: ServerProcess) -> None:
    _, token = user(server, email="c@example.com")
    (kept, _), (ended, identifier) = key_of(server, token), key_of(server, token)
    jwt = server.request("POST", "/api/auth/jwt", token=token)[1]["token"]
    assert server.request("DELETE", f"/api/auth/api-keys/{identifier}", token=token)[0] == 200
    server.kill()
    server.start()
    assert [server.request("GET", "/api/auth/me", token=t)[0] for t in (kept, jwt, ended)] == [200, 200, 401]
    server.request("POST", "/api/admin/signing-keys/rotate", {"revoke": True}, token=ADMIN_TOKEN)
    server.kill()
    server.start()
    assert server.request("GET", "/api/auth/me", token=jwt)[0] == 401


def test_no_token_is_in_the_servers_log(server: ServerProcess) -> None:
    _, token = user(server, email="d@example.com")
    key, _ = key_of(server, token)
    jwt = server.request("POST", "/api/auth/jwt", token=token)[1]["token"]
    for bearer in (key, jwt):
        server.request("GET", "/api/auth/me", token=bearer)
        assert bearer not in server.log()
        assert bearer.split(".")[2] not in server.log()
