"""The other pages of docs/ops: their commands run as they stand there, with names and paths of this machine."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path

import pyrage

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.containment.test_switches import eventually
from tests.gamedays.conftest import APP, operator_of
from tests.gamedays.runbook import OPS, Operator

_BLOCK = re.compile(r"^ *```console\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def commands_of(page: str) -> list[str]:
    """Every command line of the page's console blocks, comments left out."""
    text = (OPS / page).read_text("utf-8")
    lines = [line.strip() for block in _BLOCK.finditer(text) for line in block[1].splitlines()]
    return [line[2:].split("  #")[0].split("   #")[0].strip() for line in lines if line.startswith("$ ")]


def test_the_post_mortem_page(server: ServerProcess, operator: Operator) -> None:
    for command in commands_of("POSTMORTEM.md"):
        operator.run(command)
    assert "Writes time out" in (operator.folder / "post-mortem.html").read_text("utf-8")


def test_the_page_on_rotating_tokens(server: ServerProcess, operator: Operator) -> None:
    made = ""
    for command in commands_of("TOKEN_ROTATION.md"):
        if command.startswith("PYLON_ADMIN_TOKEN="):
            continue  # the same command with both tokens: tests/incident_kit/test_token_leak.py
        if command.startswith("pylon incident token-leak"):
            told = operator.run(f"{command} --yes")
            assert re.search(r"pylon_admin_[0-9a-f]{64}", told)
            continue
        told = operator.run(re.sub(r"adm_[0-9a-f]{12}", made, command))
        made = made or (re.search(r"adm_[0-9a-f]{12}", told) or [""])[0]


def test_the_page_on_top(server: ServerProcess, operator: Operator) -> None:
    for command in commands_of("TOP.md"):
        if "api.example.com" in command:
            command = f"pylon top --url {server.url} --once"
        operator.run(command.replace("--seconds 30", "--seconds 1"))


def test_the_page_on_signals(server: ServerProcess, operator: Operator) -> None:
    for command in commands_of("SIGNALS.md"):
        if command.startswith("pylon"):
            operator.run(command)
        elif command.startswith("curl"):
            shown = command.replace("localhost:4321", f"127.0.0.1:{server.port}")
            shown = shown.replace("$PYLON_ADMIN_TOKEN", ADMIN_TOKEN)
            assert operator.run(f'sh -c "{shown}"' if '"' not in shown else f"sh -c '{_quoted(shown)}'")


def _quoted(command: str) -> str:
    return command.replace("'", "'\\''")


def test_the_page_on_backups(tmp_path: Path) -> None:
    shelf, secret, key = tmp_path / "backups", tmp_path / "backup.pass", tmp_path / "backup.key"
    secret.write_text("correct horse battery staple")
    identity = pyrage.x25519.Identity.generate()
    key.write_text(f"{identity}\n")
    env = {"PYLON_BACKUP_TARGET": str(shelf), "PYLON_BACKUP_EVERY_SECS": "3600", "PYLON_ARCHIVE_SECS": "1"}
    with ServerProcess(APP, tmp_path / "data", env=env) as server:
        operator = operator_of(server, tmp_path)
        (operator.folder / "app.py").symlink_to(APP)
        server.request("POST", "/api/entities/Note", {"title": "kept"})
        take = ("POST", "/api/admin/backups", {})
        eventually(lambda: server.request(*take, token=ADMIN_TOKEN)[0] in (200, 201), 15.0)
        server.request("POST", "/api/entities/Note", {"title": "later"})
        time.sleep(2.5)
        moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for number, command in enumerate(commands_of("BACKUP.md")):
            if "s3://" in command or "/srv/lost" in command:
                continue  # tests/backup/test_s3.py, tests/backup/test_point_in_time.py
            if command.startswith(("pylon start", "curl", "rm ")):
                continue  # what follows here starts the restored folder itself
            here = command.replace("/srv/evidence/before", str(tmp_path / "evidence"))
            here = here.replace("/srv/backups", str(shelf)).replace('"$PYLON_BACKUP_TARGET"', str(shelf))
            here = here.replace("2026-11-23T03:14:00Z", moment)
            here = here.replace("/root/backup.pass", str(secret)).replace("/media/usb/backup.key", str(key))
            here = re.sub(r"\bage1\w+", str(identity.to_public()), here)
            here = here.replace(
                " DIR", " sealed-to-key" if "--recipient" in here or "--identity" in here else " sealed"
            )
            here = here.replace("--data-dir new", f"--data-dir {tmp_path / f'new{number}'}")
            here = here.replace("/tmp/drill", str(tmp_path / "drill"))
            if here.startswith("pylon backup list"):
                here += f" {shelf}"
            if "restore" in here:
                server.stop()
                here += "" if "--yes" in here else " --yes"
            operator.run(here)
        server.start()
        assert server.request("GET", "/api/entities/Note")[1]["count"] == 2
    with ServerProcess(APP, tmp_path / "drill") as restored:
        assert restored.request("GET", "/api/entities/Note")[1]["count"] >= 1
