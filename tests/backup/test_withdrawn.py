"""What was taken from somebody stays taken when a backup of before that is restored."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.backup.conftest import APP, Command, tables


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A stopped data folder that was backed up while two API keys and two admin tokens were good, before one of each
    was revoked and the admin's own was rotated; and all of those secrets."""
    folder = tmp_path_factory.mktemp("withdrawn")
    (folder / "app.py").write_text(APP)
    secrets = {"env": ADMIN_TOKEN}
    with ServerProcess(folder / "app.py", folder / "data") as server:

        def key(name: str) -> str:
            made = server.request("POST", "/api/auth/api-keys", {"name": name}, token=alice)[1]
            secrets[name] = made["key"]
            return str(made["id"])

        def token(label: str) -> str:
            made = server.request("POST", "/api/admin/tokens", {"label": label}, token=ADMIN_TOKEN)[1]
            secrets[label] = made["token"]
            return str(made["id"])

        alice = server.token_of("alice")
        key("kept key")
        lost, leaked = key("lost key"), token("leaked token")
        token("kept token")
        Command(folder).json("backup", "base", "--data-dir", "data")
        assert server.request("DELETE", f"/api/auth/api-keys/{lost}", token=alice)[0] == 200
        key("later key")
        assert server.request("DELETE", f"/api/admin/tokens/{leaked}", token=ADMIN_TOKEN)[0] == 200
        order = {"revoke": "used"}
        secrets["rotated"] = server.request("POST", "/api/admin/tokens/rotate", order, token=ADMIN_TOKEN)[1]["token"]
    return folder, secrets


@contextlib.contextmanager
def restored(past: tuple[Path, dict[str, str]], name: str, *words: str) -> Iterator[tuple[ServerProcess, str]]:
    folder, _ = past
    _, said = Command(folder)("restore", "base", "--data-dir", name, "--yes", *words)
    if name != "data":
        shutil.copy(folder / "data" / "secret.key", folder / name / "secret.key")
    with ServerProcess(folder / "app.py", folder / name) as server:
        yield server, said


def good(server: ServerProcess, secrets: dict[str, str]) -> set[str]:
    """The names of those that open something."""
    opened = set()
    for name, secret in secrets.items():
        me = server.request("GET", "/api/auth/me", token=secret)[1]
        if me.get("user_id") == "alice" or me.get("is_admin"):
            opened.add(name)
    return opened


def test_into_a_new_folder_nobody_knows_so_keys_are_dropped_unless_they_are_kept(
    past: tuple[Path, dict[str, str]],
) -> None:
    with restored(past, "new") as (server, said):
        assert good(server, past[1]) == {"env"}
        assert "dropped: 2 api keys, 2 admin tokens; --keep-keys keeps them" in said


def test_all_keys_come_back_where_that_is_what_the_operator_wants(past: tuple[Path, dict[str, str]]) -> None:
    with restored(past, "kept", "--keep-keys") as (server, said):
        assert good(server, past[1]) == {"env", "kept key", "lost key", "leaked token", "kept token"}
        assert "also those revoked since" in said


def test_in_place_the_data_that_is_replaced_says_what_was_withdrawn(past: tuple[Path, dict[str, str]]) -> None:
    with restored(past, "data", "--replace") as (server, said):
        assert good(server, past[1]) == {"kept key", "kept token", "rotated"}
        assert "dropped, since that data no longer had them: 1 api keys" in said


def test_damaged_data_says_nothing(past: tuple[Path, dict[str, str]]) -> None:
    folder, _ = past
    (folder / "broken").mkdir()
    (folder / "broken" / "pylon.db").write_bytes(b"SQLite format 3\x00" + bytes(5000))
    _, said = Command(folder)("restore", "base", "--data-dir", "broken", "--yes", "--replace")
    assert "what was revoked since is not known" in said
    assert tables(folder / "broken" / "pylon.db")["_pylon_api_keys"] == []
