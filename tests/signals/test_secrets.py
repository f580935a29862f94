"""No secret reaches a line, whatever shape it comes in: fuzzed on the log, and sent to a real server."""

from __future__ import annotations

import json
import os
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pylon.signals import logs, redaction
from pylon.signals.logs import Log, Sink
from pylon.testing.process import ADMIN_TOKEN, ServerProcess

SECRETS = st.text("ABCDEFGHJKLMNPQRSTUVWXYZabcdefghkmnpqrstuvwxyz0123456789-_.~", min_size=12, max_size=60).filter(
    lambda text: text.strip("-_.~") == text
)
QUOTED = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=12, max_size=40)
NOISE = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=30)

SHAPES = (
    "Bearer {}",
    "bearer.{}",
    "Authorization: Bearer {}",
    "authorization: {}",
    "Proxy-Authorization: Basic {}",
    "Cookie: theme=dark; app_session={}",
    "Set-Cookie: app_session={}; HttpOnly; Path=/",
    "GET /api/x?token={} HTTP/1.1",
    "GET /api/x?a=1&access_token={}&b=2",
    "/callback?code={}&state=1",
    "/callback?x=1;state={}",
    "wss://host/api/sync/ws?token={}#top",
    "postgres://me:{}@db/app",
    "password={}",
    "password: {}",
    "admin_token = {}",
    "X-Api-Key: {}",
    "api_key={}, other=1",
    "pylon_0123456789abcdef token={}",
)


@contextmanager
def captured(format: str) -> Iterator[list[str]]:
    """What this process logs meanwhile; the list is filled at the end."""
    reader, writer = os.pipe()
    before, output = logs._output, logs._Output()
    output.sink = Sink(writer)
    logs._output = output
    logs.configure(format, "debug")
    found: list[str] = []
    try:
        yield found
    finally:
        output.sink.flush()
        logs._output = before
        os.close(writer)
        with os.fdopen(reader, "rb") as file:
            found.append(file.read().decode())
        found.extend(line.text for line in output.sink.recent.since(0, 0))


@settings(max_examples=300, deadline=None)
@given(shape=st.sampled_from(SHAPES), secret=SECRETS, before=NOISE, format=st.sampled_from(["pretty", "json"]))
def test_a_secret_in_a_known_shape_is_masked_in_messages_and_fields(
    shape: str, secret: str, before: str, format: str
) -> None:
    assume(secret not in before)
    text = shape.format(secret)
    with captured(format) as found:
        Log("x").info(text)
        Log("x").warning(f"{before} {text}", detail=text, url=text)
        try:
            raise RuntimeError(text)
        except RuntimeError:
            Log("x").exception("failed")
    assert found
    assert not [part for part in found if secret in part]


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(["password", "Authorization", "admin_token", "Set-Cookie", "client-secret", "apiKey"]),
    secret=QUOTED,
    style=st.sampled_from([json.dumps, repr]),
)
def test_a_secret_field_of_an_object_is_masked_whatever_is_in_it(name: str, secret: str, style: type[str]) -> None:
    written = style({"user": "ada", name: secret, "n": 1})
    with captured("pretty") as found:
        Log("x").info(f"body {written}", **{name.replace("-", "_"): secret})
    inner = style(secret)[1:-1]
    assert not [part for part in found if inner in part]
    assert "ada" in found[0]


@settings(max_examples=100, deadline=None)
@given(secret=SECRETS, before=NOISE, after=NOISE)
def test_a_configured_secret_is_masked_wherever_it_stands(secret: str, before: str, after: str) -> None:
    assume(secret not in before + after)
    redaction.know([secret, "short"])
    try:
        with captured("json") as found:
            Log("x").info(f"{before}{secret}{after}", detail=[secret], path=f"/a/{secret}/b")
            logs.access(f"GET /a/{secret}=1 200", 1.0, "127.0.0.1", "r")
        assert not [part for part in found if secret in part]
    finally:
        redaction.know([])


APP = """
from pylon import App, Context, Entity

app = App("secrets")


class Item(Entity, crdt=False):
    title: str

    class Policy:
        allow = "true"


@app.action(auth="public")
async def sign_in(ctx: Context, password: str) -> int:
    raise RuntimeError(f"password={password} was wrong")
"""


@pytest.fixture(scope="module", params=["pretty", "json"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("secrets")
    (folder / "app.py").write_text(APP)
    env = {
        "PYLON_LOG_LEVEL": "debug",
        "PYLON_LOG_FORMAT": request.param,
        "PYLON_METRICS_TOKEN": "SECRET-metrics-0123456789",
    }
    with ServerProcess(folder / "app.py", folder / "data", env=env) as process:
        yield process


def raw(server: ServerProcess, head: str) -> None:
    """Send a request as it stands and wait for the end of the answer's head."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode("latin-1"))
        connection.recv(65536)


def test_no_door_of_a_real_server_writes_a_secret(server: ServerProcess) -> None:
    session = server.token_of("ada")
    server.request("GET", "/api/auth/me", token=session)
    server.request("GET", "/api/auth/me", headers={"Cookie": f"secrets_session={session}; other=SECRET-cookie-1"})
    server.request("GET", "/api/entities/Item?token=SECRET-query-1&access_token=SECRET-query-2")
    server.request("GET", "/api/entities/Nope;token=SECRET-path-1/x")
    server.request("GET", "/nowhere/token=SECRET-path-2?password=SECRET-query-3")
    server.request("POST", "/api/fn/sign_in", {"password": "SECRET-password-1"})
    server.request("POST", "/api/fn/sign_in", b'{"password": "SECRET-password-2"')
    server.request("POST", "/api/entities/Item", {"title": 1, "password": "SECRET-password-3"})
    server.request("GET", "/metrics", token="SECRET-metrics-0123456789")
    server.request("GET", "/metrics/SECRET-metrics-0123456789")
    server.request("PUT", "/api/entities/Item", {"x": 1}, token="SECRET-bearer-1")
    upgrade = "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n"
    raw(server, f"GET /?token=SECRET-socket-1 HTTP/1.1\nHost: x\n{upgrade}{key}\n")
    raw(server, f"GET / HTTP/1.1\nHost: x\n{upgrade}{key}Sec-WebSocket-Protocol: bearer.SECRET-socket-2\n\n")
    raw(server, f"GET / HTTP/1.1\nHost: x\n{upgrade}Authorization: Bearer SECRET-socket-3\n\n")
    raw(server, "NONSENSE ?token=SECRET-raw-1\nCookie: a=SECRET-raw-2\n\n")
    with socket.create_connection(("127.0.0.1", server.port + 2), timeout=10) as stream:
        stream.sendall(b"GET /events?token=SECRET-stream-1 HTTP/1.1\r\nHost: x\r\n\r\n")
        stream.recv(4096)
    request = urllib.request.Request(f"{server.url}/api/admin/logs?minutes=5")
    request.add_header("Authorization", f"Bearer {ADMIN_TOKEN}")
    with urllib.request.urlopen(request, timeout=10) as answer:
        shown = answer.read().decode()
    assert "function failed" in shown
    for text in (shown, server.log()):
        assert "SECRET-" not in text
        assert session not in text
        assert ADMIN_TOKEN not in text


def test_the_log_file_exists_where_the_test_looks(server: ServerProcess) -> None:
    server.request("GET", "/api/entities/Item", headers={"X-Request-Id": "seen-in-log"})
    server.request("GET", "/api/admin/logs", token=ADMIN_TOKEN)
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if "seen-in-log" in Path(server.log_path).read_text():
            return
    pytest.fail("nothing was written")
