"""Hostile requests get a clear 4xx: never a 5xx, never half a write."""

from __future__ import annotations

import contextlib
import json
import socket
import time

import pytest

from pylon.model.errors import REGISTRY
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.web.exchange import exchange, request

DEEP = b"[" * 200 + b"]" * 200
BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"x"',
    b"5",
    b"\xff\xfe",
    b"\x00",
    b"{}" * 2,
    b'{"title":',
    b'{"title":NaN}',
    b'{"title":"\\ud800"}',
    b'{"n":1e999}',
    b'{"n":' + b"9" * 400 + b"}",
    b'{"tags":' + DEEP + b"}",
    b'{"tags":' + b"[" * 50_000,
    b'{"title":{"$inc":5}}',
    b'{"title":"x","__proto__":{}}',
    b'{"":1}',
    b'{"title":"a\\u0000b","id":null,"n":-9223372036854775809}',
]
DOORS = [
    ("POST", "/api/entities/Post"),
    ("POST", "/api/query/Post"),
    ("POST", "/api/transact"),
    ("POST", "/api/batch"),
    ("POST", "/api/sync/push"),
    ("POST", "/api/fn/add"),
    ("POST", "/api/auth/session"),
    ("PATCH", "/api/entities/Post/" + "0" * 40),
]
PATHS = [
    "/api/entities/%00",
    "/api/entities/Post/%ff%fe",
    "/api/entities/Post?limit=" + "9" * 50,
    "/api/entities/Post?offset=99999999999999999999",
    "/api/entities/Post?page=9999999999999999999",
    "/api/entities/Post?filter[nope]=1",
    "/api/entities/Post?sort=;drop",
    "/api/entities/Post?sort=secret",
    "/api/entities/Post?filter[n]=abc",
    "/api/entities/Post?filter[=1",
    "/api/entities/Post?%zz=1",
    "/api/lookup/Post/title",
    "/api/lookup/Post/%22/x",
    "/api/query/",
    "/api/entities/",
    "//api/entities/Post",
    "/api/sync/pull?since=abc",
    "/api/sync/pull?since=-1",
    "/api/sync/pull?since=99999999999999999999999",
    "/api/sync/pull?since=0&snapshot_after=%7B",
    "/api/sync/pull?since=0&page_size=0",
    "/api/fn/nope",
    "/..%2f..%2fetc/passwd",
    "/api/fn-streams/x",
    "/api/entities/Post/" + "x" * 5000,
]


@pytest.mark.parametrize(("method", "path"), DOORS)
def test_no_body_makes_a_door_fail(server: ServerProcess, method: str, path: str) -> None:
    for body in BODIES:
        answer = request(server, method, path, body, {"Authorization": f"Bearer {ADMIN_TOKEN}"})
        assert answer.status < 500, (path, body[:50], answer.body)
        if answer.status >= 400 and path != "/api/transact":
            assert json.loads(answer.body)["error"]["code"] in REGISTRY


@pytest.mark.parametrize("path", PATHS)
def test_no_path_makes_the_server_fail(server: ServerProcess, path: str) -> None:
    answer = request(server, "GET", path, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})
    assert answer.status < 500, answer.body


def test_a_refused_insert_leaves_nothing(server: ServerProcess) -> None:
    before = server.request("POST", "/api/fn/total", {})[1]
    for body in (b'{"title":"x","n":"no"}', b'{"title":null}', b'{"title":"x","nope":1}'):
        assert server.request("POST", "/api/entities/Post", body)[0] == 400
    assert server.request("POST", "/api/fn/total", {})[1] == before


def test_text_with_nul_and_astral_characters_survives(server: ServerProcess) -> None:
    title = "a\0b \U0001f600 é"
    _, made = server.request("POST", "/api/entities/Post", {"title": title})
    assert server.request("GET", f"/api/entities/Post/{made['id']}")[1]["title"] == title


def test_a_body_over_the_limit_is_413_by_length_and_while_reading(production: ServerProcess) -> None:
    big = b'{"title":"' + b"x" * 3000 + b'"}'
    answer = request(production, "POST", "/api/entities/Post", big)
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    chunked = b"POST /api/entities/Post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"%x\r\n" % len(big) + big + b"\r\n0\r\n\r\n"
    assert exchange(production, chunked).status == 413


def test_a_chunked_body_is_read(server: ServerProcess) -> None:
    body = b'{"title":"chunked"}'
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    head = b"POST /api/entities/Post HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert exchange(server, head + chunks).status == 201


@pytest.mark.parametrize(
    "raw",
    [
        b"garbage\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /api/entities/Post HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n",
        b"POST /api/entities/Post HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 70_000 + b"\r\n\r\n",
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_a_request_that_is_no_http_is_refused_and_closed(server: ServerProcess, raw: bytes) -> None:
    with contextlib.suppress(OSError):  # closed without an answer is fine as well
        assert exchange(server, raw).status in (400, 404, 431)
    assert server.request("GET", "/health")[0] == 200


def test_a_client_that_hangs_up_in_its_body_harms_nobody(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"POST /api/entities/Post HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    time.sleep(0.05)
    assert server.request("GET", "/health")[0] == 200
