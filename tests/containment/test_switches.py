"""Kill-switches through their real doors: API, command line, file; and what each stops."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw
import pytest

from pylon.engine.limits.flags import Flag
from pylon.engine.limits.switch import Blocks, Scope
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.model.schema import AppSpec
from pylon.testing.engine import open_engine
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.conftest import ADMINISTRATOR, ALICE

Pylon = Callable[..., tuple[int, Any]]


def switch_on(server: ServerProcess, scope: str, target: str = "", **more: Any) -> str:
    status, answer = server.request(
        "POST", "/api/admin/switches", {"scope": scope, "target": target, **more}, token=ADMIN_TOKEN
    )
    assert status == 201, answer
    return str(answer["id"])


def switch_off(server: ServerProcess, identifier: str) -> None:
    status, answer = server.request("DELETE", f"/api/admin/switches/{identifier}", token=ADMIN_TOKEN)
    assert status == 200, answer


def eventually(condition: Callable[[], bool], seconds: float = 1.0) -> float:
    """Wait until it holds; how long it took. Fails when it takes longer."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - began


def code_of(answer: Any) -> str:
    return str(answer["error"]["code"])


def test_maintenance_answers_503_at_every_door_but_health_and_admin(server: ServerProcess) -> None:
    user = server.token_of("alice")
    switch_on(server, "server", reason="policy hole", retry_after=7)
    for method, path, body in (
        ("GET", "/api/entities/Note", None),
        ("POST", "/api/entities/Note", {"title": "x"}),
        ("GET", "/api/sync/pull?since=0", None),
        ("POST", "/api/sync/push", {"changes": []}),
        ("POST", "/api/fn/notes", {}),
        ("GET", "/api/auth/me", None),
        ("POST", "/api/auth/guest", None),
        ("GET", "/api/sync/events", None),
        ("GET", "/", None),
    ):
        status, answer = server.request(method, path, body, token=user)
        assert (status, code_of(answer)) == (503, "MAINTENANCE"), (path, status, answer)
        assert "policy hole" in answer["error"]["message"]
    for path in ("/health", "/readyz", "/metrics"):
        assert server.request("GET", path)[0] == 200
    assert server.request("GET", "/api/entities/Note", token=ADMIN_TOKEN)[0] == 200


def test_maintenance_says_when_to_come_back(server: ServerProcess) -> None:
    switch_on(server, "server", retry_after=7)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{server.url}/api/entities/Note")
    assert refused.value.headers["Retry-After"] == "7"
    refused.value.close()


def test_a_browser_is_shown_a_page_that_escapes_the_reason(server: ServerProcess) -> None:
    switch_on(server, "server", reason="<script>alert(1)</script>")
    status, page = server.request("GET", "/", headers={"Accept": "text/html"})
    assert status == 503
    assert "&lt;script&gt;" in page
    assert "<script>" not in page


def test_a_switch_survives_kill_9(server: ServerProcess) -> None:
    switch_on(server, "read-only", reason="disk")
    server.kill()
    server.start()
    status, answer = server.request("POST", "/api/entities/Note", {"title": "x"})
    assert (status, code_of(answer)) == (503, "MAINTENANCE")


def test_read_only_lets_reads_pass_and_admins_write(server: ServerProcess) -> None:
    switch_on(server, "read-only")
    assert server.request("GET", "/api/entities/Note")[0] == 200
    assert server.request("POST", "/api/fn/notes", {})[0] == 200
    assert server.request("POST", "/api/fn/note", {"title": "x"})[0] == 503
    assert server.request("POST", "/api/entities/Note", {"title": "x"}, token=ADMIN_TOKEN)[0] == 201


def test_an_entity_switch_hides_it_at_every_door_and_leaves_the_others(server: ServerProcess) -> None:
    _, made = server.request("POST", "/api/entities/Note", {"title": "secret"})
    row = f"/api/entities/Note/{made['id']}"
    switch_on(server, "entity", "Note")
    for method, path, body in (
        ("GET", "/api/entities/Note", None),
        ("GET", "/api/entities/Note?page=1", None),
        ("GET", row, None),
        ("GET", "/api/entities/Note/cursor", None),
        ("GET", "/api/lookup/Note/title/secret", None),
        ("POST", "/api/query/Note", {}),
        ("POST", "/api/query", {"Note": {}}),
        ("GET", "/api/entities/Note/count", None),
        ("POST", "/api/aggregate/Note", {"count": "*"}),
        ("PATCH", row, {"title": "y"}),
        ("DELETE", row, None),
        ("POST", "/api/entities/Note", {"title": "z"}),
        ("POST", "/api/fn/notes", {}),
        ("POST", "/api/fn/note", {"title": "z"}),
    ):
        status, answer = server.request(method, path, body)
        assert (status, code_of(answer)) == (503, "MAINTENANCE"), (path, status, answer)
    _, pulled = server.request("GET", "/api/sync/pull?since=0")
    assert pulled["changes"] == []
    assert server.request("GET", "/api/entities/Person")[0] == 200


