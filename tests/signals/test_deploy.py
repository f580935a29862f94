"""What is shipped for Prometheus and Grafana: valid, tested, and about series that a real server has."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pylon.testing.process import ADMIN_TOKEN, ServerProcess, free_port

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "pylon.json"
RUNBOOK = ROOT / "docs" / "ops" / "INCIDENT.md"

ANCHORS = {
    "server-down",
    "maintenance",
    "runaway-writes",
    "wal-growth",
    "long-reader",
    "disk-full",
    "fan-out-storm",
    "slow-consumers",
    "reconnect-storm",
    "policy-bypass",
    "token-leak",
    "backup-failing",
    "budget",
    "overload",
    "background-work",
    "mail",
    "webhooks",
    "lost-key",
}

_NAME = re.compile(r"\bpylon_[a-z0-9_]+")
_PARTS = re.compile(r"_(?:bucket|sum|count)\Z")

needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
needs_prometheus = pytest.mark.skipif(shutil.which("prometheus") is None, reason="Prometheus is not installed")

APP = """
from pylon import App, Entity
from pylon.plugins.webhooks import Webhooks

app = App("deploy", plugins=[Webhooks()])


class Item(Entity, crdt=False):
    title: str

    class Policy:
        allow = "true"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("deploy")
    (folder / "app.py").write_text(APP)
    env = {"PYLON_DEV_MODE": "0", "PYLON_METRICS_TOKEN": "metrics-token-0123456789"}
    with ServerProcess(folder / "app.py", folder / "data", env=env) as process:
        process.request("POST", "/api/entities/Item", {"title": "x"})
        yield process


