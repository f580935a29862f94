"""Whom fan-out must ask about a row: whoever a rule lets in is in its audience."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pylon.model.identity import ADMIN, ANONYMOUS, Identity
from pylon.model.rows import compile_rows
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind
from pylon.policy.rules import (
    Audience,
    ByIdentity,
    ByKey,
    Everyone,
    Key,
    Nobody,
    PerClass,
    Rule,
    compile_scope,
)
from tests.policy.table import NOW

DOC = EntitySpec(
    name="Doc",
    fields=(
        Field(name="owner", kind=Kind.ID, target="User", optional=True),
        Field(name="editor", kind=Kind.STRING, optional=True),
        Field(name="tenant", kind=Kind.STRING, optional=True),
        Field(name="mail", kind=Kind.STRING, optional=True),
        Field(name="role", kind=Kind.STRING, optional=True),
        Field(name="n", kind=Kind.INT, optional=True),
        Field(name="open", kind=Kind.BOOL, optional=True),
        Field(name="meta", kind=Kind.JSON, optional=True),
        Field(name="place", kind=Kind.VECTOR, dimensions=2, optional=True),
    ),
)
TYPES = compile_rows(DOC)
OWNER, EDITOR, TENANT = Key("user_id", "owner"), Key("user_id", "editor"), Key("tenant_id", "tenant")


def rule(expression: str) -> Rule:
    return compile_scope(AppSpec(name="x", entities=(DOC,)), DOC, expression)


@pytest.mark.parametrize(
    ("expression", "audience"),
    [
        ("true", Everyone()),
        ("1 == 1", Everyone()),
        ("true || auth.userId == data.owner", Everyone()),
        ("auth.userId == data.owner || true", Everyone()),
        ("!false", Everyone()),
        ("false", Nobody()),
        ("null", Nobody()),
        ("false && auth.userId == data.owner", Nobody()),
        ("auth.userId == data.owner && false", Nobody()),
        ("data.n / 0 == 1 && false", Nobody()),
        ("data.n / 0 == 1 || true", PerClass()),
        ("auth.userId != null", ByIdentity()),
        ('auth.hasRole("x") && !auth.isGuest', ByIdentity()),
        ("exists(Doc where owner == auth.userId)", ByIdentity()),
        ("exists(Doc where owner == auth.userId) || true", ByIdentity()),
        ('ago("1d") < "x"', ByIdentity()),
        ("auth.roles == data.place", ByIdentity()),
        ("auth.userId == data.owner", ByKey((OWNER,))),
        ("data.owner == auth.userId", ByKey((OWNER,))),
        ("auth.tenantId == existing.tenant", ByKey((TENANT,))),
        ("auth.email == data.mail", ByKey((Key("email", "mail"),))),
        ("data.role in auth.roles", ByKey((Key("role", "role"),))),
        ("auth.userId == data.id", ByKey((Key("user_id", "id"),))),
        ("data.open && auth.userId == data.owner", ByKey((OWNER,))),
        ("auth.tenantId == data.tenant && auth.userId == data.owner", ByKey((OWNER,))),
        ("auth.userId == data.owner || auth.userId == data.editor", ByKey((OWNER, EDITOR))),
        ("auth.userId == data.owner || auth.userId == data.owner", ByKey((OWNER,))),
        ("auth.userId == data.owner || false", ByKey((OWNER,))),
        ("auth.userId == data.owner || data.open", PerClass()),
        ('auth.userId == data.owner || auth.hasRole("x")', PerClass()),
        ("!(auth.userId == data.owner)", PerClass()),
        ("auth.userId != data.owner", PerClass()),
        ("(auth.userId == data.owner) == false", PerClass()),
        ("auth.userId == data.n", PerClass()),
        ("auth.userId == data.meta.owner", PerClass()),
        ("auth.userId in data.meta", PerClass()),
        ("exists(Doc where owner == data.owner)", PerClass()),
        ("data.open", PerClass()),
    ],
)
def test_the_audience_of_a_rule(expression: str, audience: Audience) -> None:
    assert rule(expression).audience == audience


def test_what_a_rule_reads_is_known() -> None:
    plain = rule("auth.userId == data.owner")
    assert (plain.reads_row, plain.reads_new, plain.uses_exists, plain.uses_clock) == (True, False, False, False)
    rich = rule('exists(Doc where owner == auth.userId) && data.mail > ago("1d")')
    assert (rich.reads_row, rich.uses_exists, rich.uses_clock) == (True, True, True)
    assert not rule("true || data.open").reads_row
    assert not rule("data == null").reads_row


def candidates(rule: Rule, row: Any, identity: Identity) -> bool:
    """Whether fan-out would ask this identity."""
    audience = rule.audience
    if isinstance(audience, Nobody):
        return False
    if not isinstance(audience, ByKey):
        return True
    for key in audience.keys:
        value = getattr(row, key.field)
        if value is not None and (
            value in identity.roles if key.member == "role" else getattr(identity, key.member) == value
        ):
            return True
    return False


names = st.none() | st.sampled_from(["", "a", "b", "5"])
identities = st.builds(
    Identity,
    user_id=names,
    tenant_id=names,
    email=names,
    is_guest=st.booleans(),
    roles=st.lists(st.sampled_from(["", "a", "5"]), max_size=2).map(tuple),
)
rows = st.fixed_dictionaries(
    dict.fromkeys(("owner", "editor", "tenant", "mail", "role"), names)
    | {"n": st.none() | st.sampled_from([0, 5]), "open": st.none() | st.booleans()}
    | {"meta": st.none() | st.lists(names, max_size=2) | st.just({"owner": "a"})}
)
leaves = st.sampled_from(
    [
        *(f"auth.userId {sign} data.{name}" for sign in ("==", "!=", "<") for name in ("owner", "editor", "n")),
        "data.owner == auth.tenantId",
        "auth.tenantId == data.tenant",
        "auth.email == data.mail",
        "data.role in auth.roles",
        "data.n in auth.roles",
        "auth.userId in data.meta",
        "auth.userId == data.meta.owner",
        "auth.userId != null",
        "auth.userId == null",
        'auth.hasRole("a")',
        "auth.isGuest",
        "data.open",
        "data.owner == null",
        "data.n / data.n == 1",
        "true",
        "false",
    ]
)
expressions = st.recursive(
    leaves,
    lambda inner: (
        st.builds(lambda a, op, b: f"({a}) {op} ({b})", inner, st.sampled_from(["&&", "||"]), inner)
        | st.builds(lambda a: f"!({a})", inner)
        | st.builds(
            lambda a, op, b: f"({a}) {op} {b}", inner, st.sampled_from(["==", "!="]), st.sampled_from(["true", "false"])
        )
    ),
    max_leaves=6,
)


@settings(max_examples=600, deadline=None, suppress_health_check=list(HealthCheck))
@given(expression=expressions, values=rows, identity=identities)
def test_nobody_outside_the_audience_is_ever_let_in(
    expression: str, values: dict[str, Any], identity: Identity
) -> None:
    compiled, row = rule(expression), TYPES.convert_insert(values)
    row.id = "a"
    allowed = compiled.allows(identity, row, now=NOW)
    if not candidates(compiled, row, identity):
        assert not allowed
    if isinstance(compiled.audience, Everyone):
        assert allowed
    if isinstance(compiled.audience, ByIdentity):
        assert allowed == compiled.allows(identity, None, now=NOW)


def test_admins_pass_whatever_the_audience() -> None:
    for expression in ("false", "auth.userId == data.owner", "data.open"):
        assert rule(expression).allows(ADMIN, None, now=NOW)
        assert not rule(expression).allows(ANONYMOUS, None, now=NOW)
