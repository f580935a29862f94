"""What does not verify is refused, and nothing that stands is overwritten."""

from __future__ import annotations

import base64
import json
import random
import re
import tarfile
import textwrap
from pathlib import Path
from typing import Any

import pyrage
import pytest

from pylon.model.errors import PylonError
from pylon.ops.backup import keys
from tests.backup.conftest import Command, files, hold, tables


@pytest.fixture
def copy(pylon: Command, data: Path, tmp_path: Path) -> Path:
    pylon.json("backup", "copy", "--data-dir", "data")
    return tmp_path / "copy"


def edit(copy: Path, **changes: Any) -> None:
    path = copy / "backup.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def flip(path: Path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def test_one_altered_byte_anywhere_is_refused(pylon: Command, copy: Path) -> None:
    chance = random.Random(7)
    for path in sorted(copy.rglob("*")):
        if path.is_file() and path.name not in ("backup.json", "verified.json") and path.stat().st_size:
            offset = chance.randrange(path.stat().st_size)
            flip(path, offset)
            assert pylon.code("backup", "verify", "copy") == "BACKUP_INVALID", path
            assert pylon.code("restore", "copy", "--data-dir", "restored", "--yes") == "BACKUP_INVALID"
            assert not (copy.parent / "restored").exists()
            flip(path, offset)
    assert pylon.json("backup", "verify", "copy")["ok"]


def test_a_missing_file_is_refused(pylon: Command, copy: Path) -> None:
    (copy / "uploads" / "empty").unlink()
    assert pylon.code("backup", "verify", "copy") == "BACKUP_INVALID"


@pytest.mark.parametrize(
    "changes", [{"seq": 1}, {"log_floor": 5}, {"timeline": 9}, {"audit": {"id": 3, "hash": "00"}}, {"files": []}]
)
def test_a_manifest_that_says_something_else_is_refused(pylon: Command, copy: Path, changes: dict[str, Any]) -> None:
    edit(copy, **changes)
    assert pylon.code("backup", "verify", "copy") == "BACKUP_INVALID"
    assert pylon.code("restore", "copy", "--data-dir", "restored", "--yes") == "BACKUP_INVALID"


def test_a_manifest_that_names_a_file_outside_is_refused(pylon: Command, copy: Path) -> None:
    entry = {"name": "../evil", "size": 0, "sha256": "00"}
    edit(copy, files=[entry])
    assert pylon.code("restore", "copy", "--data-dir", "restored", "--yes") == "BACKUP_INVALID"


@pytest.mark.parametrize("changes", [{"format": 2}, {"pylon": "99.0.0"}])
def test_a_backup_of_a_newer_pylon_is_refused(pylon: Command, copy: Path, changes: dict[str, Any]) -> None:
    edit(copy, **changes)
    assert pylon.code("restore", "copy", "--data-dir", "restored", "--yes") == "BACKUP_TOO_NEW"


def test_a_tar_file_that_is_cut_anywhere_is_refused(pylon: Command, data: Path, tmp_path: Path) -> None:
    pylon.json("backup", "--tar", "copy.tar", "--data-dir", "data")
    whole = (tmp_path / "copy.tar").read_bytes()
    with tarfile.open(tmp_path / "copy.tar") as tar:
        assert tar.getnames()[0] == "backup.json"
        last = tar.getmembers()[-1]
        end = last.offset_data + last.size
    for size in (1000, end // 3, end // 2, end - 1):
        (tmp_path / "cut.tar").write_bytes(whole[:size])
        assert pylon.code("backup", "verify", "cut.tar") in ("BACKUP_INVALID", "BACKUP_NOT_FOUND"), size
        assert pylon.code("restore", "cut.tar", "--data-dir", "restored", "--yes") in (
            "BACKUP_INVALID",
            "BACKUP_NOT_FOUND",
        )
    (tmp_path / "not.tar").write_bytes(b"hello" * 1000)
    assert pylon.code("backup", "verify", "not.tar") == "BACKUP_INVALID"


def test_a_machine_that_seems_too_slow_for_a_passphrase_is_not_told_that_it_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keys, "_ESTIMATES", 2)
    sealed = pyrage.passphrase.encrypt(b"key", "right")
    slow = re.sub(rb"(-> scrypt \S+) \d+\n", rb"\1 40\n", sealed, count=1)
    lines = textwrap.wrap(base64.b64encode(slow).decode(), 64)
    armored = "\n".join(("-----BEGIN AGE ENCRYPTED FILE-----", *lines, "-----END AGE ENCRYPTED FILE-----\n"))
    with pytest.raises(PylonError, match="too slow or too busy"):
        keys.Keyring("right").opener(keys.Encryption("age-passphrase", armored))


def test_the_wrong_passphrase_and_an_altered_sealed_file_are_refused(
    pylon: Command, data: Path, tmp_path: Path
) -> None:
    (tmp_path / "word").write_text("right")
    (tmp_path / "other").write_text("wrong")
    pylon.json("backup", "copy", "--data-dir", "data", "--passphrase-file", "word")
    assert pylon.code("backup", "verify", "copy", "--passphrase-file", "other") == "BACKUP_KEY_REFUSED"
    assert pylon.code("restore", "copy", "--data-dir", "new", "--yes") == "BACKUP_KEY_REFUSED"
    assert not (tmp_path / "new").exists()
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "key").write_text(str(identity))
    pylon.json("backup", "sealed", "--data-dir", "data", "--recipient", str(identity.to_public()))
    flip(tmp_path / "sealed" / "pylon.db.age", 5000)
    assert pylon.code("backup", "verify", "sealed", "--identity", "key") == "BACKUP_INVALID"


def test_an_existing_target_is_not_written_into(pylon: Command, data: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").write_text("mine")
    (tmp_path / "taken.tar").write_text("mine")
    (tmp_path / "empty").mkdir()
    assert pylon.code("backup", "taken", "--data-dir", "data") == "BACKUP_TARGET_EXISTS"
    assert pylon.code("backup", "--tar", "taken.tar", "--data-dir", "data") == "BACKUP_TARGET_EXISTS"
    assert (tmp_path / "taken.tar").read_text() == "mine"
    assert pylon.json("backup", "empty", "--data-dir", "data")["ok"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "empty", "taken", "taken.tar"]


def test_nothing_to_copy_is_a_failure(pylon: Command, tmp_path: Path) -> None:
    assert pylon.code("backup", "copy", "--data-dir", "nowhere") == "BACKUP_EMPTY"
    assert list(tmp_path.iterdir()) == []


def test_a_target_that_is_not_empty_needs_replace(pylon: Command, copy: Path, data: Path) -> None:
    before = tables(data / "pylon.db"), files(data)
    assert pylon.code("restore", "copy", "--data-dir", "data", "--yes") == "RESTORE_TARGET_NOT_EMPTY"
    assert (tables(data / "pylon.db"), files(data)) == before


def test_a_folder_that_a_server_uses_is_left_alone(pylon: Command, copy: Path, data: Path) -> None:
    lock = hold(data)
    try:
        assert pylon.code("restore", "copy", "--data-dir", "data", "--yes", "--replace") == "DATA_DIR_LOCKED"
    finally:
        lock.release()
    assert pylon.json("restore", "copy", "--data-dir", "data", "--yes", "--replace")["ok"]


@pytest.mark.parametrize("words", [[], ["verify"], ["list", "a", "b"], ["a", "b", "c"]])
def test_a_wrong_command_line_is_usage(pylon: Command, words: list[str]) -> None:
    assert pylon("backup", *words)[0] == 64
