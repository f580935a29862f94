"""`pylon top` on a terminal, with keys pressed (`cli/top/`)."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.top.conftest import admin, eventually
from tests.top.pseudo_terminal import ENTER_SCREEN, OnTerminal

ENV = {"PYLON_ADMIN_TOKEN": ADMIN_TOKEN}


def top(server: ServerProcess, folder: Path, *words: str, **size: int) -> OnTerminal:
    words = ("-P", "-m", "pylon", "top", "--url", server.url, "--interval", "0.2", *words)
    return OnTerminal(*words, env=ENV, folder=folder, **size)


def command(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYLON_")}
    return subprocess.run(
        [sys.executable, "-P", "-m", "pylon", *words],
        cwd=folder,
        env=kept | ENV | env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def own_server(app_file: Path, tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(app_file, tmp_path / "data") as process:
        yield process


def test_once_prints_one_frame_of_text(server: ServerProcess, tmp_path: Path) -> None:
    done = command(tmp_path, "top", "--once", "--url", server.url)
    assert done.returncode == 0, done.stderr
    for shown in ("writes/s", "p99", "WAL", "loop lag", "top users", "slow queries", "running reads", "ready"):
        assert shown in done.stdout
    assert "\x1b" not in done.stdout


def test_json_prints_the_figures_and_exits(server: ServerProcess, tmp_path: Path) -> None:
    done = command(tmp_path, "top", "--once", "--json", "--url", server.url)
    assert done.returncode == 0
    assert {"rates", "wal", "history", "top"} <= set(json.loads(done.stdout))


def test_without_a_terminal_it_says_how_to_print_a_frame(server: ServerProcess, tmp_path: Path) -> None:
    done = command(tmp_path, "top", "--url", server.url)
    assert done.returncode == 64
    assert "--once" in done.stderr


def test_without_a_server_it_says_so_and_exits_69(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        done = command(tmp_path, "top", "--once", "--url", f"http://127.0.0.1:{probe.getsockname()[1]}")
    assert done.returncode == 69
    assert "SERVER_UNREACHABLE" in done.stderr


def test_a_wrong_token_is_refused_before_the_screen_changes(server: ServerProcess, tmp_path: Path) -> None:
    env = {"PYLON_ADMIN_TOKEN": "not-the-token-0123456789"}
    with OnTerminal("-m", "pylon", "top", "--url", server.url, env=env, folder=tmp_path) as terminal:
        assert terminal.ended() == 1
        assert "FORBIDDEN" in terminal.written
        assert ENTER_SCREEN not in terminal.written


def test_the_figures_move_while_it_runs(own_server: ServerProcess, tmp_path: Path) -> None:
    with top(own_server, tmp_path) as terminal:
        terminal.wait_for("requests/s")
        for n in range(60):
            own_server.request("POST", "/api/entities/Todo", {"title": str(n)}, token=ADMIN_TOKEN)

        def writes() -> bool:
            found = re.search(r"writes/s\s+([\d.,]+)", terminal.frame)
            return found is not None and float(found[1].replace(",", "")) > 1

        terminal.wait_until(writes, "a rate of writes")


@pytest.mark.parametrize("key", ["q", "\x03"])
def test_q_and_ctrl_c_leave_the_terminal_as_it_was(server: ServerProcess, tmp_path: Path, key: str) -> None:
    with top(server, tmp_path) as terminal:
        terminal.wait_for("? help")
        assert terminal.modes() != terminal.modes_before
        terminal.press(key)
        assert terminal.ended() == 0
        assert terminal.is_restored()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_leaves_the_terminal_as_it_was(server: ServerProcess, tmp_path: Path, number: signal.Signals) -> None:
    with top(server, tmp_path) as terminal:
        terminal.wait_for("? help")
        terminal.process.send_signal(number)
        assert terminal.ended() == 128 + number
        assert terminal.is_restored()


def test_a_failure_leaves_the_terminal_as_it_was_and_shows_itself(tmp_path: Path) -> None:
    script = (
        "from pylon.cli.top import live\n"
        "from pylon.cli.remote import Remote\n"
        "live.watch(Remote('http://127.0.0.1:1', None), {'rates': 'no figures at all'}, 60.0)\n"
    )
    with OnTerminal("-c", script, env=ENV, folder=tmp_path) as terminal:
        assert terminal.ended() == 1
        assert "AttributeError" in terminal.written
        assert terminal.is_restored()


def test_ctrl_z_gives_the_terminal_back_and_going_on_takes_it_again(server: ServerProcess, tmp_path: Path) -> None:
    # A shell of the same session: without one the system ignores Ctrl-Z, as nobody could wake us again.
    shell = (
        "import os, signal, subprocess, sys\n"
        "signal.signal(signal.SIGTTOU, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-m', 'pylon', 'top', *sys.argv[1:]], process_group=0)\n"
        "os.tcsetpgrp(0, child.pid)\n"
        "sys.exit(child.wait())\n"
    )
    with OnTerminal("-c", shell, "--url", server.url, env=ENV, folder=tmp_path) as terminal:
        terminal.wait_for("? help")
        shell_id = terminal.process.pid
        job = int(Path(f"/proc/{shell_id}/task/{shell_id}/children").read_text())
        terminal.press("\x1a")
        eventually(lambda: _state_of(job) == "T")
        eventually(terminal.is_restored)
        frames = terminal.written.count(ENTER_SCREEN)
        os.kill(job, signal.SIGCONT)
        terminal.wait_until(lambda: terminal.written.count(ENTER_SCREEN) > frames, "the screen again")
        terminal.wait_for("? help")
        terminal.press("q")
        assert terminal.ended() == 0
        assert terminal.is_restored()


def test_it_fits_into_a_window_of_any_size(server: ServerProcess, tmp_path: Path) -> None:
    with top(server, tmp_path) as terminal:
        terminal.wait_for("running reads")
        for columns, lines in ((80, 24), (60, 16), (200, 60), (30, 6), (120, 40)):
            terminal.resize(columns, lines)
            terminal.wait_until(
                lambda columns=columns, lines=lines: _is_of(terminal.frame, columns, lines), f"{columns}x{lines}"
            )
        terminal.press("q")
        assert terminal.ended() == 0


def test_a_terminal_without_unicode_is_served_as_well(server: ServerProcess, tmp_path: Path) -> None:
    words = ("-P", "-m", "pylon", "top", "--url", server.url)
    with OnTerminal(*words, env=ENV | {"PYTHONIOENCODING": "ascii"}, folder=tmp_path) as terminal:
        shown = terminal.wait_for("running reads")
        assert shown.isascii()
        terminal.press("q")
        assert terminal.ended() == 0


def test_help_lists_every_key_and_any_key_goes_back(server: ServerProcess, tmp_path: Path) -> None:
    with top(server, tmp_path) as terminal:
        terminal.wait_for("? help")
        terminal.press("?")
        shown = terminal.wait_for("Any key goes back")
        for word in ("throttle", "block", "kick", "undo", "pause", "quit"):
            assert word in shown
        terminal.press("x")
        terminal.wait_for("slow queries")


def test_it_waits_for_a_server_that_went_away_and_goes_on_when_it_is_back(
    own_server: ServerProcess, tmp_path: Path
) -> None:
    with top(own_server, tmp_path) as terminal:
        terminal.wait_for("ready")
        own_server.kill()
        terminal.wait_for("no answer")
        assert "slow queries" in terminal.frame
        own_server.start()
        terminal.wait_without("no answer")
        terminal.press("q")
        assert terminal.ended() == 0


def test_a_pause_holds_the_figures_still(own_server: ServerProcess, tmp_path: Path) -> None:
    with top(own_server, tmp_path) as terminal:
        terminal.wait_for("ready")
        terminal.press("p")
        shown = terminal.wait_for("paused")
        clock = re.search(r"\d\d:\d\d:\d\d UTC", shown)
        assert clock is not None
        at = admin(own_server, "GET", "/api/admin/overview")["at"]
        eventually(lambda: admin(own_server, "GET", "/api/admin/overview")["at"] > at + 1.5)
        terminal.press("\t")
        assert clock[0] in terminal.frame
        terminal.press("p")
        terminal.wait_without(clock[0])


def test_what_clients_call_themselves_can_not_drive_the_terminal(own_server: ServerProcess, tmp_path: Path) -> None:
    evil = own_server.token_of("eve\x1b]0;owned\x07\x1b[2J")
    own_server.request("POST", "/api/fn/slow", {"seconds": 0.2}, token=evil)
    with top(own_server, tmp_path) as terminal:
        terminal.wait_for("eve\\x1b")
        assert "\x1b]0;owned" not in terminal.written
        terminal.press("q")
        assert terminal.ended() == 0


def _state_of(process: int) -> str:
    return Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2][0]


def _is_of(frame: str, columns: int, lines: int) -> bool:
    rows = frame.split("\n")
    return len(rows) == lines and max(len(row) for row in rows) <= columns
