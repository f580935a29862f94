"""`pylon keys` against a real server, which is killed while it seals anew."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

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
    for file in (tmp_path / "data").rglob("*"):
        assert not file.is_file() or b"4000-2999" not in file.read_bytes()
