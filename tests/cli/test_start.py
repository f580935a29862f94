"""`pylon start`: what it says, what it refuses, how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from pylon.testing.process import free_port
from tests.cli.conftest import Cli, Serving, clean_environment

Start = Callable[..., Serving]


def test_it_says_where_it_serves(serving: Start, app: Path) -> None:
    server = serving("start")
    told = server.next()
    assert told == {
        "code": "START_OK",
        "name": "notes",
        "version": "0.1.0",
        "entry": str(app),
        "port": server.port,
        "db_path": str(app.parent / ".pylon" / "pylon.db"),
        "backend": "sqlite",
    }
    assert "Note" in server.get()
    assert (app.parent / ".pylon" / "pylon.db").is_file()


def test_sigterm_and_sigint_end_it_with_success(serving: Start, app: Path) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        server = serving("start")
        server.next()
        assert server.stop(number) == 0


def test_a_second_process_on_the_same_folder_is_refused(serving: Start, pylon: Cli, app: Path) -> None:
    server = serving("start")
    server.next()
    code, document = pylon.json("start", "--port", str(free_port()))
    assert (code, document[0]["code"]) == (1, "DATA_DIR_LOCKED")
    assert str(server.process.pid) in document[0]["message"]


def test_a_taken_port_names_the_option(serving: Start, pylon: Cli, app: Path) -> None:
    server = serving("start")
    server.next()
    code, document = pylon.json("start", "--port", str(server.port))
    assert (code, document[0]["code"]) == (1, "LISTEN_FAILED")


def test_what_can_not_be_loaded_is_refused(pylon: Cli, app: Path) -> None:
    assert pylon.json("start", "nope.py")[1][0]["code"] == "START_ENTRY_NOT_FOUND"
    app.write_text("x = (")
    code, document = pylon.json("start", "--port", "0")
    assert (code, document[0]["code"]) == (1, "APP_SYNTAX_ERROR")
    app.unlink()
    code, document = pylon.json("start")
    assert (code, document[0]["code"]) == (64, "START_NO_ENTRY")


def test_an_unsafe_configuration_is_refused(pylon: Cli, app: Path) -> None:
    for environ in ({"PYLON_CORS_ORIGIN": "*"}, {"PYLON_ADMIN_TOKEN": "short"}):
        code, document = pylon.json("start", **environ)
        assert (code, document[0]["code"]) == (1, "SETTINGS_INVALID")
        assert next(iter(environ)) in document[0]["message"]


def test_an_unknown_variable_warns_and_the_server_serves(serving: Start, app: Path) -> None:
    server = serving("start", PYLON_PROT="1")
    assert server.next()[0]["code"] == "SETTING_UNKNOWN"
    assert server.next()["code"] == "START_OK"


def test_a_closed_stdout_does_not_keep_it_from_serving(app: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "pylon", "start", "--port", str(port)],
        cwd=app.parent,
        env=clean_environment(PYLON_HOST="127.0.0.1"),
        stdout=writer,
        stderr=subprocess.DEVNULL,
    )
    os.close(writer)
    try:
        probe = Serving.__new__(Serving)
        probe.port, probe.errors = port, []
        probe.wait_until(lambda: "Note" in probe.get())
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) == 0


def test_it_serves_within_the_promised_time(serving: Start, app: Path) -> None:
    began = time.monotonic()
    server = serving("start")
    server.wait_until(lambda: "Note" in server.get())
    assert time.monotonic() - began < 5.0  # the benchmark holds the figure; this catches a start that hangs
