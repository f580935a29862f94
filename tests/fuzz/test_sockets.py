"""Whatever bytes come in on a live connection, or instead of a request at all: the socket ends or goes on, the server
does not notice. Over real sockets, at the main port and the two of older clients."""

from __future__ import annotations

import base64
import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.fuzz import hostile
from tests.fuzz.oracle import INTERNALS

LONG = bool(os.environ.get("PYLON_TEST_LONG"))
fuzzing = settings(
    max_examples=int(os.environ.get("PYLON_FUZZ_EXAMPLES", "400")) * 10 if LONG else 150,
    deadline=None,
    database=None,
    derandomize=not LONG,
    phases=[Phase.generate, Phase.shrink] if LONG else [Phase.generate],
    suppress_health_check=list(HealthCheck),
)
PATIENCE = 5.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    env = {"PYLON_LOG_LEVEL": "warning", "PYLON_WS_PER_IP_MAX": "0", "PYLON_WS_PER_USER_MAX": "0"}
    with ServerProcess(
        Path(__file__).with_name("app.py"), tmp_path_factory.mktemp("sockets") / "data", env=env
    ) as running:
        row = {"id": hostile.ROW, "title": "a note", "owner": "ada"}
        assert running.request("POST", "/api/entities/Note", row, token=ADMIN_TOKEN)[0] == 201
        yield running
        log = running.log()
        assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:9000]
        assert " ERROR " not in log, log[log.index(" ERROR ") - 100 :][:3000]
        assert (
            running.request("POST", "/api/entities/Note", {"title": "x", "owner": "ada"}, token=ADMIN_TOKEN)[0] == 201
        )


# -- instead of a request ----------------------------------------------------------------------------------------------

