"""The log of a running server: read and turned up over HTTP and from the command line, each line with its request."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

APP = """
import logging

from pylon import App, Context, Entity

app = App("logs")
log = logging.getLogger("shop")


class Item(Entity, crdt=False):
    title: str

    class Policy:
        allow = "true"


@app.mutation(auth="public")
def buy(ctx: Context) -> str:
    log.info("bought")
    return ctx.db.insert(Item, title="x").id


@app.query(auth="public")
def look(ctx: Context) -> int:
    log.warning("looked")
    return ctx.db.count(Item)


@app.action(auth="public")
async def fail(ctx: Context) -> int:
    raise RuntimeError("broken on purpose")
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("logs")
    (folder / "app.py").write_text(APP)
    env = {"PYLON_DEV_MODE": "0", "PYLON_LOG_FORMAT": "json"}
    with ServerProcess(folder / "app.py", folder / "data", env=env) as process:
        yield process


def lines(server: ServerProcess, query: str = "") -> list[dict[str, Any]]:
    status, told = server.request("GET", f"/api/admin/logs{query}", token=ADMIN_TOKEN)
    assert status == 200
    return told["lines"]  # type: ignore[no-any-return]


def pylon(server: ServerProcess, *words: str, token: str = ADMIN_TOKEN) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("PYLON_")}
    environ |= {"PYLON_ADMIN_TOKEN": token}
    command = [sys.executable, "-m", "pylon", *words, "--url", server.url]
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=30, check=False)


def test_recent_lines_are_told_with_level_and_time(server: ServerProcess) -> None:
    server.request("GET", "/api/entities/Item", headers={"X-Request-Id": "recent-1"})
    found = [line for line in lines(server) if "recent-1" in line["text"]]
    assert len(found) == 1
    assert found[0]["level"] == "info"
    assert found[0]["at"].endswith("Z")
    assert json.loads(found[0]["text"])["fields"]["message"] == "GET /api/entities/Item 200"


def test_lines_below_the_asked_level_are_left_out(server: ServerProcess) -> None:
    server.request("POST", "/api/fn/look", {})
    assert {line["level"] for line in lines(server, "?level=warning&minutes=5")} == {"warning"}


@pytest.mark.parametrize(("function", "message"), [("buy", "bought"), ("look", "looked"), ("fail", "function failed")])
def test_every_line_of_a_request_carries_its_id(server: ServerProcess, function: str, message: str) -> None:
    server.request("POST", f"/api/fn/{function}", {}, headers={"X-Request-Id": f"call-{function}"})
    told = [json.loads(line["text"])["fields"] for line in lines(server)]
    mine = [fields["message"] for fields in told if fields.get("request_id") == f"call-{function}"]
    assert mine[0] == message
    assert mine[-1].startswith(f"POST /api/fn/{function} ")


def test_the_level_is_changed_while_the_server_runs(server: ServerProcess) -> None:
    status, told = server.request("PUT", "/api/admin/log-level", {"level": "error"}, token=ADMIN_TOKEN)
    assert (status, told) == (200, {"level": "error", "before": "info"})
    server.request("GET", "/api/entities/Item", headers={"X-Request-Id": "quiet-1"})
    server.request("POST", "/api/fn/look", {}, headers={"X-Request-Id": "quiet-2"})
    assert server.request("GET", "/api/admin/log-level", token=ADMIN_TOKEN)[1] == {"level": "error"}
    server.request("PUT", "/api/admin/log-level", {"level": "info"}, token=ADMIN_TOKEN)
    assert not [line for line in lines(server) if "quiet-" in line["text"]]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/api/admin/logs?minutes=0", None, 400),
        ("GET", "/api/admin/logs?minutes=nan", None, 400),
        ("GET", "/api/admin/logs?level=loud", None, 400),
        ("PUT", "/api/admin/log-level", {"level": "loud"}, 400),
        ("PUT", "/api/admin/log-level", {"level": 5}, 400),
        ("PUT", "/api/admin/log-level", b"{", 400),
    ],
)
def test_what_makes_no_sense_is_refused(server: ServerProcess, method: str, path: str, body: Any, status: int) -> None:
    assert server.request(method, path, body, token=ADMIN_TOKEN)[0] == status


@pytest.mark.parametrize("path", ["/api/admin/logs", "/api/admin/log-level"])
def test_only_admins_may(server: ServerProcess, path: str) -> None:
    assert server.request("GET", path)[0] == 403
    assert server.request("PUT", "/api/admin/log-level", {"level": "debug"})[0] == 403


def test_the_command_line_shows_lines_and_changes_the_level(server: ServerProcess) -> None:
    server.request("GET", "/api/entities/Item", headers={"X-Request-Id": "cli-1"})
    shown = pylon(server, "logs", "--minutes", "5", "--level", "info")
    assert shown.returncode == 0
    assert "cli-1" in shown.stdout
    document = json.loads(pylon(server, "logs", "--json").stdout)
    assert any("cli-1" in line["text"] for line in document["lines"])
    assert pylon(server, "log-level", "debug").stdout.strip() == "debug (was info)"
    assert pylon(server, "log-level").stdout.strip() == "debug"
    assert json.loads(pylon(server, "log-level", "info", "--json").stdout)["level"] == "info"
    assert pylon(server, "log-level", token="wrong-token-0123456789").returncode != 0
