"""Game day: the admin token is in the wrong hands."""

from __future__ import annotations

import re
from pathlib import Path

from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.gamedays.conftest import meanwhile
from tests.gamedays.prometheus import watching
from tests.gamedays.runbook import Operator


def test_the_leaked_token_opens_nothing_any_more(server: ServerProcess, operator: Operator, tmp_path: Path) -> None:
    alice = server.token_of("alice")
    operator.follow("token-leak", "Look")
    told = operator.follow("token-leak", "Do")
    fresh = re.search(r"pylon_admin_[0-9a-f]{64}", told)
    assert fresh is not None, told
    assert server.request("GET", "/api/admin/switches", token=ADMIN_TOKEN)[0] == 403
    assert server.request("GET", "/api/auth/sessions", token=alice)[0] == 401
    operator.token = fresh[0]
    operator.follow("token-leak", "Verify")
    with watching(server, tmp_path / "prometheus") as prometheus:
        with meanwhile(lambda: server.request("GET", "/api/admin/switches", token=ADMIN_TOKEN)):
            prometheus.wait_for("PylonAdminRefused")
        prometheus.wait_until_quiet("PylonAdminRefused")
    operator.run('pylon incident close --summary "token rotated"')
    operator.run("pylon incident report --md post-mortem.md")
    assert "admin token rotated" in (operator.folder / "post-mortem.md").read_text("utf-8")
