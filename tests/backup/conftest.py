"""A data folder with a bit of everything in it, the `pylon` command, and a look into databases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import apsw
import pytest

from pylon.model.schema import AppSpec
from pylon.store.lock import FolderLock
from pylon.testing.engine import open_engine
from tests.conftest import ALICE

APP = """
from pylon import App, Entity, field

app = App("backed")


class Note(Entity, crdt=False):
    title: str
    n: int = 0
    done: bool = False
    meta: dict | None = None
    secret: str | None = field(default=None, server_only=True)

    class Policy:
        allow = "true"
"""


class Command:
    """Runs `pylon` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def start(self, *words: str, **env: str) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYLON_", "AWS_"))}
        return subprocess.Popen(
            [sys.executable, "-m", "pylon", *words],
            cwd=self.folder,
            env=clean | env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, *words: str, answer: str = "", **env: str) -> tuple[int, str]:
        """(exit code, everything that was printed)."""
        process = self.start(*words, **env)
        out, err = process.communicate(answer, timeout=60)
        return process.returncode, out + err

    def json(self, *words: str, **env: str) -> Any:
        """The JSON answer of a command that succeeds."""
        process = self.start(*words, "--json", **env)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
        return json.loads(out.splitlines()[-1])

    def code(self, *words: str, **env: str) -> str:
        """The error code of a command that fails."""
        process = self.start(*words, "--json", **env)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 1, out + err
        return str(json.loads(out.splitlines()[-1])[0]["code"])


@pytest.fixture
def pylon(tmp_path: Path) -> Command:
    return Command(tmp_path)


@pytest.fixture
def app_file(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


@pytest.fixture
async def data(notes: AppSpec, tmp_path: Path) -> Path:
    """A stopped data folder: rows that were inserted, changed and deleted, uploads, and another file."""
    folder = tmp_path / "data"
    folder.mkdir()
    async with open_engine(notes, folder) as engine:
        made = [
            await engine.insert(
                ALICE,
                "Note",
                json.dumps({"title": f"nöte {i}", "n": i, "meta": {"deep": [i, None, "ü"]}, "slug": f"s{i}"}).encode(),
            )
            for i in range(50)
        ]
        for change in made[:20]:
            await engine.update(ALICE, "Note", change.row_id, b'{"done":true,"meta":null}')
        for change in made[10:15]:
            await engine.delete(ALICE, "Note", change.row_id)
    uploads = folder / "uploads" / ".ownership"
    uploads.mkdir(parents=True)
    (uploads / "file_1.json").write_text('{"user_id":"alice"}')
    (folder / "uploads" / "file_1_ä b.png").write_bytes(os.urandom(300_000))
    (folder / "uploads" / "empty").write_bytes(b"")
    (folder / "maintenance").write_text("switched off")
    return folder


def tables(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, by table."""
    connection = apsw.Connection(str(database))
    try:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(connection.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names}
    finally:
        connection.close()


def assert_same(restored: Path, original: Path) -> None:
    """The Backup law: rows, log, audit trail and files are what they were; a restore adds its own marks only."""
    after, before = tables(restored / "pylon.db"), tables(original / "pylon.db")
    marks = {"log_floor", "timeline", "row_ids_until_ns"}
    for found in (after, before):
        found["_pylon_meta"] = [row for row in found["_pylon_meta"] if row[0] not in marks]
    assert after == before
    assert files(restored) == files(original)


def files(folder: Path) -> dict[str, bytes]:
    """Everything beside the database, by path."""
    own = ("pylon.db", "pylon.db-wal", "pylon.db-shm", "lock")
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in own and path.relative_to(folder).parts[0] not in ("archive", ".backup")
    }


def hold(folder: Path) -> FolderLock:
    """The folder's lock, held by this process."""
    lock = FolderLock(folder)
    lock.acquire()
    return lock
