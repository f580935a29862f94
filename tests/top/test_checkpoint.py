"""`pylon checkpoint`, online and offline (`cli/checkpoint.py`, `web/admin/checkpoint.py`)."""

from __future__ import annotations

import json
import subprocess
import threading
from pathlib import Path
from typing import Any

import apsw
import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.top.conftest import admin, eventually
from tests.top.test_top import command

WRITES = 300


def checkpoint(folder: Path, server: ServerProcess, *words: str) -> subprocess.CompletedProcess[str]:
    return command(
        folder, "checkpoint", "--data-dir", str(server.data), *words, PYLON_DEV_MODE="1", PYLON_URL=server.url
    )


def fill(server: ServerProcess) -> None:
    """Writes enough for a log worth emptying."""
    for first in range(0, WRITES, 20):
        writes = [
            {"op": "insert", "entity": "Todo", "data": {"title": "x" * 500 + str(n)}} for n in range(first, first + 20)
        ]
        status, answer = server.request("POST", "/api/transact", writes, token=ADMIN_TOKEN)
        assert status == 200, answer


def rows(server: ServerProcess) -> int:
    connection = apsw.Connection(str(server.data / "pylon.db"))
    try:
        return int(next(iter(connection.execute('SELECT count(*) FROM "Todo"')))[0])
    finally:
        connection.close()


def log_file(server: ServerProcess) -> int:
    path = server.data / "pylon.db-wal"
    return path.stat().st_size if path.exists() else 0


def test_online_it_empties_the_log_and_is_recorded(app_file: Path, tmp_path: Path) -> None:
    with ServerProcess(app_file, tmp_path / "data") as server:
        fill(server)
        done = checkpoint(tmp_path, server, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        answer = json.loads(done.stdout)
        assert answer["mode"] == "truncate"
        assert answer["complete"] is True
        assert answer["wal_bytes_before"] > answer["wal_bytes_after"] == 0
        [entry] = admin(server, "GET", "/api/admin/audit?action=checkpoint.run")["entries"]
        assert entry["details"]["complete"] is True
        assert admin(server, "GET", "/api/admin/overview")["wal"]["bytes"] < answer["wal_bytes_before"]
        listed = server.request("GET", "/api/entities/Todo?limit=1000", token=ADMIN_TOKEN)[1]
        assert listed["count"] == WRITES


def test_offline_it_empties_what_a_killed_server_left(app_file: Path, tmp_path: Path) -> None:
    with ServerProcess(app_file, tmp_path / "data") as server:
        fill(server)
        server.kill()
        assert log_file(server) > 0
        done = checkpoint(tmp_path, server)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "0.0 MB after" in done.stdout
        assert log_file(server) == 0
        assert rows(server) == WRITES


def test_a_reader_that_keeps_it_from_being_complete_is_named(app_file: Path, tmp_path: Path) -> None:
    with ServerProcess(app_file, tmp_path / "data") as server:
        fill(server)
        call = threading.Thread(
            target=server.request,
            args=("POST", "/api/fn/slow", {"seconds": 4.0}),
            kwargs={"token": server.token_of("alice"), "headers": {"X-Request-Id": "long-1"}},
        )
        call.start()
        eventually(lambda: admin(server, "GET", "/api/admin/readers")["readers"])
        server.request("POST", "/api/entities/Todo", {"title": "newer than the snapshot"}, token=ADMIN_TOKEN)
        done = checkpoint(tmp_path, server, "--wait", "0.3")
        assert done.returncode == 1
        assert "not complete" in done.stdout
        for name in ("fn slow", "alice", "long-1"):
            assert name in done.stdout
        call.join()
        assert checkpoint(tmp_path, server).returncode == 0


def test_writes_go_on_while_checkpoints_run(app_file: Path, tmp_path: Path) -> None:
    with ServerProcess(app_file, tmp_path / "data") as server:
        answers: list[int] = []
        stop = threading.Event()

        def write() -> None:
            while not stop.is_set():
                answers.append(server.request("POST", "/api/entities/Todo", {"title": "x"}, token=ADMIN_TOKEN)[0])

        writer = threading.Thread(target=write)
        writer.start()
        reports = [admin(server, "POST", "/api/admin/checkpoint", {"seconds": 2}) for _ in range(20)]
        stop.set()
        writer.join()
        assert any(report["complete"] for report in reports)
        assert set(answers) == {201}
        assert "housekeeping failed" not in server.log()


def test_a_folder_that_is_held_by_a_server_that_can_not_be_reached_is_left_alone(
    app_file: Path, tmp_path: Path
) -> None:
    with ServerProcess(app_file, tmp_path / "data") as server:
        fill(server)
        before = log_file(server)
        done = command(
            tmp_path, "checkpoint", "--data-dir", str(server.data), PYLON_DEV_MODE="1", PYLON_URL="http://127.0.0.1:1"
        )
        assert done.returncode == 69
        assert "SERVER_UNREACHABLE" in done.stderr
        assert log_file(server) == before


@pytest.mark.parametrize("body", [{"seconds": -1}, {"seconds": 1e9}, {"seconds": "x"}, {"mode": "full"}, []])
def test_a_body_of_another_shape_is_refused(server: ServerProcess, body: Any) -> None:
    status, answer = server.request("POST", "/api/admin/checkpoint", body, token=ADMIN_TOKEN)
    assert status == 400
    assert answer["error"]["code"] == "INVALID_DATA"


def test_only_an_admin_may_run_one(server: ServerProcess) -> None:
    assert server.request("POST", "/api/admin/checkpoint", {}, token=server.token_of("alice"))[0] == 403
