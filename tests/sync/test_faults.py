"""What a broken or hostile client may send over real sockets and HTTP: it is told or ended, and nobody else notices."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.documents.live import frame_of
from tests.documents.peer import Peer
from tests.sync.checklist import APP, put
from tests.sync.client_11 import Client11
from tests.sync.test_frames import masked

HANDSHAKE = (
    b"GET /api/sync/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
TEXT, CONTINUATION, CLOSE, PING = 0x1, 0x0, 0x8, 0x9


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("faults")
    (folder / "app.py").write_text(APP)
    env = {"PYLON_CRDT_UPDATE_MAX_BYTES": "20000", "PYLON_WS_MAX_FRAME": "100000"}
    with ServerProcess(folder / "app.py", folder / "data", env=env) as process:
        yield process


@pytest.fixture
def witness(server: ServerProcess) -> Iterator[Any]:
    """Somebody else, who must hear the next write whatever a test did."""
    client = Client11(server.url)
    client.start()

    def hears() -> None:
        row_id = put(server, "for the witness")
        client.receive(lambda: row_id in client.rows.get("Todo", {}))

    yield hears
    hears()
    client.drop()


@pytest.fixture
def started(server: ServerProcess) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:

        def start(user: str) -> Client11:
            client = Client11(server.url, server.token_of(user))
            stack.callback(client.drop)
            client.start()
            return client

        yield start


BROKEN = {
    "unmasked": (b"\x81\x01a", 1002),
    "reserved bits": (b"\xc1" + masked(b"a")[1:], 1002),
    "an unknown opcode": (masked(b"a", 3), 1002),
    "a continuation of nothing": (masked(b"a", CONTINUATION), 1002),
    "a message inside another": (masked(b"a", TEXT, final=False) + masked(b"b", TEXT), 1002),
    "a long ping": (masked(b"x" * 126, PING), 1002),
    "a ping in parts": (masked(b"", PING, final=False), 1002),
    "text that is none": (masked(b"\xff\xfe", TEXT), 1007),
    "a close of half a code": (masked(b"\x03", CLOSE), 1002),
    "a frame too long": (b"\x82\xff" + struct.pack(">Q", 2**62) + b"\0\0\0\0", 1009),
    "parts that are too long together": (masked(b"x" * 60_000, TEXT, final=False) + masked(b"x" * 60_000, 0), 1009),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_frame_ends_its_socket_with_a_code_and_nobody_elses(
    server: ServerProcess, witness: Any, what: str
) -> None:
    sent, code = BROKEN[what]
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
        raw.sendall(HANDSHAKE)
        received = b""
        while b"\r\n\r\n" not in received:
            received += raw.recv(65536)
        raw.sendall(sent + masked(b'{"type":"presence"}'))
        with contextlib.suppress(ConnectionResetError):
            while piece := raw.recv(65536):
                received += piece
    assert b"\x88" in received
    assert struct.pack(">H", code) in received[received.rindex(b"\x88") :]


def test_noise_on_a_socket_harms_nobody(server: ServerProcess, witness: Any) -> None:
    chance = Random(5)
    for _ in range(30):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as raw:
            raw.sendall(HANDSHAKE + chance.randbytes(chance.randrange(1, 400)))
            if chance.random() < 0.5:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not a close


def test_bytes_that_are_almost_an_edit_never_fail_the_server_nor_hurt_the_document(
    server: ServerProcess, witness: Any, started: Any
) -> None:
    client, chance = started("ann"), Random(11)
    row_id = _note(client)
    client.say(type="crdt-subscribe", entity="Note", rowId=row_id)
    client.receive(lambda: client.binary)
    peer = Peer(1)
    peer.receive(frame_of(client.binary.pop())[3])
    codes: dict[str, int] = {}
    for i in range(150):
        other = Peer(100 + i)
        other.receive(_snapshot_of(peer))
        other.field("body").insert(0, "x")
        data = bytearray(other.taken())
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        sent = bytes(data[: chance.randrange(1, len(data) + 1)] if chance.random() < 0.3 else data)
        status, answer = client.request("POST", f"/api/crdt/Note/{row_id}", {"update": sent.hex()})
        assert status < 500, answer
        code = "taken" if status == 200 else answer["error"]["code"]
        codes[code] = codes.get(code, 0) + 1
    assert codes["CRDT_DECODE_FAILED"] > 100
    peer.field("body").insert(0, "good ")
    assert client.request("POST", f"/api/crdt/Note/{row_id}", {"update": peer.taken().hex()}) == (200, {"ok": True})
    client.receive(lambda: "good " in client.rows["Note"][row_id]["body"])


def _note(client: Client11) -> str:
    _, made = client.request("POST", "/api/entities/Note", {"body": "whole"})
    row_id: str = made["id"]
    return row_id


def _snapshot_of(peer: Peer) -> bytes:
    from loro import ExportMode

    return peer.doc.export(ExportMode.Snapshot())


def test_a_huge_edit_is_refused_and_changes_nothing(server: ServerProcess, witness: Any, started: Any) -> None:
    client = started("ben")
    row_id, peer = _note(client), Peer(2)
    peer.doc.get_text("body").insert(0, os.urandom(20_000).hex())
    status, answer = client.request("POST", f"/api/crdt/Note/{row_id}", {"update": peer.taken().hex()})
    assert (status, answer["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert client.request("GET", f"/api/entities/Note/{row_id}")[1]["body"] == "whole"


def test_thousands_of_subscriptions_of_one_socket_are_bounded_and_keep_nobody_waiting(
    server: ServerProcess, witness: Any, started: Any
) -> None:
    client = started("cyd")
    row_id = _note(client)
    began = time.monotonic()
    for i in range(1500):
        client.say(type="reactive-subscribe", sub_id=f"s{i}", fn_name="mine", args={})
        client.say(type="crdt-subscribe", entity="Note", rowId=f"{i:040x}")
        client.say(type="room-subscribe", room=f"room {i}")
        if i % 500 == 0:
            witness()
    assert time.monotonic() - began < 20
    client.say(type="crdt-subscribe", entity="Note", rowId=row_id)
    client.receive(lambda: sum("room" in frame for frame in client.frames) == 1500, 20)
    client.receive(lambda: len({f["sub_id"] for f in client.frames if "sub_id" in f}) == 1500, 20)
    results = [frame for frame in client.frames if frame["type"] == "reactive-result"]
    refused = [frame for frame in client.frames if frame.get("code") == "REACTIVE_LIMIT"]
    assert (len(results), len(refused)) == (256, 1500 - 256)


def test_nobody_reaches_a_users_op_ids_by_calling_himself_as_the_user(server: ServerProcess, started: Any) -> None:
    dan = started("dan")
    dan.insert("Priv", {"text": "dans"})
    [change] = dan.pending
    dan.push()
    assert dan.results[0]["status"] == "applied"
    for client_id in ("dan", "client:dan", dan.client_id):
        for token in (None, server.token_of("eve"), ADMIN_TOKEN):
            body = {"changes": [change], "client_id": client_id}
            [result] = server.request("POST", "/api/sync/push", body, token=token)[1]["results"]
            assert result["status"] == "error"
            assert "seq" not in result


def test_wrong_pulls_and_pushes_are_told_and_change_nothing(server: ServerProcess, witness: Any) -> None:
    before = server.request("GET", "/api/sync/pull?since=0&limit=0")[1]["cursor"]
    for body in ({"changes": {}}, {"changes": [1]}, {"changes": [{"kind": "upsert"}]}, [], None, {"changes": None}):
        status, answer = server.request("POST", "/api/sync/push", body)
        assert (status, answer["error"]["code"]) == (400, "INVALID_JSON")
    for query in (
        "scope=%FF",
        "scope=" + "%5B" * 3000,
        "snapshot_after=e30",
        "since=0&page_size=-1&snapshot_after=%7B",
    ):
        status, answer = server.request("GET", f"/api/sync/pull?{query}")
        assert status == 400, (query, answer)
    assert server.request("GET", "/api/sync/pull?since=0&limit=0")[1]["cursor"] == before
