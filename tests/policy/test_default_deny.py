"""What no policy allows is denied, and several policies must all allow."""

from __future__ import annotations

import pytest

from pylon.model.identity import ADMIN, ANONYMOUS, Identity
from pylon.model.schema import Action, AppSpec, EntitySpec, Field, Kind, PolicySpec
from pylon.policy.rules import (
    DEFAULT_DENY,
    EntityPolicy,
    Nobody,
    compile_action_policy,
    compile_entity_policy,
)
from pylon.policy.sql import SqliteDialect
from tests.policy.table import NOW, ROW, rule, sql_allows

NOTE = EntitySpec(name="Note", fields=(Field(name="owner", kind=Kind.STRING, optional=True),))
USER = Identity(user_id="u1")


def policy(*policies: PolicySpec) -> EntityPolicy:
    return compile_entity_policy(AppSpec(name="x", entities=(NOTE,), policies=policies), NOTE)


def allowed(compiled: EntityPolicy, identity: Identity = USER) -> set[str]:
    return {a.value for a in Action if compiled.rule(a).allows(identity, None, now=NOW)}


def test_an_entity_without_a_policy_is_closed_in_both_forms() -> None:
    compiled = policy()
    assert allowed(compiled) == set()
    assert compiled.read.audience == Nobody()
    assert compiled.read.policies == (DEFAULT_DENY,)
    assert compiled.read.sql(SqliteDialect()).text == "FALSE"


def test_another_entitys_policy_opens_nothing() -> None:
    assert allowed(policy(PolicySpec(name="p", entity="Other", allow="true"))) == set()


def test_an_entity_that_only_says_who_reads_can_not_be_written() -> None:
    assert allowed(policy(PolicySpec(name="p", entity="Note", allow_read="true"))) == {"read"}


def test_admins_pass_everywhere() -> None:
    assert allowed(policy(), ADMIN) == {"read", "insert", "update", "delete"}


@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        ([{"allow": "true", "allow_write": "false"}], {"read"}),
        ([{"allow": "false", "allow_write": "true"}], {"insert", "update", "delete"}),
        ([{"allow": "true"}, {"allow": "false"}], set()),
        ([{"allow_read": "true"}, {"allow_write": "true"}], {"read", "insert", "update", "delete"}),
        ([{"allow": "true", "allow_read": ""}], {"read", "insert", "update", "delete"}),
        ([{"allow_write": "true", "allow_update": "false"}], {"insert", "delete"}),
    ],
)
def test_policies_compose_as_release_r_does(policies: list[dict[str, str]], expected: set[str]) -> None:
    specs = [PolicySpec(name=f"p{i}", entity="Note", **rules) for i, rules in enumerate(policies)]
    assert allowed(policy(*specs)) == expected


def test_all_policies_of_an_action_must_allow() -> None:
    specs = [
        PolicySpec(name="signed_in", entity="Note", allow_read="auth.userId != null"),
        PolicySpec(name="no_guests", entity="Note", allow_read="!auth.isGuest"),
    ]
    read = policy(*specs).read
    assert read.policies == ("signed_in", "no_guests")
    assert read.allows(USER, None, now=NOW)
    assert not read.allows(ANONYMOUS, None, now=NOW)
    assert not read.allows(Identity(user_id="guest_1", is_guest=True), None, now=NOW)


@pytest.mark.parametrize(
    "expression",
    [
        "data.n / data.z == 1",
        "!(data.n / data.z == 1)",
        "data.n / data.z != 1",
        "data.n % data.z == 0 || true",
        "!(data.n % data.z == 0 && true)",
        "!(data.obj.k + 1 == 2)",
        "!(data.obj.missing + 1 == 2)",
        "(data.n / data.z == 1) == null",
        "!exists(Todo where n == data.n / data.z)",
    ],
)
def test_a_part_that_can_not_be_evaluated_denies_whatever_stands_around_it(expression: str) -> None:
    compiled = rule(expression)
    assert not compiled.allows(USER, ROW, now=NOW, exists=lambda entity, conditions: True)
    assert not compiled.allows(USER, ROW, now=NOW, exists=lambda entity, conditions: False)
    assert not sql_allows(compiled, USER)


@pytest.mark.parametrize("expression", ["true || data.n / data.z == 1", "!(false && data.n / data.z == 1)"])
def test_what_is_never_reached_can_not_fail(expression: str) -> None:
    assert rule(expression).allows(USER, ROW, now=NOW)
    assert sql_allows(rule(expression), USER)


@pytest.mark.parametrize("expression", ['exists(Todo where id == "x")', '!exists(Todo where id == "x")'])
def test_exists_without_a_resolver_denies_also_negated(expression: str) -> None:
    assert not rule(expression).allows(USER, ROW, now=NOW)


def test_what_the_resolver_raises_is_not_taken_for_an_answer() -> None:
    def broken(entity: str, conditions: list[tuple[str, object]]) -> bool:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        rule('!exists(Todo where id == "x")').allows(USER, ROW, now=NOW, exists=broken)


@pytest.mark.parametrize("expression", ["new.owner == auth.userId", "!(new.owner == 'u2')", "new.owner != 'u2'"])
def test_reading_the_row_after_a_write_where_there_is_none_denies(expression: str) -> None:
    update = policy(PolicySpec(name="p", entity="Note", allow_update=expression)).update
    assert not update.allows(USER, None, None, now=NOW)


def test_an_action_policy_without_an_expression_denies_and_none_is_none() -> None:
    app = AppSpec(name="x", policies=(PolicySpec(name="p", action="send", allow_read="true"),))
    compiled = compile_action_policy(app, "send")
    assert compiled is not None
    assert not compiled.allows(USER, {}, now=NOW)
    assert compiled.allows(ADMIN, {}, now=NOW)
    assert compile_action_policy(app, "other") is None
