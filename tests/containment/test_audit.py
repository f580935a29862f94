"""The audit log: every write, the reads that are asked for, operators' actions, and a chain that shows tampering."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import apsw
import pytest
from websockets.sync.client import connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

Pylon = Callable[..., tuple[int, Any]]


def entries(server: ServerProcess, query: str = "") -> list[dict[str, Any]]:
    status, answer = server.request("GET", f"/api/admin/audit?{query}", token=ADMIN_TOKEN)
    assert status == 200, answer
    return list(answer["entries"])


def test_every_write_says_who_when_from_where_and_what_changed(server: ServerProcess) -> None:
    alice = server.token_of("alice")
    sent = {"X-Request-Id": "req-1"}
    _, made = server.request("POST", "/api/entities/Note", {"title": "a"}, token=alice, headers=sent)
    server.request("PATCH", f"/api/entities/Note/{made['id']}", {"n": 2, "title": "b"}, token=alice)
    server.request("DELETE", f"/api/entities/Note/{made['id']}")
    delete, update, insert = entries(server, "entity=Note")
    assert (insert["action"], insert["user"], insert["ip"], insert["door"]) == ("insert", "alice", "127.0.0.1", "http")
    assert (insert["rows"], insert["request_id"]) == ([made["id"]], "req-1")
    assert abs(insert["at"] - time.time()) < 60
    assert (update["action"], sorted(update["fields"])) == ("update", ["n", "title"])
    assert (delete["action"], delete["user"]) == ("delete", None)


def test_writes_of_every_door_are_recorded(server: ServerProcess) -> None:
    user = server.token_of("alice")
    server.request("POST", "/api/fn/note", {"title": "by function"}, token=user)
    pushed = {"entity": "Note", "row_id": "a" * 40, "kind": "insert", "data": {"title": "pushed"}, "op_id": "1"}
    server.request("POST", "/api/sync/push", {"changes": [pushed]}, token=user)
    operation = {"op": "insert", "entity": "Note", "data": {"title": "t"}}
    server.request("POST", "/api/transact", [operation], token=ADMIN_TOKEN)
    server.request("POST", "/api/batch", {"operations": [operation, operation]}, token=ADMIN_TOKEN)
    assert [entry["door"] for entry in entries(server, "entity=Note")] == ["http", "http", "http", "sync", "fn:note"]


def test_a_write_that_was_refused_leaves_no_record(server: ServerProcess) -> None:
    server.request("POST", "/api/entities/Invoice", {"text": "x"})
    server.request("POST", "/api/entities/Note", {"titel": "x"})
    assert entries(server, "kind=write") == []


def test_reads_are_recorded_at_every_door_for_entities_that_ask_for_it(server: ServerProcess) -> None:
    alice = server.token_of("alice")
    _, made = server.request("POST", "/api/entities/Invoice", {"text": "secret"}, token=alice)
    for method, path, body in (
        ("GET", "/api/entities/Invoice", None),
        ("GET", "/api/entities/Invoice?page=1", None),
        ("GET", f"/api/entities/Invoice/{made['id']}", None),
        ("GET", "/api/entities/Invoice/cursor", None),
        ("GET", "/api/lookup/Invoice/text/secret", None),
        ("POST", "/api/query/Invoice", {}),
        ("POST", "/api/query", {"Invoice": {}}),
        ("GET", "/api/sync/pull?since=0", None),
        ("POST", "/api/fn/invoices", {}),
    ):
        before = len(entries(server, "kind=read&limit=1000"))
        assert server.request(method, path, body, token=alice)[0] == 200
        found = entries(server, "kind=read&limit=1000")
        assert len(found) == before + 1, path
        assert (found[0]["user"], found[0]["entity"], found[0]["rows"]) == ("alice", "Invoice", [made["id"]])


def test_an_export_is_recorded_as_reads_of_its_rows(server: ServerProcess) -> None:
    _, made = server.request("POST", "/api/entities/Invoice", {"text": "x"}, token=server.token_of("alice"))
    assert server.request("GET", "/api/export/Invoice", token=ADMIN_TOKEN)[0] == 200
    [read] = entries(server, "kind=read")
    assert (read["actor_is_admin"], read["entity"], read["rows"]) == (True, "Invoice", [made["id"]])


def test_a_delta_pull_of_recorded_rows_is_recorded(server: ServerProcess) -> None:
    alice = server.token_of("alice")
    server.request("POST", "/api/entities/Note", {"title": "first"})
    _, made = server.request("POST", "/api/entities/Invoice", {"text": "secret"}, token=alice)
    server.request("GET", "/api/sync/pull?since=1", token=alice)
    [read] = entries(server, "kind=read")
    assert (read["door"], read["rows"]) == ("sync", [made["id"]])


def test_rows_that_arrive_over_a_live_connection_are_recorded(server: ServerProcess) -> None:
    alice = server.token_of("alice")
    url = f"ws://127.0.0.1:{server.port}/api/sync/ws"
    with connect(url, additional_headers={"Authorization": f"Bearer {alice}"}, proxy=None) as socket:
        server.request("POST", "/api/entities/Note", {"title": "marks that the socket is served"})
        json.loads(socket.recv(timeout=5))
        _, made = server.request("POST", "/api/entities/Invoice", {"text": "secret"}, token=alice)
        assert json.loads(socket.recv(timeout=5))["row_id"] == made["id"]
    [read] = entries(server, "kind=read")
    assert (read["user"], read["door"], read["rows"]) == ("alice", "live", [made["id"]])


def test_reads_of_other_entities_and_empty_answers_cost_no_record(server: ServerProcess) -> None:
    server.request("POST", "/api/entities/Note", {"title": "x"})
    server.request("GET", "/api/entities/Note")
    server.request("GET", "/api/entities/Invoice", token=server.token_of("alice"))
    assert entries(server, "kind=read") == []


def test_entries_are_found_by_row_user_address_and_time(server: ServerProcess) -> None:
    alice, bob = server.token_of("alice"), server.token_of("bob")
    _, first = server.request("POST", "/api/entities/Note", {"title": "a"}, token=alice)
    _, second = server.request("POST", "/api/entities/Note", {"title": "b"}, token=bob)
    later, earlier = (entry["at"] for entry in entries(server, "entity=Note"))
    assert [e["rows"] for e in entries(server, f"row={first['id']}")] == [[first["id"]]]
    assert [e["rows"] for e in entries(server, "user=bob&kind=write")] == [[second["id"]]]
    assert [e["action"] for e in entries(server, "user=bob")] == ["insert", "sign_in"]
    assert entries(server, "ip=10.9.9.9") == []
    assert [e["rows"] for e in entries(server, f"entity=Note&since={later}")] == [[second["id"]]]
    assert [e["rows"] for e in entries(server, f"entity=Note&until={earlier}")] == [[first["id"]]]
    assert len(entries(server, "limit=1")) == 1


def test_the_log_survives_kill_9_and_the_chain_goes_on(server: ServerProcess, pylon: Pylon) -> None:
    server.request("POST", "/api/entities/Note", {"title": "before"})
    server.kill()
    server.start()
    server.request("POST", "/api/entities/Note", {"title": "after"})
    assert len(entries(server, "entity=Note")) == 2
    code, verdict = pylon("audit", "verify")
    assert (code, verdict["ok"]) == (0, True)


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE _pylon_audit SET records = CAST(replace(records, 'alice', 'mallo') AS BLOB) WHERE id = 2",
        "DELETE FROM _pylon_audit WHERE id = 2",
        "DELETE FROM _pylon_audit WHERE id = (SELECT max(id) FROM _pylon_audit)",
        "UPDATE _pylon_audit SET at = at - 1000 WHERE id = 1",
    ],
)
def test_tampering_shows(server: ServerProcess, pylon: Pylon, tampering: str) -> None:
    alice = server.token_of("alice")
    for _ in range(4):
        server.request("POST", "/api/entities/Note", {"title": "x"}, token=alice)
    assert pylon("audit", "verify")[1]["ok"]
    server.stop()
    connection = apsw.Connection(str(server.data / "pylon.db"))
    connection.execute(tampering)
    connection.close()
    server.start()
    code, report = pylon("audit", "verify")
    assert code == 1
    assert report[0]["code"] == "AUDIT_BROKEN"


def test_a_forged_chain_is_caught_by_a_head_noted_before(server: ServerProcess, pylon: Pylon) -> None:
    server.request("POST", "/api/entities/Note", {"title": "x"})
    _, verdict = pylon("audit", "verify")
    head = f"{verdict['head_id']}:{verdict['head_hash']}"
    assert pylon("audit", "verify", "--expect", head)[0] == 0
    forged = f"{verdict['head_id']}:{'0' * 64}"
    assert pylon("audit", "verify", "--expect", forged)[0] == 1


def test_who_saw_what_in_a_window_names_users_and_rows(server: ServerProcess, pylon: Pylon) -> None:
    alice, bob = server.token_of("alice"), server.token_of("bob")
    ids = [server.request("POST", "/api/entities/Invoice", {"text": t}, token=alice)[1]["id"] for t in "abc"]
    server.request("GET", "/api/entities/Invoice", token=alice)
    server.request("GET", "/api/entities/Invoice", token=bob)
    code, report = pylon("audit", "who-saw", "--entity", "Invoice", "--since", "1h")
    assert code == 0
    [reader] = report["readers"]
    assert (reader["user"], reader["rows"], reader["row_ids"]) == ("alice", 3, sorted(ids))


def test_an_export_holds_everything_and_no_formula(server: ServerProcess) -> None:
    mallory = server.token_of("=cmd()")
    for n in range(30):
        server.request("POST", "/api/entities/Note", {"title": str(n)}, token=mallory)
    command = [sys.executable, "-m", "pylon", "audit", "export", "--url", server.url]
    environ = {"PYLON_ADMIN_TOKEN": ADMIN_TOKEN, "PATH": ""}
    lines = subprocess.run(command, env=environ, capture_output=True, check=True).stdout.splitlines()
    assert len([line for line in lines if json.loads(line)["action"] == "insert"]) == 30
    sheet = subprocess.run([*command, "--csv"], env=environ, capture_output=True, text=True, check=True).stdout
    assert sheet.startswith("at,kind,user,")
    assert ",'=cmd()," in sheet


def test_only_admins_may_ask(server: ServerProcess) -> None:
    alice = server.token_of("alice")
    for path in ("", "/verify", "/export"):
        assert server.request("GET", f"/api/admin/audit{path}", token=alice)[0] == 403
        assert server.request("GET", f"/api/admin/audit{path}")[0] == 403


def test_wrong_questions_are_refused(server: ServerProcess) -> None:
    for query in ("since=yesterday", "kind=everything", "until=2026-11-23T03:14:00"):
        status, answer = server.request("GET", f"/api/admin/audit?{query}", token=ADMIN_TOKEN)
        assert (status, answer["error"]["code"]) == (400, "INVALID_QUERY")
