"""The acceptance checklist for clients of the 0.3.x generation (spec 02 §18), a test for each line, through the driver
that behaves as they do. The line stands above its test."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.documents.live import frame_of
from tests.documents.peer import Peer
from tests.sync.checklist import APP, head, put
from tests.sync.client_03 import Client03, closed_with, socket_url, stream_url

MANY = 2500


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("checklist")
    (folder / "app.py").write_text(APP)
    with ServerProcess(folder / "app.py", folder / "data") as process:
        yield process


@pytest.fixture
def started(server: ServerProcess) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:

        def start(user: str | None = None, **options: Any) -> Client03:
            client = Client03(server.url, None if user is None else server.token_of(user), **options)
            stack.callback(client.drop)
            return client.start()

        yield start


def titled(client: Client03, title: str) -> list[str]:
    return [row_id for row_id, row in client.rows.get("Todo", {}).items() if row.get("title") == title]


# -- session and HTTP --------------------------------------------------------------------------------------------


# `GET /api/auth/me` → 200 JSON for anonymous too; user_id, tenant_id, is_admin, roles (array); stable between calls.
def test_who_am_i_is_answered_to_everybody_and_stable(server: ServerProcess, started: Any) -> None:
    for user in (None, "ann"):
        client = started(user)
        first = dict(client.session)
        assert first["user_id"] == user
        assert isinstance(first["roles"], list)
        client.refresh_session()
        assert client.session == first


# Bearer token accepted on every `/api/*` call; CORS preflight with `Authorization, Content-Type`; 204.
def test_the_preflight_of_every_call_is_204(server: ServerProcess) -> None:
    import http.client

    for path in ("/api/sync/pull", "/api/sync/push", "/api/auth/me", "/api/entities/Todo", "/api/crdt/Note/x"):
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        asked = {
            "Origin": "https://app.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type",
        }
        connection.request("OPTIONS", path, headers=asked)
        answer = connection.getresponse()
        assert answer.status == 204
        allowed = (answer.getheader("Access-Control-Allow-Headers") or "").lower()
        assert "authorization" in allowed
        assert "content-type" in allowed
        connection.close()


# Bearer token accepted on every `/api/*` call.
def test_a_token_is_taken_at_every_door(server: ServerProcess, started: Any) -> None:
    client = started("bea")
    secret = "beas own"
    change = {"entity": "Priv", "row_id": "_pending_1_a", "kind": "insert", "data": {"text": secret}, "op_id": "bea1"}
    _, note = client.request("POST", "/api/entities/Note", {"body": ""})
    asked = [
        ("POST", "/api/sync/push", {"changes": [change]}),
        ("GET", "/api/sync/pull?since=0", None),
        ("GET", "/api/entities/Priv", None),
        ("GET", "/api/entities/Priv/cursor", None),
        ("POST", "/api/query/Priv", {}),
        ("POST", "/api/aggregate/Priv", {"groupBy": ["text"]}),
        ("POST", "/api/fn/mine", {}),
        ("GET", "/api/auth/me", None),
        ("POST", "/api/rooms/join", {"room": "beas"}),
        ("GET", "/api/rooms/beas", None),
        ("POST", f"/api/crdt/Note/{note['id']}", {"update": Peer(1).taken().hex()}),
    ]
    nobody = started()
    for method, path, body in asked:
        status, answer = client.request(method, path, body)
        assert status == 200, (path, answer)
        if "Priv" in path or path in ("/api/fn/mine", "/api/sync/pull?since=0"):
            assert secret in json.dumps(answer), path
            assert secret not in json.dumps(nobody.request(method, path, body)[1]), path


# Errors are `{"error":{"code","message"}}` with a non-2xx status.
def test_errors_have_a_code_and_a_message(server: ServerProcess, started: Any) -> None:
    client = started()
    for method, path, body in (
        ("GET", "/api/nope", None),
        ("POST", "/api/sync/push", {}),
        ("GET", "/api/entities/X/1", None),
    ):
        status, answer = client.request(method, path, body)
        assert status >= 400
        assert {"code", "message"} <= answer["error"].keys()


# -- pull --------------------------------------------------------------------------------------------------------


# `since` numeric; response always has array `changes`, object `cursor` with numeric `last_seq`, boolean `has_more`.
@pytest.mark.parametrize("since", ["0", "1", "", "junk", "-5", "1.5"])
def test_every_pull_has_its_three_parts(server: ServerProcess, since: str) -> None:
    put(server, "some")
    status, answer = server.request("GET", f"/api/sync/pull?since={since}")
    assert status == 200
    assert isinstance(answer["changes"], list)
    assert isinstance(answer["cursor"]["last_seq"], int)
    assert isinstance(answer["has_more"], bool)


# `has_more:true` only if `cursor.last_seq` is strictly greater than the `since` that was sent.
# Following `has_more` from 0 terminates and yields every readable row, for any table size.
# First-pull rows are `insert` with full `data`; event `seq` ≥ 1.
def test_a_first_pull_ends_with_every_row_for_any_table_size(server: ServerProcess, started: Any) -> None:
    since = head(server)
    operations = [{"op": "insert", "entity": "Todo", "data": {"title": "many", "n": i}} for i in range(MANY)]
    for at in range(0, MANY, 500):
        assert server.request("POST", "/api/transact", operations[at : at + 500], token=ADMIN_TOKEN)[0] == 200
    fresh = started()
    assert sorted(fresh.rows["Todo"][row_id]["n"] for row_id in titled(fresh, "many")) == list(range(MANY))
    behind = Client03(server.url)
    behind.cursor = since
    behind.pull()  # the driver asserts that the cursor rises while there is more
    assert behind.pulls > 1
    assert len(titled(behind, "many")) == MANY
    changes = server.request("GET", "/api/sync/pull?since=0")[1]["changes"]
    assert {change["kind"] for change in changes} == {"insert"}
    assert all(change["seq"] >= 1 and change["data"].keys() >= {"id"} for change in changes)


# `cursor.last_seq` advances past filtered events; never below `since`.
def test_the_cursor_passes_what_is_not_shown(server: ServerProcess, started: Any) -> None:
    client = started("ben")
    before = client.cursor
    other = server.token_of("other")
    server.request("POST", "/api/entities/Priv", {"text": "not yours"}, token=other)
    client.pull()
    assert client.cursor == before + 1
    assert not client.rows.get("Priv")


# 410 (status matters, body not read) for a cursor ahead of the counter or behind retention; never for 0.
def test_a_cursor_of_another_database_is_410_and_then_a_clean_resync(server: ServerProcess, started: Any) -> None:
    row_id = put(server, "after the resync")
    client = started()
    client.cursor = 10**9
    client.rows["Todo"]["ghost"] = {"title": "ghost"}
    client.pull()
    assert client.resyncs == 1
    assert client.cursor == head(server)
    assert titled(client, "after the resync") == [row_id]
    assert "ghost" not in client.rows["Todo"]
    for cursor in (2**63 - 1, 2**63, 2**64 - 1):
        assert server.request("GET", f"/api/sync/pull?since={cursor}")[0] == 410
    assert server.request("GET", "/api/sync/pull?since=0")[0] == 200


# The same behind retention: here the log has lost its beginning while the server was down.
def test_a_cursor_behind_what_the_log_keeps_is_410_and_then_a_clean_resync(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with ServerProcess(tmp_path / "app.py", tmp_path / "data") as own:
        row_id = put(own, "kept")
        client = Client03(own.url).start()
        client.lost()
        gone = put(own, "gone")
        own.request("DELETE", f"/api/entities/Todo/{gone}", token=ADMIN_TOKEN)
        put(own, "later")
        own.kill()
        with closing(sqlite3.connect(tmp_path / "data" / "pylon.db")) as database, database:
            assert database.execute("DELETE FROM _pylon_change_log WHERE seq < 4").rowcount == 3
        own.start()
        client.reconnect()
        assert client.resyncs == 1
        assert client.cursor == head(own)
        assert {row["title"] for row in client.rows["Todo"].values()} == {"kept", "later"}
        assert titled(client, "kept") == [row_id]
        current = Client03(own.url)
        current.cursor = head(own) - 1
        current.pull()
        assert current.resyncs == 0
        client.drop()


# -- live --------------------------------------------------------------------------------------------------------


# WS on P+1 at `/` and, without explicit port, on the main port at `/`.
def test_the_derived_urls_lead_to_sockets_and_streams(server: ServerProcess, started: Any) -> None:
    assert socket_url("http://h:4321") == "ws://h:4322/"
    assert socket_url("https://h") == "wss://h/"
    assert stream_url("https://h") == "http://h:4323/events"
    clients = [started()]
    proxied = Client03("http://app.example", address=("127.0.0.1", server.port)).start()
    put(server, "on both")
    for client in (clients[0], proxied):
        client.receive(lambda client=client: titled(client, "on both"))
    proxied.drop()


# Subprotocol `bearer.<enc>` parsed and echoed exactly; works with no protocol offered.
def test_the_subprotocol_is_echoed_exactly_and_may_be_missing(server: ServerProcess, started: Any) -> None:
    client = started("a user/with ünusual+name")
    assert client.socket.subprotocol == f"bearer.{client.token}"
    strange = Client03(server.url, "a/b=").start()
    assert strange.socket is not None
    assert strange.socket.subprotocol == "bearer.a%2Fb%3D"
    strange.drop()
    assert started().socket.subprotocol is None


# Accepting then closing is allowed, but a socket open < 5 s counts as a failure for backoff: so a good one stays open.
def test_a_socket_without_a_valid_token_stays_open_as_nobodys(server: ServerProcess, started: Any) -> None:
    client = Client03(server.url, "expired or forged").start()
    put(server, "public")
    client.receive(lambda: titled(client, "public"))
    client.drop()


# Text frames are one JSON object each; change events have no need of `type`; unknown types tolerated.
# Strictly increasing `seq` per connection, at most one event per seq per connection.
def test_events_are_objects_without_a_type_in_strictly_rising_order(server: ServerProcess, started: Any) -> None:
    client = started()
    for i in range(50):
        put(server, f"rising {i}")
    client.receive(lambda: titled(client, "rising 49"))
    assert client.seqs == sorted(set(client.seqs))
    assert client.frames == []


# Nothing below what an earlier pull's cursor covered that the client has not seen.
def test_nothing_is_lost_between_a_pull_and_its_socket(server: ServerProcess, started: Any) -> None:
    client = started()
    for i in range(5):
        client.lost()
        client.pull()
        row_id = put(server, f"in the gap {i}")  # committed behind the pull, before the socket
        client.connect()
        client.receive(lambda i=i: titled(client, f"in the gap {i}"))
        assert titled(client, f"in the gap {i}") == [row_id]


# Update frames carry the full row; inserts carry all columns. Delete frames need only seq, entity, row_id, kind.
# The writer's own socket receives its own writes.
def test_the_writers_own_socket_hears_full_rows(server: ServerProcess, started: Any) -> None:
    client = started("cy")
    client.insert("Todo", {"title": "mine"})
    assert client.push() == 200
    client.receive(lambda: len(titled(client, "mine")) == 2)  # the temporary row stays beside the real one
    row_id = next(row_id for row_id in titled(client, "mine") if not row_id.startswith("_pending_"))
    assert client.rows["Todo"][row_id] == {"id": row_id, "title": "mine", "done": False, "n": None}
    client.rows["Todo"][row_id].clear()  # an update must not rely on what is here
    client.update("Todo", row_id, {"done": True})
    client.push()
    client.receive(lambda: client.rows["Todo"][row_id].get("title"))
    assert client.rows["Todo"][row_id] == {"id": row_id, "title": "mine", "done": True, "n": None}
    client.delete("Todo", row_id)
    client.push()
    other = started()
    assert row_id not in other.rows["Todo"]
    assert client.pending == client.failed == []


# Rows leaving the reader's view arrive as `delete`; rows entering as `update`/`insert` with full data and a seq above
# any earlier delete.
def test_a_row_that_leaves_and_comes_back_follows_the_view(server: ServerProcess, started: Any) -> None:
    alice, bob = started("alice"), started("bob")
    _, made = server.request("POST", "/api/entities/Priv", {"text": "secret"}, token=alice.token)
    row_id = made["id"]
    alice.receive(lambda: row_id in alice.rows.get("Priv", {}))
    for loser, winner in ((alice, bob), (bob, alice)):
        owner = winner.session["user_id"]
        server.request("PATCH", f"/api/entities/Priv/{row_id}", {"owner": owner}, token=ADMIN_TOKEN)
        winner.receive(lambda winner=winner: row_id in winner.rows.get("Priv", {}))
        loser.receive(lambda loser=loser: row_id not in loser.rows["Priv"])
        assert winner.rows["Priv"][row_id] == {"id": row_id, "text": "secret", "owner": owner}
    assert alice.tombstones["Priv", row_id] < alice.cursor


# Client-sent `presence`/`topic` frames without `room` do no harm.
def test_frames_without_a_room_do_no_harm(server: ServerProcess, started: Any) -> None:
    client = started("dan")
    for frame in ('{"type":"presence","event":"x"}', '{"type":"topic","topic":"t","data":1}', "junk", "[1]", b"\x00"):
        client.socket.send(frame)
    put(server, "after the frames")
    client.receive(lambda: titled(client, "after the frames"))


# Binary frames only of the layout in 10.5, first one after `crdt-subscribe` is a full snapshot; re-subscribe after
# reconnect works. `POST /api/crdt/<E>/<id>` hex envelope → `{"ok":true}`, then a binary frame to the sender as well.
def test_a_document_comes_whole_after_each_reconnect_and_edits_come_back(server: ServerProcess, started: Any) -> None:
    client = started("doro")
    _, made = client.request("POST", "/api/entities/Note", {"body": "seed"})
    entity, row_id, peer = "Note", made["id"], Peer(7)
    put(server, "nobody asked for a document yet")
    client.receive(lambda: titled(client, "nobody asked for a document yet"))
    assert client.binary == []
    for word in ("one ", "two "):
        client.binary.clear()
        client.socket.send(json.dumps({"type": "crdt-subscribe", "entity": entity, "rowId": row_id}))
        client.receive(lambda: client.binary)
        kind, *about, payload = frame_of(client.binary.pop())
        assert (kind, *about) == (0x10, entity, row_id)
        fresh = Peer(8)
        fresh.receive(payload)
        peer.receive(payload)
        assert fresh.row["body"] == client.rows["Note"][row_id]["body"] == peer.row["body"]
        peer.doc.get_text("body").insert(0, word)  # as `useCollabText` writes
        update = {"update": peer.taken().hex().upper()}
        assert client.request("POST", f"/api/crdt/{entity}/{row_id}", update) == (200, {"ok": True})
        client.receive(lambda word=word: client.rows["Note"][row_id]["body"].startswith(word))
        kind, *about, payload = frame_of(client.binary.pop())
        assert (kind, *about) == (0x11, entity, row_id)
        peer.receive(payload)
        assert peer.row["body"] == client.rows["Note"][row_id]["body"]
        client.lost()
        client.reconnect()
    assert client.rows["Note"][row_id]["body"] == "two one seed"


# -- push --------------------------------------------------------------------------------------------------------


# `POST /api/sync/push` open to ordinary users; `applied` number, `errors` array of strings, `cursor` object, always 200
# for per-change failures.
def test_everybody_pushes_and_a_bad_change_is_no_bad_request(server: ServerProcess, started: Any) -> None:
    for user in (None, "eve"):
        client = started(user)
        client.update("Todo", "nosuch", {"title": "x"})
        assert client.push() == 200
        [(_, error)] = client.failed
        assert error.startswith("update Todo/nosuch: ")
        assert client.pending == []
        answer = client.request("POST", "/api/sync/push", {"changes": []})[1]
        assert answer["cursor"]["last_seq"] == head(server)


# §16.5: `applied` is taken for a prefix. Whatever fails in the middle is told to the right change, and nothing is lost.
def test_the_prefix_that_the_client_counts_is_true(server: ServerProcess, started: Any) -> None:
    client = started("fay")
    client.insert("Todo", {"title": "good 1"})
    bad = client.insert("Todo", {"nosuch": 1})
    client.insert("Todo", {"title": "good 2"})
    client.push()
    assert [change["row_id"] for change, _ in client.failed] == [bad]
    assert len(client.pending) == 1
    client.push()
    assert client.pending == []
    fresh = started()
    assert [len(titled(fresh, f"good {i}")) for i in (1, 2)] == [1, 1]


# `op_id` replay has no second effect, also across restart (20.5), and after a lost response.
# After server restart: old cursor either works or gets 410, never a silent stall; seq never reused.
def test_a_lost_answer_and_a_killed_server_write_nothing_twice(server: ServerProcess, started: Any) -> None:
    client = started("gil")
    temporary = client.insert("Todo", {"title": "once"})
    sent = {"changes": list(client.pending), "client_id": client.client_id}
    assert client.request("POST", "/api/sync/push", sent)[0] == 200  # and the answer was lost
    server.kill()
    assert client.push() == 0
    assert len(client.pending) == 1
    server.start()
    assert client.push() == 200
    assert client.pending == client.failed == []
    client.lost()
    client.reconnect()
    assert client.resyncs == 0
    real = [row_id for row_id in titled(client, "once") if row_id != temporary]
    assert len(real) == 1
    before = client.cursor
    put(server, "after the restart")
    client.receive(lambda: titled(client, "after the restart"))
    assert client.cursor == before + 1
    # `row_id` `_pending_…` on insert is accepted and gets a server id; later changes by that name reach it (20.7).
    client.update("Todo", temporary, {"title": "twice"})
    client.push()
    client.receive(lambda: client.rows["Todo"][real[0]]["title"] == "twice")


# Non-2xx leaves the queue intact (429/503 for back-pressure, never 4xx for one bad change); a 429 to a pull backs off.
def test_back_pressure_keeps_the_queue(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    env = {"PYLON_WRITES_PER_IP": "1", "PYLON_WRITES_PER_IP_BURST": "1", "PYLON_PULLS_PER_CLIENT": "0.1"}
    with ServerProcess(tmp_path / "app.py", tmp_path / "data", env=env) as small:
        client = Client03(small.url, small.token_of("hal")).start()
        statuses = set()
        for _ in range(20):
            client.insert("Todo", {"title": "x"})
            statuses.add(client.push())
            if 429 in statuses:
                break
        assert statuses <= {200, 429}
        assert 429 in statuses
        assert client.pending
        assert client.failed == []
        client.drop()


# -- revocation, faults ------------------------------------------------------------------------------------------


# §20.9: a revoked session loses its socket and its stream; what comes back is nobody.
def test_a_revoked_session_is_closed_mid_stream_and_comes_back_as_nobody(server: ServerProcess, started: Any) -> None:
    client = started("ida")
    server.request("POST", "/api/entities/Priv", {"text": "idas"}, token=client.token)
    client.receive(lambda: client.rows.get("Priv"))
    with socket.create_connection(("127.0.0.1", server.port + 2), timeout=5) as stream:
        stream.sendall(f"GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {client.token}\r\n\r\n".encode())
        assert b": connected" in stream.recv(4096)
        server.request("DELETE", "/api/auth/session", token=client.token)
        assert closed_with(client) == 1008
        with contextlib.suppress(ConnectionResetError):
            while stream.recv(65536):
                pass
    assert 0 <= client.lost() <= 1
    client.reconnect()
    client.refresh_session()
    assert client.session["user_id"] is None
    server.request("POST", "/api/entities/Priv", {"text": "idas again"}, token=server.token_of("ida"))
    put(server, "for everybody")
    client.receive(lambda: titled(client, "for everybody"))
    assert not [row for row in client.rows.get("Priv", {}).values() if row["text"] == "idas again"]


# §16.2: a token that changed drops the replica, asks again who it is, and pulls from 0.
def test_signing_in_as_somebody_else_leaves_nothing_of_the_first(server: ServerProcess, started: Any) -> None:
    client = started("jo")
    server.request("POST", "/api/entities/Priv", {"text": "jos"}, token=client.token)
    client.receive(lambda: client.rows.get("Priv"))
    client.token = server.token_of("kim")
    client.lost()
    client.reconnect()
    assert client.session["user_id"] == "kim"
    assert not client.rows.get("Priv")


# §20.5: an op-id is its user's; whoever forges it makes a write of his own, and learns nothing.
def test_a_forged_op_id_of_another_user_is_a_write_of_ones_own(server: ServerProcess, started: Any) -> None:
    victim, thief = started("leo"), started("mia")
    victim.insert("Priv", {"text": "leos"})
    [change] = victim.pending
    victim.push()
    answer = thief.request("POST", "/api/sync/push", {"changes": [change], "client_id": victim.client_id})[1]
    [result] = answer["results"]
    assert result["status"] == "applied"
    _, row = server.request("GET", f"/api/entities/Priv/{result['row_id']}", token=thief.token)
    assert row["owner"] == "mia"


# -- React and others --------------------------------------------------------------------------------------------


# `POST /api/query/<E>` → array; `/api/aggregate/<E>` → `{rows}`; `/api/fn/<name>`; `/api/entities/<E>/cursor`.
def test_the_hooks_find_the_shapes_that_they_read(server: ServerProcess, started: Any) -> None:
    put(server, "hooked", n=1)
    client = started()
    page = client.request("POST", "/api/query/Todo", {"$limit": 20, "$offset": 0, "$order": {"title": "asc"}})[1]
    assert isinstance(page, list)
    assert isinstance(client.request("POST", "/api/aggregate/Todo", {"count": "*"})[1]["rows"], list)
    status, found = client.request("POST", "/api/fn/titles", {})
    assert status == 200
    assert isinstance(found, list | dict)
    cursor = client.request("GET", "/api/entities/Todo/cursor?limit=1")[1]
    assert cursor.keys() >= {"data", "next_cursor", "has_more"}


# Rooms: join reply `snapshot.peers[]`, GET room `members[]`, leave idempotent.
def test_rooms_answer_what_the_hook_reads(server: ServerProcess, started: Any) -> None:
    client = started("ned")
    joined = client.request("POST", "/api/rooms/join", {"room": "a b/c", "data": {"x": 1}})[1]
    assert joined["snapshot"]["peers"] == []
    members = client.request("GET", "/api/rooms/a%20b%2Fc")[1]["members"]
    assert [member["user_id"] for member in members] == ["ned"]
    left = [client.request("POST", "/api/rooms/leave", {"room": "a b/c"})[1]["was_present"] for _ in range(2)]
    assert left == [True, False]


# SSE: `data:` one-line JSON, `Access-Control-Allow-Origin: *`, no auth required in dev.
def test_the_stream_is_open_to_any_page_and_one_line_an_event(server: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", server.port + 2), timeout=5) as stream:
        stream.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\n\r\n")
        received = b""
        while b": connected" not in received:
            received += stream.recv(65536)
        assert b"access-control-allow-origin: *" in received.lower()
        put(server, "two\nlines")
        until = time.monotonic() + 5
        while b"two\\nlines" not in received:
            assert time.monotonic() < until
            received += stream.recv(65536)
        lines = [line for line in received.split(b"\n") if b"two\\nlines" in line]
        assert json.loads(lines[0].removeprefix(b"data: "))["entity"] == "Todo"
