"""A full disk refuses writes with a clear code, lets reads go on, and is over when space returns."""

from __future__ import annotations

import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylon.testing.process import ServerProcess

APP = """
from pylon import App, Entity

app = App("full")


class Item(Entity, crdt=False):
    text: str

    class Policy:
        allow = "true"
"""


@pytest.fixture
def app(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


def insert(server: ServerProcess) -> tuple[int, str]:
    status, answer = server.request("POST", "/api/entities/Item", {"text": "x" * 20_000})
    return status, answer.get("error", {}).get("code", "")


def fill(server: ServerProcess) -> tuple[int, str]:
    for _ in range(2000):
        status, code = insert(server)
        if status != 201:
            return status, code
    raise AssertionError("the disk did not fill")


def count(server: ServerProcess) -> int:
    status, answer = server.request("GET", "/api/entities/Item?page=1&per_page=1")
    assert status == 200, answer
    total: int = answer["total"]
    return total


def becomes_unready(server: ServerProcess) -> bool:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        insert(server)
        if server.request("GET", "/readyz")[0] == 503:
            return True
        time.sleep(0.2)
    return False


def recovered(server: ServerProcess) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if insert(server)[0] == 201:
            return True
        time.sleep(0.1)
    return False


def test_writes_that_the_file_system_refuses_are_503_until_it_takes_them_again(app: Path, tmp_path: Path) -> None:
    with ServerProcess(app, tmp_path / "data") as server:
        assert insert(server)[0] == 201
        assert server.process is not None
        pid = server.process.pid
        old = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1_000_000, old[1]))
        assert fill(server) == (503, "STORAGE_UNAVAILABLE")
        kept = count(server)
        assert becomes_unready(server)
        assert server.request("GET", "/health")[0] == 200
        resource.prlimit(pid, resource.RLIMIT_FSIZE, old)
        assert recovered(server)
        assert count(server) == kept + 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if (
        mount is None
        or subprocess.run([mount, "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=False).returncode
    ):
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_writes_on_a_full_disk_are_507_until_space_returns(app: Path, small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(b"x" * 1_000_000)
    with ServerProcess(app, small_disk / "data") as server:
        assert insert(server)[0] == 201
        assert fill(server) == (507, "STORAGE_FULL")
        kept = count(server)
        ballast.unlink()
        assert recovered(server)
        assert count(server) == kept + 1
