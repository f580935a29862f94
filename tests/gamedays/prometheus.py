"""A real Prometheus with the rules of deploy/, its clock sped up: every span in them is shortened to seconds, every
threshold stays as it is, but for those that a game day names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.process import ServerProcess, free_port

RULES = Path(__file__).parents[2] / "deploy" / "prometheus" / "alerts.yml"
_FIRE_SECONDS = 45.0


def shortened(rules: str, thresholds: Mapping[str, str]) -> str:
    """The rules with their spans in seconds, and with other thresholds where a game day can't wait for the real one."""
    rules = re.sub(r"\[(\d+[mhd])\]", "[8s]", rules)
    rules = re.sub(r"offset \d+[mhd]", "offset 20s", rules)
    rules = re.sub(r"(\bfor:) \d+[smhd]", r"\1 1s", rules)
    for real, quick in thresholds.items():
        assert real in rules, f"no rule says {real!r}"
        rules = rules.replace(real, quick)
    return rules


class Prometheus:
    """Asks a running Prometheus which alerts fire."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    def firing(self) -> dict[str, dict[str, Any]]:
        """The alerts that fire, by name."""
        alerts = self._get("/api/v1/alerts")["data"]["alerts"]
        return {alert["labels"]["alertname"]: alert for alert in alerts if alert["state"] == "firing"}

    def wait_for(self, name: str) -> dict[str, Any]:
        """Wait until an alert fires."""
        until = time.monotonic() + _FIRE_SECONDS
        while time.monotonic() < until:
            if (alert := self.firing().get(name)) is not None:
                return alert
            time.sleep(0.2)
        pytest.fail(f"{name} never fired; these do: {sorted(self.firing())}")

    def wait_until_quiet(self, name: str) -> None:
        """Wait until an alert no longer fires."""
        until = time.monotonic() + _FIRE_SECONDS
        while time.monotonic() < until:
            if name not in self.firing():
                return
            time.sleep(0.2)
        pytest.fail(f"{name} still fires")

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self._url + path, timeout=5) as answer:
            return json.load(answer)

    def wait_until_scraping(self) -> None:
        """Wait for the first scrape of the server."""
        until = time.monotonic() + _FIRE_SECONDS
        while time.monotonic() < until:
            try:
                found = self._get('/api/v1/query?query=up{job="pylon"}==1')["data"]["result"]
            except OSError:
                found = []
            if found:
                return
            time.sleep(0.1)
        pytest.fail("Prometheus never scraped the server")


@contextmanager
def watching(server: ServerProcess, folder: Path, thresholds: Mapping[str, str] | None = None) -> Iterator[Prometheus]:
    """Prometheus over this server, until the block ends."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("Prometheus is not installed")
    folder.mkdir()
    (folder / "alerts.yml").write_text(shortened(RULES.read_text("utf-8"), thresholds or {}))
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        "rule_files: [alerts.yml]\n"
        "scrape_configs:\n"
        "  - job_name: pylon\n"
        "    static_configs:\n"
        f"      - targets: ['127.0.0.1:{server.port}']\n"
    )
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder / 'prometheus.yml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            prometheus = Prometheus(port)
            prometheus.wait_until_scraping()
            yield prometheus
        finally:
            process.kill()
            process.wait()
