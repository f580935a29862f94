"""Throttling, blocking and disconnecting from `pylon top`, against a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.top.conftest import admin, eventually
from tests.top.pseudo_terminal import OnTerminal


@pytest.fixture
def server(app_file: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(app_file, tmp_path / "data") as process:
        yield process


class Writer:
    """A user who doesn't stop writing; the status of each write."""

    def __init__(self, server: ServerProcess, user: str) -> None:
        self._server = server
        self._token = server.token_of(user)
        self._stop = threading.Event()
        self.last = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            self.last, _ = self._server.request("POST", "/api/fn/publish", {"title": "x"}, token=self._token)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture
def mallory(server: ServerProcess) -> Iterator[Writer]:
    writer = Writer(server, "mallory")
    yield writer
    writer.stop()


@pytest.fixture
def terminal(server: ServerProcess, mallory: Writer, tmp_path: Path) -> Iterator[OnTerminal]:
    words = ("-m", "pylon", "top", "--url", server.url, "--interval", "0.2")
    with OnTerminal(*words, env={"PYLON_ADMIN_TOKEN": ADMIN_TOKEN}, folder=tmp_path) as shown:
        shown.wait_for("mallory")
        yield shown


def switches(server: ServerProcess) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = admin(server, "GET", "/api/admin/switches")["switches"]
    return found


def test_the_top_tables_name_who_writes_from_where_into_what_by_which_function(terminal: OnTerminal) -> None:
    shown = terminal.wait_for("publish")
    for name in ("mallory", "127.0.0.1", "Todo"):
        assert name in shown


def test_t_throttles_the_selected_user_and_u_undoes_it(
    server: ServerProcess, terminal: OnTerminal, mallory: Writer
) -> None:
    terminal.press("t")
    terminal.wait_for("refuse writes of user mallory for 10 minutes? (y/n)")
    assert switches(server) == []
    terminal.press("y")
    terminal.wait_for("throttled user mallory")
    [switch] = switches(server)
    assert (switch["scope"], switch["target"], switch["blocks"]) == ("user", "mallory", "writes")
    assert 590 < switch["expires_at"] - switch["created_at"] <= 600
    eventually(lambda: mallory.last >= 400)
    terminal.wait_for("1 switched off")
    terminal.press("u")
    terminal.wait_for("allowed again")
    assert switches(server) == []
    eventually(lambda: mallory.last == 200)


def test_b_blocks_the_selected_address(server: ServerProcess, terminal: OnTerminal) -> None:
    terminal.press("\tb")
    terminal.wait_for("refuse everything of ip 127.0.0.1")
    terminal.press("y")
    terminal.wait_for("blocked ip 127.0.0.1")
    [switch] = switches(server)
    assert (switch["scope"], switch["target"], switch["blocks"]) == ("ip", "127.0.0.1", "all")
    assert switch["expires_at"] == 0


def test_anything_but_yes_leaves_everybody_alone(server: ServerProcess, terminal: OnTerminal) -> None:
    terminal.press("b")
    terminal.wait_for("(y/n)")
    terminal.press("n")
    terminal.wait_for("nothing was done")
    assert switches(server) == []


def test_what_was_done_from_the_terminal_is_in_the_audit_log(server: ServerProcess, terminal: OnTerminal) -> None:
    terminal.press("ty")
    terminal.wait_for("throttled user mallory")
    entries = admin(server, "GET", "/api/admin/audit?action=switch.on")["entries"]
    assert "mallory" in str(entries[0])


def test_when_the_server_is_gone_the_key_says_that_nothing_was_done(
    server: ServerProcess, terminal: OnTerminal, mallory: Writer
) -> None:
    mallory.stop()
    server.kill()
    terminal.wait_for("no answer")
    terminal.press("by")
    terminal.wait_for("could not refuse everything of user mallory")
    terminal.press("q")
    assert terminal.ended() == 0
