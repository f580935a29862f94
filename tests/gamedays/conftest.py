from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pylon.testing.process import ServerProcess
from tests.gamedays.prometheus import started_ahead
from tests.gamedays.runbook import Operator

APP = Path(__file__).parent / "app.py"


@pytest.fixture(scope="session", autouse=True)
def prometheus_ahead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with started_ahead(tmp_path_factory.mktemp("prometheus")):
        yield


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(APP, tmp_path / "data") as running:
        yield running


@pytest.fixture
def operator(server: ServerProcess, tmp_path: Path) -> Operator:
    return operator_of(server, tmp_path)


def operator_of(server: ServerProcess, tmp_path: Path) -> Operator:
    """An operator with a folder of its own."""
    folder = tmp_path / "operator"
    folder.mkdir()
    return Operator(server, folder)


@contextmanager
def meanwhile(work: Callable[[], object]) -> Iterator[None]:
    """Do this again and again in the background until the block ends."""
    stopping = threading.Event()

    def run() -> None:
        while not stopping.is_set():
            try:
                work()
            except OSError:
                stopping.wait(0.1)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(15)
