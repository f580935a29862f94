"""The conventions of spec 07 §1: exit codes, --json, suggestions, help, colour, and pipes that close."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from pylon.cli.commands import COMMANDS, distance, split
from tests.cli.conftest import Cli, clean_environment


def test_no_command_prints_help_and_succeeds(pylon: Cli) -> None:
    done = pylon()
    assert done.returncode == 0
    for command in COMMANDS:
        assert command.name in done.stdout
    assert pylon("--help").stdout == pylon("help").stdout == done.stdout


def test_an_unknown_command_names_the_nearest_one(pylon: Cli) -> None:
    done = pylon("strat")
    assert done.returncode == 64
    assert 'unknown command: "strat"' in done.stderr
    assert "Did you mean: start?" in done.stderr


def test_a_command_that_resembles_nothing_gets_no_suggestion(pylon: Cli) -> None:
    assert "Did you mean" not in pylon("frobnicate").stderr


def test_an_unknown_command_in_json_is_a_diagnostic(pylon: Cli) -> None:
    code, document = pylon.json("strat")
    assert code == 64
    assert document == [
        {
            "severity": "error",
            "code": "UNKNOWN_COMMAND",
            "message": 'unknown command: "strat"',
            "hint": "Did you mean: start?",
        }
    ]


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_every_command_has_help(pylon: Cli, command: str) -> None:
    done = pylon(command, "--help")
    assert done.returncode == 0
    assert f"usage: pylon {command}" in done.stdout


@pytest.mark.parametrize("command", [command.name for command in COMMANDS])
def test_an_unknown_option_is_a_usage_error(pylon: Cli, command: str) -> None:
    done = pylon(command, "--no-such-option")
    assert done.returncode == 64
    assert "Traceback" not in done.stderr


def test_an_option_without_a_command_is_a_usage_error(pylon: Cli) -> None:
    assert pylon("--frob").returncode == 64


def test_json_may_stand_anywhere(pylon: Cli) -> None:
    for words in (("--json", "version"), ("version", "--json")):
        assert json.loads(pylon(*words).stdout) == {"version": "0.1.0"}


def test_version_has_three_spellings(pylon: Cli) -> None:
    for words in (("version",), ("--version",), ("-V",)):
        assert pylon(*words).stdout == "pylon 0.1.0\n"


def test_two_word_commands_are_found() -> None:
    assert split(["schema", "check", "x.json"]) == ("schema check", ["x.json"])
    assert split(["--json", "dev", "app.py"]) == ("dev", ["--json", "app.py"])
    assert split(["-h"]) == (None, ["-h"])


def test_the_distance_counts_edits() -> None:
    assert [distance("start", word) for word in ("start", "strat", "art", "dev")] == [0, 2, 2, 5]


@pytest.mark.parametrize("words", [("env",), ("--help",), ("explain",)])
def test_a_closed_pipe_is_no_traceback(tmp_path: Path, words: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pylon", *words],
            cwd=tmp_path,
            env=clean_environment(),
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=30,
            check=False,
        )
    finally:
        os.close(writer)
    assert done.stderr == ""


def test_a_stdout_that_was_never_open_is_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m pylon version >&-"],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def coloured(tmp_path: Path, **env: str) -> bool:
    """Whether `pylon --help` colours its output on a terminal."""
    leader, follower = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", "pylon", "--help"],
            cwd=tmp_path,
            env=clean_environment(TERM="xterm") | {"NO_COLOR": ""} | env,
            stdout=follower,
            timeout=30,
            check=True,
        )
        return b"\x1b[" in os.read(leader, 65536)
    finally:
        os.close(leader)
        os.close(follower)


def test_colour_on_a_terminal_unless_it_is_unwanted(tmp_path: Path) -> None:
    assert coloured(tmp_path)
    assert not coloured(tmp_path, NO_COLOR="1")
    assert not coloured(tmp_path, TERM="dumb")
