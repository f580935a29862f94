"""WebSockets and SSE through real sockets, against a real server."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

APP = """
from pylon import App, Entity, Id, field

app = App("live")


class Post(Entity, crdt=False):
    title: str

    class Policy:
        allow = "true"


class Own(Entity, crdt=False):
    title: str
    owner: Id["User"] = field(owner=True)
    hidden: str | None = field(server_only=True)

    class Policy:
        allow = "auth.userId == data.owner"


class Quiet(Entity, crdt=False, sync=False):
    title: str

    class Policy:
        allow = "true"
"""
ENV = {"PYLON_WS_MAX_FRAME": "5000", "PYLON_WS_BUFFER_MAX_BYTES": "200000", "PYLON_WS_PING_SECS": "1"}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("live-app") / "app.py"
    path.write_text(APP)
    return path


@pytest.fixture(scope="module")
def server(app: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(app, tmp_path_factory.mktemp("live") / "data", env=ENV) as process:
        yield process


def opened(server: ServerProcess, path: str = "/", *, port: int = 0, **options: Any) -> ClientConnection:
    """A client that always reads: with a full queue it would not see the close that it waits for."""
    plain: dict[str, Any] = {"proxy": None, "compression": None, "ping_interval": None, "max_queue": None}
    return connect(f"ws://127.0.0.1:{server.port + port}{path}", **plain | options)


def post(server: ServerProcess, title: str, entity: str = "Post", token: str | None = None) -> str:
    status, answer = server.request("POST", f"/api/entities/{entity}", {"title": title}, token=token)
    assert status == 201, answer
    row_id: str = answer["id"]
    return row_id


def until(connection: ClientConnection, title: str) -> dict[str, Any]:
    """The event of this title; what comes before it is the tail or others' doing."""
    while True:
        event: dict[str, Any] = json.loads(connection.recv(timeout=5))
        if event["data"].get("title") == title:
            return event


def close_code(connection: ClientConnection) -> int | None:
    """Read to the end; the server's close code."""
    try:
        while True:
            connection.recv(timeout=5)
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


@pytest.mark.parametrize(("path", "port"), [("/", 0), ("/api/sync/ws", 0), ("/?x=1", 0), ("/", 1), ("/any/path", 1)])
def test_a_change_arrives_on_every_door(server: ServerProcess, path: str, port: int) -> None:
    with opened(server, path, port=port) as connection:
        title = f"door {path} {port}"
        row_id = post(server, title)
        event = until(connection, title)
        assert event == {
            "seq": event["seq"],
            "entity": "Post",
            "row_id": row_id,
            "kind": "insert",
            "data": {"id": row_id, "title": title},
            "timestamp": "",
        }


def test_other_paths_of_the_main_port_are_404(server: ServerProcess) -> None:
    with pytest.raises(Exception, match="404"):
        opened(server, "/nope")


def test_the_token_comes_by_header_subprotocol_or_cookie(server: ServerProcess) -> None:
    token = server.token_of("alice")
    bearer = f"bearer.{quote(token)}"
    ways: list[dict[str, Any]] = [
        {"additional_headers": {"Authorization": f"Bearer {token}"}},
        {"subprotocols": [bearer]},
        {"additional_headers": {"Cookie": f"live_session={token}"}},
        {"subprotocols": [f"bearer.{ADMIN_TOKEN}"]},
    ]
    for way in ways:
        with opened(server, **way) as connection:
            post(server, "mine", "Own", token)
            assert until(connection, "mine")["data"]["owner"] == "alice"
            if "subprotocols" in way:
                assert connection.subprotocol == way["subprotocols"][0]


def test_a_bad_token_is_anonymous_and_sees_what_anonymous_callers_see(server: ServerProcess) -> None:
    token = server.token_of("carol")
    with opened(server, subprotocols=["bearer.nonsense"]) as stranger:
        assert stranger.subprotocol == "bearer.nonsense"
        post(server, "private", "Own", token)
        post(server, "quiet", "Quiet")
        post(server, "public after")
        while True:
            event = json.loads(stranger.recv(timeout=5))
            assert event["entity"] == "Post"
            if event["data"]["title"] == "public after":
                break


