"""Game day: keep what there is before touching anything, and the evidence beside it."""

from __future__ import annotations

import json
from pathlib import Path

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.gamedays.conftest import meanwhile
from tests.gamedays.runbook import Operator


def test_a_backup_under_load_restores_to_a_server_with_the_same_rows(
    server: ServerProcess, operator: Operator, tmp_path: Path
) -> None:
    ids = [server.request("POST", "/api/entities/Note", {"title": str(n)})[1]["id"] for n in range(50)]
    with meanwhile(lambda: server.request("POST", "/api/fn/flood", {"rows": 100})):
        operator.follow("preserve", "Do")
    operator.follow("preserve", "Verify")
    restored = tmp_path / "restored"
    operator.run(f"pylon restore before-the-fix --data-dir {restored} --yes")
    with ServerProcess(server.app, restored) as fresh:
        for identifier in ids:
            assert fresh.request("GET", f"/api/entities/Note/{identifier}")[0] == 200
        assert fresh.request("GET", "/api/sync/pull?since=1")[0] == 410


def test_a_capture_holds_the_evidence_and_no_secret(server: ServerProcess, operator: Operator) -> None:
    token = server.token_of("alice")
    server.request("POST", "/api/entities/Note", {"title": "x"}, token=token)
    operator.follow("capture", "Do")
    files = [path for path in (operator.folder / "evidence").rglob("*") if path.is_file()]
    manifest = next(path for path in files if path.name == "capture.json")
    assert json.loads(manifest.read_text("utf-8"))
    names = {path.name for path in files}
    assert len(names) > 10
    for path in files:
        content = path.read_bytes()
        assert ADMIN_TOKEN.encode() not in content, path.name
        assert token.encode() not in content, path.name