def test_lifting_an_entity_switch_makes_replicas_resync_instead_of_keeping_a_gap(server: ServerProcess) -> None:
    server.request("POST", "/api/entities/Person", {"name": "before"}, token=ADMIN_TOKEN)
    _, first = server.request("GET", "/api/sync/pull?since=0")
    identifier = switch_on(server, "entity", "Note")
    server.request("POST", "/api/entities/Note", {"title": "hidden"}, token=ADMIN_TOKEN)
    server.request("POST", "/api/entities/Person", {"name": "shown"}, token=ADMIN_TOKEN)
    _, meanwhile = server.request("GET", f"/api/sync/pull?since={first['cursor']['last_seq']}")
    assert [change["data"]["name"] for change in meanwhile["changes"]] == ["shown"]
    switch_off(server, identifier)
    cursor = meanwhile["cursor"]["last_seq"]
    status, answer = server.request("GET", f"/api/sync/pull?since={cursor}")
    assert (status, code_of(answer)) == (410, "RESYNC_REQUIRED")
    _, whole = server.request("GET", "/api/sync/pull?since=0")
    assert [change["entity"] for change in whole["changes"]] == ["Note", "Person", "Person"]
    status, _ = server.request("GET", f"/api/sync/pull?since={whole['cursor']['last_seq']}")
    assert status == 200


def test_the_audit_log_says_who_turned_a_switch_off_also_one_that_hid_rows(server: ServerProcess) -> None:
    for scope, target in (("entity", "Note"), ("function", "note")):
        switch_off(server, switch_on(server, scope, target))
    _, found = server.request("GET", "/api/admin/audit?action=switch.off", token=ADMIN_TOKEN)
    assert {(entry["target"], entry["user"], entry["ip"]) for entry in map(shown, found["entries"])} == {
        ("entity:Note", "__admin__", "127.0.0.1"),
        ("function:note", "__admin__", "127.0.0.1"),
    }


def shown(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "target": entry["details"]["target"]}


def test_a_function_switch_stops_that_function_alone(server: ServerProcess) -> None:
    switch_on(server, "function", "note")
    assert server.request("POST", "/api/fn/note", {"title": "x"})[0] == 503
    assert server.request("POST", "/api/fn/notes", {})[0] == 200


def test_a_blocked_user_is_refused_and_a_throttled_one_only_writes_less(server: ServerProcess) -> None:
    mallory, trent = server.token_of("mallory"), server.token_of("trent")
    switch_on(server, "user", "mallory")
    switch_on(server, "user", "trent", blocks="writes")
    status, answer = server.request("GET", "/api/entities/Note", token=mallory)
    assert (status, code_of(answer)) == (403, "BLOCKED")
    assert server.request("GET", "/api/entities/Note", token=trent)[0] == 200
    status, answer = server.request("POST", "/api/entities/Note", {"title": "x"}, token=trent)
    assert (status, code_of(answer)) == (429, "RATE_LIMITED")
    assert server.request("POST", "/api/entities/Note", {"title": "x"})[0] == 201


async def test_those_whose_writes_are_suspended_together_are_told_different_times(
    notes: AppSpec, tmp_path: Path
) -> None:
    async with open_engine(notes, tmp_path) as engine:
        await engine.switches.turn_on(
            ADMINISTRATOR, Scope.USER, "alice", blocks=Blocks.WRITES, retry_after=100, reason="too much"
        )
        told = set()
        for _ in range(20):
            with pytest.raises(PylonError) as refused:
                await engine.insert(ALICE, "Note", b'{"title":"x"}')
            assert refused.value.headers is not None
            told.add(int(refused.value.headers["Retry-After"]))
        assert len(told) > 1
        assert all(100 <= seconds <= 150 for seconds in told)


def test_an_address_is_blocked_by_network(server: ServerProcess) -> None:
    switch_on(server, "ip", "127.0.0.0/8")
    assert server.request("GET", "/api/entities/Note")[0] == 403
    assert server.request("GET", "/health")[0] == 200


def test_a_way_of_signing_in_is_switched_off(server: ServerProcess) -> None:
    switch_on(server, "auth", "guest")
    assert server.request("POST", "/api/auth/guest")[0] == 503
    assert server.request("POST", "/api/auth/anonymous")[0] == 503


