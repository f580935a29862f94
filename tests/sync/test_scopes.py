"""Subscribing to a part over real sockets and streams, and changing one's mind."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection

from pylon.sync.scopes import PER_SECOND
from pylon.testing.process import ServerProcess
from tests.sync.test_websocket import APP, opened, post


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("scopes")
    (folder / "app.py").write_text(APP)
    with ServerProcess(folder / "app.py", folder / "data") as process:
        yield process


def scoped(server: ServerProcess, scope: Any, **options: Any) -> ClientConnection:
    return opened(server, f"/?scope={quote(json.dumps(scope))}", **options)


def heard(connection: ClientConnection, last: str) -> list[Any]:
    """Titles and frames up to the event of this title."""
    told: list[Any] = []
    while True:
        frame = json.loads(connection.recv(timeout=5))
        told.append(frame["data"]["title"] if "seq" in frame and "data" in frame else frame)
        if told[-1] == last:
            return told


def ask(connection: ClientConnection, entities: Any) -> None:
    connection.send(json.dumps({"type": "scope", "entities": entities}))


def answer(connection: ClientConnection) -> dict[str, Any]:
    while True:
        frame: dict[str, Any] = json.loads(connection.recv(timeout=5))
        if "type" in frame:
            return frame


@pytest.mark.parametrize("port", [0, 1])
def test_a_scope_in_the_url_holds_from_the_first_frame_on(server: ServerProcess, port: int) -> None:
    post(server, f"before {port}")
    with scoped(server, {"Post": {"title": {"$like": "wanted"}}}, port=port) as connection:
        post(server, f"other {port}")
        post(server, f"wanted {port}")
        assert f"other {port}" not in heard(connection, f"wanted {port}")


def test_a_row_leaves_the_scope_as_a_delete_and_enters_it_as_a_full_row(server: ServerProcess) -> None:
    post(server, "the log begins below")
    with scoped(server, {"Post": {"title": {"$in": ["in", "in again"]}}}) as connection:
        row_id = post(server, "in")
        for title in ("out", "in again"):
            server.request("PATCH", f"/api/entities/Post/{row_id}", {"title": title})
        events = [json.loads(connection.recv(timeout=5)) for _ in range(3)]
        assert [(e["kind"], e["data"]["title"]) for e in events] == [
            ("insert", "in"),
            ("delete", "in"),
            ("update", "in again"),
        ]
        _, delta = server.request(
            "GET", f"/api/sync/pull?since={events[0]['seq'] - 1}&scope={quote(json.dumps({'Post': {'title': 'in'}}))}"
        )
        assert [(c["kind"], c["seq"]) for c in delta["changes"]] == [
            ("insert", events[0]["seq"]),
            ("delete", events[1]["seq"]),
        ]


def test_a_socket_changes_its_scope_and_is_told_from_where_on_it_holds(server: ServerProcess) -> None:
    with opened(server) as connection:
        post(server, "first")
        heard(connection, "first")
        ask(connection, {"Post": {"title": "only this"}})
        told = answer(connection)
        head = server.request("GET", "/api/sync/pull?since=0&limit=0")[1]["cursor"]["last_seq"]
        assert told == {"type": "scoped", "seq": head}
        post(server, "not this")
        post(server, "only this")
        assert heard(connection, "only this") == ["only this"]
        ask(connection, None)
        assert answer(connection)["type"] == "scoped"
        post(server, "everything again")
        assert heard(connection, "everything again") == ["everything again"]


def test_a_wrong_scope_is_an_error_and_the_socket_goes_on_as_before(server: ServerProcess) -> None:
    with opened(server) as connection:
        for entities in ({"Post": {"nosuch": 1}}, [], {"Post": 1}, {"Own": {"hidden": "x"}}):
            ask(connection, entities)
            assert answer(connection)["code"] == "INVALID_SCOPE"
        connection.send('{"type":"scope"}')
        assert answer(connection)["code"] == "INVALID_SCOPE"
        post(server, "as before")
        heard(connection, "as before")


def test_a_socket_may_change_its_scope_only_so_often(server: ServerProcess) -> None:
    with opened(server) as connection:
        for _ in range(4 * PER_SECOND):
            ask(connection, {"Post": {}})
        codes = [answer(connection).get("code") for _ in range(4 * PER_SECOND)]
        assert "RATE_LIMITED" in codes
        assert codes[0] is None


@pytest.mark.parametrize("path", ["/", "/api/sync/ws"])
def test_a_wrong_scope_in_the_url_is_refused_before_the_socket_opens(server: ServerProcess, path: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(server, f"{path}?scope=junk").close()
    assert refused.value.response.status_code == 400
    assert json.loads(refused.value.response.body or b"")["error"]["code"] == "INVALID_SCOPE"
    for since in (0, 1):
        status, body = server.request("GET", f"/api/sync/pull?since={since}&scope=junk")
        assert (status, body["error"]["code"]) == (400, "INVALID_SCOPE")


@pytest.mark.parametrize(("path", "port"), [("/api/sync/events", 0), ("/events", 2)])
def test_a_stream_takes_a_scope_as_well(server: ServerProcess, path: str, port: int) -> None:
    scope = quote(json.dumps({"Post": {"title": f"streamed {port}"}}))
    with socket.create_connection(("127.0.0.1", server.port + port), timeout=5) as stream:
        stream.sendall(f"GET {path}?scope={scope} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        received = b""
        while b": connected" not in received:
            received += stream.recv(65536)
        post(server, "not streamed")
        post(server, f"streamed {port}")
        while f'"streamed {port}"'.encode() not in received:
            received += stream.recv(65536)
        assert received.count(b"data: ") == 1
