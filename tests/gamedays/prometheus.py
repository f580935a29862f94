"""A real Prometheus with the rules of deploy/, its clock sped up: every span in them is shortened to seconds, every
threshold stays as it is, but for those that a game day names.

Prometheus looks at what it should scrape only five seconds after its start. So the one for the next game day is started
ahead, and scrapes through a relay that is pointed at a server when there is one.
"""

from __future__ import annotations

import json
import re
import secrets
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.process import ServerProcess, free_port

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"
_FIRE_SECONDS = 45.0


def shortened(rules: str, thresholds: Mapping[str, str]) -> str:
    """The rules with their spans in seconds, and with other thresholds where a game day can't wait for the real one."""
    rules = re.sub(r"\[(\d+[mhd])\]", "[2s]", rules)
    rules = re.sub(r"offset \d+[mhd]", "offset 5s", rules)
    rules = re.sub(r"(\bfor:) \d+[smhd]", r"\1 400ms", rules)
    for real, quick in thresholds.items():
        assert real in rules, f"no rule says {real!r}"
        rules = rules.replace(real, quick)
    return rules


class _Relay(ThreadingHTTPServer):
    """Passes scrapes on to a server, once there is one."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Scrape)
        self.url = ""
        self.asked = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def handle_error(self, request: object, client_address: object) -> None:
        """A scrape that was given up is no news."""


class _Scrape(BaseHTTPRequestHandler):
    server: _Relay

    def do_GET(self) -> None:
        self.server.asked.set()
        wanted = urllib.request.Request(self.server.url + self.path, headers={"Accept": self.headers["Accept"]})
        try:
            with urllib.request.urlopen(wanted, timeout=5) as answer:
                text, kind = answer.read(), answer.headers["Content-Type"]
        except (OSError, ValueError):
            self.close_connection = True
            return
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *told: object) -> None:
        """Not told: Prometheus has its own log."""


class Prometheus:
    """A running Prometheus; asks it which alerts fire."""

    def __init__(self, program: str, folder: Path, thresholds: Mapping[str, str]) -> None:
        self._relay = _Relay()
        folder.mkdir()
        (folder / "alerts.yml").write_text(shortened(RULES.read_text("utf-8"), thresholds))
        (folder / "prometheus.yml").write_text(
            "global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}\n"
            "rule_files: [alerts.yml]\n"
            "scrape_configs:\n"
            "  - job_name: pylon\n"
            "    static_configs:\n"
            f"      - targets: ['127.0.0.1:{self._relay.server_port}']\n"
        )
        port = free_port()
        self._url = f"http://127.0.0.1:{port}"
        command = [
            program,
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        self._relay.shutdown()
        self._relay.server_close()

    def watch(self, server: ServerProcess) -> None:
        """Scrape this server from now on; wait for the first time."""
        assert self._relay.asked.wait(_FIRE_SECONDS), "Prometheus never scraped"
        self._relay.url = server.url
        until = time.monotonic() + _FIRE_SECONDS
        while not self._is_up() or "PylonDown" in self.firing():
            assert time.monotonic() < until, "Prometheus never scraped the server"
            time.sleep(0.05)

    def _is_up(self) -> bool:
        return bool(self._get('/api/v1/query?query=up{job="pylon"}==1')["data"]["result"])

    def firing(self) -> dict[str, list[dict[str, str]]]:
        """The labels of the alerts that fire, by name."""
        found: dict[str, list[dict[str, str]]] = {}
        for alert in self._get("/api/v1/alerts")["data"]["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    def wait_for(self, alert: str, **labels: str) -> None:
        """Wait until an alert fires that has these labels."""
        until = time.monotonic() + _FIRE_SECONDS
        while time.monotonic() < until:
            if any(labels.items() <= fires.items() for fires in self.firing().get(alert, ())):
                return
            time.sleep(0.05)
        pytest.fail(f"{alert} never fired; these do: {sorted(self.firing())}")

    def wait_until_quiet(self, name: str) -> None:
        """Wait until an alert no longer fires."""
        until = time.monotonic() + _FIRE_SECONDS
        while time.monotonic() < until:
            if name not in self.firing():
                return
            time.sleep(0.05)
        pytest.fail(f"{name} still fires")

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self._url + path, timeout=5) as answer:
            return json.load(answer)


_ahead: list[Prometheus] = []
"""The one for the next game day."""


@contextmanager
def started_ahead(folder: Path) -> Iterator[None]:
    """Have a Prometheus ready for each `watching` of the block."""
    try:
        _start_ahead(folder)
        yield
    finally:
        while _ahead:
            _ahead.pop().close()


def _start_ahead(folder: Path) -> None:
    if (program := shutil.which("prometheus")) is not None:
        _ahead.append(Prometheus(program, folder / secrets.token_hex(4), {}))


@contextmanager
def watching(server: ServerProcess, folder: Path, thresholds: Mapping[str, str] | None = None) -> Iterator[Prometheus]:
    """Prometheus over this server, until the block ends."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not installed")
    folder.mkdir()
    if thresholds is None and _ahead:
        prometheus = _ahead.pop()
        _start_ahead(folder)
    else:
        prometheus = Prometheus(program, folder / "own", thresholds or {})
    try:
        prometheus.watch(server)
        yield prometheus
    finally:
        prometheus.close()