def test_a_row_that_changes_hands_is_deleted_for_the_loser(server: ServerProcess) -> None:
    alice, bob = server.token_of("alice2"), server.token_of("bob2")
    with (
        opened(server, subprotocols=[f"bearer.{alice}"]) as loser,
        opened(server, subprotocols=[f"bearer.{bob}"]) as winner,
    ):
        row_id = post(server, "handed", "Own", alice)
        server.request("PATCH", f"/api/entities/Own/{row_id}", {"owner": "bob2", "hidden": "h"}, token=ADMIN_TOKEN)
        assert until(loser, "handed")["kind"] == "insert"
        lost = until(loser, "handed")
        assert (lost["kind"], lost["data"]["owner"]) == ("delete", "alice2")
        won = until(winner, "handed")
        assert (won["kind"], won["data"]["owner"], won["seq"]) == ("update", "bob2", lost["seq"])
        assert "hidden" not in won["data"]


def test_a_socket_hears_what_was_committed_just_before_it_opened(server: ServerProcess) -> None:
    row_id = post(server, "a moment ago")
    with opened(server) as connection:
        assert until(connection, "a moment ago")["row_id"] == row_id


def test_events_arrive_in_seq_order_each_once(server: ServerProcess) -> None:
    with opened(server) as connection:
        changes = [{"entity": "Post", "row_id": "x", "kind": "insert", "data": {"title": f"o{i}"}} for i in range(300)]
        server.request("POST", "/api/sync/push", {"changes": changes})
        seqs = []
        while True:
            event = json.loads(connection.recv(timeout=5))
            seqs.append(event["seq"])
            if event["data"]["title"] == "o299":
                break
        assert seqs == sorted(set(seqs))


def test_junk_frames_from_a_client_are_ignored(server: ServerProcess) -> None:
    with opened(server) as connection:
        for junk in ("", "x", "[]", '{"type":5}', '{"type":"presence"}', '{"type":"subscribe"}', b"\x00\x01"):
            connection.send(junk)
        post(server, "still here")
        until(connection, "still here")


def test_a_frame_over_the_limit_closes_with_1009(server: ServerProcess) -> None:
    with opened(server) as connection:
        connection.send("x" * 6000)
        assert close_code(connection) == 1009


def test_revoking_a_session_closes_its_sockets_with_1008(server: ServerProcess) -> None:
    token = server.token_of("gone")
    with opened(server, subprotocols=[f"bearer.{token}"]) as connection:
        server.request("DELETE", "/api/auth/session", token=token)
        assert close_code(connection) == 1008


def handshake(port: int, *extra: str) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=5)
    key = base64.b64encode(os.urandom(16)).decode()
    lines = ["GET / HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}"]
    connection.sendall("\r\n".join([*lines, "Sec-WebSocket-Version: 13", *extra, "", ""]).encode())
    return connection


def test_a_consumer_that_does_not_read_is_closed_and_the_others_lose_nothing(server: ServerProcess) -> None:
    slow = handshake(server.port)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    assert b"101" in slow.recv(4096)
    reader = handshake(server.port)
    received = bytearray()

    def read() -> None:
        while b'"the end"' not in received[-300:]:
            received.extend(reader.recv(2**20))

    reading = threading.Thread(target=read)
    reading.start()
    body = {"title": "y" * 4000}
    for _ in range(20):
        changes = [{"entity": "Post", "row_id": "x", "kind": "insert", "data": body} for _ in range(150)]
        server.request("POST", "/api/sync/push", {"changes": changes})
    post(server, "the end")
    reading.join(10)
    assert not reading.is_alive()
    assert received.count(b'yyyy"') == 20 * 150
    reader.close()
    _, metrics = server.request("GET", "/metrics")
    assert metrics["realtime"]["slow_closed"] >= 1
    slow.close()


