"""Game day: a policy lets strangers read invoices; contain it, find out who read which, and open again."""

from __future__ import annotations

from pathlib import Path

from pylon.testing.process import ServerProcess
from tests.gamedays.conftest import meanwhile
from tests.gamedays.prometheus import watching
from tests.gamedays.runbook import Operator


def test_who_saw_which_rows_is_answered_and_replicas_start_over(
    server: ServerProcess, operator: Operator, tmp_path: Path
) -> None:
    mallory, bob = server.token_of("mallory"), server.token_of("bob")
    seen = [server.request("POST", "/api/entities/Invoice", {"text": t}, token=mallory)[1]["id"] for t in "abc"]
    server.request("GET", "/api/entities/Invoice", token=mallory)
    _, replica = server.request("GET", "/api/sync/pull?since=0", token=mallory)
    with watching(server, tmp_path / "prometheus") as prometheus:
        with meanwhile(lambda: server.request("PATCH", f"/api/entities/Invoice/{seen[0]}", {"text": "x"}, token=bob)):
            prometheus.wait_for("PylonPolicyDenialsSpike")
        operator.follow("policy-bypass", "Contain")
        assert server.request("GET", "/api/entities/Invoice", token=mallory)[0] == 503
        assert server.request("POST", "/api/fn/invoices", {}, token=mallory)[0] == 503
        assert server.request("GET", "/api/entities/Note", token=mallory)[0] == 200
    operator.follow("policy-bypass", "Preserve and capture")
    found = operator.follow("policy-bypass", "Look")
    assert "mallory from 127.0.0.1 saw 3 rows of Invoice" in found
    assert all(identifier in found for identifier in seen)
    assert "bob" not in found
    assert "whole:" in operator.follow("policy-bypass", "Verify")
    operator.follow("policy-bypass", "Undo")
    cursor = replica["cursor"]["last_seq"]
    assert server.request("GET", f"/api/sync/pull?since={cursor}", token=mallory)[0] == 410
    assert server.request("GET", "/api/entities/Invoice", token=mallory)[0] == 200
