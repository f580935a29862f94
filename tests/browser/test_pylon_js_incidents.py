"""pylon.js while an operator fights an incident: tests/browser/js/incidents.test.mjs, run by node."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

HERE = Path(__file__).parent


@pytest.mark.timeout(180)
def test_pylon_js_keeps_its_promises_in_an_incident(
    node: str, start: Callable[[Path], ServerProcess], tmp_path: Path
) -> None:
    server = start(HERE / "app" / "app.py")
    done = subprocess.run(
        [node, "--test", str(HERE / "js" / "incidents.test.mjs")],
        env={"PATH": os.environ["PATH"], "PYLON_URL": server.url, "PYLON_ADMIN_TOKEN": ADMIN_TOKEN},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:] + server.log()[-4_000:]
