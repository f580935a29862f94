"""Data folders of earlier releases open in this one, and everything that was in them is there."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.upgrade.make_folder import ENV

HERE = Path(__file__).parent
RELEASES = sorted(path.name for path in HERE.iterdir() if (path / "pylon.db.gz").is_file())


class Kept:
    """A folder of an earlier release, opened by this one, and what a client of that release saw."""

    def __init__(self, release: str, folder: Path) -> None:
        self.held: dict[str, Any] = json.loads((HERE / release / "held.json").read_text())
        self.data = folder / "data"
        self.data.mkdir()
        (self.data / "pylon.db").write_bytes(gzip.decompress((HERE / release / "pylon.db.gz").read_bytes()))
        self.app = Path(shutil.copy(HERE / "first_app.py", folder / "app.py"))
        self.server = ServerProcess(self.app, self.data, env=ENV)
        self.server.start()

    def get(self, path: str, token: str | None = None) -> tuple[int, Any]:
        return self.server.request("GET", path, token=token or self.held["token"])


@pytest.fixture(scope="module", params=RELEASES)
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    opened = Kept(request.param, tmp_path_factory.mktemp("kept"))
    yield opened
    opened.server.stop()


def test_there_is_a_folder_of_the_first_release() -> None:
    assert "0.1.0" in RELEASES


def test_its_rows_are_there_under_the_session_of_then(kept: Kept) -> None:
    assert kept.get(f"/api/entities/Note/{kept.held['note']}") == (200, kept.held["row"])
    assert kept.get(f"/api/entities/Note/{kept.held['gone']}")[0] == 404


def test_a_client_of_then_catches_up_by_its_cursor(kept: Kept) -> None:
    status, answer = kept.get(f"/api/sync/pull?since={kept.held['cursor']}")
    assert status == 200
    assert answer["changes"][: len(kept.held["changes"])] == kept.held["changes"]


def test_what_operators_set_then_still_holds(kept: Kept) -> None:
    assert kept.get("/api/entities/Person")[0] == 503
    flags = kept.get("/api/admin/flags", ADMIN_TOKEN)[1]["flags"]
    assert [flag["name"] for flag in flags] == ["new-editor"]


def test_its_audit_log_is_whole(kept: Kept) -> None:
    status, answer = kept.get("/api/admin/audit/verify", ADMIN_TOKEN)
    assert (status, answer["ok"]) == (200, True)


def test_a_row_that_was_edited_as_a_document_is_written_on(kept: Kept) -> None:
    path = f"/api/entities/Note/{kept.held['note']}"
    assert kept.server.request("PATCH", path, {"stars": 9}, token=kept.held["token"])[0] == 200
    assert kept.get(path)[1]["stars"] == 9
    assert kept.server.request("PATCH", path, {"stars": kept.held["row"]["stars"]}, token=kept.held["token"])[0] == 200


def test_its_database_is_sound_and_says_that_it_was_taken_over(kept: Kept) -> None:
    database = apsw.Connection(str(kept.data / "pylon.db"), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM _pylon_schema_history").fetchall() == [(1,)]
    finally:
        database.close()
