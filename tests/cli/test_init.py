"""`pylon init`: what it makes passes its own check."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli


def test_a_new_app_passes_its_own_check(pylon: Cli, tmp_path: Path) -> None:
    code, made = pylon.json("init", "my-app")
    assert code == 0
    assert made["code"] == "INIT_OK"
    assert made["name"] == "my-app"
    assert sorted(made["files"]) == [".gitignore", "README.md", "app.py", "tests/test_app.py", "web/index.html"]
    assert all((tmp_path / "my-app" / name).is_file() for name in made["files"])
    code, checked = pylon.json("check", "my-app")
    assert (code, checked["code"], checked["name"]) == (0, "SCHEMA_OK", "my-app")
    assert checked["warnings"] == []
    assert pylon("policy", "lint", "--app", "my-app").returncode == 0
    covered = pylon("policy", "coverage", "--app", "my-app", "--min", "100", "--", "-p", "no:cacheprovider")
    assert covered.returncode == 0, covered.stdout + covered.stderr  # its tests pass, and ask every rule


def test_no_placeholder_is_left(pylon: Cli, tmp_path: Path) -> None:
    pylon("init", "my-app")
    for path in (tmp_path / "my-app").rglob("*"):
        if path.is_file():
            assert "__APP_NAME__" not in path.read_text()


@pytest.mark.parametrize(
    ("words", "code", "exit_code"),
    [
        ((), "INIT_NO_PATH", 64),
        ((".hidden",), "INIT_INVALID_NAME", 64),
        (("1st",), "INIT_INVALID_NAME", 64),
        (('a"b',), "INIT_INVALID_NAME", 64),
        (("x", "--template", "nope"), "INIT_UNKNOWN_TEMPLATE", 64),
        (("full",), "INIT_DIR_EXISTS", 1),
        (("file/inside",), "INIT_WRITE_FAILED", 1),
    ],
)
def test_what_can_not_be_made_is_refused(
    pylon: Cli, tmp_path: Path, words: tuple[str, ...], code: str, exit_code: int
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thing").touch()
    (tmp_path / "file").touch()
    found, document = pylon.json("init", *words)
    assert (found, document[0]["code"]) == (exit_code, code)


def test_an_empty_folder_is_taken(pylon: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert pylon("init", "empty").returncode == 0
