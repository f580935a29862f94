"""The systemd unit is valid, confines the server tightly, and the server works under what it leaves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from pylon.settings import Settings
from pylon.testing.process import free_port
from tests.deploy import unit_sandbox
from tests.deploy.places import DEPLOY, UNIT, eventually, need, write_app

MOST_EXPOSURE = 15
"""In tenths: systemd calls up to 2.5 safe. What is left is the network and a clock that may be read."""


@pytest.fixture
def unit() -> str:
    return UNIT.read_text("utf-8")


def last(unit: str, name: str) -> str:
    return unit_sandbox.values(unit, name)[-1]


def test_systemd_accepts_the_unit(unit: str, tmp_path: Path) -> None:
    (tmp_path / "pylon.env").write_text((DEPLOY / "systemd" / "pylon.env.example").read_text("utf-8"))
    program = tmp_path / "pylon"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    here = tmp_path / "pylon.service"
    here.write_text(unit.replace("/opt/pylon/venv/bin/pylon", str(program)).replace("/etc/pylon", str(tmp_path)))
    checked = subprocess.run(
        [need("systemd-analyze"), "verify", "--man=no", str(here)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "pylon.service" not in checked.stderr  # an unknown setting is only a warning


def test_the_unit_leaves_little_exposed() -> None:
    command = [need("systemd-analyze"), "security", "--offline=true", f"--threshold={MOST_EXPOSURE}", str(UNIT)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout[-600:] + checked.stderr


def test_systemd_makes_the_user_that_the_unit_names(unit: str) -> None:
    users = DEPLOY / "systemd" / "pylon.sysusers.conf"
    checked = subprocess.run(
        [need("systemd-sysusers"), "--dry-run", str(users)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    named = [line.split()[1] for line in users.read_text("utf-8").splitlines() if line.startswith("u ")]
    assert named == [last(unit, "User")]


def test_a_stop_has_time_to_drain(unit: str) -> None:
    assert float(last(unit, "TimeoutStopSec")) >= Settings().drain_secs + 30


def test_a_failure_restarts_but_not_for_ever(unit: str) -> None:
    assert last(unit, "Restart") == "on-failure"
    tries, seconds = int(last(unit, "StartLimitBurst")), int(last(unit, "StartLimitIntervalSec"))
    assert tries * float(last(unit, "RestartSec")) < seconds  # else the limit is never reached


def test_the_data_folder_is_the_state_directory(unit: str) -> None:
    assert f"PYLON_DATA_DIR=/var/lib/{last(unit, 'StateDirectory').split()[0]} " in last(unit, "Environment")


def test_commands_run_by_hand_get_what_the_service_gets(unit: str) -> None:
    script = (DEPLOY / "systemd" / "pylon-run").read_text("utf-8")
    user = last(unit, "User")
    assert f"--uid={user} --gid={user}" in script
    for name in ("EnvironmentFile", "StateDirectoryMode", "UMask", "LimitNOFILE"):
        assert f"-p {name}={last(unit, name)}" in script
    assert f'-p "StateDirectory={last(unit, "StateDirectory")}"' in script
    assert last(unit, "Environment").split()[0] in script


def test_the_example_settings_start_a_server_once_a_token_is_filled_in() -> None:
    from pylon.cli.envfile import parse

    values = parse((DEPLOY / "systemd" / "pylon.env.example").read_text("utf-8"), "pylon.env")
    settings = Settings.load({**values, "PYLON_ADMIN_TOKEN": "x" * 32})
    assert not settings.dev_mode
    assert (settings.host, settings.trust_proxy_hops) == ("127.0.0.1", 1)


def test_the_server_works_under_the_filter_of_the_unit(tmp_path: Path) -> None:
    confined = _confined()
    port = free_port()
    app = write_app(tmp_path / "app")
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYLON_")}
    environ |= {"PYLON_HOST": "127.0.0.1", "PYLON_PORT": str(port), "PYLON_DATA_DIR": str(tmp_path / "data")}
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(
            [*confined, sys.executable, "-m", "pylon", "start", str(app)], env=environ, stdout=log, stderr=log
        )
    try:
        eventually(lambda: _answers(port, "/readyz"), "the server is ready")
        assert _answers(port, "/api/fn/add", b'{"title":"x"}')
        assert _answers(port, "/api/entities/Item?limit=1")
        server.terminate()
        assert server.wait(15) == 0, (tmp_path / "log").read_text()
    finally:
        server.kill()
        server.wait()


def test_the_filter_of_the_unit_refuses_what_a_server_never_needs() -> None:
    script = """
import mmap, os
for name, act in {
    "chroot": lambda: os.chroot("/"),
    "executable memory": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
    "another user": lambda: os.setuid(os.getuid()),
}.items():
    try:
        act()
    except OSError:
        continue
    raise SystemExit(name)
"""
    done = subprocess.run([*_confined(), sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_setting_of_the_unit_is_written_once_unless_it_is_a_list(unit: str) -> None:
    names = re.findall(r"^(\w+)=", unit, re.MULTILINE)
    assert {name for name in names if names.count(name) > 1} <= {"SystemCallFilter"}


def _confined() -> list[str]:
    need("systemd-analyze")
    if why := unit_sandbox.why_not():
        pytest.skip(why)
    return [sys.executable, str(Path(unit_sandbox.__file__)), str(UNIT), "--"]


def _answers(port: int, path: str, body: bytes | None = None) -> bool:
    try:
        request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body)
        with urllib.request.urlopen(request, timeout=5):
            return True
    except OSError:
        return False
