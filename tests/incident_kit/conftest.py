"""A real server, and an operator at the command line of its machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

APP = """
from pylon import App, Entity, field

app = App("incident")


class Note(Entity, crdt=False):
    title: str
    secret: str | None = field(server_only=True)

    class Policy:
        allow = "true"
"""


class Operator:
    """Runs `pylon incident …` as an operator on the server's machine does."""

    def __init__(self, server: ServerProcess, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.token = ADMIN_TOKEN

    def __call__(self, *words: str, answers: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYLON_")}
        own = {
            "PYLON_URL": self.server.url,
            "PYLON_ADMIN_TOKEN": self.token,
            "PYLON_DATA_DIR": str(self.server.data),
            "NO_COLOR": "1",
        }
        return subprocess.run(
            [sys.executable, "-P", "-m", "pylon", "incident", *words],
            cwd=self.folder,
            env=kept | own | env,
            input=answers,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def json(self, *words: str, answers: str = "", **env: str) -> tuple[int, Any]:
        """Exit code and the last JSON document."""
        done = self(*words, "--json", answers=answers, **env)
        documents = [json.loads(line) for line in done.stdout.splitlines()]
        assert documents, done.stderr
        return done.returncode, documents[-1]

    def ok(self, *words: str, **env: str) -> Any:
        """The last JSON document of a command that went well."""
        code, document = self.json(*words, **env)
        assert code == 0, document
        return document

    def events(self, incident: str = "latest") -> list[dict[str, Any]]:
        """What is noted, as the server has it."""
        status, answer = self.server.request("GET", f"/api/admin/incidents/{incident}", token=self.token)
        assert status == 200, answer
        found: list[dict[str, Any]] = answer["events"]
        return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    (tmp_path / "app.py").write_text(APP)
    with ServerProcess(tmp_path / "app.py", tmp_path / "data") as process:
        yield process


@pytest.fixture
def operator(server: ServerProcess, tmp_path: Path) -> Operator:
    folder = tmp_path / "desk"
    folder.mkdir()
    return Operator(server, folder)
