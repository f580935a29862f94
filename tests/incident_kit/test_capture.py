"""`pylon incident capture` of a running server and of a data folder: everything in it, and no secret."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
from pathlib import Path
from typing import Any

import apsw
import pytest
from websockets.sync.client import connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.incident_kit.conftest import APP, Operator

METRICS_TOKEN = "metrics-token-of-the-test-99"
PASSWORD = "correct-horse-battery-77"
SERVED = {
    "log.txt",
    "versions.json",
    "config.json",
    "process.json",
    "metrics.prom",
    "metrics.json",
    "database.json",
    "switches.json",
    "talkers.json",
    "disk.json",
    "threads.txt",
    "tasks.txt",
    "incident.json",
    "audit.jsonl",
    "overview.json",
    "readers.json",
    "alarms.json",
    "sockets.json",
    "background.json",
}


def folder_of(operator: Operator, document: dict[str, Any]) -> Path:
    return operator.folder / document["folder"]


def test_a_bundle_holds_everything_that_tells(operator: Operator) -> None:
    operator.ok("start", "Writes time out")
    operator.server.request("POST", "/api/entities/Note", {"title": "x"})
    operator.server.request("POST", "/api/admin/switches", {"scope": "uploads"}, token=ADMIN_TOKEN)
    with connect(f"ws://127.0.0.1:{operator.server.port}/api/sync/ws", proxy=None):
        folder = folder_of(operator, operator.ok("capture", "evidence", "--minutes", "5"))
    assert {file.name for file in folder.iterdir()} >= SERVED | {"capture.json"}
    manifest = json.loads((folder / "capture.json").read_bytes())
    assert manifest["source"] == "server"
    for each in manifest["files"]:
        assert hashlib.sha256((folder / each["name"]).read_bytes()).hexdigest() == each["sha256"]
    assert "pylon_http_requests_total" in (folder / "metrics.prom").read_text()
    assert json.loads((folder / "incident.json").read_bytes())["incident"]["title"] == "Writes time out"
    assert json.loads((folder / "switches.json").read_bytes())["switches"][0]["scope"] == "uploads"
    entries = [json.loads(line) for line in (folder / "audit.jsonl").read_bytes().splitlines()]
    assert {"insert", "incident.start", "switch.on"} <= {entry["action"] for entry in entries}
    assert json.loads((folder / "overview.json").read_bytes())["history"]
    assert "POST /api/entities/Note 201" in (folder / "log.txt").read_text()
    assert "pylon-writer" in (folder / "threads.txt").read_text()
    assert [socket["ip"] for socket in json.loads((folder / "sockets.json").read_bytes())["sockets"]] == ["127.0.0.1"]
    background = json.loads((folder / "background.json").read_bytes())
    assert {"checkpoint", "prune", "archive"} <= {task["task"] for task in background["tasks"]}
    assert background["mail"]["waiting"] == 0
    assert "Server.serve" in (folder / "tasks.txt").read_text()
    assert json.loads((folder / "versions.json").read_bytes())["sqlite"].startswith("3.")


def test_a_capture_is_in_the_audit_log_and_so_in_the_report(operator: Operator) -> None:
    operator.ok("start", "x")
    operator.ok("capture", "evidence")
    assert "signals captured" in operator.ok("report")["markdown"]


def test_no_secret_of_the_server_is_anywhere_in_a_bundle(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    env = {
        "PYLON_DEV_MODE": "0",
        "PYLON_METRICS_TOKEN": METRICS_TOKEN,
        "PYLON_ADMIN_TOKEN": f"{ADMIN_TOKEN},second-admin-token-123456",
        "PYLON_LOG_LEVEL": "debug",
    }
    with ServerProcess(tmp_path / "app.py", tmp_path / "data", env=env) as server:
        operator = Operator(server, tmp_path)
        _, made = server.request("POST", "/api/admin/tokens", {"label": "third"}, token=ADMIN_TOKEN)
        session = server.token_of("alice")
        secrets = [ADMIN_TOKEN, "second-admin-token-123456", METRICS_TOKEN, made["token"], session, PASSWORD]
        use_everywhere(server, secrets)
        operator.ok("start", f"the token {ADMIN_TOKEN} was found in a log")
        operator.ok("note", f"and so was {session}, with cookie: incident_session={session}")
        operator.ok("capture", "evidence")
        bundles = [next((tmp_path / "evidence").iterdir())]
        server.kill()
        found = operator.ok(
            "capture", "offline", PYLON_METRICS_TOKEN=METRICS_TOKEN, PYLON_ADMIN_TOKEN=env["PYLON_ADMIN_TOKEN"]
        )
        bundles.append(tmp_path / found["folder"])
    for bundle in bundles:
        for file in bundle.iterdir():
            content = file.read_bytes()
            for secret in secrets:
                assert secret.encode() not in content, f"{file.name} of {bundle} holds a secret"
                assert hashlib.sha256(secret.encode()).hexdigest().encode() not in content
                assert hashlib.sha256(secret.encode()).digest() not in content


def use_everywhere(server: ServerProcess, secrets: list[str]) -> None:
    """Send each secret wherever a client may put one, so that it would be in logs and audit if anything kept it."""
    for secret in secrets:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
        for path, headers in (
            (f"/api/auth/me?token={secret}", {}),
            ("/api/auth/me", {"Authorization": f"Bearer {secret}"}),
            ("/api/auth/me", {"Cookie": f"incident_session={secret}"}),
            (f"/metrics?access_token={secret}", {}),
            (f"/api/entities/Note?password={secret}", {}),
        ):
            connection.request("GET", path, headers=headers)
            connection.getresponse().read()
        connection.request("POST", "/api/auth/session", json.dumps({"password": secret, "user_id": ""}))
        connection.getresponse().read()
        connection.close()
    server.request("POST", "/api/entities/Note", {"title": "x", "secret": PASSWORD}, token=ADMIN_TOKEN)


def test_a_bundle_is_made_of_the_data_folder_while_no_server_runs(operator: Operator) -> None:
    operator.ok("start", "It dies")
    operator.server.request("POST", "/api/entities/Note", {"title": "x"})
    operator.server.kill()
    operator.ok("note", "journalled")
    document = operator.ok("capture", "evidence")
    folder = folder_of(operator, document)
    assert document["source"] == "data folder"
    missing = {each["name"]: each["why"] for each in document["not_captured"]}
    assert "journalctl" in missing["log.txt"]
    assert "metrics.prom" in missing
    told = json.loads((folder / "incident.json").read_bytes())
    assert told["incidents"][0]["incident"]["title"] == "It dies"
    assert told["journal"][0]["note"]["text"] == "journalled"
    assert b'"insert"' in (folder / "audit.jsonl").read_bytes()


def test_a_damaged_database_stops_only_what_needs_it(operator: Operator) -> None:
    operator.server.kill()
    for ending in ("", "-wal", "-shm"):
        (operator.server.data / f"pylon.db{ending}").unlink(missing_ok=True)
    (operator.server.data / "pylon.db").write_bytes(b"this is no database" * 500)
    document = operator.ok("capture", "evidence")
    assert {"versions.json", "config.json", "disk.json"} <= {each["name"] for each in document["files"]}
    assert {"audit.jsonl", "records.json"} <= {each["name"] for each in document["not_captured"]}


def test_a_stopped_server_is_captured_from_its_data_folder_and_named(operator: Operator) -> None:
    """A listener that answers nothing stands for a process that hangs."""
    operator.ok("start", "It hangs")
    operator.server.kill()
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        port = silent.getsockname()[1]
        document = operator.ok("capture", "evidence", PYLON_URL=f"http://127.0.0.1:{port}")
    assert document["source"] == "data folder"
    assert "no server answers" in document["why"]


def test_a_store_that_takes_no_writes_is_captured_all_the_same(operator: Operator) -> None:
    lock = apsw.Connection(str(operator.server.data / "pylon.db"))
    lock.set_busy_timeout(5000)  # the server may be writing at this moment
    try:
        lock.execute("BEGIN IMMEDIATE")
        document = operator.ok("capture", "evidence")
    finally:
        lock.close()
    assert document["source"] == "server"
    assert document["not_audited"] == "STORAGE_UNAVAILABLE"
    assert {each["name"] for each in document["files"]} >= SERVED


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "x", "99999"])
def test_minutes_that_make_no_sense_are_refused(server: ServerProcess, minutes: str) -> None:
    status, answer = server.request("GET", f"/api/admin/capture?minutes={minutes}", token=ADMIN_TOKEN)
    assert (status, answer["error"]["code"]) == (400, "INVALID_QUERY")


def test_a_client_that_leaves_in_the_middle_harms_nobody(server: ServerProcess) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            head = f"GET /api/admin/capture HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n"
            connection.sendall(head.encode())
            connection.recv(64)
    assert server.request("GET", "/readyz")[0] == 200
