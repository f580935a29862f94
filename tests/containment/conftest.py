from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

APP = Path(__file__).parents[1] / "gamedays" / "app.py"

Pylon = Callable[..., tuple[int, Any]]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(APP, tmp_path / "data") as running:
        yield running


@pytest.fixture
def pylon(server: ServerProcess, tmp_path: Path) -> Pylon:
    """Run a command against the server as its operator does: (exit code, decoded `--json` answer)."""

    def run(*words: str, token: str | None = ADMIN_TOKEN, input: str | None = None) -> tuple[int, Any]:
        environ = {k: v for k, v in os.environ.items() if not k.startswith("PYLON_")}
        environ |= {"PYLON_URL": server.url, "PYLON_DATA_DIR": str(server.data)}
        if token is not None:
            environ["PYLON_ADMIN_TOKEN"] = token
        done = subprocess.run(
            [sys.executable, "-m", "pylon", *words, "--json"],
            env=environ,
            cwd=tmp_path,
            input=input,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        lines = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
        return done.returncode, lines[-1] if lines else done.stderr

    return run