def test_a_half_open_socket_is_dropped_after_two_missed_pings(server: ServerProcess) -> None:
    silent = handshake(server.port)
    silent.settimeout(10)
    began = time.monotonic()
    while silent.recv(65536):  # pings come, no pong goes
        pass
    assert time.monotonic() - began < 8
    silent.close()


def test_wrong_handshakes_are_told_what_is_wrong(server: ServerProcess) -> None:
    for lines, status in (
        (["Sec-WebSocket-Key: short", "Sec-WebSocket-Version: 13"], b"400"),
        (["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 8"], b"426"),
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as connection:
            head = ["GET / HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade", *lines, "", ""]
            connection.sendall("\r\n".join(head).encode())
            assert status in connection.recv(4096).split(b"\r\n")[0]


def test_a_plain_request_on_the_socket_port_is_closed_without_a_byte(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port + 1), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(4096) == b""


def test_one_address_may_hold_so_many_sockets_and_one_more_is_429(app: Path, tmp_path: Path) -> None:
    with ServerProcess(app, tmp_path / "data", env={"PYLON_WS_PER_IP_MAX": "3"}) as server:
        held = [handshake(server.port), handshake(server.port + 1), handshake(server.port)]
        assert all(b"101" in connection.recv(4096) for connection in held)
        refused = handshake(server.port + 1)
        assert b"429" in refused.recv(4096).split(b"\r\n")[0]
        held.pop().close()
        time.sleep(0.1)
        again = handshake(server.port)
        assert b"101" in again.recv(4096)
        for connection in (*held, refused, again):
            connection.close()


@pytest.mark.parametrize(("path", "port"), [("/api/sync/events", 0), ("/events", 2)])
def test_sse_carries_the_same_events_under_the_same_policy(server: ServerProcess, path: str, port: int) -> None:
    token = server.token_of("sse")
    with socket.create_connection(("127.0.0.1", server.port + port), timeout=5) as stream:
        stream.sendall(f"GET {path}?token={token} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        received = b""
        while b": connected" not in received:
            received += stream.recv(65536)
        assert b"text/event-stream" in received.lower()
        post(server, "not yours", "Own", server.token_of("other"))
        post(server, "yours", "Own", token)
        while b'"yours"' not in received:
            received += stream.recv(65536)
        assert b"not yours" not in received
        lines = [line for line in received.split(b"\n") if line.startswith(b"data: ")]
        assert all(json.loads(line[6:])["seq"] for line in lines)


def test_open_sockets_and_streams_are_counted_apart(app: Path, tmp_path: Path) -> None:
    with (
        ServerProcess(app, tmp_path / "data") as server,
        opened(server),
        socket.create_connection(("127.0.0.1", server.port + 2), timeout=5) as stream,
    ):
        stream.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"200" in stream.recv(4096)
        realtime = server.request("GET", "/metrics")[1]["realtime"]
        assert (realtime["ws_connections"], realtime["sse_connections"]) == (1, 1)
        text = server.request("GET", "/metrics", headers={"Accept": "text/plain"})[1]
        assert "\npylon_ws_connections 1\n" in text


def test_sigterm_closes_sockets_with_1001_and_exits_cleanly(app: Path, tmp_path: Path) -> None:
    with ServerProcess(app, tmp_path / "data") as server:
        with opened(server) as connection:
            server.signal(signal.SIGTERM)
            assert close_code(connection) == 1001
        assert server.process is not None
        assert server.process.wait(15) == 0


def test_a_second_process_on_the_same_folder_is_refused(app: Path, tmp_path: Path) -> None:
    with ServerProcess(app, tmp_path / "data"):
        second = ServerProcess(app, tmp_path / "data")
        with pytest.raises(RuntimeError, match="is in use by process"):
            second.start()
