"""Names that nothing declares stop the start, with the name that was meant."""

from __future__ import annotations

import pytest

from pylon.model.identity import Identity
from pylon.model.schema import AppSpec, EntitySpec, Field, Kind, PolicySpec
from pylon.policy.rules import (
    PolicyError,
    compile_action_policy,
    compile_app_policies,
    compile_entity_policy,
    compile_scope,
)
from tests.policy.table import NOW

NOTE = EntitySpec(
    name="Note",
    fields=(
        Field(name="ownerId", kind=Kind.ID, target="User", attribute="owner"),
        Field(name="title", kind=Kind.STRING),
        Field(name="size", kind=Kind.INT),
        Field(name="ratio", kind=Kind.FLOAT),
        Field(name="meta", kind=Kind.JSON, optional=True),
        Field(name="place", kind=Kind.VECTOR, dimensions=2, optional=True),
    ),
)
MEMBER = EntitySpec(
    name="Member",
    fields=(
        Field(name="userId", kind=Kind.STRING, attribute="user"),
        Field(name="level", kind=Kind.INT),
        Field(name="active", kind=Kind.BOOL),
        Field(name="tags", kind=Kind.JSON),
    ),
)


def app(*policies: PolicySpec) -> AppSpec:
    return AppSpec(name="x", entities=(NOTE, MEMBER), policies=policies)


@pytest.mark.parametrize(
    ("expression", "mend"),
    [
        ("ownerId == auth.userId", "Did you mean `data.ownerId`"),
        ("record.ownerId == auth.userId", "Did you mean `data.ownerId`"),
        ("row.title == 'x'", "Did you mean `data.title`"),
        ("data.ownerID == auth.userId", "Did you mean `data.ownerId`"),
        ("data.owner == auth.userId", "Did you mean `data.ownerId`"),
        ("existing.titel == 'x'", "Did you mean `existing.title`"),
        ("auth.userID != null", "Did you mean `auth.userId`"),
        ("auth.role == 'x'", "Did you mean `auth.roles`"),
        ("auth.isAdmin.foo", "Did you mean `auth.isAdmin`"),
        ("auth.zzz", "There are auth.userId"),
        ("data.zzz == 1", "Its fields are id, ownerId, title"),
        ("data.ids == 'x'", "Did you mean `data.id`"),
        ("zzz", "Names begin with auth., data., existing."),
        ("TRUE", "Did you mean `true`"),
        ("undefined == null", "Did you mean `null`"),
        ("new.title == 'x'", "in update rules only. Use `data.title`"),
        ("input.title == 'x'", "in action policies only"),
        ("data.title.x == 1", "only json fields have an inside"),
        ("data.", "unknown name"),
        ("data..title", "names no field"),
        ("data.meta..x", "names no field"),
        ("exists(Membr where userId == auth.userId)", "Did you mean `Member`"),
        ("exists(Zzz where userId == auth.userId)", "Entities are Note, Member"),
        ("exists(Member where userID == auth.userId)", "Did you mean `userId`"),
        ("exists(Member where user == auth.userId)", "Did you mean `userId`"),
        ("exists(Member where userId == data.ownr)", "Did you mean `data.ownerId`"),
        ("exists(Member where tags == 'x')", "can't compare Member.tags, which is json"),
        ("exists(Member where userId == 5)", "Compare it with text"),
        ("exists(Member where userId == data.size)", "Compare it with text"),
        ("exists(Member where level == true)", "Compare it with a number"),
        ("exists(Member where level == 'x')", "Compare it with a number"),
        ("exists(Member where active == 1)", "Compare it with a bool"),
        ("data.title + 1 == 2", "takes numbers, and `data.title` (string) is not one"),
        ("data.title + 'x' == 'y'", "takes numbers"),
        ("data.size + true == 2", "takes numbers, and true is not one"),
        ("data.size + null == 2", "takes numbers, and null is not one"),
        ("(data.size == 1) + 1 == 2", "takes numbers, and a value that is a bool"),
        ("data.ratio % 2 == 1", "takes whole numbers"),
        ("data.size % 1.5 == 1", "takes whole numbers"),
        ("data.size / 2 % 2 == 1", "takes whole numbers"),
        ("auth.userId in data.title", "`in` takes a json field"),
        ("auth.userId in data.place", "`in` takes a json field"),
        ("contains(data.size, '1')", "takes text, and `data.size` (int) is not text"),
        ("contains(auth.roles, 'x')", "use `value in list`"),
    ],
)
def test_a_name_or_operand_that_never_fits_is_refused_with_its_mend(expression: str, mend: str) -> None:
    with pytest.raises(PolicyError) as raised:
        compile_entity_policy(app(PolicySpec(name="notes", entity="Note", allow_read=expression)), NOTE)
    assert str(raised.value).startswith('Policy "notes" of Note, read rule: ')
    assert mend in str(raised.value)
    assert (raised.value.policy, raised.value.entity, raised.value.rule) == ("notes", "Note", "read")


