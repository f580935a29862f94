"""pylon.js by itself, and against a real server: the scripts of tests/browser/js, run by node."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

HERE = Path(__file__).parent


@pytest.mark.timeout(180)
@pytest.mark.parametrize("script", ["pylon", "features"])
def test_pylon_js_keeps_its_promises_against_a_real_server(
    node: str, start: Callable[[Path], ServerProcess], script: str
) -> None:
    server = start(HERE / "app" / "app.py")
    done = subprocess.run(
        [node, "--test", str(HERE / "js" / f"{script}.test.mjs")],
        env={"PATH": os.environ["PATH"], "PYLON_URL": server.url, "PYLON_ADMIN_TOKEN": ADMIN_TOKEN},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:] + server.log()[-4_000:]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("script", ["logic", "tabs"])
def test_the_parts_of_pylon_js_keep_their_promises_by_themselves(node: str, script: str) -> None:
    done = subprocess.run(
        [node, "--test", str(HERE / "js" / f"{script}.test.mjs")],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2_000:]
