"""`pylon incident token-leak` and `emergency` with scripted answers against a real server."""

from __future__ import annotations

import json
import re
from typing import Any

from pylon.cli.incident.leak_steps import STEPS
from pylon.cli.incident.playbook import remaining
from pylon.testing.process import ADMIN_TOKEN
from tests.incident_kit.conftest import Operator

NEW_TOKEN = re.compile(r"pylon_admin_[0-9a-f]{64}")
NO_BACKUP = {"backup"}


def outcomes(operator: Operator) -> dict[str, str]:
    return {event["step"]: event["outcome"] for event in operator.events() if event["step"]}


def is_accepted(operator: Operator, token: str) -> bool:
    return operator.server.request("GET", "/api/admin/tokens", token=token)[0] == 200


def signed_in(operator: Operator, token: str) -> bool:
    return operator.server.request("GET", "/api/auth/me", token=token)[1]["user_id"] is not None


def test_yes_to_everything_leaves_one_token_and_no_session(operator: Operator) -> None:
    session = operator.server.token_of("alice")
    _, other = operator.server.request("POST", "/api/admin/tokens", {"label": "ci"}, token=ADMIN_TOKEN)
    done = operator("token-leak", "--yes", "--into", "evidence")
    [fresh] = set(NEW_TOKEN.findall(done.stdout))
    assert done.stdout.count(fresh) == 1
    assert is_accepted(operator, fresh)
    assert not is_accepted(operator, ADMIN_TOKEN)
    assert not is_accepted(operator, other["token"])
    assert not signed_in(operator, session)
    operator.token = fresh
    found = outcomes(operator)
    assert {name for name, outcome in found.items() if outcome == "done"} >= {s.name for s in STEPS} - NO_BACKUP
    follow_ups = [event for event in operator.events() if event["kind"] == "follow-up"]
    assert any("OAuth" in event["text"] for event in follow_ups)
    names = {file.name.split("-")[0] for file in (operator.folder / "evidence").iterdir()}
    assert names == {"pylon", "admin"}


def test_the_new_token_is_noted_nowhere(operator: Operator) -> None:
    done = operator("token-leak", "--yes")
    [fresh] = set(NEW_TOKEN.findall(done.stdout))
    operator.token = fresh
    assert fresh not in json.dumps(operator.events())
    assert fresh not in operator.server.log()
    for file in (path for path in operator.server.data.rglob("*") if path.is_file()):
        assert fresh.encode() not in file.read_bytes()


def test_no_is_the_default_and_does_nothing(operator: Operator) -> None:
    session = operator.server.token_of("alice")
    answers = "y\n" + "\n" * (len(STEPS) - 1)
    done = operator("token-leak", answers=answers)
    assert done.returncode == 0, done.stderr
    assert is_accepted(operator, ADMIN_TOKEN)
    assert signed_in(operator, session)
    found = outcomes(operator)
    assert found.pop("start") == "done"
    assert set(found.values()) == {"declined"}
    assert list(operator.folder.iterdir()) == []


def test_each_step_says_what_it_will_do_before_it_asks(operator: Operator) -> None:
    operator.server.request("POST", "/api/admin/tokens", {"label": "ci-robot"}, token=ADMIN_TOKEN)
    done = operator("token-leak", answers="y\n" + "n\n" * (len(STEPS) - 1))
    assert done.stderr.count("[y/N]") == len(STEPS)
    for step in STEPS:
        assert step.title in done.stdout
    assert "ci-robot" in done.stdout


def test_an_interrupted_run_goes_on_where_it_stopped(operator: Operator) -> None:
    session = operator.server.token_of("alice")
    first = operator("token-leak", answers="y\nn\nn\ny\n")  # start, no capture, no backup, rotate; then nobody answers
    assert first.returncode == 130
    [fresh] = set(NEW_TOKEN.findall(first.stdout))
    assert "<the new token>" in first.stderr
    assert is_accepted(operator, ADMIN_TOKEN)
    operator.token = f"{fresh},{ADMIN_TOKEN}"
    second = operator("token-leak", answers="y\n" * (len(STEPS) - 4))
    assert second.returncode == 0, second.stderr
    assert "going on with: Revoke all other admin tokens" in second.stdout
    assert not NEW_TOKEN.search(second.stdout)
    assert not is_accepted(operator, ADMIN_TOKEN)
    assert not signed_in(operator, session)
    assert "1 old tokens are refused" in second.stdout
    operator.token = fresh
    found = outcomes(operator)
    assert (found["capture"], found["verify"]) == ("declined", "done")


def test_a_run_with_the_old_token_first_finds_the_new_one(operator: Operator) -> None:
    first = operator("token-leak", "--yes")
    [fresh] = set(NEW_TOKEN.findall(first.stdout))
    operator.token = f"{ADMIN_TOKEN},{fresh}"
    again = operator("token-leak", answers="n\n" * len(STEPS))
    assert again.returncode == 0, again.stderr
    assert "an earlier run got this far" in again.stdout