@pytest.mark.parametrize(
    "expression",
    [
        "data.id == 'x'",
        "data.ownerId == auth.user_id && auth.tenant_id == null && auth.is_admin",
        "auth.email == 'a@b.c' || auth.isGuest || auth.tenantId == 'x'",
        "data.meta.anything.at.all == 1",
        "data.meta.list.0 == 1",
        "'x' in data.meta.tags && 'y' in auth.roles",
        "exists(Member where id == data.ownerId and level == '5' and active == (data.size > 1))",
        "exists(Member where userId == data.meta.user and level == data.title)",
        "data.meta + 1 == 2",
    ],
)
def test_declared_names_are_found(expression: str) -> None:
    compile_entity_policy(app(PolicySpec(name="p", entity="Note", allow=expression)), NOTE)


def test_new_is_the_row_after_the_write_in_update_rules() -> None:
    rules = PolicySpec(
        name="p", entity="Note", allow_update="new.ownerId == existing.ownerId && data.title != new.title"
    )
    update = compile_entity_policy(app(rules), NOTE).update
    assert update.reads_new
    assert update.reads_row


def test_a_write_rule_for_all_three_writes_can_not_read_new() -> None:
    with pytest.raises(PolicyError, match=r"insert rule: .*update rules only"):
        compile_entity_policy(app(PolicySpec(name="p", entity="Note", allow_write="new.title == 'x'")), NOTE)


def test_a_rule_that_reads_new_has_no_sql_form() -> None:
    from pylon.policy.sql import SqliteDialect

    update = compile_entity_policy(
        app(PolicySpec(name="p", entity="Note", allow_update="new.title == 'x'")), NOTE
    ).update
    with pytest.raises(ValueError, match=r"reads new\.\* and has no SQL form"):
        update.sql(SqliteDialect())


def test_a_syntax_error_names_policy_and_rule() -> None:
    with pytest.raises(PolicyError, match='Policy "p" of Note, delete rule: Trailing tokens'):
        compile_entity_policy(app(PolicySpec(name="p", entity="Note", allow_delete="true true")), NOTE)


def test_a_sync_scope_is_checked_like_a_read_rule() -> None:
    with pytest.raises(PolicyError, match=r'"sync_scope" of Note, sync_scope rule: .*`data.title`'):
        compile_scope(app(), NOTE, "data.titel == 'x'")


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (PolicySpec(name="p", entity="Nope", allow="true"), "declares no such entity. There are Note, Member"),
        (PolicySpec(name="p", allow="true"), "it is for no entity and no action"),
        (PolicySpec(name="p", action="send", allow="data.title == 'x'"), "unknown name `data.title`"),
        (PolicySpec(name="p", action="send", allow="input."), "unknown name `input.`"),
    ],
)
def test_policies_that_are_for_nothing_or_read_what_is_not_there_are_refused(policy: PolicySpec, message: str) -> None:
    with pytest.raises(PolicyError) as raised:
        compile_app_policies(app(policy))
    assert message in str(raised.value)


def test_an_action_policy_reads_the_caller_and_the_input() -> None:
    policy = PolicySpec(name="p", action="send", allow="auth.userId == input.from.user && input.count <= 3")
    rule = compile_action_policy(app(policy), "send")
    assert rule is not None
    caller = Identity(user_id="u1")
    assert rule.allows(caller, {"from": {"user": "u1"}, "count": 3}, now=NOW)
    assert not rule.allows(caller, {"from": {"user": "u1"}, "count": 4}, now=NOW)
    assert not rule.allows(caller, {"from": "u1"}, now=NOW)
    assert not rule.allows(Identity(), {}, now=NOW)
