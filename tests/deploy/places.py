"""Where the shipped files are, and small helpers that several tests of them share."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNIT = DEPLOY / "systemd" / "pylon.service"

APP = """
from pylon import App, Context, Entity

app = App("shop")


class Item(Entity, crdt=False):
    title: str

    class Policy:
        allow = "true"


@app.mutation(auth="public")
def add(ctx: Context, title: str) -> str:
    return ctx.db.insert(Item, title=title).id
"""


def write_app(folder: Path) -> Path:
    """A small app in that folder; its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "app.py"
    path.write_text(APP)
    return path


def need(command: str) -> str:
    """The path of a system command; the test is skipped where it isn't installed."""
    found = shutil.which(command) or shutil.which(command, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip(f"{command} is not installed")
    return found


def eventually(condition: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    """Wait until the condition holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s: {what}"
        time.sleep(0.02)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for app.example.com, and its key."""
    made = folder / "pylon.crt", folder / "pylon.key"
    subprocess.run(
        [
            *(need("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=app.example.com", "-addext", "subjectAltName=DNS:app.example.com"),
            *("-out", str(made[0]), "-keyout", str(made[1])),
        ],
        check=True,
        capture_output=True,
    )
    return made
