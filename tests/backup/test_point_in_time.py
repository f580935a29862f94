"""A backup and the archive bring the data to any second; the archive is at most five seconds behind."""

from __future__ import annotations

import contextlib
import gzip
import json
import shutil
import time
import zlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import apsw
import pytest

from pylon.model.schema import AppSpec
from pylon.ops.backup.archiver import Archiver
from pylon.ops.backup.keys import Keyring
from pylon.ops.backup.shelf import FolderShelf
from pylon.testing.engine import open_engine
from pylon.testing.process import ServerProcess
from pylon.testing.waiting import eventually as until
from tests.backup.conftest import APP, Command, tables
from tests.conftest import ALICE


def rfc3339(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).isoformat().replace("+00:00", "Z")


def archived(data: Path) -> int:
    """The last archived seq."""
    head = next(iter(sorted((data / "archive").rglob("head.json"))), None)
    return json.loads(head.read_text())["seq"] if head else 0


def rows(database: Path) -> list[tuple[Any, ...]]:
    return tables(database)["Note"]


def next_second() -> int:
    """Wait for the next whole second; the one that has passed."""
    now = int(time.time())
    until(lambda: int(time.time()) > now)
    return now


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[int, list[tuple[Any, ...]]]]]:
    """The folder of a data folder that was backed up, changed in three different seconds, and killed; what was there
    when."""
    folder = tmp_path_factory.mktemp("past")
    pylon, app_file, data = Command(folder), folder / "app.py", folder / "data"
    app_file.write_text(APP)
    moments = {}
    with ServerProcess(app_file, data, env={"PYLON_ARCHIVE_SECS": "0.2"}) as server:
        made = [server.request("POST", "/api/entities/Note", {"title": f"n{i}", "meta": {"i": i}})[1] for i in range(4)]
        server.token_of("alice")
        pylon.json("backup", "base", "--data-dir", "data")
        next_second()
        server.request("PATCH", f"/api/entities/Note/{made[0]['id']}", {"done": True, "meta": None})
        moments["updated"] = (next_second(), rows(data / "pylon.db"))
        server.request("DELETE", f"/api/entities/Note/{made[1]['id']}")
        moments["deleted"] = (next_second(), rows(data / "pylon.db"))
        server.request("POST", "/api/entities/Note", {"title": "last"})
        moments["inserted"] = (next_second(), rows(data / "pylon.db"))
        until(lambda: archived(data) == 7)
        server.kill()
    return folder, moments


@pytest.fixture
def history(
    past: tuple[Path, dict[str, tuple[int, list[tuple[Any, ...]]]]], tmp_path: Path
) -> dict[str, tuple[int, list[tuple[Any, ...]]]]:
    """A copy of that past in the test's own folder."""
    folder, moments = past
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return moments


def test_every_second_can_be_restored(
    pylon: Command, tmp_path: Path, history: dict[str, tuple[int, list[tuple[Any, ...]]]]
) -> None:
    assert len({str(found) for _, found in history.values()}) == 3
    for name, (second, expected) in history.items():
        done = pylon.json("restore", "base", "--to", rfc3339(second), "--archive", "data", "--data-dir", name, "--yes")
        assert rows(tmp_path / name / "pylon.db") == expected, name
        assert tables(tmp_path / name / "pylon.db")["_pylon_sessions"] == []
        log = tables(tmp_path / name / "pylon.db")["_pylon_change_log"]
        assert [entry[0] for entry in log] == list(range(1, 5 + done["replayed"]))
        original = [e for e in tables(tmp_path / "data" / "pylon.db")["_pylon_change_log"] if e[0] <= log[-1][0]]
        assert log == original


def test_in_place_and_then_again_to_another_second(
    pylon: Command, app_file: Path, tmp_path: Path, history: dict[str, tuple[int, list[tuple[Any, ...]]]]
) -> None:
    for name in ("deleted", "updated", "inserted"):
        second, expected = history[name]
        words = ["restore", "base", "--to", rfc3339(second), "--data-dir", "data", "--yes", "--replace"]
        done = pylon.json(*words)
        assert rows(tmp_path / "data" / "pylon.db") == expected
        Path(done["aside"]).rename(tmp_path / f"aside-{name}")
        with ServerProcess(app_file, tmp_path / "data") as server:
            assert server.request("GET", "/api/sync/pull?since=5")[0] == 410
            assert server.request("POST", "/api/entities/Note", {"title": "new life"})[0] == 201


