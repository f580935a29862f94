"""A server whose secret key is gone says so at start, and does not begin anew with another as if nothing were."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon import App
from pylon.model.errors import PylonError
from pylon.testing.app import open_server
from tests.auth.factors import APP, Note, User, open_door
from tests.auth.test_totp_doors import enroll

KEYS = {"PYLON_SECRET_KEY": "k" * 40}


async def test_a_database_whose_key_is_missing_is_not_opened_with_a_new_one(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        await enroll(door)
    key = (tmp_path / "secret.key").read_text()
    (tmp_path / "secret.key").unlink()
    for _ in range(2):
        with pytest.raises(PylonError, match="PYLON_SECRET_KEY") as refused:
            async with open_door(tmp_path):
                pass
        assert "PYLON_SECRET_KEY_LOST" in (refused.value.hint or "")
        assert not (tmp_path / "secret.key").exists(), "a new key would hide what is wrong"
    (tmp_path / "secret.key").write_text(key)
    async with open_server(APP, tmp_path):
        pass


async def test_configured_keys_follow_one_another_and_another_one_is_refused(tmp_path: Path) -> None:
    async with open_door(tmp_path, env=KEYS) as door:
        await enroll(door)
    both = {"PYLON_SECRET_KEY": "n" * 40 + "," + "k" * 40}
    for env in (both, {"PYLON_SECRET_KEY": "n" * 40}):
        async with open_server(APP, tmp_path, env=env):
            pass
    with pytest.raises(PylonError, match="used with another key"):
        async with open_server(APP, tmp_path, env=KEYS):
            pass


async def test_who_lost_the_key_for_ever_says_so_once(tmp_path: Path) -> None:
    async with open_door(tmp_path, env=KEYS) as door:
        await enroll(door)
    other = {"PYLON_SECRET_KEY": "n" * 40}
    async with open_server(APP, tmp_path, env={**other, "PYLON_SECRET_KEY_LOST": "1"}):
        pass
    async with open_server(APP, tmp_path, env=other):
        pass


async def test_a_database_with_nothing_under_a_key_takes_any(tmp_path: Path) -> None:
    plain = App("plain", entities=[User, Note])
    async with open_server(plain, tmp_path, env=KEYS):
        pass
    async with open_server(plain, tmp_path, env={"PYLON_SECRET_KEY": "n" * 40}):
        pass
