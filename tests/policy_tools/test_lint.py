"""Each finding is found where it is, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from pylon.loading import find_entry, load
from pylon.model.schema import AppSpec
from pylon.policy.lint import FINDINGS, lint

HEAD = """
from pylon import App, Entity, Id, field, index

app = App("linted")


class Member(Entity, crdt=False):
    team: str
    user: str

    class Policy:
        read = "auth.isAdmin"


class Team(Entity, crdt=False):
    name: str

    class Policy:
        read = "auth.isAdmin"

"""

CASES = {
    "PYL001": (
        "author: str",
        "read = 'true'",
        "author: str = field(index=True)",
        "read = 'auth.userId == data.author'",
    ),
    "PYL003": (
        "author: str",
        "update = 'auth.userId == new.author'",
        "author: str",
        "update = 'auth.userId == data.author && auth.userId == new.author'",
    ),
    "PYL004": (
        "team: str",
        "read = 'exists(Member where team == data.team and user == auth.userId)'",
        "team: str",
        "read = 'exists(Team where id == data.team)'",
    ),
    "PYL005": (
        "n: int",
        "read = 'data.n > 1 && data.n > 1'",
        "n: int",
        "read = 'data.n > 1 && data.n > 2'",
    ),
    "PYL006": (
        "status: str | None = None",
        """read = "data.status != 'draft'" """,
        "status: str | None = None",
        """read = "data.status == 'live'" """,
    ),
    "PYL007": (
        "author: str",
        "read = 'auth.userId == data.author'",
        "author: str = field(index=True)",
        "read = 'auth.userId == data.author'",
    ),
    "PYL008": (
        "author: str",
        "update = 'auth.userId == data.author'",
        "author: str",
        "update = 'auth.userId == data.author && data.author == new.author'",
    ),
}


def spec_of(folder: Path, fields: str, policy: str | None) -> AppSpec:
    body = f"class Note(Entity, crdt=False):\n    {fields}\n"
    if policy is not None:
        body += f"\n    class Policy:\n        {policy}\n"
    (folder / "app.py").write_text(HEAD + body)
    return load(find_entry(None, folder))


def found(spec: AppSpec, *ignore: str) -> set[str]:
    return {finding.code for finding in lint(spec, frozenset(ignore)) if finding.entity == "Note"}


@pytest.mark.parametrize("code", CASES)
def test_a_finding_is_found_and_its_mend_ends_it(code: str, tmp_path: Path) -> None:
    fields, policy, mended_fields, mended_policy = CASES[code]
    spec = spec_of(tmp_path, fields, policy)
    assert code in found(spec)
    assert code not in found(spec, code)
    assert code not in found(spec, f"{code}:Note")
    assert code in found(spec, f"{code}:Other")
    (tmp_path / "mended").mkdir()
    assert code not in found(spec_of(tmp_path / "mended", mended_fields, mended_policy))


def test_a_board_that_all_read_and_owners_write_is_meant(tmp_path: Path) -> None:
    written = "        insert = update = delete = 'auth.userId == data.author'"
    meant = "author: str = field(readonly=True)"
    cases = {
        (meant, written): set(),
        (meant, f"{written}\n        delete = 'true'"): {"PYL001"},
        (f"{meant}\n    email: str", written): {"PYL001"},
    }
    for number, ((fields, policy), expected) in enumerate(cases.items()):
        (tmp_path / str(number)).mkdir()
        assert found(spec_of(tmp_path / str(number), fields, f"read = 'true'\n{policy}")) == expected


def test_an_entity_without_a_policy_is_named(tmp_path: Path) -> None:
    assert found(spec_of(tmp_path, "title: str", None)) == {"PYL002"}


def test_an_opposite_is_told_as_always_true(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, "n: int", "read = 'data.n > 1 || !(data.n > 1)'")
    assert any("always true" in finding.message for finding in lint(spec))


def test_every_finding_is_tried_here() -> None:
    assert {*CASES, "PYL002"} == set(FINDINGS)


def test_every_finding_is_explained_in_the_guide() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "guide" / "policies.md").read_text("utf-8")
    for code in FINDINGS:
        assert f"#### {code}\n" in guide
