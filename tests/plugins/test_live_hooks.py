"""Hooks of requests at the live doors: asked before a socket or a stream opens, on every port and under ASGI."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from pylon.testing.waiting import eventually
from tests.fuzz.test_sockets import KEY, frame

APP = """
import asyncio

from pylon import App, Entity
from pylon.model.errors import PylonError
from pylon.plugins import Plugin, Route


class Note(Entity, crdt=False):
    title: str

    class Policy:
        allow = "true"


class Guard(Plugin):
    name = "guard"

    def __init__(self):
        self.answered = []

    async def on_request(self, request):
        await asyncio.sleep(0.02)
        if request.headers.get("x-evil") or "evil" in request.query:
            raise PylonError("BLOCKED", f"not for {request.identity.user_id} at {request.caller.door}", status=403)
        if request.headers.get("x-broken"):
            raise ZeroDivisionError

    def on_response(self, request, status):
        if request.path != "/answered":
            self.answered.append([request.path, request.caller.door, status])

    def routes(self):
        async def answered(request):
            return self.answered

        return [Route("GET", "/answered", answered)]


app = App("guarded", plugins=[Guard()])
"""
DOORS = [("ws", 0, "/api/sync/ws"), ("ws", 1, "/any"), ("http", 0, "/api/sync/events"), ("http", 2, "/any")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "app.py").write_text(APP)
    with ServerProcess(folder / "app.py", folder / "data") as process:
        yield process


def opened(server: ServerProcess, kind: str, port: int, path: str, headers: dict[str, str]) -> tuple[int, Any]:
    """What a live door answers: its status, and the body of a refusal."""
    url = f"{kind}://127.0.0.1:{server.port + port}{path}"
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", **headers}
    try:
        if kind == "ws":
            with connect(url, additional_headers=headers) as live:
                assert live.ping().wait(5)
            return 101, None
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5) as answer:
            return answer.status, answer.readline()
    except InvalidStatus as refused:
        return refused.response.status_code, json.loads(refused.response.body or b"null")
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())


@pytest.mark.parametrize(("kind", "port", "path"), DOORS)
def test_a_live_door_asks_the_plugins_and_tells_them(server: ServerProcess, kind: str, port: int, path: str) -> None:
    before = len(server.request("GET", "/answered")[1])
    status, told = opened(server, kind, port, path, {"X-Evil": "1"})
    assert (status, told["error"]["code"]) == (403, "BLOCKED")
    assert told["error"]["message"] == "not for __admin__ at live"
    assert opened(server, kind, port, f"{path}?evil=1", {})[0] == 403
    welcome = 101 if kind == "ws" else 200
    assert opened(server, kind, port, path, {})[0] == welcome
    told = [[path, "live", status] for status in (403, 403, welcome)]
    eventually(lambda: server.request("GET", "/answered")[1][before:] == told)


@pytest.mark.parametrize(("kind", "port", "path"), DOORS)
def test_a_plugin_that_fails_opens_nothing(server: ServerProcess, kind: str, port: int, path: str) -> None:
    status, told = opened(server, kind, port, path, {"X-Broken": "1"})
    assert (status, told["error"]["code"]) == (500, "HOOK_FAILED")


def test_what_a_client_says_while_plugins_are_asked_is_heard_and_who_leaves_meanwhile_harms_nobody(
    server: ServerProcess,
) -> None:
    lines = [b"GET / HTTP/1.1", b"Host: x", b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13"]
    head = b"\r\n".join([*lines, b"Sec-WebSocket-Key: " + KEY, b"", b""])
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port)) as gone:
            gone.sendall(head)
    with socket.create_connection(("127.0.0.1", server.port + 1), timeout=5) as eager:
        eager.sendall(head + frame(0x89, b"at once"))
        answer = b""
        while b"at once" not in answer:
            answer += eager.recv(4096)
        assert answer.startswith(b"HTTP/1.1 101")
    eventually(lambda: server.request("GET", "/api/admin/sockets", token=ADMIN_TOKEN)[1]["total"] == 0)
    assert "Task exception" not in server.log()