def test_uploads_and_sync_are_switched_off(server: ServerProcess) -> None:
    switch_on(server, "uploads")
    switch_on(server, "sync")
    assert server.request("POST", "/api/files/x", b"x")[0] == 503
    assert server.request("GET", "/api/sync/pull?since=0")[0] == 503
    assert server.request("GET", "/api/entities/Note")[0] == 200


def test_a_switch_expires_by_itself(server: ServerProcess) -> None:
    switch_on(server, "read-only", expires_in=0.5)
    assert server.request("POST", "/api/entities/Note", {"title": "x"})[0] == 503
    eventually(lambda: server.request("POST", "/api/entities/Note", {"title": "x"})[0] == 201, 2.0)
    _, answer = server.request("GET", "/api/admin/audit?action=switch.off", token=ADMIN_TOKEN)
    assert answer["entries"][0]["details"]["why"] == "expired"


def test_the_file_in_the_data_folder_works_within_a_second_and_wins_when_it_is_wrong(server: ServerProcess) -> None:
    file = server.data / "maintenance"
    file.write_text("{broken json")
    eventually(lambda: server.request("GET", "/api/entities/Note")[0] == 503)
    file.unlink()
    eventually(lambda: server.request("GET", "/api/entities/Note")[0] == 200)
    file.write_text('[{"scope": "read-only"}, {"scope": "entity", "target": "Person"}]')
    eventually(lambda: server.request("GET", "/api/entities/Person")[0] == 503)
    assert server.request("GET", "/api/entities/Note")[0] == 200
    assert server.request("POST", "/api/entities/Note", {"title": "x"})[0] == 503


def test_what_the_file_turns_on_and_off_is_recorded_once(server: ServerProcess) -> None:
    file = server.data / "maintenance"
    file.write_text('{"scope": "read-only", "reason": "moving disks"}')
    eventually(lambda: server.request("POST", "/api/entities/Note", {"title": "x"})[0] == 503)
    switch_off(server, switch_on(server, "function", "note"))
    file.unlink()
    eventually(lambda: server.request("POST", "/api/entities/Note", {"title": "x"})[0] == 201)

    def recorded() -> list[tuple[str, str | None]]:
        _, found = server.request("GET", "/api/admin/audit?kind=operator&limit=100", token=ADMIN_TOKEN)
        mine = [entry for entry in found["entries"] if entry["details"].get("by") == "file"]
        return [(entry["action"], entry["details"].get("reason")) for entry in mine]

    eventually(lambda: len(recorded()) == 2)
    assert recorded() == [("switch.off", "moving disks"), ("switch.on", "moving disks")]


def test_a_switch_that_another_process_stored_works_within_a_second(server: ServerProcess) -> None:
    stored = {"id": "sw_other", "scope": "entity", "target": "Note", "reason": "turned on elsewhere", "created_at": 1.0}
    with contextlib.closing(apsw.Connection(str(server.data / "pylon.db"))) as database:
        database.set_busy_timeout(5000)
        database.execute(
            "INSERT INTO _pylon_records (kind, key, record, at) VALUES ('switch', 'sw_other', ?, 1)",
            (json.dumps(stored).encode(),),
        )
        eventually(lambda: server.request("GET", "/api/entities/Note")[0] == 503)
        database.execute("DELETE FROM _pylon_records WHERE key = 'sw_other'")
        eventually(lambda: server.request("GET", "/api/entities/Note")[0] == 200)


def test_the_api_can_not_lift_what_the_file_says(server: ServerProcess) -> None:
    (server.data / "maintenance").touch()
    eventually(lambda: server.request("GET", "/api/entities/Note")[0] == 503)
    status, answer = server.request("DELETE", "/api/admin/switches/file_0", token=ADMIN_TOKEN)
    assert (status, code_of(answer)) == (409, "CONFLICT")


def test_only_admins_see_or_change_switches(server: ServerProcess) -> None:
    user = server.token_of("alice")
    for token in (None, user):
        assert server.request("GET", "/api/admin/switches", token=token)[0] == 403
        assert server.request("POST", "/api/admin/switches", {"scope": "server"}, token=token)[0] == 403
        assert server.request("DELETE", "/api/admin/switches/x", token=token)[0] == 403


