"""`pylon check` and what loading an app can find: always a sentence with a place, never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import APP, Cli


def test_a_valid_app_is_counted(pylon: Cli, app: Path) -> None:
    done = pylon("check")
    assert done.returncode == 0
    assert "info[SCHEMA_OK] Schema valid: 1 entity, 0 queries, 0 mutations, 0 actions, 1 policy" in done.stdout
    assert pylon("schema", "check").stdout == done.stdout


def test_a_folder_without_an_app_is_a_usage_error(pylon: Cli) -> None:
    code, document = pylon.json("check")
    assert (code, document[0]["code"]) == (64, "CHECK_NO_ENTRY")
    code, document = pylon.json("check", "nope.py")
    assert (code, document[0]["code"]) == (1, "CHECK_ENTRY_NOT_FOUND")


@pytest.mark.parametrize(
    ("source", "code", "line", "part"),
    [
        ("x = (\n", "APP_SYNTAX_ERROR", 1, "never closed"),
        ("import no_such_module_at_all\n", "APP_IMPORT_FAILED", 1, "no_such_module_at_all"),
        ("\n\nraise ValueError('my words')\n", "APP_IMPORT_FAILED", 3, "ValueError: my words"),
        ("import sys\nsys.exit(3)\n", "APP_IMPORT_FAILED", 2, "SystemExit"),
        ("x = 1\n", "APP_NOT_FOUND", None, "makes no App"),
        ("from pylon import App\na = App('a')\nb = App('b')\n", "APP_AMBIGUOUS", None, "a, b"),
        (APP.replace("title: str", "title: set"), "FIELD_TYPE_UNKNOWN", 7, "Note.title"),
    ],
)
def test_a_broken_app_names_the_place(
    pylon: Cli, app: Path, source: str, code: str, line: int | None, part: str
) -> None:
    app.write_text(source)
    exit_code, document = pylon.json("check")
    assert exit_code == 1
    assert document[0]["code"] == code
    assert document[0].get("line") == line
    assert part in document[0]["message"]
    done = pylon("check")
    assert f"error[{code}]" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_error_in_another_file_of_the_app_names_that_file(pylon: Cli, app: Path) -> None:
    app.write_text("import parts\n" + APP)
    (app.parent / "parts.py").write_text("\nx = 1 / 0\n")
    _, document = pylon.json("check")
    assert (document[0]["file"], document[0]["line"]) == ("parts.py", 2)


def test_one_of_several_apps_can_be_named(pylon: Cli, app: Path) -> None:
    app.write_text(APP + "\nother = App('other', entities=[Note])\n")
    assert pylon.json("check", "app.py:other")[1]["name"] == "other"
    assert pylon.json("check", "app:other")[1]["name"] == "other"
    assert pylon.json("check", "app.py:missing")[1][0]["code"] == "APP_NOT_FOUND"


def test_an_app_named_like_a_loaded_module_is_loaded_beside_it(pylon: Cli, tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text(APP)
    assert pylon.json("check", "json.py")[1]["name"] == "notes"


def test_a_manifest_is_accepted_in_place_of_python(pylon: Cli, tmp_path: Path) -> None:
    (tmp_path / "pylon.manifest.json").write_text("{ not json")
    code, document = pylon.json("check")
    assert (code, document[0]["code"]) == (1, "MANIFEST_PARSE_ERROR")


def test_a_policy_that_names_nothing_is_refused(pylon: Cli, app: Path) -> None:
    app.write_text(APP.replace('read = "true"', 'read = "auth.userId == data.ownr"'))
    code, _ = pylon.json("check")
    assert code == 1
