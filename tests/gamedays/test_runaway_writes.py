"""Game day: one user writes in a loop."""

from __future__ import annotations

import time
from pathlib import Path

from pylon.testing.process import ServerProcess
from tests.containment.test_switches import eventually
from tests.gamedays.conftest import APP, meanwhile, operator_of
from tests.gamedays.prometheus import watching
from tests.gamedays.runbook import Operator


def flood(server: ServerProcess, token: str) -> None:
    server.request("POST", "/api/fn/flood", {"rows": 100}, token=token)
    time.sleep(0.1)


def test_the_writer_is_named_and_stopped_and_the_others_go_on(
    server: ServerProcess, operator: Operator, tmp_path: Path
) -> None:
    mallory, alice = server.token_of("mallory"), server.token_of("alice")
    with (
        watching(server, tmp_path / "prometheus") as prometheus,
        meanwhile(lambda: flood(server, mallory)),
    ):
        prometheus.wait_for("PylonTopWriter", by="user", name="mallory")
        assert "mallory" in operator.follow("runaway-writes", "Look")
        operator.follow("runaway-writes", "Contain")
        assert server.request("POST", "/api/entities/Note", {"title": "x"}, token=mallory)[0] == 429
        assert server.request("POST", "/api/entities/Note", {"title": "x"}, token=alice)[0] == 201
        operator.follow("runaway-writes", "Verify")
        prometheus.wait_until_quiet("PylonTopWriter")
    operator.follow("runaway-writes", "Undo")
    assert server.request("POST", "/api/entities/Note", {"title": "x"}, token=mallory)[0] == 201


def test_the_server_contains_it_by_itself(tmp_path: Path) -> None:
    env = {"PYLON_CONTAIN_WRITES_PER_SEC": "300"}
    with ServerProcess(APP, tmp_path / "data", env=env) as server:
        operator = operator_of(server, tmp_path)
        mallory = server.token_of("mallory")
        with (
            watching(server, tmp_path / "prometheus") as prometheus,
            meanwhile(lambda: server.request("POST", "/api/fn/flood", {"rows": 300}, token=mallory)),
        ):
            prometheus.wait_for("PylonContainmentActive")
            assert "by containment" in operator.run("pylon switch list")
        operator.follow("runaway-writes", "Undo")
        eventually(lambda: server.request("POST", "/api/entities/Note", {"title": "x"}, token=mallory)[0] == 201)
