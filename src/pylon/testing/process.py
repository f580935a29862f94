"""A real server process for tests: started on a free port, killed, started again on the same data."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

ADMIN_TOKEN = "test-admin-token-0123456789"  # noqa: S105 - of the test server only
_START_SECONDS = 20.0


def free_port() -> int:
    """A port that is free now, with the two above it."""
    for _ in range(100):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port > 65000:
            continue
        try:
            for extra in (1, 2):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port + extra))
        except OSError:
            continue
        return port
    raise RuntimeError("no three free ports in a row")


class ServerProcess:
    """`pylon start APP` as a child process.

    with ServerProcess(app, data) as server:
        server.request("POST", "/api/entities/Todo", {"title": "x"})
        server.kill()       # SIGKILL
        server.start()      # again, on the same data and port
    """

    def __init__(
        self,
        app: Path,
        data: Path,
        *,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
        command: str = "start",
        options: Sequence[str] = (),
    ) -> None:
        self.app = app
        self.data = data
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = command
        self._options = options
        self._env = {
            **{k: v for k, v in os.environ.items() if not k.startswith("PYLON_")},
            "PYLON_DEV_MODE": "1",
            "PYLON_ADMIN_TOKEN": ADMIN_TOKEN,
            "PYLON_HOST": "127.0.0.1",
            **(env or {}),
        }
        self.process: subprocess.Popen[bytes] | None = None
        self.log_path = data.parent / f"{data.name}.log"

    def __enter__(self) -> ServerProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process and wait until it answers. Raises RuntimeError with its log when it doesn't."""
        words = ["--port", str(self.port), "--data-dir", str(self.data), *self._options]
        command = [sys.executable, "-m", "pylon", self._command, str(self.app), *words]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603
                command, env=self._env, stdout=log, stderr=log, cwd=self.app.parent
            )
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.url}/health", timeout=1):  # noqa: S310
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        log_text = self.log()
        self.kill()
        raise RuntimeError(f"the server did not start:\n{log_text}")

    def log(self) -> str:
        """What the process has written."""
        return self.log_path.read_text("utf-8", "replace") if self.log_path.exists() else ""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def stop(self) -> int:
        """SIGTERM, and wait for the end; the exit code."""
        if self.process is None:
            return 0
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """(status, decoded body) of one request; `body` is JSON, or bytes as they are."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = dict(headers or {})
        if token:
            sent["Authorization"] = f"Bearer {token}"
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=sent)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
                return answer.status, _decode(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, _decode(error.read())

    def token_of(self, user_id: str) -> str:
        """A session token of this user."""
        _, answer = self.request("POST", "/api/auth/session", {"user_id": user_id}, token=ADMIN_TOKEN)
        token: str = answer["token"]
        return token


def _decode(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body.decode("utf-8", "replace")
