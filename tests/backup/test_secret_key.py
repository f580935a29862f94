"""The secret key travels with its data only where nobody else can read it."""

from __future__ import annotations

from pathlib import Path

from pylon.engine.keyring import FILE_NAME
from pylon.ops.backup.restore import _keep_secret_keys
from pylon.ops.backup.take import _files


def test_only_sealed_backups_hold_the_secret_key(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("k" * 64)
    (tmp_path / "switches.json").write_text("{}")
    assert [name for _, name in _files(tmp_path, is_sealed=False)] == ["data/switches.json"]
    assert [name for _, name in _files(tmp_path, is_sealed=True)] == ["data/secret.key", "data/switches.json"]


def test_a_restored_folder_opens_what_either_key_sealed(tmp_path: Path) -> None:
    old, new = tmp_path / "old.key", tmp_path / "new.key"
    old.write_text("now\n")
    _keep_secret_keys(old, new)
    assert new.read_text() == "now\n"
    new.write_text("then\nnow\n")
    _keep_secret_keys(old, new)
    assert new.read_text() == "now\nthen\n"
    assert new.stat().st_mode & 0o777 == 0o600
