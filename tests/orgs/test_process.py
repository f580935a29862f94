"""A server process: sockets follow their user in and out of organisations, operators export and erase users."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect

from pylon.testing.process import ADMIN_TOKEN, ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    app = Path(__file__).with_name("app.py")
    with ServerProcess(app, tmp_path_factory.mktemp("orgs") / "data") as process:
        yield process


def test_a_socket_is_told_of_the_chosen_organisation_gets_its_rows_and_loses_them(server: ServerProcess) -> None:
    def ask(token: str, method: str, path: str, body: Any = None) -> Any:
        status, answer = server.request(method, path, body, token=token)
        assert status < 300, answer
        return answer

    def person(name: str) -> tuple[str, str]:
        user = ask(ADMIN_TOKEN, "POST", "/api/entities/User", {"email": f"{name}@example.com"})["id"]
        return user, server.token_of(user)

    (_, ann), (ben_id, ben) = person("ann"), person("ben")
    org = ask(ann, "POST", "/api/auth/orgs", {"name": "Acme"})["id"]
    made = ask(ann, "POST", f"/api/auth/orgs/{org}/invites", {"email": "ben@example.com"})
    ask(ben, "POST", f"/api/auth/invites/{made['token']}/accept")
    ask(ann, "POST", "/api/auth/select-org", {"orgId": org})
    url = f"ws://127.0.0.1:{server.port}/api/sync/ws"
    with connect(url, additional_headers={"Authorization": f"Bearer {ben}"}) as socket:

        def until(**wanted: Any) -> None:
            while True:
                frame = json.loads(socket.recv(timeout=5))
                assert frame.get("data", {}).get("title") != "secret"
                if all(frame.get(name, frame.get("data", {}).get(name)) == value for name, value in wanted.items()):
                    return

        ask(ben, "POST", "/api/auth/select-org", {"orgId": org})
        until(type="session-changed", tenant_id=org)
        ask(ann, "POST", "/api/entities/Task", {"title": "ours"})
        until(title="ours")
        ask(ann, "DELETE", f"/api/auth/orgs/{org}/members/{ben_id}")
        until(type="session-changed", tenant_id=None)
        ask(ann, "POST", "/api/entities/Task", {"title": "secret"})
        ask(ben, "POST", "/api/auth/orgs", {"name": "Own"})
        until(name="Own")


def test_the_command_exports_a_user_and_erases_it_only_when_told_so(server: ServerProcess, tmp_path: Path) -> None:
    user = server.request("POST", "/api/entities/User", {"email": "gone@example.com"}, token=ADMIN_TOKEN)[1]["id"]

    def pylon(*words: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYLON_URL": server.url, "PYLON_ADMIN_TOKEN": ADMIN_TOKEN}
        command = [sys.executable, "-m", "pylon", "user", *words]
        return subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    assert pylon("export", user, "--to", "user.json").returncode == 0
    assert json.loads((tmp_path / "user.json").read_text())["entities"]["User"][0]["email"] == "gone@example.com"
    refused = pylon("purge", user)
    assert refused.returncode != 0
    assert "PURGE_REFUSED" in refused.stdout + refused.stderr
    done = pylon("purge", user, "--yes")
    assert done.returncode == 0, done.stderr
    assert "backups and archive" in done.stdout
    assert server.request("GET", f"/api/entities/User/{user}", token=ADMIN_TOKEN)[0] == 404
