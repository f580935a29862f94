"""What refuses to start says which setting or column is at fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.testing.process import ServerProcess

APP = """
from pylon import App, Entity

app = App("start")


class Item(Entity, crdt=False):
    title: str
{more}

    class Policy:
        allow = "{policy}"
"""


def app(folder: Path, more: str = "", policy: str = "true") -> Path:
    path = folder / "app.py"
    path.write_text(APP.format(more=more, policy=policy))
    return path


def test_a_database_that_this_release_does_not_speak_is_refused_by_name(tmp_path: Path) -> None:
    server = ServerProcess(app(tmp_path), tmp_path / "data", env={"DATABASE_URL": "postgresql://localhost/x"})
    with pytest.raises(RuntimeError, match="DATABASE_URL"):
        server.start()


def test_a_schema_change_that_would_lose_data_is_refused_by_column(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServerProcess(app(tmp_path), data) as server:
        assert server.request("POST", "/api/entities/Item", {"title": "x"})[0] == 201
    app(tmp_path, "    n: int")
    with pytest.raises(RuntimeError, match=r"Item\.n"):
        ServerProcess(tmp_path / "app.py", data).start()
    app(tmp_path, "    n: int = 7")
    with ServerProcess(tmp_path / "app.py", data) as server:
        assert server.request("GET", "/api/entities/Item")[1]["data"][0]["n"] == 7


def test_a_policy_with_an_unknown_name_is_refused_with_the_nearest_real_one(tmp_path: Path) -> None:
    server = ServerProcess(app(tmp_path, policy="auth.userId == data.titel"), tmp_path / "data")
    with pytest.raises(RuntimeError, match=r"data\.title"):
        server.start()