def exposed(server: ServerProcess) -> set[str]:
    """Every name that /metrics declares."""
    request = urllib.request.Request(server.url + "/metrics", headers={"Accept": "text/plain"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return set(re.findall(r"^# TYPE (\S+) ", answer.read().decode(), re.MULTILINE))


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return loaded


def dashboard_expressions() -> list[str]:
    """Every query of the dashboard, with its variables filled in as Grafana would."""
    board = dashboard()
    written = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    written += [query["expr"] for query in board["annotations"]["list"] if "expr" in query]
    return [re.sub(r"\$(job|instance)", ".*", text.replace("$__rate_interval", "1m")) for text in written]


def promtool(*words: str, folder: Path) -> None:
    done = subprocess.run(["promtool", *words], cwd=folder, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_the_rules_are_valid() -> None:
    promtool("check", "rules", "alerts.yml", folder=PROMETHEUS)


@needs_promtool
def test_the_configuration_is_valid(tmp_path: Path) -> None:
    for name in ("prometheus.yml", "alerts.yml"):
        shutil.copy(PROMETHEUS / name, tmp_path)
    (tmp_path / "pylon-metrics-token").write_text("metrics-token-0123456789")
    promtool("check", "config", "prometheus.yml", folder=tmp_path)


@needs_promtool
def test_the_alerts_fire_when_they_should_and_only_then() -> None:
    promtool("test", "rules", "alerts_test.yml", folder=PROMETHEUS)


@needs_promtool
def test_the_exposition_is_what_prometheus_wants(server: ServerProcess) -> None:
    request = urllib.request.Request(server.url + "/metrics", headers={"Accept": "text/plain"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        text = answer.read()
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, timeout=30, check=False)
    complaints = [line for line in (done.stdout + done.stderr).decode().splitlines() if line]
    # The specification names this one (07 §15.2); clients read it.
    kept = 'pylon_http_requests_by_method counter metrics should have "_total" suffix'
    assert complaints == [kept]


def test_every_alert_has_a_test_and_says_what_to_do() -> None:
    tests = (PROMETHEUS / "alerts_test.yml").read_text()
    for rule in alerts():
        assert f'"{rule["alert"]}"' in tests or f"alertname: {rule['alert']}" in tests, f"{rule['alert']} has no test"
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}


def test_every_scenario_of_the_playbook_has_an_alert_that_leads_to_it() -> None:
    named = {rule["annotations"]["runbook_url"] for rule in alerts()}
    assert named == {f"docs/ops/INCIDENT.md#{anchor}" for anchor in ANCHORS}


@pytest.mark.skipif(not RUNBOOK.exists(), reason="the playbook is not written yet")
def test_every_runbook_link_leads_to_a_heading() -> None:
    headings = re.findall(r"^#+ (.*)$", RUNBOOK.read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
    anchors |= set(re.findall(r'(?:name|id)="([\w-]+)"', RUNBOOK.read_text()))
    assert anchors >= ANCHORS, ANCHORS - anchors


def test_every_series_that_is_asked_for_exists(server: ServerProcess) -> None:
    known = exposed(server)
    for text in [*(rule["expr"] for rule in alerts()), *dashboard_expressions()]:
        for name in _NAME.findall(text):
            assert name in known or _PARTS.sub("", name) in known, f"{name} in {text}"


def test_the_dashboard_holds_together() -> None:
    board = dashboard()
    identifiers = [panel["id"] for panel in board["panels"]]
    assert len(identifiers) == len(set(identifiers))
    assert [panel["title"] for panel in board["panels"] if panel["type"] == "row"] == [
        "Overview",
        "HTTP",
        "Writes and write-ahead log",
        "Readers",
        "Fan-out and sockets",
        "Top talkers",
        "Audit, policies, budgets",
        "Background work, mail, webhooks",
        "Process and garbage collector",
    ]
    assert "datasource" in {variable["name"] for variable in board["templating"]["list"]}
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"], panel["title"]
            assert all(target["expr"] for target in panel["targets"])
            references = [target["refId"] for target in panel["targets"]]
            assert len(references) == len(set(references))


def test_no_two_panels_overlap() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in taken, f"{panel['title']} covers {taken[x, y]}"
                taken[x, y] = panel["title"]


@needs_promtool
def test_every_query_of_the_dashboard_parses(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(dashboard_expressions())]
    (tmp_path / "panels.yml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", "panels.yml", folder=tmp_path)


@pytest.fixture(scope="module")
def prometheus(server: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Prometheus with the shipped files, pointed at the server; the address of its API."""
    folder = tmp_path_factory.mktemp("prometheus")
    config = (PROMETHEUS / "prometheus.yml").read_text()
    config = config.replace("127.0.0.1:4321", f"127.0.0.1:{server.port}")
    config = re.sub(r"(scrape|evaluation)_interval: 15s", r"\1_interval: 1s", config)
    config = config.replace("scrape_timeout: 10s", "scrape_timeout: 1s")
    (folder / "prometheus.yml").write_text(config)
    shutil.copy(PROMETHEUS / "alerts.yml", folder)
    (folder / "pylon-metrics-token").write_text("metrics-token-0123456789")
    port = free_port()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                "prometheus",
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    try:
        yield f"http://127.0.0.1:{port}/api/v1"
    finally:
        process.terminate()
        process.wait(20)


def ask(api: str, expression: str) -> list[dict[str, Any]]:
    address = f"{api}/query?{urllib.parse.urlencode({'query': expression})}"
    with urllib.request.urlopen(address, timeout=10) as answer:
        found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
    return found


@needs_prometheus
def test_a_real_prometheus_scrapes_a_real_server_and_answers_every_panel(
    prometheus: str, server: ServerProcess
) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        try:
            if ask(prometheus, 'count_over_time(up{job="pylon"}[1m]) >= 3 and up == 1'):
                break
        except OSError:
            pass
        server.request("POST", "/api/entities/Item", {"title": "x"}, token=ADMIN_TOKEN)
        time.sleep(0.1)
    else:
        pytest.fail("Prometheus did not scrape the server")
    empty = [text for text in dashboard_expressions() if not _allowed_empty(text) and not ask(prometheus, text)]
    assert not empty
    firing = ask(prometheus, 'ALERTS{alertstate="firing"}')
    assert not firing


def _allowed_empty(text: str) -> bool:
    """Queries of what a healthy server has none of, or that need a backup, a budget, mail or a webhook."""
    return (
        "ALERTS" in text
        or "pylon_budget_used_ratio" in text
        or "pylon_backup_" in text
        or "pylon_archive_" in text
        or "changes(" in text
        or '"5xx"' in text
        or '"4xx"' in text
        or "pylon_policy_denials_total" in text
        or "pylon_top_writes_per_second" in text
        or "pylon_mail_" in text
        or "pylon_webhook_" in text
        or "pylon_budget_used_ratio" in text
    )