def test_a_run_with_the_old_token_alone_says_what_is_missing(operator: Operator) -> None:
    operator("token-leak", "--yes")
    code, findings = operator.json("token-leak", "--yes")
    assert (code, findings[0]["code"]) == (1, "FORBIDDEN")
    assert "the new token" in findings[0]["hint"]


def test_what_was_declined_is_asked_again_once_all_was_reached(operator: Operator) -> None:
    operator("token-leak", answers="y\n" + "n\n" * (len(STEPS) - 1))
    second = operator("token-leak", answers="y\n" + "n\n" * (len(STEPS) - 1))
    assert "going on with: Capture signals" in second.stdout
    assert outcomes(operator)["capture"] == "done"


def test_restart_begins_again(operator: Operator) -> None:
    operator("token-leak", answers="y\n" + "n\n" * (len(STEPS) - 1))
    again = operator("token-leak", "--restart", answers="n\n" * len(STEPS))
    assert "earlier run" not in again.stdout
    assert again.stderr.count("[y/N]") == len(STEPS) - 1  # an incident is open already


def test_a_step_that_fails_is_noted_and_stops_no_other(operator: Operator) -> None:
    (operator.folder / "evidence").write_text("this is a file")
    done = operator("token-leak", "--yes", "--into", "evidence")
    [fresh] = set(NEW_TOKEN.findall(done.stdout))
    assert done.returncode == 1
    operator.token = fresh
    found = outcomes(operator)
    assert (found["capture"], found["audit"], found["verify"]) == ("failed", "failed", "done")


def test_verify_fails_while_an_old_token_works(operator: Operator) -> None:
    done = operator("token-leak", answers="y\nn\nn\ny\n" + "n\n" * 5 + "y\nn\n")
    assert done.returncode == 1
    assert "still accepted" in done.stderr
    assert outcomes(operator)["verify"] == "failed"


def test_sessions_are_purged_by_filter(operator: Operator) -> None:
    alice, bob = operator.server.token_of("alice"), operator.server.token_of("bob")
    operator("token-leak", "--user", "alice", answers="y\nn\nn\nn\nn\ny\nn\nn\nn\n")
    assert not signed_in(operator, alice)
    assert signed_in(operator, bob)


def test_what_admins_did_since_is_listed(operator: Operator) -> None:
    operator.server.request("POST", "/api/entities/Note", {"title": "by the thief"}, token=ADMIN_TOKEN)
    operator.server.request("POST", "/api/entities/Note", {"title": "by a user"}, token=operator.server.token_of("u"))
    done = operator("token-leak", "--since", "1h", answers="y\n" + "n\n" * 7 + "y\nn\nn\n")
    assert "did insert Note: 1" in done.stdout
    assert "a token of this environment" in done.stdout
    [file] = operator.folder.glob("admin-actions-*.jsonl")
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    assert all(entry["actor_is_admin"] for entry in entries)
    assert file.stat().st_mode & 0o777 == 0o600


def test_json_tells_the_token_and_the_outcomes(operator: Operator) -> None:
    done = operator("token-leak", "--yes", "--json")
    documents: list[Any] = [json.loads(line) for line in done.stdout.splitlines()]
    [told] = [d for d in documents if isinstance(d, dict) and "token" in d]
    assert NEW_TOKEN.fullmatch(told["token"])
    assert documents[-1]["steps"]["rotate-token"] == "done"
    assert documents[-1]["incident"]


def test_the_emergency_contains_rotates_and_purges_after_one_question(operator: Operator) -> None:
    session = operator.server.token_of("alice")
    done = operator("emergency", answers="y\n")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr.count("[y/N]") == 1
    [fresh] = set(NEW_TOKEN.findall(done.stdout))
    assert not is_accepted(operator, ADMIN_TOKEN)
    assert is_accepted(operator, fresh)
    assert operator.server.request("GET", "/api/auth/me", token=session)[0] == 503
    assert operator.server.request("GET", "/api/entities/Note")[0] == 503


def test_the_emergency_does_nothing_without_a_yes(operator: Operator) -> None:
    assert operator("emergency", answers="\n").returncode == 0
    assert operator("emergency").returncode == 130
    assert is_accepted(operator, ADMIN_TOKEN)


def test_the_emergency_is_noted_in_an_open_incident(operator: Operator) -> None:
    operator.ok("start", "Break-in")
    done = operator("emergency", "--yes")
    [operator.token] = set(NEW_TOKEN.findall(done.stdout))
    assert [event["text"].startswith("emergency: ") for event in operator.events()] == [True]


def test_steps_left_are_those_that_failed_or_were_never_reached() -> None:
    names = [step.name for step in STEPS]
    done = dict.fromkeys(names[:3], "done") | {names[3]: "failed"}
    assert [step.name for step in remaining(STEPS, done)] == names[3:]
    assert remaining(STEPS, dict.fromkeys(names, "done")) == []
