"""An installed package brings a plugin and a command, found by their entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MODULE = """
from pylon.plugins import Plugin


class Greeting(Plugin):
    name = "greeting"

    def __init__(self, entity="Note"):
        self._entity = entity

    def declare(self, app):
        from pylon.model.schema import Field, Kind
        from pylon.plugins.declaring import with_field

        return with_field(app, self._entity, Field(name="greeting", kind=Kind.STRING, optional=True))


def configure(parser):
    parser.add_argument("whom")


def run(options, output):
    output.answer({"hello": options.whom}, f"hello {options.whom}")
    return 0
"""
ENTRY_POINTS = """
[pylon.plugins]
greeting = pylon_greeting:Greeting

[pylon.commands]
greet = pylon_greeting
check = pylon_greeting
"""
APP = """
from pylon import App, Entity

app = App("greeted")


class Note(Entity):
    title: str

    class Policy:
        allow = "data.greeting != 'bad'"
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder on the path with an installed package, and an app."""
    (tmp_path / "pylon_greeting.py").write_text(MODULE)
    info = tmp_path / "pylon_greeting-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: pylon-greeting\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "app.py").write_text(APP)
    return tmp_path


def pylon(site: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(site), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "pylon", *words]
    return subprocess.run(command, cwd=site, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_command_of_an_installed_package_runs_like_any(site: Path) -> None:
    assert pylon(site, "greet", "you").stdout == "hello you\n"
    assert json.loads(pylon(site, "greet", "you", "--json").stdout) == {"hello": "you"}
    assert pylon(site, "greet").returncode == 64


def test_an_installed_plugin_takes_part_and_hides_no_command_of_pylons(site: Path) -> None:
    # The policy names a field that the plugin declares: without it the app would not start.
    done = pylon(site, "check")
    assert (done.returncode, "Schema valid" in done.stdout) == (0, True), done.stderr
