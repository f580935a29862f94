"""Backups in a bucket, against a real S3 server over HTTP."""

from __future__ import annotations

import json
import logging
import os
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from pylon.ops.backup.s3 import S3Shelf
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.backup.conftest import Command, assert_same, tables
from tests.backup.test_point_in_time import next_second, rfc3339


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An empty bucket `kept`, and the variables that lead to it."""
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")).close()
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/kept", method="PUT")).close()
    credentials = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for name, value in credentials.items():
        monkeypatch.setenv(name, value)
    return credentials | {"PYLON_S3_ENDPOINT": endpoint}


def test_a_backup_goes_there_and_comes_back(pylon: Command, data: Path, tmp_path: Path, bucket: dict[str, str]) -> None:
    pylon.json("backup", "s3://kept/mine/one", "--data-dir", "data", **bucket)
    assert pylon.code("backup", "s3://kept/mine/one", "--data-dir", "data", **bucket) == "BACKUP_TARGET_EXISTS"
    pylon.json("backup", "s3://kept/mine/two", "--data-dir", "data", PYLON_BACKUP_PASSPHRASE="word", **bucket)
    listed = pylon.json("backup", "list", "s3://kept/mine", **bucket)["backups"]
    assert [(one["name"], one["encrypted"]) for one in listed] == [("two", True), ("one", False)]
    assert pylon.json("backup", "verify", "s3://kept/mine/one", **bucket)["rows"]["Note"] == 45
    assert pylon.code("backup", "verify", "s3://kept/mine/two", **bucket) == "BACKUP_KEY_REFUSED"
    listed = pylon.json("backup", "list", "s3://kept/mine", **bucket)["backups"]
    assert [one["verified"] for one in listed] == [None, True]
    for name, env in (("one", {}), ("two", {"PYLON_BACKUP_PASSPHRASE": "word"})):
        pylon.json("restore", f"s3://kept/mine/{name}", "--data-dir", f"of-{name}", "--yes", **bucket, **env)
        assert_same(tmp_path / f"of-{name}", data)
    assert not any((data / ".backup").iterdir())


def test_an_altered_object_is_refused(pylon: Command, data: Path, bucket: dict[str, str], endpoint: str) -> None:
    pylon.json("backup", "s3://kept/one", "--data-dir", "data", **bucket)
    shelf = S3Shelf.of("s3://kept", endpoint)
    content = bytearray(shelf.read("one/pylon.db") or b"")
    content[5000] ^= 1
    shelf.write("one/pylon.db", bytes(content))
    assert pylon.code("backup", "verify", "s3://kept/one", **bucket) == "BACKUP_INVALID"
    shelf.delete("one/pylon.db")
    assert pylon.code("restore", "s3://kept/one", "--data-dir", "new", "--yes", **bucket) == "BACKUP_INVALID"


def test_a_bucket_that_is_not_there_is_said_in_a_line(pylon: Command, data: Path, bucket: dict[str, str]) -> None:
    code = pylon.code("backup", "s3://elsewhere/one", "--data-dir", "data", **bucket)
    assert code in ("BACKUP_TARGET_UNREACHABLE", "BACKUP_NOT_FOUND")
    assert pylon.code("backup", "verify", "s3://kept/nothing", **bucket) == "BACKUP_NOT_FOUND"


@pytest.mark.parametrize("passphrase", ["", "correct horse"])
def test_a_lost_machine_is_restored_to_a_second_from_the_bucket(
    pylon: Command, app_file: Path, tmp_path: Path, bucket: dict[str, str], passphrase: str
) -> None:
    env = bucket | {"PYLON_BACKUP_TARGET": "s3://kept/prod", "PYLON_BACKUP_KEEP": "2", "PYLON_ARCHIVE_SECS": "0.2"}
    env["PYLON_BACKUP_PASSPHRASE"] = passphrase
    with ServerProcess(app_file, tmp_path / "lost", env=env) as server:
        server.request("POST", "/api/entities/Note", {"title": "in the backup"})
        status, made = server.request("POST", "/api/admin/backups", {}, token=ADMIN_TOKEN)
        assert status == 201, made
        server.request("POST", "/api/entities/Note", {"title": "in the archive"})
        second = next_second()
        expected = tables(tmp_path / "lost" / "pylon.db")["Note"]
        server.request("POST", "/api/entities/Note", {"title": "too late"})
        _wait_for_archive(bucket, 3)
        server.kill()
    env.pop("PYLON_BACKUP_TARGET")
    done = pylon.json("restore", "s3://kept/prod", "--to", rfc3339(second), "--data-dir", "new", "--yes", **env)
    assert done["replayed"] == 1
    assert tables(tmp_path / "new" / "pylon.db")["Note"] == expected
    listed = pylon.json("backup", "list", "s3://kept/prod", **env)["backups"]
    assert [one["name"] for one in listed] == [made["name"]]


def _wait_for_archive(bucket: dict[str, str], seq: int) -> None:
    shelf = S3Shelf.of("s3://kept/prod", bucket["PYLON_S3_ENDPOINT"])
    end = time.monotonic() + 20
    while json.loads(shelf.read("archive/0/head.json") or b"{}").get("seq") != seq:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_without_the_package_a_line_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, pylon: Command, data: Path, tmp_path: Path
) -> None:
    hidden = tmp_path / "hidden" / "obstore"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ImportError('not here')")
    path = f"{tmp_path / 'hidden'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    code, said = pylon("backup", "s3://kept/one", "--data-dir", "data", PYTHONPATH=path)
    assert code == 1
    assert "pip install 'pylon[s3]'" in said
    assert "Traceback" not in said