def test_a_time_before_the_backup_or_after_a_later_restore_is_refused(
    pylon: Command, tmp_path: Path, history: dict[str, tuple[int, list[tuple[Any, ...]]]]
) -> None:
    long_ago = rfc3339(history["updated"][0] - 3600)
    assert pylon.code("restore", "base", "--to", long_ago, "--data-dir", "new", "--yes") == "RESTORE_NO_BASE"
    second = rfc3339(history["updated"][0])
    pylon.json("restore", "base", "--to", second, "--data-dir", "data", "--yes", "--replace")
    (tmp_path / "data" / "archive" / str(int(time.time()))).mkdir()
    (tmp_path / "data" / "archive" / str(int(time.time())) / "head.json").write_text('{"seq":1,"at":1}')
    later = rfc3339(int(time.time()) + 2)
    assert pylon.code("restore", "base", "--to", later, "--archive", "data", "--data-dir", "x", "--yes") == (
        "RESTORE_NO_BASE"
    )


def test_a_time_after_the_archive_s_end_is_said(
    pylon: Command, history: dict[str, tuple[int, list[tuple[Any, ...]]]]
) -> None:
    later = rfc3339(history["inserted"][0] + 3600)
    words = ["restore", "base", "--to", later, "--archive", "data", "--data-dir", "new", "--yes"]
    code, said = pylon(*words)
    assert code == 0
    assert "RESTORE_ENDS_EARLIER" in said


def flipped(segment: bytes) -> bytes:
    """The segment with one bit turned that carries content: the padding between flushed blocks carries none."""
    content = gzip.decompress(segment)
    for at in range(100, len(segment)):
        damaged = segment[:at] + bytes([segment[at] ^ 1]) + segment[at + 1 :]
        try:
            if gzip.decompress(damaged) == content:
                continue
        except (OSError, EOFError, zlib.error):
            pass
        return damaged
    raise AssertionError("no bit of the segment matters")


