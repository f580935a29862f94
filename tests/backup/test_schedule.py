"""Backups that the server takes: when they are due, what is kept, what is seen of them."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pylon.engine.audit.search import AuditFilter
from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.ops.backup.archiver import Archiver
from pylon.ops.backup.keys import Keyring
from pylon.ops.backup.rotation import to_drop
from pylon.ops.backup.schedule import Backups, Plan, clean_up
from pylon.ops.backup.shelf import FolderShelf
from pylon.ops.backup.take import Subject
from pylon.signals.exposition import prometheus_text
from pylon.signals.metrics import Registry
from pylon.testing.engine import open_engine
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.conftest import ALICE

DAY = 86_400.0
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def engine(notes: AppSpec, tmp_path: Path, clock: Clock) -> AsyncIterator[Engine]:
    folder = tmp_path / "data"
    folder.mkdir()
    async with open_engine(notes, folder, clock=clock) as opened:
        yield opened


def backups(engine: Engine, tmp_path: Path, clock: Clock, **plan: object) -> Backups:
    subject = Subject(tmp_path / "data", "0.1.0", engine.app)
    settings = {"every": 3600.0, "keep": 2, **plan}
    return Backups(engine, subject, FolderShelf(tmp_path / "shelf"), Plan(**settings), clock=clock)  # type: ignore[arg-type]


async def test_a_backup_is_taken_when_it_is_due_and_not_before(engine: Engine, tmp_path: Path, clock: Clock) -> None:
    made = backups(engine, tmp_path, clock)
    assert await made.run_due()
    assert not await made.run_due()
    clock.now += 3599
    assert not await made.run_due()
    clock.now += 1
    assert await made.run_due()
    assert [one.name for one in await made.listing()] == ["20261123T130000Z", "20261123T120000Z"]


async def test_a_new_process_goes_on_where_the_last_one_was(engine: Engine, tmp_path: Path, clock: Clock) -> None:
    await backups(engine, tmp_path, clock).take_now()
    clock.now += 1800
    second = backups(engine, tmp_path, clock)
    await second.recall()
    assert not await second.run_due()
    clock.now += 1800
    assert await second.run_due()


async def test_a_failure_is_counted_audited_and_tried_again(engine: Engine, tmp_path: Path, clock: Clock) -> None:
    made = backups(engine, tmp_path, clock)
    registry = Registry()
    made.watch(registry)
    (tmp_path / "shelf").write_text("in the way")
    assert not await made.run_due()
    assert not await made.run_due()
    assert made.failures.value == 1
    clock.now += 300
    (tmp_path / "shelf").unlink()
    assert await made.run_due()
    entries = await engine.audit.search(AuditFilter(kinds=frozenset({"operator"})))
    assert [entry.action for entry in entries] == ["backup.take", "backup.fail"]
    text = prometheus_text(registry)
    assert "# TYPE pylon_backup_failures_total counter" in text
    assert "pylon_backup_failures_total 1" in text
    assert f"pylon_backup_last_success_timestamp_seconds {int(clock.now)}" in text
    assert "pylon_backup_duration_seconds" in text


async def test_old_backups_are_rotated_out_and_the_archive_with_them(
    engine: Engine, tmp_path: Path, clock: Clock
) -> None:
    shelf = FolderShelf(tmp_path / "shelf")
    archiver = Archiver(
        engine.store, tmp_path / "data" / "archive", seconds=1, shelf=shelf, keys=Keyring(), keep_days=7, clock=clock
    )
    subject = Subject(tmp_path / "data", "0.1.0", engine.app)
    made = Backups(engine, subject, shelf, Plan(every=DAY, keep=1), archiver=archiver, clock=clock)
    for _ in range(40):
        await engine.insert(ALICE, "Note", b'{"title":"x"}')
        archiver.tick()
        await made.run_due()
        clock.now += DAY
    kept = await made.listing()
    assert 7 <= len(kept) <= 11
    assert kept[0].seq == 40
    segments = sorted(int(path.name.split(".")[0]) for path in (tmp_path / "shelf").rglob("*.gz"))
    assert segments[0] == kept[-1].seq + 1 or segments[0] <= kept[-1].seq < segments[1]
    await archiver.stop()


async def test_only_one_is_taken_at_a_time(engine: Engine, tmp_path: Path, clock: Clock) -> None:
    import asyncio

    made = backups(engine, tmp_path, clock)
    first = asyncio.create_task(made.take_now())
    await asyncio.sleep(0)
    with pytest.raises(PylonError) as refused:
        await made.take_now()
    assert refused.value.code == "BACKUP_RUNNING"
    await first


async def test_one_that_is_being_made_is_given_up_when_the_server_stops(
    engine: Engine, tmp_path: Path, clock: Clock
) -> None:
    import asyncio

    made = backups(engine, tmp_path, clock)
    running = asyncio.create_task(made.take_now())
    await asyncio.sleep(0)
    await made.stop()
    with pytest.raises(PylonError) as refused:
        await running
    assert refused.value.code == "SHUTTING_DOWN"
    assert list((tmp_path / "shelf").iterdir()) == []


async def test_what_a_killed_process_left_is_cleaned_up(tmp_path: Path) -> None:
    left = tmp_path / ".backup" / "plain.partial-999999999-abcd"
    left.mkdir(parents=True)
    (left / "pylon.db").write_bytes(b"plain")
    alive = tmp_path / ".backup" / "plain.partial-1-abcd"
    alive.mkdir()
    clean_up(tmp_path, None)
    assert [path.name for path in (tmp_path / ".backup").iterdir()] == [alive.name]


def test_what_was_left_on_a_shared_shelf_is_cleaned_up_after_a_day(tmp_path: Path) -> None:
    archive = tmp_path / "archive" / "1"
    archive.mkdir(parents=True)
    folder = tmp_path / "daily.partial-999999999-abcd"
    (folder / "uploads" / ".ownership").mkdir(parents=True)
    (folder / "uploads" / ".ownership" / "file_1.json").write_text("{}")
    left = [folder, tmp_path / "daily.partial-999999999-abcd.tar", archive / "head.json.partial-abcd"]
    for file in left[1:]:
        file.write_bytes(b"half")
    clean_up(tmp_path / "data", FolderShelf(tmp_path))
    assert all(path.exists() for path in left)
    yesterday = time.time() - 90_000
    for path in left:
        os.utime(path, (yesterday, yesterday))
    clean_up(tmp_path / "data", FolderShelf(tmp_path))
    assert not any(path.exists() for path in left)
    assert archive.exists()


def test_rotation_keeps_the_newest_one_a_day_and_one_a_week() -> None:
    hourly = [(f"h{hours}", NOON - hours * 3600) for hours in range(24 * 60)]
    gone = set(to_drop(hourly, 3, NOON))
    kept = [name for name, _ in hourly if name not in gone]
    assert kept[:3] == ["h0", "h1", "h2"]
    days = {(datetime.fromtimestamp(NOON, UTC) - timedelta(hours=int(name[1:]))).date() for name in kept}
    assert len(days) == 7 + 3
    assert 3 + 6 + 3 <= len(kept) <= 3 + 6 + 4
    assert to_drop([("only", 0.0)], 1, NOON) == []


def test_the_server_takes_backups_and_shows_them(app_file: Path, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    env = {
        "PYLON_BACKUP_TARGET": str(shelf),
        "PYLON_BACKUP_EVERY_SECS": "3600",
        "PYLON_BACKUP_PASSPHRASE": "correct horse",
    }
    with ServerProcess(app_file, tmp_path / "data", env=env) as server:
        server.request("POST", "/api/entities/Note", {"title": "x"})
        end = time.monotonic() + 30
        while "backup taken" not in server.log():
            assert time.monotonic() < end, server.log()
            time.sleep(0.05)
        status, made = server.request("POST", "/api/admin/backups", {}, token=ADMIN_TOKEN)
        assert status == 201, made
        assert made["seq"] == 1
        assert made["encrypted"]
        _, listed = server.request("GET", "/api/admin/backups", token=ADMIN_TOKEN)
        assert listed["backups"][0]["name"] == made["name"]
        assert listed["backups"][0]["verified"] is None
        path = "/api/admin/backups/verify"
        status, verdict = server.request("POST", path, {"name": made["name"]}, token=ADMIN_TOKEN)
        assert (status, verdict["ok"], verdict["rows"]["Note"]) == (200, True, 1)
        _, listed = server.request("GET", "/api/admin/backups", token=ADMIN_TOKEN)
        assert listed["backups"][0]["verified"] is True
        database = shelf / made["name"] / "pylon.db.age"
        sealed = database.read_bytes()
        database.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
        status, refused = server.request("POST", path, {"name": made["name"]}, token=ADMIN_TOKEN)
        assert (status, refused["error"]["code"]) == (422, "BACKUP_INVALID")
        for name in ("../data", "nothing", ""):
            assert server.request("POST", path, {"name": name}, token=ADMIN_TOKEN)[0] == 404
        assert server.request("POST", path, {"nome": 1}, token=ADMIN_TOKEN)[0] == 400
        _, metrics = server.request("GET", "/metrics", headers={"Accept": "text/plain"})
        assert "pylon_backup_last_success_timestamp_seconds 1" in metrics


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/admin/backups"), ("POST", "/api/admin/backups"), ("POST", "/api/admin/backups/verify")],
)
def test_only_an_admin_may(method: str, path: str, app_file: Path, tmp_path: Path) -> None:
    with ServerProcess(app_file, tmp_path / "data") as server:
        assert server.request(method, path, {} if method == "POST" else None)[0] == 403
        status, answer = server.request(method, path, {"name": "x"} if method == "POST" else None, token=ADMIN_TOKEN)
        assert (status, answer["error"]["code"]) == (409, "BACKUP_NOT_CONFIGURED")


def test_a_schedule_without_a_place_is_refused(app_file: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="PYLON_BACKUP_EVERY_SECS"):
        ServerProcess(app_file, tmp_path / "data", env={"PYLON_BACKUP_EVERY_SECS": "60"}).start()