def test_a_wrong_order_is_refused_in_words(server: ServerProcess) -> None:
    for order, code in (
        ({"scope": "everything"}, "INVALID_DATA"),
        ({"scope": "entity"}, "INVALID_DATA"),
        ({"scope": "entity", "target": "Nope"}, "ENTITY_NOT_FOUND"),
        ({"scope": "function", "target": "nope"}, "FN_NOT_FOUND"),
        ({"scope": "ip", "target": "not an address"}, "INVALID_DATA"),
        ({"scope": "server", "expires_in": -1}, "INVALID_DATA"),
        ({"scope": "server", "surprise": 1}, "INVALID_DATA"),
    ):
        status, answer = server.request("POST", "/api/admin/switches", order, token=ADMIN_TOKEN)
        assert status in (400, 404)
        assert code_of(answer) == code


def test_the_command_line_turns_maintenance_on_and_off(server: ServerProcess, pylon: Pylon) -> None:
    code, switch = pylon("maintenance", "on", "--reason", "drill", "--for", "30m")
    assert (code, switch["scope"]) == (0, "server")
    assert server.request("GET", "/api/entities/Note")[0] == 503
    code, status = pylon("maintenance", "status")
    assert (code, status["on"]) == (0, True)
    assert pylon("maintenance", "off")[0] == 0
    assert server.request("GET", "/api/entities/Note")[0] == 200


def test_the_command_line_works_without_the_api(server: ServerProcess, pylon: Pylon) -> None:
    server.kill()
    assert pylon("maintenance", "on")[0] == 69
    assert pylon("maintenance", "on", "--offline", "--reason", "breach")[0] == 0
    server.start()
    assert server.request("GET", "/api/entities/Note")[0] == 503
    assert pylon("maintenance", "off")[0] == 0
    eventually(lambda: server.request("GET", "/api/entities/Note")[0] == 200)


def test_the_command_line_switches_parts_off(server: ServerProcess, pylon: Pylon) -> None:
    assert pylon("switch", "on", "entity", "Note", "--reason", "hole")[0] == 0
    code, listed = pylon("switch", "list")
    assert (code, [s["target"] for s in listed["switches"]]) == (0, ["Note"])
    assert pylon("switch", "off", "entity", "Note")[0] == 0
    assert pylon("switch", "off", "entity", "Note")[0] == 1
    assert server.request("GET", "/api/entities/Note")[0] == 200


def test_a_wrong_token_is_told_so(pylon: Pylon) -> None:
    code, report = pylon("switch", "list", token="not-the-admin-token-0")
    assert code == 1
    assert report[0]["code"] == "FORBIDDEN"
    assert "PYLON_ADMIN_TOKEN" in report[0]["hint"]


def test_each_switch_is_recorded_with_who_and_why(server: ServerProcess) -> None:
    identifier = switch_on(server, "user", "mallory", reason="spam")
    switch_off(server, identifier)
    _, answer = server.request("GET", "/api/admin/audit?kind=operator", token=ADMIN_TOKEN)
    off, on = [entry for entry in answer["entries"] if entry["action"].startswith("switch.")]
    assert (on["action"], on["details"]["target"], on["details"]["reason"]) == ("switch.on", "user:mallory", "spam")
    assert off["action"] == "switch.off"
    assert on["actor_is_admin"]
    assert on["ip"] == "127.0.0.1"
    assert on["request_id"]


def test_flags_are_for_everybody_some_or_a_share(server: ServerProcess, pylon: Pylon) -> None:
    def asked(user: str) -> bool:
        return bool(server.request("POST", "/api/fn/has_editor", {"user": user})[1])

    assert not asked("alice")
    assert pylon("flag", "set", "new-editor", "--user", "alice", "--percentage", "50")[0] == 0
    assert asked("alice")
    share = sum(asked(f"user-{n}") for n in range(200))
    assert 60 < share < 140
    before = {f"user-{n}" for n in range(50) if asked(f"user-{n}")}
    assert pylon("flag", "set", "new-editor", "--percentage", "80")[0] == 0
    assert all(asked(user) for user in before), "a growing share takes nobody's feature away"
    assert pylon("flag", "set", "new-editor", "--on")[0] == 0
    assert asked("anyone")
    assert pylon("flag", "delete", "new-editor")[0] == 0
    assert not asked("alice")


async def test_a_flag_is_on_for_roles_and_tenants_that_it_names(notes: AppSpec, tmp_path: Path) -> None:
    async with open_engine(notes, tmp_path) as engine:
        await engine.flags.put(ADMINISTRATOR, Flag(name="beta", roles=("tester",), tenants=("acme",)))

        def asked(**who: Any) -> bool:
            return engine.flags.is_on("beta", Identity(**who))

        assert asked(user_id="a", roles=("editor", "tester"))
        assert asked(user_id="a", tenant_id="acme")
        assert not asked(user_id="a", roles=("editor",), tenant_id="other")
        assert not asked()
