"""Game day: stop everything, or all writes, and start again."""

from __future__ import annotations

from pathlib import Path

from pylon.testing.process import ServerProcess
from tests.containment.test_switches import eventually
from tests.gamedays.prometheus import watching
from tests.gamedays.runbook import Operator


def test_maintenance_by_the_runbook(server: ServerProcess, operator: Operator, tmp_path: Path) -> None:
    alice = server.token_of("alice")
    with watching(server, tmp_path / "prometheus") as prometheus:
        operator.follow("", "Before anything else")
        assert '"on":' not in operator.follow("maintenance", "Do")
        eventually(lambda: server.request("GET", "/api/entities/Note", token=alice)[0] == 503)
        assert "on:" in operator.follow("maintenance", "Verify")
        prometheus.wait_for("PylonMaintenanceLong")
        operator.follow("maintenance", "Undo")
        eventually(lambda: server.request("POST", "/api/entities/Note", {"title": "x"}, token=alice)[0] == 201)
        prometheus.wait_until_quiet("PylonMaintenanceLong")
    operator.follow("after-it-is-over", "")
    report = (operator.folder / "post-mortem.md").read_text("utf-8")
    for told in ("what users see", "switch on", "switch off", "what it was", "ada", "2026-12-01"):
        assert told in report, told
    assert "<html" in (operator.folder / "post-mortem.html").read_text("utf-8")
