"""One real server for this room, and the `pylon` command against it."""

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
from datetime import datetime

from pylon import App, Entity, Json, field

app = App("bulk")


class Doc(Entity, crdt=False):
    title: str
    n: int | None = None
    price: float | None = None
    done: bool = False
    meta: Json | None = None
    slug: str | None = field(unique=True)
    at: datetime | None = None
    secret: str | None = field(server_only=True)

    class Policy:
        read = "true"


class Tag(Entity, crdt=False):
    name: str

    class Policy:
        read = "true"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("bulk")
    (folder / "app.py").write_text(APP)
    with ServerProcess(folder / "app.py", folder / "data") as process:
        yield process


def pylon(server: ServerProcess, folder: Path, *words: str) -> tuple[int, list[Any]]:
    """(exit code, JSON documents) of a command."""
    env = {**os.environ, "PYLON_ADMIN_TOKEN": ADMIN_TOKEN, "PYLON_URL": server.url}
    command = [sys.executable, "-m", "pylon", *words, "--json"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("{", "["))]
