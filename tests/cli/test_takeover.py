"""`pylon start --replace`: the new version is ready before the old one leaves, and one that isn't leaves it alone."""

from __future__ import annotations

import subprocess
import sys
import threading
import urllib.error
from pathlib import Path

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from pylon.testing.waiting import eventually

from .conftest import APP, Cli

NEXT = APP.replace("    title: str\n", '    title: str\n    rank: str = "middle"\n')


def test_a_new_version_takes_the_place_of_the_old_one_with_its_data_and_port(app: Path) -> None:
    with ServerProcess(app, app.parent / ".pylon") as old:
        assert old.request("POST", "/api/entities/Note", {"title": "kept"}, token=ADMIN_TOKEN)[0] == 201
        app.write_text(NEXT)
        reads, refused, stop = [], [], threading.Event()

        def read() -> None:
            while not stop.is_set():
                try:
                    reads.append(old.request("GET", "/api/entities/Note")[0])
                except urllib.error.URLError as error:  # a connection that the old one had no more time for
                    refused.extend([error.reason] * isinstance(error.reason, ConnectionRefusedError))
                except OSError:
                    continue

        reader = threading.Thread(target=read)
        reader.start()
        new = ServerProcess(app, app.parent / ".pylon", port=old.port, options=("--replace",))
        try:
            new.start()
            assert old.process is not None
            assert old.process.wait(20) == 0
            eventually(lambda: "rank" in str(new.request("GET", "/api/entities/Note")[1]))
        finally:
            stop.set()
            reader.join()
            new.stop()
    assert set(reads) == {200}
    assert refused == [], "whoever connects is heard by the one or the other"
    assert "prepared Note: 1 rows" in new.log(), "and what takes long was done before"


def test_a_server_of_another_folder_keeps_its_port_to_itself(pylon: Cli, app: Path, tmp_path: Path) -> None:
    with (
        ServerProcess(app, app.parent / ".pylon") as old,
        ServerProcess(app, tmp_path / "other") as other,
    ):
        code, problem = pylon.json("start", "--replace", "--port", str(other.port), PYLON_ADMIN_TOKEN=ADMIN_TOKEN)
        assert (code, problem[0]["code"]) == (1, "LISTEN_FAILED")
        assert other.request("GET", "/api/entities/Note")[0] == 200
        assert old.request("GET", "/api/entities/Note")[0] == 200, "and the old one is left alone"


def test_only_a_process_that_has_the_folder_is_asked_to_leave(pylon: Cli, app: Path) -> None:
    bystander = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with ServerProcess(app, app.parent / ".pylon") as old:
        (app.parent / ".pylon" / "lock").write_text(str(bystander.pid))  # as from another container
        code, problem = pylon.json("start", "--replace", "--port", str(old.port), PYLON_ADMIN_TOKEN=ADMIN_TOKEN)
        assert (code, problem[0]["code"]) == (1, "LISTEN_FAILED")
        assert old.request("GET", "/api/entities/Note")[0] == 200
    assert bystander.poll() is None
    bystander.communicate(b"\n")


@pytest.mark.parametrize(
    "broken", [APP.replace("title: str", "title: int", 1), "import nothing_of_this_name\n"], ids=["rows", "import"]
)
def test_a_version_that_can_not_start_leaves_the_old_one_alone(pylon: Cli, app: Path, broken: str) -> None:
    with ServerProcess(app, app.parent / ".pylon") as old:
        old.request("POST", "/api/entities/Note", {"title": "kept"}, token=ADMIN_TOKEN)
        app.write_text(broken)
        assert pylon.json("start", "--replace", "--port", str(old.port), PYLON_ADMIN_TOKEN=ADMIN_TOKEN)[0] == 1
        assert old.request("GET", "/api/entities/Note")[0] == 200
