"""`pylon incident` against a real server, and against its data folder while it is down."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from pylon.ops.incident.journal import FILE
from pylon.testing.process import ADMIN_TOKEN, ServerProcess
from tests.incident_kit.conftest import Operator


def one_finding(answer: tuple[int, Any]) -> tuple[int, str]:
    code, document = answer
    return code, document[0]["code"]


def test_an_incident_from_its_start_to_its_report(operator: Operator) -> None:
    started = operator.ok("start", "Writes time out", "--severity", "sev1", "--began", "20m ago")
    note = operator.ok("note", "checkout fails", "--kind", "impact", "--at", "15m ago", "--by", "ada")
    assert note["incident"] == started["id"]
    operator.ok("note", "retry with a limit", "--kind", "follow-up", "--owner", "ben", "--due", "2026-12-01")
    assert [e["text"] for e in operator.ok("status")["open"][0]["events"]] == ["checkout fails", "retry with a limit"]
    closed = operator.ok("close", "--summary", "A job wrote in a loop.")
    assert closed["closed_at"] > 0
    assert operator.ok("status")["open"] == []
    assert [each["id"] for each in operator.ok("list")["incidents"]] == [started["id"]]
    text = operator.ok("report")["markdown"]
    for line in (
        "# Post-mortem: Writes time out",
        "A job wrote in a loop.",
        "- checkout fails",
        "| retry with a limit | ben | 2026-12-01 |",
    ):
        assert line in text


def test_people_read_lines_and_not_json(operator: Operator) -> None:
    assert "started: sev2 Slow" in operator("start", "Slow").stdout
    assert "noted in" in operator("note", "looking").stdout
    status = operator("status").stdout
    assert "sev2" in status
    assert "observation: looking" in status
    assert "closed after" in operator("close").stdout


def test_a_second_incident_is_refused_unless_it_is_parallel(operator: Operator) -> None:
    operator.ok("start", "one")
    assert one_finding(operator.json("start", "two")) == (1, "INCIDENT_OPEN")
    operator.ok("start", "two", "--parallel")
    assert len(operator.ok("status")["open"]) == 2


def test_a_note_needs_an_open_incident(operator: Operator) -> None:
    assert one_finding(operator.json("note", "to whom?")) == (1, "INCIDENT_NOT_FOUND")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("note", "x", "--at", "yesterday"), (1, "INVALID_DATA")),
        (("note", "x", "--due", "soon"), (1, "INVALID_DATA")),
        (("note", "x", "--kind", "rumour"), (64, "USAGE")),
        (("start",), (64, "USAGE")),
        (("capture", "x", "--minutes", "0"), (1, "INVALID_DATA")),
    ],
)
def test_a_slip_of_the_pen_is_named(operator: Operator, words: tuple[str, ...], code: tuple[int, str]) -> None:
    assert one_finding(operator.json(*words)) == code


def test_a_wrong_token_is_told_and_nothing_is_journalled(operator: Operator) -> None:
    answer = operator.json("start", "x", PYLON_ADMIN_TOKEN="not-the-token-0123456789")
    assert one_finding(answer) == (1, "FORBIDDEN")
    assert not (operator.server.data / FILE).exists()


def test_what_operators_did_is_in_the_timeline(operator: Operator) -> None:
    operator.ok("start", "Runaway")
    server = operator.server
    _, switch = server.request(
        "POST", "/api/admin/switches", {"scope": "read-only", "reason": "runaway import"}, token=ADMIN_TOKEN
    )
    server.request("DELETE", f"/api/admin/switches/{switch['id']}", token=ADMIN_TOKEN)
    server.request("POST", "/api/admin/sessions/purge", {}, token=ADMIN_TOKEN)
    text = operator.ok("report")["markdown"]
    assert "**server started**" in text
    assert "**switch on**: read-only: runaway import" in text
    assert "**switch off**: read-only" in text
    assert "**sessions purged**" in text


def test_a_report_is_written_to_files(operator: Operator) -> None:
    operator.ok("start", "<b>bold</b>")
    operator.ok("report", "--md", "post.md", "--html", "post.html")
    assert "\\<b\\>bold" in (operator.folder / "post.md").read_text("utf-8")
    page = (operator.folder / "post.html").read_text("utf-8")
    assert "&lt;b&gt;bold&lt;/b&gt;" in page
    assert "<svg" in page


def test_notes_made_while_the_server_is_down_are_told_at_its_next_start(operator: Operator) -> None:
    started = operator.ok("start", "It dies")
    operator.server.kill()
    note = operator.ok("note", "it is gone")
    assert note["journalled"]
    assert (operator.server.data / FILE).stat().st_size > 0
    operator.server.start()
    [event] = operator.events()
    assert (event["text"], event["incident"]) == ("it is gone", started["id"])
    assert (operator.server.data / FILE).stat().st_size == 0


def test_an_incident_started_while_the_server_is_down_gets_its_notes(operator: Operator) -> None:
    operator.server.kill()
    started = operator.ok("start", "It was down", "--severity", "sev1")
    operator.ok("note", "disk full")
    operator.server.start()
    assert [event["text"] for event in operator.events(started["id"])] == ["disk full"]


def test_a_journal_elsewhere_is_told_by_the_next_command(operator: Operator, tmp_path: Path) -> None:
    operator.ok("start", "x")
    elsewhere = str(tmp_path / "laptop")
    operator.server.kill()
    operator.ok("note", "from the laptop", PYLON_DATA_DIR=elsewhere)
    operator.server.start()
    assert operator.events() == []
    operator.ok("status", PYLON_DATA_DIR=elsewhere)
    assert [event["text"] for event in operator.events()] == ["from the laptop"]
    operator.ok("status", PYLON_DATA_DIR=elsewhere)
    assert len(operator.events()) == 1


def test_a_journal_that_was_told_twice_is_kept_once(operator: Operator) -> None:
    operator.ok("start", "x")
    operator.server.kill()
    operator.ok("note", "once")
    journal = operator.server.data / FILE
    content = journal.read_bytes()
    operator.server.start()
    journal.write_bytes(content)
    operator.ok("status")
    assert len(operator.events()) == 1


def test_while_the_server_is_down_the_data_folder_is_read(operator: Operator) -> None:
    started = operator.ok("start", "It dies")
    operator.ok("note", "before")
    operator.server.kill()
    operator.ok("note", "after")
    status = operator.ok("status")
    assert [each["incident"]["id"] for each in status["open"]] == [started["id"]]
    assert len(status["journalled"]) == 1
    assert [each["id"] for each in operator.ok("list")["incidents"]] == [started["id"]]
    assert "before" in operator.ok("report")["markdown"]
    assert one_finding(operator.json("start", "again")) == (1, "INCIDENT_OPEN")
    assert one_finding(operator.json("close")) == (69, "SERVER_UNREACHABLE")


def test_reading_the_data_folder_changes_nothing_in_it(operator: Operator) -> None:
    operator.ok("start", "x")
    operator.server.kill()
    before = {f.name: f.read_bytes() for f in operator.server.data.iterdir() if f.suffix in (".db", ".db-wal")}
    operator.ok("status")
    operator.ok("report")
    operator.ok("capture", "evidence")
    assert before == {f.name: f.read_bytes() for f in operator.server.data.iterdir() if f.name in before}


def test_without_server_and_database_there_is_still_a_journal(tmp_path: Path, operator: Operator) -> None:
    operator.server.kill()
    empty = str(tmp_path / "empty")
    assert one_finding(operator.json("list", PYLON_DATA_DIR=empty)) == (69, "DATA_UNREADABLE")
    assert operator.ok("start", "x", PYLON_DATA_DIR=empty)["journalled"]


def test_every_route_asks_for_an_admin(server: ServerProcess) -> None:
    user = server.token_of("alice")
    for method, path in (
        ("GET", "/api/admin/incidents"),
        ("POST", "/api/admin/incidents"),
        ("GET", "/api/admin/incidents/open"),
        ("POST", "/api/admin/incidents/open/notes"),
        ("POST", "/api/admin/incidents/open/close"),
        ("GET", "/api/admin/incidents/open/report"),
        ("GET", "/api/admin/capture"),
    ):
        for token in (None, user):
            status, answer = server.request(method, path, {} if method == "POST" else None, token=token)
            assert (status, answer["error"]["code"]) == (403, "FORBIDDEN"), path


def test_a_repeated_request_opens_and_notes_once(server: ServerProcess) -> None:
    order = {"title": "x", "id": "mine-1"}
    assert server.request("POST", "/api/admin/incidents", order, token=ADMIN_TOKEN)[0] == 201
    assert server.request("POST", "/api/admin/incidents", order, token=ADMIN_TOKEN)[0] == 200
    note = {"text": "y", "id": "note-1"}
    assert server.request("POST", "/api/admin/incidents/open/notes", note, token=ADMIN_TOKEN)[0] == 201
    assert server.request("POST", "/api/admin/incidents/open/notes", note, token=ADMIN_TOKEN)[0] == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/admin/incidents", {"title": "x", "severity": "sev9"}),
        ("/api/admin/incidents", {"title": ""}),
        ("/api/admin/incidents", {"title": "x", "id": "../../x"}),
        ("/api/admin/incidents", {"title": "x", "at": "later"}),
        ("/api/admin/incidents", {"title": "x", "at": 1e300}),
        ("/api/admin/incidents", {"title": "x", "unknown": 1}),
        ("/api/admin/incidents/open/notes", {"text": "x", "recorded_at": "now"}),
    ],
)
def test_a_body_of_the_wrong_shape_is_refused(server: ServerProcess, path: str, body: dict[str, Any]) -> None:
    status, answer = server.request("POST", path, body, token=ADMIN_TOKEN)
    assert (status, answer["error"]["code"]) == (400, "INVALID_DATA")


def test_the_page_is_served_with_a_policy_that_loads_nothing(server: ServerProcess) -> None:
    import urllib.request

    server.request("POST", "/api/admin/incidents", {"title": "x"}, token=ADMIN_TOKEN)
    wanted = urllib.request.Request(
        f"{server.url}/api/admin/incidents/open/report?format=html", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}
    )
    with urllib.request.urlopen(wanted, timeout=5) as answer:
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    status, answer = server.request("GET", "/api/admin/incidents/open/report?format=pdf", token=ADMIN_TOKEN)
    assert (status, answer["error"]["code"]) == (400, "INVALID_QUERY")


def test_notes_survive_a_kill(operator: Operator) -> None:
    operator.ok("start", "x")
    operator.ok("note", "acknowledged")
    operator.server.kill()
    operator.server.start()
    assert [event["text"] for event in operator.events()] == ["acknowledged"]


def test_the_time_of_a_journalled_note_is_that_of_its_writing(operator: Operator) -> None:
    operator.ok("start", "x")
    operator.server.kill()
    before = time.time()
    operator.ok("note", "written now")
    written = time.time()
    operator.server.start()
    [event] = operator.events()
    assert before <= event["at"] <= written
    assert before <= event["recorded_at"] <= written
