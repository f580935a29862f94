"""Policies that are valid and probably not what their author means. Each finding has an id that its page explains
(docs/guide/policies.md#findings) and that an app can ignore by name."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pylon.model.schema import Action, AppSpec, EntitySpec
from pylon.policy.audience import ByKey
from pylon.policy.nodes import And, Compare, Exists, Expr, Literal, Not, Or, Reference, Root, reads, walk
from pylon.policy.rules import EntityPolicy, Rule, compile_app_policies
from pylon.policy.text import write

OWNERS = frozenset({"userId", "authorId", "ownerId", "author", "owner", "createdBy"})
TENANTS = frozenset({"tenantId", "orgId", "teamId", "workspaceId"})
PERSONAL = frozenset({"email", "phone", "address", "ssn", "birthday"})

FINDINGS: dict[str, str] = {
    "PYL001": "A rule is unconditionally true on an entity whose fields look owned, tenant-scoped or personal.",
    "PYL002": "An entity has no policy: nobody but admins can do anything with it.",
    "PYL003": "An update rule looks at the row after the write only, so anybody can take a row over.",
    "PYL004": "An exists looks rows up by fields without an index: every list scans that entity.",
    "PYL005": "A rule, or a part of one, can never decide anything: it is constant, or stands twice.",
    "PYL006": "A comparison lets null through: `!=` is true for a field without a value.",
    "PYL007": "A read rule narrows rows by a field without an index: every list scans the entity.",
    "PYL008": "An update rule lets a caller give a row away: it doesn't look at the row after the write.",
}
"""What each id means."""


class Finding(msgspec.Struct, frozen=True):
    """One finding: its id, where, what, and what to write instead."""

    code: str
    entity: str
    action: str
    message: str
    fix: str

    @property
    def place(self) -> str:
        """`Note.read`."""
        return f"{self.entity}.{self.action}" if self.action else self.entity


def lint(app: AppSpec, ignore: frozenset[str] = frozenset()) -> list[Finding]:
    """All findings about the app's policies but the ignored ids; `PYL007:Note` ignores one entity's. Raises
    PolicyError."""
    policies = compile_app_policies(app)
    found = [finding for entity in app.entities for finding in _entity(app, entity, policies[entity.name])]
    return [f for f in found if f.code not in ignore and f"{f.code}:{f.entity}" not in ignore]


def _entity(app: AppSpec, entity: EntitySpec, policy: EntityPolicy) -> Iterator[Finding]:
    if not any(p.entity == entity.name for p in app.policies):
        yield Finding(
            "PYL002",
            entity.name,
            "",
            "it has no policy, so it is closed to all but admins",
            "Give it a `class Policy`.",
        )
        return
    yield from _open_rules(entity, policy)
    for action in Action:
        rule = policy.rule(action)
        yield from _dead_parts(entity, action, rule)
        yield from _null_traps(entity, action, rule)
        yield from _slow_exists(app, entity, action, rule)
    yield from _unindexed(entity, policy.read)
    yield from _takeover(entity, policy.update)


def _open_rules(entity: EntitySpec, policy: EntityPolicy) -> Iterator[Finding]:
    names = {field.name for field in entity.fields if not field.is_hidden}
    looks = sorted(names & (OWNERS | TENANTS | PERSONAL))
    if not looks:
        return
    for action in Action:
        if action is Action.READ and _is_public_on_purpose(policy, frozenset(looks)):
            continue
        if policy.rule(action).expression == Literal(True):
            yield Finding(
                "PYL001",
                entity.name,
                action.value,
                f"everybody may, although it has {', '.join(looks)}",
                f"Compare with the caller, for example `auth.userId == data.{looks[0]}`, if that is not meant.",
            )


def _is_public_on_purpose(policy: EntityPolicy, looks: frozenset[str]) -> bool:
    """Whether rows have owners and nothing more private, and only owners write: a board that all may read."""
    rules = [policy.rule(action).expression for action in (Action.INSERT, Action.UPDATE, Action.DELETE)]
    owned = [rule for rule in rules if any(isinstance(n, Reference) and n.member in looks for n in walk(rule))]
    closed = [rule for rule in rules if rule == Literal(False)]
    return looks <= OWNERS and bool(owned) and len(owned) + len(closed) == len(rules)


def _dead_parts(entity: EntitySpec, action: Action, rule: Rule) -> Iterator[Finding]:
    for node in walk(rule.expression):
        if not isinstance(node, And | Or):
            continue
        sign = "&&" if isinstance(node, And) else "||"
        seen: list[Expr] = []
        for operand in node.operands:
            opposite = operand.operand if isinstance(operand, Not) else Not(operand)
            if operand in seen:
                yield _dead(entity, action, f"`{write(operand)}` stands twice between {sign}")
            elif opposite in seen:
                always = "false" if isinstance(node, And) else "true"
                yield _dead(entity, action, f"`{write(operand)}` beside its opposite is always {always}")
            seen.append(operand)


def _dead(entity: EntitySpec, action: Action, what: str) -> Finding:
    return Finding("PYL005", entity.name, action.value, what, "Take it out, or write what was meant.")


def _null_traps(entity: EntitySpec, action: Action, rule: Rule) -> Iterator[Finding]:
    for node in walk(rule.expression):
        if not isinstance(node, Compare) or node.operator != "!=" or Literal(None) in (node.left, node.right):
            continue
        for side in (node.left, node.right):
            if not isinstance(side, Reference) or side.root not in (Root.DATA, Root.NEW) or side.keys:
                continue
            field = entity.field(side.member)
            if field is not None and field.optional:
                yield Finding(
                    "PYL006",
                    entity.name,
                    action.value,
                    f"`{write(node)}` is true for rows whose {side.member} is null",
                    f"If those are not meant, add `&& {write(side)} != null`.",
                )


def _slow_exists(app: AppSpec, entity: EntitySpec, action: Action, rule: Rule) -> Iterator[Finding]:
    for node in walk(rule.expression):
        if not isinstance(node, Exists):
            continue
        target = app.entity(node.entity)
        columns = [condition.column for condition in node.conditions]
        if target is not None and not any(is_indexed(app, target, column) for column in columns):
            yield Finding(
                "PYL004",
                entity.name,
                action.value,
                f"`{write(node)}` scans {target.name}: none of {', '.join(columns)} has an index",
                f"Give one an index: `field(index=True)` on {target.name}.{columns[0]}.",
            )


def _unindexed(entity: EntitySpec, rule: Rule) -> Iterator[Finding]:
    if not isinstance(rule.audience, ByKey):
        return
    for key in rule.audience.keys:
        if not is_indexed(None, entity, key.field):
            yield Finding(
                "PYL007",
                entity.name,
                Action.READ.value,
                f"rows are found by {key.field}, which has no index",
                f"Give it one: `field(index=True)` on {entity.name}.{key.field}.",
            )


def _takeover(entity: EntitySpec, rule: Rule) -> Iterator[Finding]:
    expression = rule.expression
    if isinstance(expression, Literal):
        return
    after = {n.member for n in walk(expression) if isinstance(n, Reference) and n.root is Root.NEW and n.member}
    before = {n.member for n in walk(expression) if isinstance(n, Reference) and n.root is Root.DATA and n.member}
    if after and not reads(expression, Root.DATA):
        name = min(after)
        yield Finding(
            "PYL003",
            entity.name,
            Action.UPDATE.value,
            f"it looks at new.{name} only: whoever writes the right value there may change any row",
            f"Look at the row as it is, too: `auth.userId == data.{name}`.",
        )
        return
    for name in sorted(_owned_by(expression)):
        field = entity.field(name)
        if field is not None and not field.readonly and name in before and name not in after:
            yield Finding(
                "PYL008",
                entity.name,
                Action.UPDATE.value,
                f"whoever may change a row may set {name} to somebody else",
                f"If that is not meant: `field(owner=True)`, or `&& data.{name} == new.{name}`.",
            )


def _owned_by(expression: Expr) -> set[str]:
    """Fields that the caller is compared with."""
    found = set()
    for node in walk(expression):
        if isinstance(node, Compare) and node.operator == "==":
            sides = (node.left, node.right)
            if any(isinstance(s, Reference) and s.root is Root.AUTH and s.member == "user_id" for s in sides):
                found |= {s.member for s in sides if isinstance(s, Reference) and s.root is Root.DATA}
    return found


def is_indexed(app: AppSpec | None, entity: EntitySpec, column: str) -> bool:
    """Whether rows of the entity are found by this column without a scan: an index, or a unique constraint, that
    begins with it; to-many relations index their target field as well."""
    if column == "id":
        return True
    field = entity.field(column)
    if field is not None and field.unique:
        return True
    if any(index.fields and index.fields[0] == column and not index.where for index in entity.indexes):
        return True
    relations = [] if app is None else [r for other in app.entities for r in other.relations]
    return any(relation.many and relation.target == entity.name and relation.field == column for relation in relations)
