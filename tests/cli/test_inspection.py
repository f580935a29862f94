"""`pylon env`, `explain` and `doctor`."""

from __future__ import annotations

import socket
from pathlib import Path

import apsw

from pylon.cli.codes import CODES
from pylon.model.errors import REGISTRY
from pylon.settings import VARIABLES
from tests.cli.conftest import APP, Cli

TOKEN = "a-secret-token-of-this-test"


def test_env_lists_every_variable(pylon: Cli) -> None:
    code, listed = pylon.json("env")
    assert code == 0
    assert [entry["name"] for entry in listed] == [variable.name for variable in VARIABLES]


def test_env_masks_secrets(pylon: Cli) -> None:
    done = pylon("env", PYLON_ADMIN_TOKEN=TOKEN)
    assert TOKEN not in done.stdout
    assert "PYLON_ADMIN_TOKEN = [set] (value hidden)" in done.stdout
    entry = next(e for e in pylon.json("env", PYLON_ADMIN_TOKEN=TOKEN)[1] if e["name"] == "PYLON_ADMIN_TOKEN")
    assert (entry["set"], entry["value"]) == (True, "***")


def test_env_shows_what_an_env_file_sets(pylon: Cli, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PYLON_PORT=5001\nPYLON_LOG_LEVEL=debug\n")
    (tmp_path / ".env.local").write_text("export PYLON_PORT='5002' # local wins\n")
    values = {entry["name"]: entry.get("value") for entry in pylon.json("env", PYLON_LOG_LEVEL="error")[1]}
    assert (values["PYLON_PORT"], values["PYLON_LOG_LEVEL"]) == ("5002", "error")


def test_env_warns_of_unknown_names(pylon: Cli) -> None:
    assert "Did you mean PYLON_PORT?" in pylon("env", PYLON_PROT="1").stdout


def test_a_malformed_variable_is_refused_by_every_command_that_reads_it(pylon: Cli, app: Path) -> None:
    for command in ("env", "check", "start", "dev"):
        code, document = pylon.json(command, PYLON_PORT="many")
        assert (code, document[0]["code"]) == (1, "SETTINGS_INVALID"), command
        assert "PYLON_PORT" in document[0]["message"]


def test_a_broken_env_file_is_refused_by_line(pylon: Cli, app: Path) -> None:
    (app.parent / ".env").write_text("PYLON_PORT=5001\nthis is no assignment\n")
    _, document = pylon.json("check")
    assert ".env:2" in document[0]["message"]


def test_explain_knows_every_code(pylon: Cli) -> None:
    code, listed = pylon.json("explain")
    assert code == 64
    assert listed["codes"] == sorted({*REGISTRY, *CODES})


def test_explain_tells_summary_and_fix(pylon: Cli) -> None:
    code, document = pylon.json("explain", "policy_denied")
    assert code == 0
    assert document["code"] == "POLICY_DENIED"
    assert document["fix"] == REGISTRY["POLICY_DENIED"].fix
    assert pylon.json("explain", "START_NO_ENTRY")[1]["summary"] == CODES["START_NO_ENTRY"].summary


def test_explain_of_an_unknown_code_names_the_nearest(pylon: Cli) -> None:
    code, document = pylon.json("explain", "POLICY_DENED")
    assert code == 64
    assert "POLICY_DENIED" in document[0]["hint"]


def test_explain_summarises_an_app(pylon: Cli, app: Path) -> None:
    assert "entity Note: title: string" in pylon("explain", "app.py").stdout


def test_doctor_finds_nothing_wrong_with_a_good_app(pylon: Cli, app: Path) -> None:
    code, document = pylon.json("doctor", "--port", "0", PYLON_ADMIN_TOKEN=TOKEN)
    assert code == 0, document
    assert document["errors"] == 0
    assert document["passed"] >= 8
    assert not (app.parent / ".pylon").exists()


def test_doctor_without_dev_mode_speaks_of_production(pylon: Cli, app: Path) -> None:
    checks = {check["name"]: check for check in pylon.json("doctor", "--port", "0")[1]["checks"]}
    assert checks["mode"]["detail"] == "production"
    assert checks["admin token"]["status"] == "warning"


def test_doctor_names_a_taken_port(pylon: Cli, app: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        code, document = pylon.json("doctor", "--port", str(taken.getsockname()[1]))
    assert code == 1
    assert any(check["name"] == "port" and check["status"] == "error" for check in document["checks"])


def test_doctor_reports_a_broken_app_and_goes_on(pylon: Cli, app: Path) -> None:
    app.write_text("x = (")
    code, document = pylon.json("doctor", "--port", "0")
    assert code == 1
    assert {"app", "disk", "port"} <= {check["name"] for check in document["checks"]}


def test_doctor_shows_how_the_database_differs_and_which_migrations_wait(pylon: Cli, app: Path) -> None:
    def checks() -> dict[str, tuple[str, str]]:
        found = pylon.json("doctor", "--port", "0")[1]["checks"]
        return {check["name"]: (check["status"], check["detail"]) for check in found}

    assert checks()["schema"][0] == "pass"
    assert pylon.json("schema", "push")[0] == 0
    assert checks()["schema"] == ("pass", "the database is as declared")
    assert checks()["migrations"][0] == "pass"
    database = apsw.Connection(str(app.parent / ".pylon" / "pylon.db"))
    database.execute("ALTER TABLE Note ADD COLUMN by_hand TEXT")
    assert checks()["schema"] == ("pass", "the database is as declared; left over: Note.by_hand")
    database.execute("INSERT INTO Note (id, title) VALUES ('1', 'x')")
    app.write_text(APP.replace("title: str", "title: str\n    n: int = 0"))
    status, detail = checks()["schema"]
    assert (status, "added column Note.n" in detail) == ("warning", True)
    app.write_text(APP.replace("title: str", "title: str\n    n: int"))
    status, detail = checks()["schema"]
    assert (status, "needs a default" in detail) == ("error", True)
    app.write_text(APP)
    pylon.json("migrate", "create", "count", "--python")
    assert checks()["migrations"] == ("warning", "not applied: 0001_count. `pylon migrate apply`")
