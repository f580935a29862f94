"""The policies that the guide shows can be started with and do what it says."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from pylon import App
from pylon.model.identity import ANONYMOUS, Identity
from pylon.model.rows import compile_rows
from pylon.model.schema import Action, AppSpec
from pylon.policy.rules import compile_app_policies
from pylon.policy.sql import SqliteDialect
from tests.policy.table import NOW

GUIDE = (Path(__file__).parents[2] / "docs/guide/policies.md").read_text("utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
U1, U2 = Identity(user_id="u1"), Identity(user_id="u2")


def declared(block: str) -> AppSpec:
    module = types.ModuleType("guide_to_policies")
    sys.modules[module.__name__] = module
    try:
        exec(block, vars(module))
        return next(value for value in vars(module).values() if isinstance(value, App)).spec()
    finally:
        del sys.modules[module.__name__]


SPECS = {spec.name: spec for spec in map(declared, BLOCKS)}


def allows(app: str, entity: str, action: Action, identity: Identity, row: dict[str, Any], **changes: Any) -> bool:
    spec = SPECS[app]
    declaration = spec.entity(entity)
    assert declaration is not None
    types_ = compile_rows(declaration)
    before, after = types_.convert_insert(row), types_.convert_insert(row | changes)
    return compile_app_policies(spec)[entity].rule(action).allows(identity, before, after, now=NOW)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_every_policy_of_the_guide_compiles_to_both_forms(spec: AppSpec) -> None:
    for policy in compile_app_policies(spec).values():
        for action in Action:
            rule = policy.rule(action)
            if not rule.reads_new:
                assert rule.sql(SqliteDialect()).text


def test_only_a_dispatcher_hands_a_ticket_over() -> None:
    ticket = {"title": "x", "assignee": "u1"}
    assert allows("tickets", "Ticket", Action.UPDATE, U1, ticket, title="y")
    assert not allows("tickets", "Ticket", Action.UPDATE, U1, ticket, assignee="u2")
    assert not allows("tickets", "Ticket", Action.UPDATE, U2, ticket, assignee="u2")
    dispatcher = Identity(user_id="u1", roles=("dispatcher",))
    assert allows("tickets", "Ticket", Action.UPDATE, dispatcher, ticket, assignee="u2")


def test_readers_of_a_document_read_and_its_owner_writes() -> None:
    document = {"title": "x", "owner": "u1", "readers": ["u2"]}
    assert allows("documents", "Document", Action.READ, U2, document)
    assert not allows("documents", "Document", Action.UPDATE, U2, document)
    assert not allows("documents", "Document", Action.READ, ANONYMOUS, document)


def test_guests_can_not_post_in_the_forum() -> None:
    assert allows("forum", "Post", Action.INSERT, U1, {"text": "x"})
    assert not allows("forum", "Post", Action.INSERT, Identity(user_id="guest_1", is_guest=True), {"text": "x"})


def test_a_comment_can_be_changed_for_a_quarter_of_an_hour() -> None:
    fresh = {"text": "x", "author": "u1", "created": "2026-11-22T23:50:00.000Z"}
    assert allows("comments", "Comment", Action.UPDATE, U1, fresh)
    assert not allows("comments", "Comment", Action.UPDATE, U1, fresh | {"created": "2026-11-22T23:40:00.000Z"})
