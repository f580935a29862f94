"""`pylon keys` against a real server, which is killed while it seals anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from pylon.testing.waiting import eventually

APP = """
from pylon import App, Entity, field

app = App("vault")


class Card(Entity):
    number: str = field(encrypted=True, lookup=True)

    class Policy:
        read = "true"
"""


def keys(server: ServerProcess, *words: str) -> Any:
    env = {**os.environ, "PYLON_ADMIN_TOKEN": ADMIN_TOKEN}
    command = [sys.executable, "-m", "pylon", "keys", *words, "--json", "--url", server.url]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_server_that_is_killed_while_it_seals_anew_goes_on_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    with ServerProcess(tmp_path / "app.py", tmp_path / "data") as server:
        rows = "\n".join(json.dumps({"number": f"4000-{i}"}) for i in range(3000)).encode()
        status, _ = server.request("POST", "/api/import/Card", rows, token=ADMIN_TOKEN)
        assert status == 200
        made = keys(server, "rotate")
        assert keys(server, "reencrypt")["running"]
        server.kill()
        server.start()
        state = keys(server, "status")
        assert state["keys"][0] == made["key"]
        assert sum(state["fields"][0]["by_key"].values()) == 3000
        keys(server, "reencrypt", "--wait")
        assert keys(server, "status")["fields"][0]["by_key"][made["key"]] == 3000
        _, found = server.request("GET", "/api/lookup/Card/number/4000-2999", token=ADMIN_TOKEN)
        assert found["number"] == "4000-2999"
        assert "4000-2999" not in server.log()
    for file in (tmp_path / "data").rglob("*"):
        assert not file.is_file() or b"4000-2999" not in file.read_bytes()


def test_a_lost_key_is_found_by_doctor_raises_an_alarm_and_is_mended_by_putting_it_back(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    lost, new = "lost-key-" * 5, "new-key-" * 5

    def served(keys: str, **env: str) -> ServerProcess:
        return ServerProcess(tmp_path / "app.py", tmp_path / "data", env={"PYLON_SECRET_KEY": keys, **env})

    def examined(keys: str) -> Any:
        env = {**os.environ, "PYLON_SECRET_KEY": keys}
        words = ["doctor", str(tmp_path / "app.py"), "--data-dir", str(tmp_path / "data"), "--port", "0", "--json"]
        done = subprocess.run(
            [sys.executable, "-m", "pylon", *words], env=env, capture_output=True, text=True, timeout=30
        )
        [check] = [c for c in json.loads(done.stdout.splitlines()[-1])["checks"] if c["name"] == "encrypted fields"]
        return check

    with served(lost) as server:
        assert server.request("POST", "/api/entities/Card", {"number": "4000"}, token=ADMIN_TOKEN)[0] == 201
    assert examined(lost)["status"] == "pass"
    assert examined(new) == {
        "name": "encrypted fields",
        "status": "error",
        "detail": "values that no key here opens: 1 in Card.number; put their key back",
    }
    with served(new, PYLON_SECRET_KEY_LOST="1") as server:

        def is_raised() -> bool:
            status, told = server.request("GET", "/api/entities/Card")
            assert (status, told["error"]["code"]) == (500, "SEALED_UNREADABLE")
            _, told = server.request("GET", "/api/admin/alarms", token=ADMIN_TOKEN)
            return "sealed-unreadable" in [alarm["name"] for alarm in told["alarms"]]

        eventually(is_raised)
    with served(f"{new},{lost}") as server:
        assert server.request("GET", "/api/entities/Card")[1]["data"][0]["number"] == "4000"
