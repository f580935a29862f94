"""Game days: a full disk, reconnects without end, overload, a server that is down, a failing backup, a spent budget."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.containment.test_switches import eventually
from tests.gamedays.conftest import APP, meanwhile, operator_of
from tests.gamedays.prometheus import watching
from tests.gamedays.runbook import Operator


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run(
            [mount, "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=False, capture_output=True
        ).returncode
    ):
        pytest.skip("mounting a small tmpfs needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_loses_nothing_and_writes_come_back(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, ServerProcess(APP, disk / "data") as server:
        operator = operator_of(server, tmp_path)
        kept = [server.request("POST", "/api/entities/Note", {"title": str(n)})[1]["id"] for n in range(20)]
        with watching(server, tmp_path / "prometheus") as prometheus:
            ballast = disk / "ballast"
            with ballast.open("wb") as file:
                file.write(os.urandom(shutil.disk_usage(disk).free - 1_500_000))
            (operator.folder / "ballast").symlink_to(ballast)
            eventually(lambda: server.request("POST", "/api/fn/flood", {"rows": 2000})[0] in (503, 507), 30.0)
            prometheus.wait_for("PylonDiskFull")
            operator.follow("disk-full", "Look")
            ballast.unlink()
            operator.follow("disk-full", "Do", "Verify", "Undo")
        eventually(lambda: server.request("POST", "/api/entities/Note", {"title": "x"})[0] == 201, 10.0)
        for identifier in kept:
            assert server.request("GET", f"/api/entities/Note/{identifier}")[0] == 200


def test_a_storm_of_reconnects_is_seen_and_kept_out(server: ServerProcess, operator: Operator, tmp_path: Path) -> None:
    def come_and_go() -> None:
        try:
            with connect(f"ws://127.0.0.1:{server.port}/api/sync/ws", proxy=None):
                return
        except WebSocketException:
            time.sleep(0.05)

    with watching(server, tmp_path / "prometheus") as prometheus, meanwhile(come_and_go):
        prometheus.wait_for("PylonReconnectStorm")
        operator.follow("reconnect-storm", "Look", "Do")
        operator.run('pylon switch on ip 127.0.0.1 --reason "drill"')
        prometheus.wait_until_quiet("PylonReconnectStorm")
        operator.run("pylon switch off ip 127.0.0.1")
    operator.follow("reconnect-storm", "Undo")


def test_overload_is_relieved_by_switching_off_what_costs_most(tmp_path: Path) -> None:
    with ServerProcess(APP, tmp_path / "data", env={"PYLON_WRITES_PER_USER": "5"}) as server:
        operator = operator_of(server, tmp_path)
        mallory = server.token_of("mallory")
        server.request("POST", "/api/fn/flood", {"rows": 3000}, token=mallory)
        with watching(server, tmp_path / "prometheus") as prometheus:
            with (
                meanwhile(lambda: server.request("POST", "/api/fn/report", {"seconds": 1.5})),
                meanwhile(lambda: server.request("POST", "/api/entities/Note", {"title": "x"}, token=mallory)),
            ):
                prometheus.wait_for("PylonRateLimited")
                assert "fn report" in operator.follow("overload", "Look")
                operator.follow("overload", "Do")
                assert server.request("POST", "/api/fn/report", {"seconds": 0})[0] == 503
            prometheus.wait_until_quiet("PylonRateLimited")
        operator.follow("overload", "Undo")
        assert server.request("POST", "/api/fn/report", {"seconds": 0})[0] == 200


def test_a_dead_server_is_noticed_examined_and_started_closed(
    server: ServerProcess, operator: Operator, tmp_path: Path
) -> None:
    _, made = server.request("POST", "/api/entities/Note", {"title": "kept"})
    (operator.folder / "app.py").symlink_to(APP)
    with watching(server, tmp_path / "prometheus") as prometheus:
        server.kill()
        prometheus.wait_for("PylonDown")
        operator.follow("server-down", "Look", "Do")
        server.start()
        prometheus.wait_until_quiet("PylonDown")
    assert server.request("GET", f"/api/entities/Note/{made['id']}")[0] == 503
    operator.follow("server-down", "Verify", "Undo")
    eventually(lambda: server.request("GET", f"/api/entities/Note/{made['id']}")[0] == 200)


def test_a_backup_that_fails_is_noticed_and_taken_elsewhere(tmp_path: Path) -> None:
    blocked = tmp_path / "not-a-folder"
    blocked.write_text("a file stands where backups should go")
    env = {"PYLON_BACKUP_TARGET": str(blocked / "backups")}
    with ServerProcess(APP, tmp_path / "data", env=env) as server:
        operator = operator_of(server, tmp_path)
        server.request("POST", "/api/entities/Note", {"title": "x"})
        with watching(server, tmp_path / "prometheus") as prometheus:
            assert server.request("POST", "/api/admin/backups", {}, token=ADMIN_TOKEN)[0] >= 400
            prometheus.wait_for("PylonBackupFailing")
        assert "backup.fail" in operator.follow("backup-failing", "Look")
        operator.follow("backup-failing", "Do", "Verify")


def test_a_budget_warns_and_a_hard_one_stops(server: ServerProcess, operator: Operator, tmp_path: Path) -> None:
    mallory = server.token_of("mallory")
    operator.run("pylon budget set writes --per day --limit 100 --hard")
    with watching(server, tmp_path / "prometheus") as prometheus:
        server.request("POST", "/api/fn/flood", {"rows": 97}, token=mallory)
        prometheus.wait_for("PylonBudget95")
        assert "mallory" in operator.follow("budget", "Look")
        server.request("POST", "/api/fn/flood", {"rows": 10}, token=mallory)
        eventually(lambda: server.request("POST", "/api/entities/Note", {"title": "x"})[0] == 503, 25.0)
        operator.run("pylon switch off read-only")
        operator.follow("budget", "Do", "Undo")
    assert server.request("POST", "/api/entities/Note", {"title": "x"}, token=mallory)[0] == 201


def test_the_costs_page_works(server: ServerProcess, operator: Operator) -> None:
    from tests.gamedays.runbook import commands, sections

    for text in sections("COSTS.md").values():
        for _, command in commands(text):
            operator.run(command)
