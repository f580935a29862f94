"""Documents over real sockets and HTTP, as the clients of spec 02 §10 use them."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loro import ExportMode

from pylon.auth.sessions import NOBODY
from pylon.model.schema import AppSpec
from pylon.sync.audiences import View
from pylon.sync.documents import serve_documents
from pylon.sync.door import Door
from pylon.sync.hub import Hub
from pylon.sync.watching import SNAPSHOT, UPDATE, document_frame
from pylon.testing.engine import open_engine
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.conftest import ALICE
from tests.documents.live import Editor, frame_of
from tests.documents.peer import Peer
from tests.sync.test_asgi_socket import Peer as AsgiPeer

APP = """
from pylon import App, Context, Entity, Id, RichText, field

app = App("docs")


class Note(Entity):
    title: str
    body: RichText = ""
    count: int | None = None
    rank: str | None = field(readonly=True)

    class Policy:
        allow = "true"


class Own(Entity):
    body: RichText = ""
    owner: Id["User"]

    class Policy:
        read = "auth.userId == data.owner"
        write = "auth.userId != null"


class Member(Entity, crdt=False):
    team: str
    user: str

    class Policy:
        allow = "true"


class Team(Entity):
    body: RichText = ""
    team: str

    class Policy:
        read = "exists(Member where team == data.team and user == auth.userId)"
        write = "true"


class Plain(Entity, crdt=False):
    title: str

    class Policy:
        allow = "true"


@app.mutation(auth="public")
def shout(ctx: Context, note: Id[Note]) -> None:
    row = ctx.db.get(Note, note)
    ctx.db.update(Note, note, body=row.body.upper())