KEY = base64.b64encode(b"0123456789abcdef")
_HEAD = [
    b"Host: x", b"Upgrade: websocket", b"Connection: Upgrade", b"Connection: keep-alive, upgrade",
    b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 8", b"Sec-WebSocket-Key: " + KEY,
    b"Sec-WebSocket-Key: short",
    b"Sec-WebSocket-Protocol: bearer.x, bearer.%zz", b"Sec-WebSocket-Protocol: bearer.%ff%00",
    b"Sec-WebSocket-Protocol: \xff", b"Sec-WebSocket-Protocol: bearer." + b"a" * 9000,
    b"Sec-WebSocket-Extensions: permessage-deflate", b"Authorization: Bearer \xff",
    b"Authorization: Bearer " + ADMIN_TOKEN.encode(),
    b"Cookie: fuzz_session=\xff; a", b"Origin: http://[", b"Origin: \xff", b"X-Forwarded-For: \xff, ,",
    b"Content-Length: 5",
    b"Content-Length: -1", b"Content-Length: 5\r\nContent-Length: 6", b"Content-Length: 99999999999999999999",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked", b"Expect: 100-continue", b"no colon", b": empty", b" folded: x",
    b"\xff: \xfe", b"X: \0",
    b"Range: bytes=0-1", b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\nUpgrade: h2c", b"X-Long: " + b"a" * 70_000,
    *(b"X-%d: y" % number for number in range(3)), b"Content-Type: application/json",
]  # fmt: skip
_TARGETS = [
    b"/", b"/api/sync/ws", b"/api/sync/events", b"/?scope={",
    b"/?scope=%7B%22Note%22%3A%7B%22title%22%3A%22x%22%7D%7D", b"/?scope=%ff",
    b"/?scope=" + b"[" * 3000, b"/?" + b"a=1&" * 200 + b"scope=1", b"/api/sync/events?token=%00",
    b"/api/sync/ws?scope=null", b"*", b"//",
    b"/%00", b"/%ff", b"/\xff", b"http://x/", b"/a b", b"", b"/?", b"/api/fn/count", b"/api/entities/Note",
    b"/" + b"a" * 70_000,
    b"/api/sync/pull?since=0&scope=" + b"a=1&" * 200, b"/api/sync/events?" + b"a=1&" * 200 + b"scope=%7B%7D",
]  # fmt: skip
heads = st.builds(
    lambda method, target, version, lines, end: b"\r\n".join([b"%b %b %b" % (method, target, version), *lines]) + end,
    st.sampled_from([b"GET", b"GET", b"GET", b"POST", b"PRI", b"CONNECT", b"get", b"\xff", b""]),
    st.sampled_from(_TARGETS) | st.binary(max_size=5),
    st.sampled_from([b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/0.9", b"", b"\xff"]),
    st.lists(st.sampled_from(_HEAD), max_size=8),
    st.sampled_from(
        [b"\r\n\r\n", b"\r\n\r\n", b"\r\n\r\n", b"\n\n", b"\r\n", b"\r\n\r\nhello", b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"]
    ),
)
upgrades = st.builds(
    lambda target, lines: b"\r\n".join(
        [b"GET %b HTTP/1.1" % target, b"Host: x", b"Upgrade: websocket", b"Connection: Upgrade", *lines, b"", b""]
    ),
    st.sampled_from(_TARGETS),
    st.lists(st.sampled_from(_HEAD), max_size=6).map(
        lambda lines: [b"Sec-WebSocket-Key: " + KEY, b"Sec-WebSocket-Version: 13", *lines]
    ),
)


@fuzzing
@given(data=st.data())
def test_no_bytes_instead_of_a_request_harm_the_server(server: ServerProcess, data: Any) -> None:
    raw = data.draw(heads | upgrades | st.binary(max_size=30))
    port, rest = data.draw(st.integers(0, 2)), data.draw(st.binary(max_size=20))
    with socket.create_connection(("127.0.0.1", server.port + port), timeout=PATIENCE) as connection:
        _send(connection, raw + rest)
        answer = _until_it_ends(connection)
    if answer:
        assert answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")), answer[:200]
        status = int(answer[9:12])
        assert status < 500 or (status == 503 and b"retry-after" in answer.lower()), answer[:500]
        assert not INTERNALS.search(answer) or status < 400, answer[:500]
    assert server.request("GET", "/health")[0] == 200


def _send(connection: socket.socket, data: bytes) -> None:
    """Send all of it and nothing more. The server may hang up before it has read everything."""
    try:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    except TimeoutError:
        raise
    except OSError:
        pass


def _until_it_ends(connection: socket.socket) -> bytes:
    """What comes until the server hangs up, which it must: nothing more is sent."""
    answer = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65_536):
            answer += piece
    return answer


# -- on a socket -------------------------------------------------------------------------------------------------------

_ENTITY, _ROOM, _SUB = (
    st.sampled_from(["Note", "Line", "Task", "User", "Nope"]),
    st.sampled_from(["hall", "x" * 300]),
    st.sampled_from(["s", ""]),
)
_NAMES = st.sampled_from(["notes", "write", "count", "nope"])
_DOCUMENT = {"entity": _ENTITY, "rowId": st.just(hostile.ROW) | hostile.words, "row_id": str}
_SAYINGS: dict[str, Any] = {
    "scope": {
        "entities": {"Note": {"title": str, "count": {"$gt": int}, "$or": [{"done": bool}]}, "Line": {}, "Nope": {}}
    },
    "crdt-subscribe": _DOCUMENT,
    "crdt-unsubscribe": _DOCUMENT,
    "room-subscribe": {"room": _ROOM},
    "room-unsubscribe": {"room": _ROOM},
    "presence": {"room": _ROOM, "data": dict, "from": str},
    "topic": {"room": _ROOM, "topic": str, "payload": dict},
    "reactive-subscribe": {
        "sub_id": _SUB,
        "fn_name": _NAMES,
        "fnName": str,
        "args": {"size": Literal["small"], "since": str},
    },
    "reactive-unsubscribe": {"sub_id": _SUB},
    "unknown": {},
}


@st.composite
def sayings(draw: st.DrawFn) -> bytes:
    """A message of a known type, nearly as it should be."""
    kind = draw(st.sampled_from(list(_SAYINGS)))
    message = draw(hostile.near(_SAYINGS[kind]))
    return hostile.encoded({"type": kind, **(message if isinstance(message, dict) else {"x": message})})


texts = sayings() | hostile.bodies(hostile.near({"type": st.sampled_from(list(_SAYINGS))})) | hostile.raw_bodies


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """A client's frame: whole, in pieces, of a strange kind, or cut."""
    kind = draw(st.integers(0, 11))
    payload = draw(texts)
    if kind < 7:
        return frame(0x81, payload)
    if kind == 7:
        cut = draw(st.integers(0, len(payload)))
        return frame(0x01, payload[:cut]) + frame(0x00, b"") + frame(0x89, b"ping") + frame(0x80, payload[cut:])
    if kind == 8:
        return frame(0x82, payload)
    if kind == 9:
        return frame(draw(st.integers(0, 255)), draw(st.binary(max_size=130)))
    if kind == 10:
        return bytes([0x81, 0x80 | draw(st.integers(125, 127))]) + draw(st.binary(max_size=12))
    return draw(st.binary(max_size=12))


def frame(first: int, payload: bytes) -> bytes:
    size = len(payload)
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 65_536:
        head = bytes([first, 0x80 | 126]) + size.to_bytes(2, "big")
    else:
        head = bytes([first, 0x80 | 127]) + size.to_bytes(8, "big")
    return head + b"\0\0\0\0" + payload


@pytest.fixture(scope="module")
def tokens(server: ServerProcess) -> dict[str, str | None]:
    return {"nobody": None, "ada": server.token_of("ada"), "admin": ADMIN_TOKEN}


@fuzzing
@given(data=st.data())
def test_no_frame_harms_the_server_or_another_socket(
    server: ServerProcess, tokens: dict[str, str | None], data: Any
) -> None:
    token = tokens[data.draw(st.sampled_from(list(tokens)))]
    sent = data.draw(st.lists(frames(), min_size=1, max_size=8))
    lines = [b"GET / HTTP/1.1", b"Host: x", b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13"]
    lines += [b"Sec-WebSocket-Key: " + KEY, *([b"Authorization: Bearer " + token.encode()] if token else []), b"", b""]
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(b"\r\n".join(lines))
        answer = connection.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 101"), answer[:300]
        _send(connection, b"".join(sent) + frame(0x88, b""))
        answer += _until_it_ends(connection)
    told = INTERNALS.search(answer, answer.index(b"\r\n\r\n"))
    assert told is None or told[0] in b"".join(sent), answer[:1000]
    assert server.request("GET", "/health")[0] == 200
