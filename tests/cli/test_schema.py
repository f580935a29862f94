"""`pylon schema`: what differs, made the same, and what is recorded of it."""

from __future__ import annotations

from pathlib import Path

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

from .conftest import APP, SECOND_ENTITY, Cli

RENAMED = APP.replace("    title: str\n", '    headline: str = field(renamed_from="title")\n').replace(
    "import App, Entity", "import App, Entity, field"
)


def test_a_change_is_told_made_and_recorded(pylon: Cli, app: Path) -> None:
    assert pylon.json("schema", "push")[0] == 0
    app.write_text(APP + SECOND_ENTITY)
    code, plan = pylon.json("schema", "diff")
    assert code == 0
    assert [step["sentence"] for step in plan["steps"]] == ["created table Extra"]
    assert plan["plan"]["operations"][0]["op"] == "create_entity"
    code, done = pylon.json("schema", "push")
    assert (code, done["code"], done["applied"], done["backup"]) == (0, "PUSH_APPLIED", True, None)
    assert pylon.json("schema", "diff")[1]["steps"] == []
    _, tables = pylon.json("schema", "inspect")
    assert [table["name"] for table in tables["tables"]] == ["Extra", "Note"]
    _, history = pylon.json("schema", "history")
    assert [entry["operation_count"] for entry in history] == [1, 1]
    assert all(entry["is_sound"] for entry in history)


def test_two_apps_are_compared_without_a_database(pylon: Cli, app: Path) -> None:
    (app.parent / "next.py").write_text(RENAMED)
    code, plan = pylon.json("schema", "diff", "app.py", "next.py")
    assert code == 0
    assert [step["sentence"] for step in plan["steps"]] == ["renamed column Note.title to headline"]


def test_a_drop_needs_consent_and_leaves_a_verified_backup(pylon: Cli, app: Path) -> None:
    app.write_text(APP + SECOND_ENTITY)
    with ServerProcess(app, app.parent / ".pylon") as server:
        status, _ = server.request("POST", "/api/entities/Extra", {"title": "kept"}, token=ADMIN_TOKEN)
        assert status == 201
        assert pylon.json("schema", "push")[1]["code"] == "PUSH_PREPARED"
        refused, problem = pylon.json("schema", "push", "--drop", "--yes")
        assert (refused, problem[0]["code"]) == (1, "DATA_DIR_LOCKED")
    app.write_text(APP)
    assert pylon.json("schema", "diff")[1]["leftovers"] == ["Extra"]
    [told] = [check for check in pylon.json("doctor", "--port", "0")[1]["checks"] if check["name"] == "schema"]
    assert told["detail"].endswith("left over: Extra")
    code, problem = pylon.json("schema", "push", "--drop")
    assert (code, problem[0]["code"]) == (1, "PUSH_BLOCKED")
    code, done = pylon.json("schema", "push", "--drop", "--yes")
    assert code == 0
    assert [table["name"] for table in pylon.json("schema", "inspect")[1]["tables"]] == ["Note"]
    assert pylon.json("backup", "verify", done["backup"])[1]["rows"]["Extra"] == 1


def test_what_the_rows_do_not_allow_keeps_the_server_from_starting_and_says_what_to_do(pylon: Cli, app: Path) -> None:
    with ServerProcess(app, app.parent / ".pylon") as server:
        server.request("POST", "/api/entities/Note", {"title": "x"}, token=ADMIN_TOKEN)
    app.write_text(APP.replace("title: str", "title: int", 1))
    assert pylon.json("schema", "diff")[0] == 1
    code, problem = pylon.json("start", PYLON_ADMIN_TOKEN=ADMIN_TOKEN, PYLON_PORT="0")
    assert (code, problem[0]["code"]) == (1, "SCHEMA_REFUSED")
    assert "pylon migrate create" in problem[0]["hint"]
