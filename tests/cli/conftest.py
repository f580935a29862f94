"""The `pylon` command as a user runs it: a process of its own, in a folder of its own."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.process import free_port

APP = """
from pylon import App, Entity

app = App("notes")


class Note(Entity):
    title: str

    class Policy:
        read = "true"
"""

SECOND_ENTITY = """

class Extra(Entity):
    title: str

    class Policy:
        read = "true"
"""


def clean_environment(**extra: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("PYLON_") and name != "DATABASE_URL"
    }
    return kept | extra


class Cli:
    """Runs commands in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-P", "-m", "pylon", *words],
            cwd=self.folder,
            env=clean_environment(**env),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    def json(self, *words: str, **env: str) -> tuple[int, Any]:
        """Exit code and the last JSON document on stdout; every line of stdout must be one."""
        done = self(*words, "--json", **env)
        documents = [json.loads(line) for line in done.stdout.splitlines()]
        return done.returncode, documents[-1] if documents else None


@pytest.fixture
def pylon(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """An app.py in the folder of `pylon`."""
    path = tmp_path / "app.py"
    path.write_text(APP)
    return path


class Serving:
    """A `pylon dev` or `pylon start` with --json whose documents can be waited for."""

    def __init__(self, folder: Path, *words: str, **env: str) -> None:
        self.port = free_port()
        self.errors: list[str] = []
        self._documents: queue.Queue[Any] = queue.Queue()
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pylon", *words, "--port", str(self.port), "--json"],
            cwd=folder,
            env=clean_environment(**({"PYLON_HOST": "127.0.0.1"} | env)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._threads = [
            threading.Thread(target=self._read_documents, daemon=True),
            threading.Thread(target=self._read_errors, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def next(self, timeout: float = 20.0) -> Any:
        """The next JSON document on stdout."""
        try:
            return self._documents.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"nothing was said; stderr: {''.join(self.errors)}") from None

    def get(self, path: str = "/api/manifest", timeout: float = 10.0) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout) as answer:
            return str(answer.read().decode())

    def wait_until(self, condition: Callable[[], bool], seconds: float = 10.0) -> float:
        """Wait for a condition; how long it took. The clock is real: this is about processes."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            with contextlib.suppress(urllib.error.URLError, OSError):
                if condition():
                    return time.monotonic() - began
            time.sleep(0.01)
        raise AssertionError(f"it did not come true; stderr: {''.join(self.errors)}")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(timeout=15)
        finally:
            self.close()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for thread in self._threads:
            thread.join(timeout=5)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    def _read_documents(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._documents.put(json.loads(line))

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        self.errors.extend(self.process.stderr)


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Serving]]:
    """Starts `pylon dev` or `pylon start`; ended after the test, however it went."""
    started: list[Serving] = []

    def start(*words: str, **env: str) -> Serving:
        started.append(Serving(tmp_path, *words, **env))
        return started[-1]

    yield start
    for one in started:
        one.close()
