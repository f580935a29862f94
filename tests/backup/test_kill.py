"""kill -9 in the middle of a backup leaves nothing that looks like one."""

from __future__ import annotations

import random
import time
from pathlib import Path

import apsw
import pytest

from pylon.ops.backup.shelf import sweep
from tests.backup.conftest import Command


@pytest.mark.parametrize("words", [["copy"], ["--tar", "copy.tar"]])
def test_a_killed_backup_is_no_backup(pylon: Command, data: Path, tmp_path: Path, words: list[str]) -> None:
    connection = apsw.Connection(str(data / "pylon.db"))
    connection.execute("CREATE TABLE ballast (x)")
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO ballast VALUES (randomblob(?))", [(4000,)] * 10_000)
    connection.execute("COMMIT")
    connection.close()
    chance = random.Random(1)
    killed = 0
    for _ in range(8):
        process = pylon.start("backup", *words, "--data-dir", "data")
        while not any(".partial-" in path.name for path in tmp_path.iterdir()):
            time.sleep(0.002)
        time.sleep(chance.uniform(0.0, 0.6))
        process.kill()
        process.communicate()
        if (tmp_path / words[-1]).exists():  # it was quicker: then it is whole
            assert pylon.json("backup", "verify", words[-1])["ok"]
            break
        killed += 1
        left = [path for path in tmp_path.iterdir() if ".partial-" in path.name]
        assert pylon.json("backup", "list", ".")["backups"] == []
        for path in left:
            if path.is_dir() and (path / "backup.json").exists():
                assert pylon.code("backup", "verify", path.name) == "BACKUP_INVALID"
        sweep(tmp_path)
        assert not any(path.exists() for path in left)
    assert killed
