"""Explanations name the part that decided, agree with the rule, and are for operators alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon import App, Entity, Id, field
from pylon.model.identity import ANONYMOUS, Identity
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind
from pylon.policy.cases import try_expression
from pylon.policy.explain import Part
from pylon.policy.nodes import Literal, Not
from pylon.policy.rules import compile_scope
from pylon.policy.text import write

ADA = Identity(user_id="ada", roles=("editor",))
ROW = {"author": "ada", "status": "draft", "n": 3}

app = App("explained")


class Note(Entity, crdt=False):
    title: str
    author: Id[User] = field(owner=True)
    status: str = "draft"

    class Policy:
        read = "data.status == 'live' || auth.userId == data.author"
        insert = update = delete = "auth.userId == data.author"


class User(Entity, crdt=False):
    name: str


@pytest.mark.parametrize(
    ("text", "identity", "reason"),
    [
        (
            "auth.userId == data.author",
            ANONYMOUS,
            'auth.userId == data.author does not hold: auth.userId is null, data.author is "ada"',
        ),
        ("data.status == 'live' || auth.userId == data.author", ADA, "auth.userId == data.author holds"),
        ("auth.userId == data.author && data.n > 5", ADA, "data.n > 5 does not hold: data.n is 3"),
        ("!(data.status == 'draft')", ADA, "data.status == 'draft' holds"),
        ("auth.hasRole('admin')", ADA, "auth.hasRole('admin') does not hold"),
        ("data.n / 0 > 1", ADA, "can't be evaluated, which denies"),
    ],
)
def test_the_reason_is_the_innermost_part_that_decided(text: str, identity: Identity, reason: str) -> None:
    assert reason in try_expression(text, identity, ROW).reason


def test_what_was_not_asked_is_marked() -> None:
    verdict = try_expression("auth.userId == data.author || data.n > 5", ADA, ROW)
    assert verdict.allowed
    assert verdict.rule is not None
    first, second = verdict.rule.parts
    assert (first.decided, second.skipped) == (True, True)


names = st.sampled_from(["auth.userId == data.author", "data.n > 2", "data.status == 'live'", "auth.hasRole('editor')"])
expressions = st.recursive(
    names,
    lambda inner: st.one_of(
        st.builds("({} && {})".format, inner, inner),
        st.builds("({} || {})".format, inner, inner),
        st.builds("!({})".format, inner),
    ),
    max_leaves=8,
)


@given(
    expressions,
    st.sampled_from([ANONYMOUS, ADA, Identity(user_id="ben")]),
    st.fixed_dictionaries(
        {"author": st.sampled_from(["ada", "ben"]), "status": st.sampled_from(["live", "x"]), "n": st.integers(0, 4)}
    ),
)
def test_an_explanation_agrees_with_the_rule_and_reads_back_as_it(
    text: str, identity: Identity, row: dict[str, Any]
) -> None:
    verdict = try_expression(text, identity, row)
    assert verdict.rule is not None
    assert verdict.rule.value is verdict.allowed
    assert try_expression(verdict.rule.text, identity, row).allowed is verdict.allowed
    _sound(verdict.rule)


def _sound(part: Part) -> None:
    """No part that was skipped or did not decide is blamed, and some part always is."""
    if part.parts and not part.skipped and part.decided and (" && " in part.text or " || " in part.text):
        assert any(inner.decided for inner in part.parts)
    for inner in part.parts:
        if not inner.skipped:
            _sound(inner)


@given(expressions)
def test_an_expression_is_written_as_it_is_read(text: str) -> None:
    entity = EntitySpec(
        name="Row",
        fields=tuple(
            Field(name=name, kind=kind, optional=True)
            for name, kind in (("author", Kind.STRING), ("status", Kind.STRING), ("n", Kind.INT))
        ),
    )
    spec = AppSpec(name="x", entities=(entity,))
    first = compile_scope(spec, entity, text).expression
    if isinstance(first, Literal | Not) and isinstance(getattr(first, "operand", first), Literal):
        return
    assert compile_scope(spec, entity, write(first)).expression == first


def test_operators_ask_a_running_server_and_nobody_else_does() -> None:
    with app.test(now=datetime(2030, 1, 1, tzinfo=UTC)) as t:
        note = t.as_user("ada").insert(Note, title="x")
        order = {"entity": "Note", "action": "read", "as": {"user": "ben"}, "row": note}
        told = t.as_admin().request("POST", "/api/admin/policy/explain", order)
        assert told.status == 200
        assert told.json["allowed"] is False
        assert "auth.userId == data.author" in told.json["reason"]
        update = {"entity": "Note", "action": "update", "as": {"user": "ada"}, "row": note, "new": {"title": "y"}}
        assert t.as_admin().request("POST", "/api/admin/policy/explain", update).json["allowed"] is True
        for other in (t.as_user("ada"), t.anonymous(), t.as_guest()):
            refused = other.request("POST", "/api/admin/policy/explain", order)
            assert (refused.status, refused.json["error"]["code"]) == (403, "FORBIDDEN")
            assert b"author" not in refused.body
        missing = {**order, "row": "0" * 40}
        assert t.as_admin().request("POST", "/api/admin/policy/explain", missing).status == 404
