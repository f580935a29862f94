"""One real server for the tests that only look, and the app that they look at."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

APP = """
import time

from pylon import App, Context, Entity

app = App("shop")


class Todo(Entity, crdt=False):
    title: str

    class Policy:
        allow = "true"


@app.mutation(auth="public")
def publish(ctx: Context, title: str) -> str:
    return ctx.db.insert(Todo, title=title).id


@app.query(auth="public")
def slow(ctx: Context, seconds: float) -> int:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        ctx.db.count(Todo)
    return 1


@app.action(auth="public")
async def hold(ctx: Context, seconds: float) -> int:
    time.sleep(seconds)  # what an action must not do: the event loop stands still
    return 1
"""


@pytest.fixture(scope="session")
def app_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("top-app") / "app.py"
    path.write_text(APP)
    return path


@pytest.fixture(scope="session")
def server(app_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(app_file, tmp_path_factory.mktemp("top") / "data") as process:
        yield process


def admin(server: ServerProcess, method: str, path: str, body: Any = None) -> Any:
    """The answer to an admin's request, which must succeed."""
    status, answer = server.request(method, path, body, token=ADMIN_TOKEN)
    assert 200 <= status < 300, answer
    return answer


def eventually(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    """What the condition returned once it was true of a process that runs on the real clock."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError("it did not come true")
