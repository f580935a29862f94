"""`pylon dev`: a save is live, a broken save stops nothing, and nothing is left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import APP, SECOND_ENTITY, Cli, Serving

Start = Callable[..., Serving]


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def diagnostics(app: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((app.parent / ".pylon" / "dev-diagnostics.json").read_text())
    return found


def test_once_builds_and_exits(pylon: Cli, app: Path) -> None:
    code, document = pylon.json("dev", "--once")
    assert code == 0
    assert (document["code"], document["name"], document["entities"]) == ("DEV_OK", "notes", ["Note"])
    app.write_text("x = (")
    code, document = pylon.json("dev", "--once")
    assert (code, document[0]["code"]) == (1, "APP_SYNTAX_ERROR")


def test_a_folder_without_an_app_is_a_usage_error(pylon: Cli) -> None:
    code, document = pylon.json("dev")
    assert (code, document[0]["code"]) == (64, "DEV_NO_ENTRY")


def test_a_saved_app_is_live_in_under_a_second(serving: Start, app: Path) -> None:
    began = time.monotonic()
    dev = serving("dev")
    assert dev.next()["code"] == "DEV_OK"
    limit = max(1.0, time.monotonic() - began)  # a busy machine starts slowly as well
    assert "Extra" not in dev.get()
    source, took = APP, 0.0
    for rebuild in (2, 3, 4):  # on a busy machine the second or third time
        time.sleep(1.0)  # the spare process has imported the server by then, as it has when a person saves
        name = f"Extra{rebuild}"
        source += SECOND_ENTITY.replace("Extra", name)
        app.write_text(source)
        took = dev.wait_until(lambda name=name: name in dev.get())  # type: ignore[misc]
        told = dev.next()
        assert (told["code"], told["rebuild"]) == ("DEV_OK", rebuild)
        if took < limit:
            break
    assert took < limit


def test_a_client_that_connects_during_a_reload_waits_and_is_answered(serving: Start, app: Path) -> None:
    dev = serving("dev")
    dev.next()
    app.write_text(APP + SECOND_ENTITY)
    late = time.monotonic() + 15.0
    while "Extra" not in dev.get():  # raises when a connection is refused or cut
        assert time.monotonic() < late
    calm = time.monotonic() + 0.5
    while time.monotonic() < calm:
        assert "Extra" in dev.get()


def test_a_broken_save_leaves_the_old_app_serving_and_tells_where(serving: Start, app: Path) -> None:
    dev = serving("dev")
    dev.next()
    app.write_text(APP + "\nx = (\n")
    told = dev.next()
    assert (told["code"], told["diagnostics"][0]["code"]) == ("DEV_ERROR", "APP_SYNTAX_ERROR")
    assert "Note" in dev.get()
    assert diagnostics(app)["errors"] == told["diagnostics"]
    app.write_text(APP + SECOND_ENTITY)
    assert dev.next()["code"] == "DEV_OK"
    assert diagnostics(app)["errors"] == []
    assert "Extra" in dev.get()


def test_an_app_that_is_broken_at_first_is_served_once_it_is_mended(serving: Start, app: Path) -> None:
    app.write_text("x = (")
    dev = serving("dev")
    assert dev.next()["code"] == "DEV_ERROR"
    app.write_text(APP)
    assert dev.next()["code"] == "DEV_OK"
    assert "Note" in dev.get()


def test_a_changed_page_reloads_browsers_but_not_the_app(serving: Start, app: Path) -> None:
    dev = serving("dev")
    dev.next()
    before = diagnostics(app)
    (app.parent / "web").mkdir()
    (app.parent / "web" / "index.html").write_text("<p>hello")
    dev.wait_until(lambda: diagnostics(app)["page"] != before["page"])
    assert diagnostics(app)["build"] == before["build"]


def test_two_quick_saves_of_the_same_size_end_with_the_second(serving: Start, app: Path) -> None:
    dev = serving("dev")
    dev.next()
    for letter in "ABCD":
        app.write_text(APP.replace("Note", f"Not{letter}"))
        time.sleep(0.15)
    dev.wait_until(lambda: "NotD" in dev.get())


def test_ctrl_c_ends_every_process_with_success(serving: Start, app: Path) -> None:
    dev = serving("dev")
    dev.next()
    children = children_of(dev.process.pid)
    assert children
    assert dev.stop(signal.SIGINT) == 0
    assert not any(is_running(child) for child in children)


def test_two_signals_at_once_are_one_wish_and_the_server_still_drains(serving: Start, app: Path) -> None:
    dev = serving("dev")
    dev.next()
    os.kill(dev.process.pid, signal.SIGTERM)
    time.sleep(0.03)
    assert dev.stop(signal.SIGTERM) == 0
    assert "stopped" in "".join(dev.errors)


def test_a_killed_supervisor_leaves_no_server_behind(serving: Start, app: Path) -> None:
    dev = serving("dev")
    dev.next()
    children = children_of(dev.process.pid)
    os.kill(dev.process.pid, signal.SIGKILL)
    dev.wait_until(lambda: not any(is_running(child) for child in children))


def test_a_server_that_ends_by_itself_is_started_again(serving: Start, app: Path) -> None:
    dev = serving("dev")
    dev.next()
    time.sleep(2.2)  # one that ends sooner is not started again until something is saved
    serving_child = children_of(dev.process.pid)[0]
    os.kill(serving_child, signal.SIGKILL)
    assert dev.next()[0]["code"] == "DEV_STOPPED"
    assert dev.next()["code"] == "DEV_OK"
    assert "Note" in dev.get()


def test_a_taken_port_names_the_option(serving: Start, pylon: Cli, app: Path) -> None:
    dev = serving("dev")
    dev.next()
    code, document = pylon.json("dev", "--port", str(dev.port))
    assert (code, document[0]["code"]) == (1, "LISTEN_FAILED")
    assert "--port" in document[0]["message"]


def test_dev_listens_on_this_machine_only(serving: Start, app: Path) -> None:
    dev = serving("dev", PYLON_HOST="")
    dev.next()
    listening = subprocess.run(["cat", "/proc/net/tcp"], capture_output=True, text=True, check=True).stdout
    assert f"0100007F:{dev.port:04X}" in listening
    assert f"00000000:{dev.port:04X}" not in listening


@pytest.mark.parametrize("name", ["PYLON_PORT", "PYLON_LOG_FORMAT"])
def test_a_malformed_setting_in_a_saved_env_file_stops_nothing(serving: Start, app: Path, name: str) -> None:
    dev = serving("dev")
    dev.next()
    (app.parent / ".env").write_text(f"{name}=nonsense\n")
    if name == "PYLON_PORT":  # read once, and given to the child by the supervisor
        assert dev.next()["code"] == "DEV_OK"
    else:
        assert dev.next()["diagnostics"][0]["code"] == "SETTINGS_INVALID"
    assert "Note" in dev.get()