def test_a_damaged_archive_is_refused(
    pylon: Command, tmp_path: Path, history: dict[str, tuple[int, list[tuple[Any, ...]]]]
) -> None:
    [segment] = (tmp_path / "data" / "archive").rglob("*.gz")
    whole = segment.read_bytes()
    later = rfc3339(history["inserted"][0])
    words = ["restore", "base", "--to", later, "--archive", "data", "--data-dir", "new", "--yes"]
    for content in (whole[:-10], whole[: len(whole) // 2], flipped(whole)):
        segment.write_bytes(content)
        assert pylon.code(*words) in ("ARCHIVE_GAP", "BACKUP_INVALID")
    lines = gzip.decompress(whole).splitlines(keepends=True)
    segment.write_bytes(gzip.compress(b"".join(lines[:4] + lines[5:])))
    assert pylon.code(*words) == "ARCHIVE_GAP"
    segment.write_bytes(gzip.compress(b"".join(lines).replace(b"last", b"lost")))
    assert pylon.code(*words) in ("ARCHIVE_GAP", "BACKUP_INVALID")
    segment.write_bytes(whole)
    assert pylon.json(*words)["ok"]


def test_the_archive_is_at_most_five_seconds_behind(app_file: Path, tmp_path: Path) -> None:
    with ServerProcess(app_file, tmp_path / "data") as server:
        written: list[float] = []
        seen = 0

        def look() -> bool:
            nonlocal seen
            done, now = archived(tmp_path / "data"), time.monotonic()
            assert all(now - at < 5 for at in written[seen:done])
            seen = done
            return seen == len(written)

        for _ in range(8):  # at any moment between two turns of the archive
            server.request("POST", "/api/entities/Note", {"title": "x"})
            written.append(time.monotonic())
            time.sleep(0.35)
            look()
        until(look)
        assert "pylon_archive_lag_seconds" in server.request("GET", "/metrics", headers={"Accept": "text/plain"})[1]


def test_an_archive_that_is_killed_has_no_gap_and_nothing_twice(app_file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = ServerProcess(app_file, data, env={"PYLON_ARCHIVE_SECS": "0.05"})
    for _ in range(6):
        server.start()
        for _ in range(150):
            server.request("POST", "/api/entities/Note", {"title": "x" * 200})
        server.kill()
    with server:
        until(lambda: archived(data) == 900)
    lines = [
        json.loads(line)
        for path in sorted(data.rglob("*.gz"))
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]
    assert [line["seq"] for line in lines] == list(range(1, 901))
    assert [line["after"] for line in lines] == list(range(900))


async def test_a_torn_append_is_cut_off_and_written_again(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:

        def archiver() -> Archiver:
            return Archiver(engine.store, tmp_path / "archive", seconds=1, shelf=None, keys=Keyring(), keep_days=7)

        await engine.insert(ALICE, "Note", b'{"title":"one"}')
        first = archiver()
        assert first.tick() == 1
        await first.stop()
        await engine.insert(ALICE, "Note", b'{"title":"two"}')
        second = archiver()
        assert second.tick() == 1
        await second.stop()
        [segment] = (tmp_path / "archive").rglob("*.gz")
        whole = segment.read_bytes()
        for lost in (1, 5, 50):
            segment.write_bytes(whole[:-lost])
            third = archiver()
            assert third.tick() == 1
            await third.stop()
            assert [json.loads(line)["seq"] for line in gzip.decompress(segment.read_bytes()).splitlines()] == [1, 2]


async def test_what_the_log_forgot_before_it_was_archived_shows_as_a_gap(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        await engine.insert(ALICE, "Note", b'{"title":"one"}')
        archiver = Archiver(engine.store, tmp_path / "archive", seconds=1, shelf=None, keys=Keyring(), keep_days=7)
        archiver.tick()
        for _ in range(3):
            await engine.insert(ALICE, "Note", b'{"title":"lost"}')
        import apsw

        connection = apsw.Connection(str(tmp_path / "pylon.db"))
        connection.execute("DELETE FROM _pylon_change_log WHERE seq < 4")
        connection.close()
        archiver.tick()
        await archiver.stop()
        [segment] = (tmp_path / "archive").rglob("*.gz")
        lines = [json.loads(line) for line in gzip.decompress(segment.read_bytes()).splitlines()]
        assert [(line["after"], line["seq"]) for line in lines] == [(0, 1), (None, 4)]


async def test_the_archive_goes_to_the_place_of_the_backups_and_leaves_little_here(
    notes: AppSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pylon.ops.backup.archive.SEGMENT_BYTES", 1)
    shelf = FolderShelf(tmp_path / "shelf")
    async with open_engine(notes, tmp_path) as engine:
        archiver = Archiver(engine.store, tmp_path / "archive", seconds=1, shelf=shelf, keys=Keyring(), keep_days=7)
        for number in range(4):
            await engine.insert(ALICE, "Note", b'{"title":"x"}')
            assert archiver.tick() == 1, number
        assert len(list((tmp_path / "archive").rglob("*.gz"))) == 1
        assert len(list((tmp_path / "shelf").rglob("*.gz"))) == 4
        archiver.forget(0, 2)
        assert [path.name[:20].lstrip("0") for path in sorted((tmp_path / "shelf").rglob("*.gz"))] == ["3", "4"]
        archiver.forget(1, 2)
        assert list((tmp_path / "shelf").rglob("*.gz")) == []
        await archiver.stop()


def test_a_document_of_a_row_that_is_brought_forward_is_dropped(pylon: Command, app_file: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServerProcess(app_file, data, env={"PYLON_ARCHIVE_SECS": "0.2"}) as server:
        kept, changed = [server.request("POST", "/api/entities/Note", {"title": t})[1]["id"] for t in "ab"]
        with contextlib.closing(apsw.Connection(str(data / "pylon.db"))) as database:
            database.set_busy_timeout(5000)
            database.execute("CREATE TABLE _pylon_crdt_tests (entity, row_id)")
            for row in (kept, changed):
                database.execute("INSERT INTO _pylon_crdt_tests VALUES ('Note', ?)", (row,))
        pylon.json("backup", "base", "--data-dir", "data")
        server.request("PATCH", f"/api/entities/Note/{changed}", {"title": "later"})
        second = next_second()
        until(lambda: archived(data) == 3)
    pylon.json("restore", "base", "--to", rfc3339(second), "--archive", "data", "--data-dir", "new", "--yes")
    restored = tables(tmp_path / "new" / "pylon.db")
    assert restored["_pylon_crdt_tests"] == [("Note", kept)]
    assert sorted(row[1] for row in restored["Note"]) == ["a", "later"]


def test_a_push_that_was_applied_before_the_restored_second_is_not_applied_again(
    pylon: Command, app_file: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    change = {"entity": "Note", "row_id": "_pending_1", "kind": "insert", "data": {"title": "once"}, "op_id": "op-1"}
    push = {"changes": [change], "client_id": "c1"}
    with ServerProcess(app_file, data) as server:
        server.request("POST", "/api/entities/Note", {"title": "first"})
        pylon.json("backup", "base", "--data-dir", "data")
        _, first = server.request("POST", "/api/sync/push", push)
        assert first["applied"] == 1
        second = next_second()
        until(lambda: archived(data) == 2)
    pylon.json("restore", "base", "--to", rfc3339(second), "--data-dir", "data", "--yes", "--replace")
    with ServerProcess(app_file, data) as server:
        _, again = server.request("POST", "/api/sync/push", push)
        assert again["results"][0]["row_id"] == first["results"][0]["row_id"]
        assert len(server.request("GET", "/api/entities/Note")[1]["data"]) == 2
