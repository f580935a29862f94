"""`pylon policy`: expressions, cases, findings and explanations from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

APP = """
from pylon import App, Entity, Id, field

app = App("policies")


class Note(Entity, crdt=False):
    title: str
    author: Id["User"] = field(owner=True, index=True)
    team: str | None = None

    class Policy:
        read = "auth.userId == data.author || exists(Member where team == data.team and user == auth.userId)"
        insert = update = delete = "auth.userId == data.author"


class Member(Entity, crdt=False):
    team: str = field(index=True)
    user: str

    class Policy:
        read = "auth.isAdmin"


class User(Entity, crdt=False):
    name: str

    class Policy:
        read = "true"
"""

CASES = """
[[case]]
name = "a stranger reads nothing"
as = { user = "ben" }
read = "Note"
row = { title = "x", author = "ada" }
expect = "deny"

[[case]]
name = "a member of its team reads it"
as = { user = "ben" }
read = "Note"
row = { title = "x", author = "ada", team = "red" }
rows = { Member = [{ team = "red", user = "ben" }] }
expect = "allow"

[[case]]
as = "anonymous"
insert = "Note"
row = { title = "x" }
expect = "deny"

[[case]]
as = "admin"
delete = "Note"
row = { title = "x", author = "ada" }
expect = "allow"
"""


def pylon(folder: Path, *words: str, url: str = "") -> tuple[int, Any]:
    env = {**os.environ, "PYLON_ADMIN_TOKEN": ADMIN_TOKEN} | ({"PYLON_URL": url} if url else {})
    command = [sys.executable, "-m", "pylon", "policy", *words, "--json"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "policies.test.toml").write_text(CASES)
    return tmp_path


def test_an_expression_is_tried_on_a_row(tmp_path: Path) -> None:
    words = ("test", "auth.userId == data.author", "--row", '{"author":"ada"}')
    code, [answer] = pylon(tmp_path, *words, "--auth", "userId=ada,roles=a|b")
    assert (code, answer["result"], answer["auth"]["roles"]) == (0, "allow", ["a", "b"])
    code, [answer] = pylon(tmp_path, *words)
    assert (code, answer["result"]) == (1, "deny")
    assert "auth.userId is null" in answer["reason"]
    assert pylon(tmp_path, "test", "auth.nobody == 1")[0] == 1
    assert pylon(tmp_path, *words, "--auth", "shoe=1")[0] == 64
    assert pylon(tmp_path, "test", "true", "--row", "[1]")[0] == 64


def test_the_cases_beside_the_app_are_tried(folder: Path) -> None:
    code, [answer] = pylon(folder, "test")
    assert (code, answer["code"], len(answer["outcomes"])) == (0, "POLICY_CASES_OK", 4)
    (folder / "policies.test.toml").write_text(CASES.replace('expect = "deny"', 'expect = "allow"', 1))
    code, [failures, answer] = pylon(folder, "test")
    assert (code, answer["code"]) == (1, "POLICY_CASE_FAILED")
    assert failures[0]["message"].startswith("a stranger reads nothing: denied, because")
    (folder / "policies.test.toml").write_text('[[case]]\nread = "Nope"\nexpect = "deny"')
    assert pylon(folder, "test")[1][0][0]["code"] == "POLICY_CASES_INVALID"


def test_findings_end_with_a_failure_and_can_be_ignored(folder: Path) -> None:
    assert pylon(folder, "lint")[0] == 0
    (folder / "app.py").write_text(APP.replace("(owner=True, index=True)", "(owner=True)"))
    code, [answer] = pylon(folder, "lint")
    assert (code, [f["code"] for f in answer["findings"]]) == (0, [])
    (folder / "app.py").write_text(APP.replace("team: str = field(index=True)", "team: str"))
    code, [answer] = pylon(folder, "lint")
    assert (code, [f["code"] for f in answer["findings"]]) == (1, ["PYL004"])
    assert pylon(folder, "lint", "--ignore", "PYL004")[0] == 0


def test_a_running_server_explains_its_decision_about_a_stored_row(folder: Path) -> None:
    with ServerProcess(folder / "app.py", folder / "data") as server:
        token = server.token_of("ada")
        note = server.request("POST", "/api/entities/Note", {"title": "x", "team": "red"}, token=token)[1]["id"]
        code, [verdict] = pylon(folder, "explain", "Note", "--as", "ben", "--row", note, url=server.url)
        assert (code, verdict["allowed"]) == (1, False)
        member = {"team": "red", "user": "ben"}
        server.request("POST", "/api/entities/Member", member, token=ADMIN_TOKEN)
        code, [verdict] = pylon(folder, "explain", "Note", "--as", "ben", "--row", note, url=server.url)
        assert (code, verdict["allowed"]) == (0, True)
        assert "exists(Member" in verdict["reason"]
        data = '{"title":"x","author":"cyd"}'
        words = ("explain", "Note", "--as", "cyd", "--data", data, "--action", "update", "--new", '{"title":"y"}')
        assert pylon(folder, *words, url=server.url)[0] == 0


def test_coverage_names_the_rules_that_no_test_asks(folder: Path) -> None:
    (folder / "test_it.py").write_text(
        """
from app import Note, app


def test_it():
    with app.test() as t:
        note = t.as_user("ada").insert(Note, title="x")
        t.as_user("ada").get(Note, note)
        try:
            t.as_user("ben").delete(Note, note)
        except Exception:
            pass
"""
    )
    code, [answer] = pylon(folder, "coverage", "--", "-p", "no:cacheprovider")
    rules = {(rule["entity"], rule["action"]): rule for rule in answer["rules"]}
    assert code == 0
    assert (rules["Note", "insert"]["allowed"], rules["Note", "insert"]["denied"]) == (1, 0)
    assert rules["Note", "delete"]["denied"] == 1
    assert rules["Note", "read"]["asked"] >= 1
    assert rules["Note", "update"]["asked"] == 0
    assert pylon(folder, "coverage", "--min", "90")[0] == 1


def test_coverage_of_an_app_without_tests_says_so(folder: Path) -> None:
    code, answers = pylon(folder, "coverage", "--", "-p", "no:cacheprovider")
    assert (code, answers[-1][0]["code"]) == (1, "TESTS_NONE")
