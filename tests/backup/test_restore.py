"""Restoring: the old data stays aside, people are asked, sessions end, and clients start anew."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from pylon.model.errors import PylonError
from pylon.ops.backup import exchange
from pylon.ops.backup.restore import Wish, candidates, restore
from pylon.ops.backup.shelf import open_location
from pylon.testing.process import ServerProcess
from tests.backup.conftest import Command, files, tables


def sessions(database: Path) -> int:
    return len(tables(database)["_pylon_sessions"])


def test_the_old_data_is_kept_aside(pylon: Command, data: Path, tmp_path: Path) -> None:
    pylon.json("backup", "copy", "--data-dir", "data")
    (data / "uploads" / "later").write_text("later")
    before = tables(data / "pylon.db"), files(data)
    done = pylon.json("restore", "copy", "--data-dir", "data", "--yes", "--replace")
    aside = Path(done["aside"])
    assert aside.name.startswith("data.before-restore-")
    assert (tables(aside / "pylon.db"), files(aside)) == before
    assert not (data / "uploads" / "later").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "data", aside.name]


def test_a_folder_that_cannot_be_renamed_is_exchanged_inside(
    data: Path, pylon: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pylon.json("backup", "copy", "--data-dir", "data")
    (data / "uploads" / "later").write_text("later")
    monkeypatch.setattr(exchange, "can_rename", lambda path: False)
    staged = tmp_path / "staged"
    staged.mkdir()
    (staged / "pylon.db").write_text("new")
    aside = exchange.exchange(staged, data, tmp_path / "data.before-restore-X")
    assert aside == data / "before-restore-X"
    assert (data / "pylon.db").read_text() == "new"
    assert (aside / "uploads" / "later").read_text() == "later"
    assert not staged.exists()
    assert exchange.unfinished(data) is None


def test_a_server_does_not_start_on_a_half_restored_folder(app_file: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / exchange.MARKER).touch()
    assert isinstance(exchange.unfinished(tmp_path / "data"), PylonError)
    with pytest.raises(RuntimeError, match="RESTORE_UNFINISHED"):
        ServerProcess(app_file, tmp_path / "data").start()


@pytest.mark.parametrize("answer", ["", "\n", "n\n", "nope\n"])
def test_anything_but_yes_aborts(pylon: Command, data: Path, tmp_path: Path, answer: str) -> None:
    pylon.json("backup", "copy", "--data-dir", "data")
    code, said = pylon("restore", "copy", "--data-dir", "new", answer=answer)
    assert code == 0
    assert "Continue? [y/N]" in said
    assert "Aborted." in said
    assert not (tmp_path / "new").exists()


def test_yes_continues(pylon: Command, data: Path, tmp_path: Path) -> None:
    pylon.json("backup", "copy", "--data-dir", "data")
    assert pylon("restore", "copy", "--data-dir", "new", answer="y\n")[0] == 0
    assert (tmp_path / "new" / "pylon.db").is_file()


def test_sessions_end_unless_they_are_kept(pylon: Command, app_file: Path, tmp_path: Path) -> None:
    with ServerProcess(app_file, tmp_path / "data") as server:
        token = server.token_of("alice")
        pylon.json("backup", "copy", "--data-dir", "data")
    pylon.json("restore", "copy", "--data-dir", "ended", "--yes")
    pylon.json("restore", "copy", "--data-dir", "kept", "--yes", "--keep-sessions")
    assert sessions(tmp_path / "ended" / "pylon.db") == 0
    assert sessions(tmp_path / "kept" / "pylon.db") == 1
    with ServerProcess(app_file, tmp_path / "ended") as server:
        assert server.request("GET", "/api/auth/me", token=token)[1]["user_id"] is None
    with ServerProcess(app_file, tmp_path / "kept") as server:
        assert server.request("GET", "/api/auth/me", token=token)[1]["user_id"] == "alice"


def test_an_old_cursor_gets_410_and_a_fresh_pull_converges(pylon: Command, app_file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServerProcess(app_file, data) as server:
        for number in range(5):
            server.request("POST", "/api/entities/Note", {"title": f"n{number}"})
        pylon.json("backup", "copy", "--data-dir", "data")
        for number in range(5):
            server.request("POST", "/api/entities/Note", {"title": f"later{number}"})
        cursor = server.request("GET", "/api/sync/pull?since=0")[1]["cursor"]["last_seq"]
        assert cursor == 10
    pylon.json("restore", "copy", "--data-dir", "data", "--yes", "--replace")
    with ServerProcess(app_file, data) as server:
        for since in (1, 5, cursor):
            status, answer = server.request("GET", f"/api/sync/pull?since={since}")
            assert (status, answer["error"]["code"]) == (410, "RESYNC_REQUIRED")
        _, fresh = server.request("GET", "/api/sync/pull?since=0")
        assert sorted(change["data"]["title"] for change in fresh["changes"]) == [f"n{i}" for i in range(5)]
        since = fresh["cursor"]["last_seq"]
        assert since > 2**40
        assert server.request("POST", "/api/entities/Note", {"title": "after"})[0] == 201
        status, delta = server.request("GET", f"/api/sync/pull?since={since}")
        assert [change["data"]["title"] for change in delta["changes"]] == ["after"]
        assert delta["changes"][0]["seq"] == since + 1
    pylon.json("backup", "second", "--data-dir", "data")
    assert pylon.json("restore", "second", "--data-dir", "again", "--yes")["log_floor"] > 2 * 2**40


def test_of_several_backups_the_newest_that_verifies_is_taken(pylon: Command, data: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        pylon.json("backup", f"shelf/{name}", "--data-dir", "data")
    assert [one["name"] for one in pylon.json("backup", "list", "shelf")["backups"]] == ["two", "one"]
    damaged = tmp_path / "shelf" / "two" / "pylon.db"
    damaged.write_bytes(damaged.read_bytes()[:-4096])
    assert pylon("backup", "verify", "shelf")[0] == 1
    assert [one["verified"] for one in pylon.json("backup", "list", "shelf")["backups"]] == [False, True]
    done = pylon.json("restore", "shelf", "--data-dir", "new", "--yes")
    assert done["backup"].endswith("one")


def test_what_the_database_says_of_its_restore(pylon: Command, data: Path, tmp_path: Path) -> None:
    pylon.json("backup", "copy", "--data-dir", "data")
    pylon.json("restore", "copy", "--data-dir", "new", "--yes")
    connection = apsw.Connection(str(tmp_path / "new" / "pylon.db"))
    meta = dict(connection.execute("SELECT key, value FROM _pylon_meta"))
    connection.close()
    assert meta["log_floor"] == 75 + 2**40
    assert meta["timeline"] > 1_700_000_000


def test_two_restores_in_one_second_keep_both_old_folders(data: Path, tmp_path: Path) -> None:
    kept = []
    for number in range(3):
        staged = tmp_path / f"staged{number}"
        staged.mkdir()
        (staged / "pylon.db").write_text(str(number))
        kept.append(exchange.exchange(staged, data, tmp_path / "data.before-restore-X"))
    assert [path.name for path in kept if path] == [f"data.before-restore-X{end}" for end in ("", "-2", "-3")]
    assert (tmp_path / "data.before-restore-X" / "uploads" / "empty").exists()
    assert (tmp_path / "data.before-restore-X-3" / "pylon.db").read_text() == "1"
    assert (data / "pylon.db").read_text() == "2"


def test_a_restore_that_fails_while_it_exchanges_the_folders_loses_neither(
    pylon: Command, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pylon.json("backup", "copy", "--data-dir", "data")
    (data / "uploads" / "later").write_text("later")
    before = tables(data / "pylon.db"), files(data)
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if ".before-restore-" in str(target):
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    wish = Wish(open_location(str(tmp_path / "copy")), data, "0.1.0", replace=True)
    with pytest.raises(PylonError) as failed:
        restore(wish, candidates(wish))
    assert failed.value.code == "RESTORE_FAILED"
    assert (tables(data / "pylon.db"), files(data)) == before
