"""Every command in docs/ops/DEPLOY.md and UPGRADES.md runs, in the order of the page, on a machine in a folder.

A block that begins with ```console deploy is one shell session; its lines that begin with `$ ` are commands. The few
that can't run in a test are listed in ELSEWHERE, each with the test that checks it another way.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import pylon.server
from pylon.testing.process import free_port
from tests.deploy.machine import Machine
from tests.deploy.places import DEPLOY, ROOT, eventually

PAGES = ("DEPLOY.md", "UPGRADES.md", "SIZING.md")
SIX_STEPS, BACK, NO_STOP = "The six steps", "Going back", "Without the short stop"
ELSEWHERE = {
    r"sudo python3 -m venv ": "test_the_build_steps_of_the_image_make_a_server_that_starts",
    r"sudo /opt/pylon/venv/bin/pip ": "test_the_build_steps_of_the_image_make_a_server_that_starts",
    r"sudo systemd-sysusers ": "test_systemd_makes_the_user_that_the_unit_names",
    r"sudo nginx -t$": "test_nginx_accepts_the_configuration_without_a_warning",
    r"sudo systemctl reload (nginx|caddy)$": "test_a_request_goes_through_and_comes_back_with_hsts",
    r"docker (build|run) ": "test_every_file_that_is_copied_exists_and_is_in_the_build",
    r"docker compose ": "test_compose_builds_the_image_that_is_shipped",
    r"journalctl ": "test_systemd_accepts_the_unit",  # no journal here: the unit's name is what it needs
    r"python -m benchmarks": "test_the_sizing_script_measures_every_kind",
}
_BLOCK = re.compile(r"^```console deploy\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Session:
    """One block: the section it is in, and its commands."""

    section: str
    commands: tuple[str, ...]


def sessions(page: str) -> list[Session]:
    text = (ROOT / "docs" / "ops" / page).read_text("utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        headings = re.findall(r"^## (.+)$", text[: match.start()], re.MULTILINE)
        joined = match[1].replace("\\\n", "")
        lines = [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]
        found.append(Session(headings[-1] if headings else "", tuple(re.sub(r"\s+", " ", line) for line in lines)))
    return found


def runnable(command: str) -> bool:
    """Whether it can run here: not listed, and not of a tool that this machine lacks."""
    if any(re.match(pattern, command) for pattern in ELSEWHERE):
        return False
    return not command.startswith("caddy ") or shutil.which("caddy") is not None


def follow(machine: Machine, page: str, *sections: str) -> None:
    """Run the page, or some sections of it."""
    chosen = [one for one in sessions(page) if not sections or one.section in sections]
    assert chosen
    for session in chosen:
        commands = [command for command in session.commands if runnable(command)]
        done = machine.run(commands)
        assert done.returncode == 0, "\n".join([*commands, done.stdout, done.stderr, machine.log()[-2000:]])


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    made = Machine(tmp_path / "machine", ROOT, free_port())
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def deployed(machine: Machine) -> Machine:
    """A machine on which the first half of DEPLOY.md has been followed."""
    follow(machine, "DEPLOY.md", "With systemd", "Before the first start")
    return machine


def ask(machine: Machine, method: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = None if body is None else json.dumps(body).encode()
    url = f"http://127.0.0.1:{machine.port}{path}"
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())


def session_of(machine: Machine, user: str) -> str:
    admin = machine.settings()["PYLON_ADMIN_TOKEN"]
    token: str = ask(machine, "POST", "/api/auth/session", {"user_id": user}, admin)[1]["token"]
    return token


def test_deploying_as_the_page_says_leaves_a_server_that_serves(machine: Machine) -> None:
    follow(machine, "DEPLOY.md")
    assert ask(machine, "GET", "/readyz") == (200, {"status": "ready"})
    assert len(machine.settings()["PYLON_ADMIN_TOKEN"]) == 64
    assert "stopped" in machine.log()  # by the restart, in order


def test_doctor_finds_no_error_before_the_first_start(machine: Machine) -> None:
    follow(machine, "DEPLOY.md", "With systemd")
    done = machine.run(["sudo pylon-run doctor /opt/pylon/app --json"])
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert {name for name, check in checks.items() if check["status"] == "error"} == set()
    assert checks["mode"]["detail"] == "production"
    assert checks["admin token"]["status"] == "pass"


def test_an_upgrade_keeps_the_data_and_going_back_brings_the_old_data_back(deployed: Machine) -> None:
    token = session_of(deployed, "alice")
    assert ask(deployed, "POST", "/api/entities/Todo", {"title": "before"}, token)[0] == 201
    follow(deployed, "UPGRADES.md", SIX_STEPS)
    titles = [row["title"] for row in ask(deployed, "GET", "/api/entities/Todo", token=token)[1]["data"]]
    assert titles == ["before"]

    assert ask(deployed, "POST", "/api/entities/Todo", {"title": "after"}, token)[0] == 201
    status, pulled = ask(deployed, "GET", "/api/sync/pull?since=0", token=token)
    assert status == 200
    follow(deployed, "UPGRADES.md", BACK)
    rows = ask(deployed, "GET", "/api/entities/Todo", token=token)[1]["data"]
    assert [row["title"] for row in rows] == ["before"]
    cursor = _cursor(pulled)
    status, refused = ask(deployed, "GET", f"/api/sync/pull?since={cursor}", token=token)
    assert (status, refused["error"]["code"]) == (410, "RESYNC_REQUIRED")  # no client keeps what is gone
    assert list((deployed.root / "var/lib").rglob("*before-restore-*/pylon.db"))  # nothing was deleted


def _cursor(pulled: dict[str, Any]) -> int:
    found = pulled.get("cursor", pulled.get("seq"))
    return int(found["last_seq"] if isinstance(found, dict) else found)


def test_the_rest_of_the_upgrade_page_works_as_well(deployed: Machine) -> None:
    follow(deployed, "UPGRADES.md", NO_STOP)
    assert ask(deployed, "GET", "/readyz")[0] == 200


@pytest.mark.skipif("SIGHUP" not in Path(pylon.server.__file__).read_text("utf-8"), reason="no handler for SIGHUP yet")
def test_a_reload_leaves_the_process_alive(deployed: Machine) -> None:
    before = (deployed.root / "run/pylon.pid").read_text()
    assert deployed.run(["sudo systemctl reload pylon"]).returncode == 0
    eventually(lambda: signal.Signals.SIGHUP.name in deployed.log(), "the log speaks of the signal")
    assert ask(deployed, "GET", "/readyz")[0] == 200
    assert (deployed.root / "run/pylon.pid").read_text() == before


def test_what_can_not_run_here_is_checked_by_a_test_that_exists() -> None:
    tests = "".join(path.read_text("utf-8") for path in (ROOT / "tests" / "deploy").glob("test_*.py"))
    every = [command for page in PAGES for session in sessions(page) for command in session.commands]
    for pattern, test in ELSEWHERE.items():
        assert f"def {test}(" in tests
        assert any(re.match(pattern, command) for command in every), f"{pattern} matches no command"


def test_every_section_of_the_upgrade_page_is_followed() -> None:
    assert {session.section for session in sessions("UPGRADES.md")} == {SIX_STEPS, BACK, NO_STOP}


def test_every_console_block_of_the_pages_is_one_that_runs() -> None:
    for page in PAGES:
        text = (ROOT / "docs" / "ops" / page).read_text("utf-8")
        assert set(re.findall(r"^```(\S.*)$", text, re.MULTILINE)) <= {"console deploy", "text"}, page


def test_the_page_installs_with_the_flags_of_the_image() -> None:
    image = (DEPLOY / "docker" / "Dockerfile").read_text("utf-8")
    for command in (command for session in sessions("DEPLOY.md") for command in session.commands):
        if "/bin/pip install" in command:
            assert command.split("pip install ")[1] in image


def test_every_file_of_the_checkout_that_a_command_names_exists() -> None:
    for page in PAGES:
        for session in sessions(page):
            for path in re.findall(r"(?:deploy|examples)/[\w./-]+\w", " ".join(session.commands)):
                assert (ROOT / path).exists(), path


def test_the_benchmarks_that_are_named_exist() -> None:
    from benchmarks.__main__ import BENCHMARKS

    every = [command for session in sessions("SIZING.md") for command in session.commands]
    named = {word for command in every for word in command.partition("-m benchmarks ")[2].split()}
    assert named
    assert named <= set(BENCHMARKS)


def test_the_sizing_script_measures_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from benchmarks import sizing

    monkeypatch.setattr(sizing, "WRITES", 64)
    for cost in asyncio.run(sizing.run()):
        assert cost.written > cost.total > 0
        assert set(cost.tables) >= {"rows", "change log", "audit log"}
