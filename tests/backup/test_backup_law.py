"""Backup law: every backup made in a test is restored and compared."""

from __future__ import annotations

import http.client
import json
import threading
import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from pylon.testing.process import ServerProcess
from tests.backup.conftest import Command, assert_same


def test_a_folder_comes_back_as_it_was(pylon: Command, data: Path, tmp_path: Path) -> None:
    made = pylon.json("backup", "copy", "--data-dir", "data")
    assert made["ok"]
    assert made["uploaded_files"] == 3
    assert (tmp_path / "copy" / "pylon.db").is_file()
    assert (tmp_path / "copy" / "VERSION").read_text() == "0.1.0"
    checked = pylon.json("backup", "verify", "copy")
    assert checked["rows"]["Note"] == 45
    done = pylon.json("restore", "copy", "--data-dir", "restored", "--yes", "--keep-sessions")
    assert done["restored_files"] == 4
    assert done["aside"] is None
    assert_same(tmp_path / "restored", data)


def test_a_tar_file_comes_back_as_it_was(pylon: Command, data: Path, tmp_path: Path) -> None:
    pylon.json("backup", "--tar", "copy.tar", "--data-dir", "data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.tar", "data"]
    assert pylon.json("backup", "verify", "copy.tar")["ok"]
    pylon.json("restore", "copy.tar", "--data-dir", "restored", "--yes")
    assert_same(tmp_path / "restored", data)


@pytest.mark.parametrize("target", [["copy"], ["--tar", "copy.tar"]])
def test_a_passphrase_seals_and_opens(pylon: Command, data: Path, tmp_path: Path, target: list[str]) -> None:
    (tmp_path / "word").write_text("correct horse\n")
    made = pylon.json("backup", *target, "--data-dir", "data", "--passphrase-file", "word")
    assert made["encryption"] == "age-passphrase"
    name = target[-1]
    stored = (tmp_path / name).read_bytes() if name.endswith(".tar") else _all_bytes(tmp_path / name)
    for secret in (b"SQLite format 3", "ä b.png".encode(), b"alice"):
        assert secret not in stored
    assert not (data / ".backup").exists() or not any((data / ".backup").iterdir())
    assert pylon.json("backup", "verify", name, "--passphrase-file", "word")["rows"]["Note"] == 45
    env = {"PYLON_BACKUP_PASSPHRASE": "correct horse"}
    pylon.json("restore", name, "--data-dir", "restored", "--yes", **env)
    assert_same(tmp_path / "restored", data)


def test_a_recipient_seals_what_only_its_identity_opens(pylon: Command, data: Path, tmp_path: Path) -> None:
    import pyrage

    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(f"# made by age-keygen\n{identity}\n")
    pylon.json("backup", "copy", "--data-dir", "data", "--recipient", str(identity.to_public()))
    assert pylon.code("backup", "verify", "copy") == "BACKUP_KEY_REFUSED"
    pylon.json("restore", "copy", "--data-dir", "restored", "--yes", "--identity", "key")
    assert_same(tmp_path / "restored", data)


class Writer(threading.Thread):
    """Inserts, updates and deletes as fast as it can; remembers what was acknowledged before a moment."""

    def __init__(self, server: ServerProcess, name: str) -> None:
        super().__init__(name=name)
        self.server = server
        self.stopping = threading.Event()
        self.acknowledged: list[str] = []

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port)
        number = 0
        while not self.stopping.is_set():
            number += 1
            made = self._ask(connection, "POST", "/api/entities/Note", {"title": f"{self.name}-{number}"})
            self.acknowledged.append(made["id"])
            if number % 3 == 0:
                self._ask(connection, "PATCH", f"/api/entities/Note/{made['id']}", {"n": number, "done": True})
            if number % 5 == 0:
                gone = self._ask(connection, "POST", "/api/entities/Note", {"title": "gone"})
                self._ask(connection, "DELETE", f"/api/entities/Note/{gone['id']}", None)
        connection.close()

    def _ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: Any) -> Any:
        connection.request(method, path, json.dumps(body) if body else None)
        answer = connection.getresponse()
        text = answer.read()
        assert answer.status < 300, text
        return json.loads(text)


def test_a_backup_under_full_load_is_of_one_moment(pylon: Command, app_file: Path, tmp_path: Path) -> None:
    with ServerProcess(app_file, tmp_path / "data") as server:
        writers = [Writer(server, f"w{i}") for i in range(6)]
        for writer in writers:
            writer.start()
        while sum(len(writer.acknowledged) for writer in writers) < 500:
            time.sleep(0.01)
        taken = []
        for number in range(3):
            before = {row_id for writer in writers for row_id in list(writer.acknowledged)}
            target = ["--tar", f"b{number}.tar"] if number == 2 else [f"b{number}"]
            made = pylon.json("backup", *target, "--data-dir", "data")
            taken.append((target[-1], before, made["seq"]))
        for writer in writers:
            writer.stopping.set()
        for writer in writers:
            writer.join()
    for name, before, seq in taken:
        pylon.json("backup", "verify", name)
        pylon.json("restore", name, "--data-dir", f"of-{name}", "--yes")
        restored = tmp_path / f"of-{name}" / "pylon.db"
        assert before <= _ids(restored)
        assert_log_explains_rows(restored, seq)


def _ids(database: Path) -> set[str]:
    connection = apsw.Connection(str(database))
    try:
        return {str(row_id) for (row_id,) in connection.execute("SELECT id FROM Note")}
    finally:
        connection.close()


def assert_log_explains_rows(database: Path, seq: int) -> None:
    """Replaying the log gives the table, seq has no gap and ends where the manifest says."""
    connection = apsw.Connection(str(database))
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    replayed: dict[str, Any] = {}
    seqs = []
    for number, row_id, kind, text in connection.execute(
        "SELECT seq, row_id, kind, data FROM _pylon_change_log ORDER BY seq"
    ):
        seqs.append(number)
        if kind == "delete":
            del replayed[row_id]
        else:
            replayed[row_id] = json.loads(text)
    assert seqs == list(range(1, seq + 1))
    stored = {
        row_id: (title, n, bool(done))
        for row_id, title, n, done in connection.execute("SELECT id, title, n, done FROM Note")
    }
    assert {row_id: (row["title"], row["n"], row["done"]) for row_id, row in replayed.items()} == stored
    connection.close()


def _all_bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() + str(path).encode() for path in sorted(folder.rglob("*")) if path.is_file())