"""
ENV = {"PYLON_CRDT_SUBSCRIPTIONS_MAX": "20", "PYLON_WS_PER_USER_MAX": "0", "PYLON_WS_PER_IP_MAX": "0"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    app = tmp_path_factory.mktemp("docs-app") / "app.py"
    app.write_text(APP)
    with ServerProcess(app, tmp_path_factory.mktemp("docs") / "data", env=ENV) as process:
        yield process


def made(server: ServerProcess, entity: str = "Note", **fields: Any) -> str:
    status, answer = server.request("POST", f"/api/entities/{entity}", fields, token=ADMIN_TOKEN)
    assert status == 201, answer
    row_id: str = answer["id"]
    return row_id


def patch(server: ServerProcess, entity: str, row_id: str, **fields: Any) -> None:
    status, answer = server.request("PATCH", f"/api/entities/{entity}/{row_id}", fields, token=ADMIN_TOKEN)
    assert status == 200, answer


def test_the_frame_is_that_of_the_specification() -> None:
    payload = bytes.fromhex("abcdef")
    frame = document_frame(0x10, "Message", "msg_123", payload)
    assert frame == bytes.fromhex("1000074d65737361676500076d73675f313233abcdef")
    assert len(frame) == 22
    assert frame_of(frame) == (0x10, "Message", "msg_123", payload)
    assert document_frame(UPDATE, "ä", "é", b"") == b"\x11\x00\x02\xc3\xa4\x00\x02\xc3\xa9"
    assert document_frame(SNAPSHOT, "x" * 65_536, "1", b"") is None


@pytest.mark.parametrize("port", [0, 1])
def test_two_editors_see_each_others_words_and_everybody_the_row(server: ServerProcess, port: int) -> None:
    row_id = made(server, title="T", body="hello", count=1)
    with Editor(server, "ann", 1, port=port) as ann, Editor(server, "ben", 2, port=port) as ben:
        for editor in (ann, ben):
            editor.subscribe("Note", row_id)
            assert editor.peer.row == {"title": "T", "body": "hello", "count": 1.0}
        ann.peer.field("body").insert(5, " A")
        ben.peer.field("body").insert(0, "B ")
        assert ann.push("Note", row_id) == (200, {"ok": True})
        assert ben.push("Note", row_id) == (200, {"ok": True})
        for editor in (ann, ben):
            editor.until_event(row_id, "update", body="B hello A")
            assert editor.peer.row["body"] == "B hello A"
            told = [s if isinstance(s, int) else s["data"]["body"] for s in editor.seen if is_about(s, row_id)]
            assert told[told.index(0x10) + 1 :] == [0x11, "hello A", 0x11, "B hello A"]  # an edit leads its event


def test_other_writes_of_the_row_follow_their_event(server: ServerProcess) -> None:
    row_id = made(server, title="T", body="hello")
    with Editor(server, "cid", 3) as editor:
        editor.subscribe("Note", row_id)
        patch(server, "Note", row_id, title="U")
        change = {"entity": "Note", "row_id": row_id, "kind": "update", "data": {"count": 5}}
        server.request("POST", "/api/sync/push", {"changes": [change]})
        status, answer = server.request("POST", "/api/fn/shout", {"note": row_id})
        assert status == 200, answer
        editor.until(lambda: editor.peer.row["body"] == "HELLO")
        assert editor.peer.row == {"title": "U", "body": "HELLO", "count": 5.0}
        mine = [seen if isinstance(seen, int) else "event" for seen in editor.seen if is_about(seen, row_id)]
        start = mine.index(0x10) + 1
        assert mine[start:] == ["event", 0x11] * 3
        server.request("DELETE", f"/api/entities/Note/{row_id}", token=ADMIN_TOKEN)
        editor.until_event(row_id, "delete")


def is_about(seen: Any, row_id: str) -> bool:
    return isinstance(seen, int) or seen.get("row_id") == row_id


def test_unsubscribed_and_never_subscribed_sockets_get_no_frames(server: ServerProcess) -> None:
    row_id = made(server, title="T")
    with Editor(server, "dee", 4) as editor:
        editor.subscribe("Note", row_id)
        editor.say("crdt-unsubscribe", "Note", row_id)
        for entity, name in (("Plain", row_id), ("Nope", row_id), ("Note", "0" * 40), ("Note", "x")):
            editor.say("crdt-subscribe", entity, name)
        for junk in ('{"type":"crdt-subscribe"}', '{"type":"crdt-subscribe","entity":1,"rowId":[]}'):
            editor.socket.send(junk)
        patch(server, "Note", row_id, title="V")
        editor.until_event(row_id, title="V")
        editor.until_event(made(server, title="last"))
        assert [seen for seen in editor.seen if isinstance(seen, int)] == [0x10]


def test_who_loses_the_row_gets_no_more_of_its_document_and_who_gets_it_back_all_of_it(server: ServerProcess) -> None:
    row_id = made(server, "Own", body="secret", owner="eve")
    with Editor(server, "eve", 5) as eve, Editor(server, "fay", 6) as fay:
        fay.say("crdt-subscribe", "Own", row_id)  # not hers: silence
        eve.subscribe("Own", row_id)
        patch(server, "Own", row_id, owner="fay")
        patch(server, "Own", row_id, body="more secret")
        eve.until_event(row_id, "delete")
        eve.until_event(made(server, title="after the loss"))
        assert eve.peer.row["body"] == "secret"
        assert 0x10 not in fay.seen
        fay.subscribe("Own", row_id)
        assert fay.peer.row["body"] == "more secret"
        patch(server, "Own", row_id, owner="eve")
        eve.until(lambda: eve.peer.row["body"] == "more secret")
        assert [seen for seen in eve.seen if isinstance(seen, int)] == [0x10, 0x10]


def test_rules_that_ask_the_store_hold_for_documents(server: ServerProcess) -> None:
    member = made(server, "Member", team="red", user="gus")
    row_id = made(server, "Team", body="plan", team="red")
    with Editor(server, "gus", 7) as gus:
        gus.subscribe("Team", row_id)
        patch(server, "Team", row_id, body="plan B")
        gus.until(lambda: gus.peer.row["body"] == "plan B")
        server.request("DELETE", f"/api/entities/Member/{member}", token=ADMIN_TOKEN)
        patch(server, "Team", row_id, body="without gus")
        gus.until_event(made(server, title="after gus"))
        assert gus.peer.row["body"] == "plan B"


def test_a_socket_that_replicates_a_part_still_gets_the_documents_that_it_asks_for(server: ServerProcess) -> None:
    row_id = made(server, title="T", body="hello")
    with Editor(server, "ned", 14) as ned:
        ned.socket.send(json.dumps({"type": "scope", "entities": {"Plain": {}}}))
        ned.until(lambda: any(isinstance(seen, dict) and seen.get("type") == "scoped" for seen in ned.seen))
        ned.subscribe("Note", row_id)
        seen = len(ned.events(row_id))  # what came before it said what it wants
        patch(server, "Note", row_id, body="hello you")
        ned.until(lambda: ned.peer.row["body"] == "hello you")
        ned.until_event(made(server, "Plain", title="the end"))
        assert len(ned.events(row_id)) == seen
        ned.say("crdt-unsubscribe", "Note", row_id)


def test_the_unmodified_text_hook_edits_the_field(server: ServerProcess) -> None:
    row_id = made(server, title="T", body="hello")
    with Editor(server, "hal", 8) as hal, Editor(server, "ida", 9) as ida:
        hal.subscribe("Note", row_id)
        ida.subscribe("Note", row_id)
        text = hal.doc.get_text("body")
        assert text.to_string() == "hello"
        text.insert(5, " world")
        hal.push("Note", row_id)
        ida.until(
            lambda: ida.peer.row["body"] == "hello world" and ida.doc.get_text("body").to_string() == "hello world"
        )
        status, row = server.request("GET", f"/api/entities/Note/{row_id}")
        assert (status, row["body"]) == (200, "hello world")


def test_bad_pushes_are_told_apart(server: ServerProcess) -> None:
    row_id, token = made(server, title="T"), server.token_of("jon")
    plain = made(server, "Plain", title="x")

    def code(path: str, body: Any, *, token: str | None = token) -> tuple[int, str]:
        status, answer = server.request("POST", f"/api/crdt/{path}", body, token=token)
        return status, answer["error"]["code"]

    junk = {"update": "6c6f726f"}
    assert code(f"Note/{row_id}", junk, token=None) == (401, "AUTH_REQUIRED")
    assert code("Note", junk) == (400, "BAD_PATH")
    assert code("Note/", junk) == (400, "BAD_PATH")
    assert code(f"Note/{row_id}", {"update": 5}) == (400, "MISSING_UPDATE")
    assert code(f"Note/{row_id}", []) == (400, "MISSING_UPDATE")
    for text in ("abc", "zz", "a b c ", "ab\n"):
        assert code(f"Note/{row_id}", {"update": text}) == (400, "INVALID_HEX")
    assert code(f"Note/{row_id}", junk) == (400, "CRDT_DECODE_FAILED")
    assert code(f"Note/{row_id}", {"update": ""}) == (400, "CRDT_DECODE_FAILED")
    assert code(f"Nope/{row_id}", junk) == (403, "POLICY_DENIED")
    assert code("Note/nope", junk) == (404, "ROW_NOT_FOUND")
    assert code("Plain/nope", junk) == (404, "ROW_NOT_FOUND")
    assert code(f"Plain/{plain}", junk) == (400, "NOT_SUPPORTED")
    assert server.request("GET", f"/api/crdt/Note/{row_id}", token=token)[0] in (404, 405)
    update = Editor(server, "jon", 10)
    with update:
        update.subscribe("Note", row_id)
        update.doc.get_map("row").insert("rank", "first")
        assert update.push("Note", row_id)[1]["error"]["code"] == "READONLY_FIELD"


def test_a_socket_watches_a_bounded_number_of_documents(server: ServerProcess) -> None:
    rows = [made(server, title=f"row {n}") for n in range(25)]
    with Editor(server, "kit", 11) as kit:
        for row_id in rows:
            kit.say("crdt-subscribe", "Note", row_id)
        for _ in range(3000):
            kit.say("crdt-subscribe", "Note", rows[-1])
        marker = made(server, title="enough")
        kit.until(lambda: kit.seen.count(0x10) >= 20)
        kit.until_event(marker)
        assert kit.seen.count(0x10) == 20
        _, metrics = server.request("GET", "/metrics", headers={"Accept": "text/plain"}, token=ADMIN_TOKEN)
        assert "pylon_document_subscriptions 20" in metrics, metrics


def test_the_audit_log_names_who_edited(server: ServerProcess) -> None:
    row_id = made(server, title="T")
    with Editor(server, "lea", 12) as lea:
        lea.subscribe("Note", row_id)
        lea.peer.field("body").insert(0, "words")
        lea.push("Note", row_id)
    deadline = time.monotonic() + 5
    while True:
        _, found = server.request("GET", "/api/admin/audit?entity=Note&user=lea", token=ADMIN_TOKEN)
        if row_id in json.dumps(found) or time.monotonic() > deadline:
            break
    assert row_id in json.dumps(found)


def test_what_was_acknowledged_survives_a_kill_between_pushes(tmp_path_factory: pytest.TempPathFactory) -> None:
    app = tmp_path_factory.mktemp("killed-app") / "app.py"
    app.write_text(APP)
    with ServerProcess(app, tmp_path_factory.mktemp("killed") / "data", env=ENV) as server:
        row_id = made(server, title="T", body="")
        with Editor(server, "max", 13) as editor:
            editor.subscribe("Note", row_id)
        acknowledged = 0
        for life in range(2):
            killer = threading.Timer(0.4, server.kill)
            killer.start()
            with contextlib.suppress(OSError, http.client.HTTPException):
                while True:
                    editor.peer.field("body").insert(0, f"{life}.{acknowledged},")
                    status, answer = editor.push("Note", row_id)
                    assert status == 200, answer
                    acknowledged += 1
            killer.join()
            server.start()
            # What the last push brought is not known to be there: its edits come with the next, as a snapshot.
            snapshot = editor.doc.export(ExportMode.Snapshot()).hex()
            before = server.request("GET", f"/api/entities/Note/{row_id}")[1]["body"]
            assert before.count(",") in (acknowledged, acknowledged + 1)
            status, _ = server.request("POST", f"/api/crdt/Note/{row_id}", {"update": snapshot}, token=editor.token)
            assert status == 200
            acknowledged = editor.peer.row["body"].count(",")
        body = server.request("GET", f"/api/entities/Note/{row_id}")[1]["body"]
        assert body == editor.peer.row["body"]
        assert acknowledged > 10


async def test_documents_under_another_asgi_server(docs: AppSpec, tmp_path: Path) -> None:
    async with open_engine(docs, tmp_path) as engine:
        hub = Hub({"Doc": View(engine.plans["Doc"].policy.read, None)}, nobody_asks)
        live = Door(
            hub, lambda token: NOBODY, cookie_name="s", trusted_origin=lambda origin, host: False, max_buffer=2**20
        )
        engine.subscribe(hub.publish)
        serve_documents(engine, hub, live, per_socket=5)
        row_id = (await engine.insert(ALICE, "Doc", b'{"title":"T","body":"hi"}')).row_id
        peer = AsgiPeer(live)
        await peer.settle()
        text = json.dumps({"type": "crdt-subscribe", "entity": "Doc", "row_id": row_id})
        peer.incoming.put_nowait({"type": "websocket.receive", "text": text})
        await arrived(peer, 1)
        await engine.update(ALICE, "Doc", row_id, b'{"body":"hi you"}')
        await arrived(peer, 2)
        replica = Peer(1)
        frames = [frame_of(message["bytes"]) for message in peer.sent if message.get("bytes")]
        for _, entity, row, payload in frames:
            assert (entity, row) == ("Doc", row_id)
            replica.receive(payload)
        assert [frame[0] for frame in frames] == [0x10, 0x11]
        assert replica.row["body"] == "hi you"
        live.close(1001, "stopping")
        await peer.task


async def test_an_edit_of_the_commit_that_shows_the_document_follows_it(docs: AppSpec, tmp_path: Path) -> None:
    async with open_engine(docs, tmp_path) as engine:
        hub = Hub({"Doc": View(engine.plans["Doc"].policy.read, None)}, nobody_asks)
        live = Door(hub, lambda token: NOBODY, cookie_name="s", trusted_origin=lambda origin, host: False)
        engine.subscribe(hub.publish)
        serve_documents(engine, hub, live, per_socket=5)
        row_id = (await engine.insert(ALICE, "Doc", b'{"title":"T","body":"hi"}')).row_id
        peer = AsgiPeer(live)
        await peer.settle()
        go_on = threading.Event()
        held = asyncio.create_task(engine.run(ALICE, lambda tx: go_on.wait(5)))
        text = json.dumps({"type": "crdt-subscribe", "entity": "Doc", "rowId": row_id})
        peer.incoming.put_nowait({"type": "websocket.receive", "text": text})
        await peer.settle()  # the writer has been asked for the document, and is asked for edits of it behind that
        edits = [asyncio.create_task(engine.update(ALICE, "Doc", row_id, b'{"body":"%d"}' % i)) for i in range(3)]
        await asyncio.sleep(0)
        go_on.set()
        await asyncio.gather(held, *edits)
        await arrived(peer, 4)
        replica = Peer(1)
        for frame in [frame_of(message["bytes"]) for message in peer.sent if message.get("bytes")]:
            assert not replica.doc.import_(frame[3]).pending
        assert replica.row["body"] == "2"
        live.close(1001, "stopping")
        await peer.task


async def nobody_asks(questions: Any) -> list[bool]:
    return []


async def arrived(peer: AsgiPeer, binary: int) -> None:
    deadline = time.monotonic() + 5
    while sum("bytes" in message for message in peer.sent) < binary:
        assert time.monotonic() < deadline, peer.sent
        await asyncio.sleep(0.005)
