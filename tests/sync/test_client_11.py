"""What clients of the 0.11 generation find (spec 02 §19, the column "R"), through a driver that behaves as they do. The
sentence stands above its test; what both generations share is in `test_client_03.py`."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.documents.live import frame_of
from tests.documents.peer import Peer
from tests.sync.checklist import APP, head, put
from tests.sync.client_11 import Client11


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("checklist-11")
    (folder / "app.py").write_text(APP)
    with ServerProcess(folder / "app.py", folder / "data") as process:
        yield process


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("production-11")
    (folder / "app.py").write_text(APP)
    with ServerProcess(folder / "app.py", folder / "data", env={"PYLON_DEV_MODE": "0"}) as process:
        yield process


@pytest.fixture
def started(server: ServerProcess) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:

        def start(user: str | None = None, **options: Any) -> Client11:
            client = Client11(server.url, None if user is None else server.token_of(user), **options)
            stack.callback(client.drop)
            client.start()
            return client

        yield start


# WS on the main port at `/api/sync/ws`; an admin's token is accepted there and sees everything.
def test_the_main_port_has_the_same_events_and_takes_an_admins_token(server: ServerProcess, started: Any) -> None:
    nobody, admin = started(), Client11(server.url, ADMIN_TOKEN)
    admin.start()
    server.request("POST", "/api/entities/Priv", {"text": "anns"}, token=server.token_of("ann"))
    put(server, "for all")
    for client in (nobody, admin):
        client.receive(lambda client=client: client.rows.get("Todo"))
    assert not nobody.rows.get("Priv")
    assert [row["text"] for row in admin.rows["Priv"].values()] == ["anns"]
    admin.drop()


# Log in the database: seq survives a restart and goes on; a cursor of before goes on too.
def test_a_restart_goes_on_where_it_was(production: ServerProcess) -> None:
    client = Client11(production.url).start()
    before = put(production, "before")
    client.receive(lambda: before in client.rows.get("Todo", {}))
    cursor = client.cursor
    production.kill()
    production.start()
    client.lost()
    after = put(production, "after")
    client.reconnect()
    assert client.resyncs == 0
    assert client.cursor == cursor + 1
    assert client.rows["Todo"].keys() == {before, after}
    client.drop()


# `since=0` is a snapshot of rows; in pages, the token goes back as it came, and the last page has the cursor.
@pytest.mark.parametrize("page_size", [1, 3, 1000])
def test_pages_of_a_snapshot_follow_the_token(server: ServerProcess, started: Any, page_size: int) -> None:
    for i in range(4):
        put(server, f"paged {i}")
    gone = put(server, "deleted")
    server.request("DELETE", f"/api/entities/Todo/{gone}", token=ADMIN_TOKEN)
    paged, whole = started(page_size=page_size), started()
    assert paged.rows == whole.rows
    assert gone not in paged.rows["Todo"]
    assert paged.cursor == whole.cursor == head(server)
    assert bool(paged.tokens) is (page_size < 1000)
    put(server, "behind the snapshot")
    paged.receive(lambda: any(row["title"] == "behind the snapshot" for row in paged.rows["Todo"].values()))


# The token of release R, JSON in a URL, is understood; what is no token is 400 SNAPSHOT_CURSOR_INVALID.
def test_the_older_form_of_the_token_is_understood(server: ServerProcess, started: Any) -> None:
    ids = sorted(put(server, f"older {i}") for i in range(2))
    token = quote(json.dumps({"a": ids[0], "e": "Todo", "n": 1, "s": head(server)}))
    answer = server.request("GET", f"/api/sync/pull?since=0&snapshot_after={token}")[1]
    assert answer["changes"][0]["row_id"] == ids[1]
    status, refused = server.request("GET", "/api/sync/pull?since=0&snapshot_after=junk")
    assert (status, refused["error"]["code"]) == (400, "SNAPSHOT_CURSOR_INVALID")


# Push: `results[i]` is of `changes[i]`; `applied` has row and seq, so has a replay, and errors have a code. A batch
# with ids of its own goes on behind a failure.
def test_each_change_has_its_result_and_a_replay_that_of_the_first_time(server: ServerProcess, started: Any) -> None:
    client = started("bob")
    row_id = client.insert("Todo", {"title": "mine"})
    client.update("Todo", "nosuch", {"title": "x"})
    client.update("Todo", row_id, {"done": True})  # of the same batch
    client.insert("Todo", {"title": "again", "id": "f" * 40})
    client.insert("Nope", {"title": "x"})
    client.insert("Todo", {"title": "x"})
    client.pending[-1]["data"]["id"] = "my own"
    sent = list(client.pending)
    assert client.push() == 200
    assert client.pending == []
    seen = [(result["status"], result["row_id"]) for result in client.results]
    assert seen[0] == ("applied", row_id)
    assert seen[2] == ("applied", row_id)
    assert [code for _, code in client.failed] == ["NOT_FOUND", "POLICY_DENIED", "INVALID_ID"]
    assert client.results[2]["seq"] > client.results[0]["seq"]
    first = client.results
    client.pending = [change for change in sent if change["row_id"] == row_id]
    client.push()
    for again, before in zip(client.results, (first[0], first[2]), strict=True):
        assert again == {**before, "status": "replayed"}
    client.receive(lambda: client.cursor == head(server))
    assert client.rows["Todo"][row_id]["done"] is True


# Client ids: 40 hex characters are kept, and one that is taken is OPTIMISTIC_ID_CONFLICT.
def test_an_id_that_is_taken_is_told(server: ServerProcess, started: Any) -> None:
    client, other = started("cy"), started("dan")
    row_id = client.insert("Todo", {"title": "first"})
    client.push()
    other._queue("Todo", row_id, "insert", {"title": "second", "id": row_id})
    other.push()
    assert [code for _, code in other.failed] == ["OPTIMISTIC_ID_CONFLICT"]


# The header `X-Pylon-Change-Seq` of a write is the seq of its event.
def test_the_header_of_a_write_is_the_seq_of_its_event(server: ServerProcess, started: Any) -> None:
    import http.client

    client = started("eve")
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    connection.request(
        "POST", "/api/entities/Todo", json.dumps({"title": "seq"}), {"Authorization": f"Bearer {client.token}"}
    )
    answer = connection.getresponse()
    row_id = json.loads(answer.read())["id"]
    client.receive(lambda: row_id in client.rows.get("Todo", {}))
    assert client.seqs[-1] == int(answer.getheader("X-Pylon-Change-Seq") or 0)
    connection.close()


# Room frames are scoped, and need `room-subscribe`; a socket that is not in the room is told NOT_IN_ROOM.
def test_rooms_are_heard_by_who_subscribed(server: ServerProcess, started: Any) -> None:
    ann, ben, cid = started("ann"), started("ben"), started("cid")
    for client in (ann, ben):
        client.request("POST", "/api/rooms/join", {"room": "doc", "data": {"who": client.session["user_id"]}})
        client.say(type="room-subscribe", room="doc")
        assert "ann" in {member["user_id"] for member in client.heard("room-snapshot")["members"]}
    cid.say(type="room-subscribe", room="doc")
    assert cid.heard("error") == {"type": "error", "code": "NOT_IN_ROOM", "room": "doc"}
    ben.say(type="presence", room="doc", event="update", data={"x": 1}, **{"from": "ann"})
    heard = ann.heard("presence", event="update")
    assert (heard["from"], heard["data"]) == ("ben", {"x": 1})
    ben.request("POST", "/api/rooms/broadcast", {"room": "doc", "topic": "ping", "data": 1})
    assert ann.heard("room-update", action="broadcast")["data"] == {"topic": "ping", "payload": 1}
    ben.drop()
    assert ann.heard("room-update", action="leave")["member"] == {"user_id": "ben"}


# Reactive queries: a result at once and after each change of it; a mutation is refused.
def test_a_query_is_answered_at_once_and_again_after_a_change(server: ServerProcess, started: Any) -> None:
    client = started("flo")
    client.say(type="reactive-subscribe", sub_id="s1", fn_name="mine", args={})
    assert client.heard("reactive-result", sub_id="s1")["result"] == []
    server.request("POST", "/api/entities/Priv", {"text": "flos"}, token=client.token)
    assert client.heard("reactive-result", sub_id="s1")["result"] == ["flos"]
    client.say(type="reactive-subscribe", sub_id="s2", fn_name="whoami")
    assert client.heard("reactive-error", sub_id="s2")["code"] == "FN_TYPE_MISMATCH"


# `sync`, `sync_scope`, `sync_limit` and `sync_omit` hold in the snapshot, in the log and live.
def test_what_the_app_keeps_home_stays_home_by_every_way(server: ServerProcess, started: Any) -> None:
    live = started()
    before = live.cursor
    ids = sorted(put(server, f"shelf {i}", "Shelf", notes="secret") for i in range(4))
    put(server, "home", "Home")
    put(server, "closed", "Shelf", open=False)
    server.request("PATCH", f"/api/entities/Shelf/{ids[3]}", {"open": False}, token=ADMIN_TOKEN)
    put(server, "the last")
    pulled = Client11(server.url)
    pulled.cursor = before
    pulled.pull()
    live.receive(lambda: live.cursor == pulled.cursor)
    fresh, paged = started(), started(page_size=1)
    assert live.rows["Shelf"].keys() == pulled.rows["Shelf"].keys() == set(ids[:3])
    assert fresh.rows["Shelf"].keys() == paged.rows["Shelf"].keys() == set(ids[1:3])
    for client in (live, pulled, fresh, paged):
        assert "Home" not in client.rows
        assert all("notes" not in row for row in client.rows["Shelf"].values())


# The same of documents: no row outside the scope, no omitted field, and nothing of an edit that takes the row out.
def test_a_document_shows_no_more_than_what_replicates(server: ServerProcess, started: Any) -> None:
    client = started()
    put_sheet = {"body": "words", "notes": "secret"}
    hidden, shown = (
        server.request("POST", "/api/entities/Sheet", {**put_sheet, "open": is_open}, token=ADMIN_TOKEN)[1]["id"]
        for is_open in (False, True)
    )
    for row_id in (hidden, shown):
        client.say(type="crdt-subscribe", entity="Sheet", rowId=row_id)
    client.receive(lambda: client.binary)
    _, _, row_id, payload = frame_of(client.binary.pop())
    assert row_id == shown
    peer = Peer(1)
    peer.receive(payload)
    assert peer.row == {"body": "words", "open": True}
    for values in ({"open": False, "body": "gone"}, {"body": "not for you"}):
        server.request("PATCH", f"/api/entities/Sheet/{shown}", values, token=ADMIN_TOKEN)
    put(server, "behind it")
    client.receive(lambda: any(row["title"] == "behind it" for row in client.rows.get("Todo", {}).values()))
    assert shown not in client.rows["Sheet"]
    assert client.binary == []


# SSE is filtered as sockets are.
def test_a_stream_is_filtered_as_sockets_are(server: ServerProcess) -> None:
    import socket

    with socket.create_connection(("127.0.0.1", server.port + 2), timeout=5) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        received = b""
        while b": connected" not in received:
            received += stream.recv(65536)
        server.request("POST", "/api/entities/Priv", {"text": "guss"}, token=server.token_of("gus"))
        put(server, "for everybody")
        while b"for everybody" not in received:
            received += stream.recv(65536)
    assert b"guss" not in received


# In production a stream wants a session: 401 without one.
def test_in_production_a_stream_wants_a_session(production: ServerProcess) -> None:
    import http.client

    for headers, status in (({}, 401), ({"Authorization": f"Bearer {ADMIN_TOKEN}"}, 200)):
        connection = http.client.HTTPConnection("127.0.0.1", production.port + 2, timeout=5)
        connection.request("GET", "/events", headers=headers)
        answer = connection.getresponse()
        assert answer.status == status
        if status == 401:
            assert json.loads(answer.read())["error"]["code"] == "AUTH_REQUIRED"
        connection.close()


# No relay: its token is 404.
def test_there_is_no_relay(server: ServerProcess) -> None:
    status, answer = server.request("GET", "/api/sync/relay-token")
    assert (status, answer["error"]["code"]) == (404, "NOT_FOUND")
