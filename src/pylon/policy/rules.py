"""What the other rooms use of policies: an entity's four rules, each decided in Python or written as SQL.

Several policies on an entity must all allow; an action that none speaks of is denied. Admins pass every rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pylon.model.identity import Identity
from pylon.model.schema import Action, AppSpec, EntitySpec, PolicySpec
from pylon.policy.audience import (
    Audience,
    ByIdentity,
    ByKey,
    Everyone,
    Key,
    Nobody,
    PerClass,
    audience_of,
    simplify,
)
from pylon.policy.edits import EDIT_KEYS, EditedRow
from pylon.policy.names import PolicyNameError, Scope, resolve
from pylon.policy.nodes import Ago, And, Exists, Expr, Literal, Root, reads, walk
from pylon.policy.predicate import ExistsResolver, compile_predicate
from pylon.policy.sql import Dialect, Reach, SqlRule, compile_sql
from pylon.policy.syntax import PolicySyntaxError, parse
from pylon.policy.values import Unevaluable

__all__ = [
    "DEFAULT_DENY",
    "TENANT_SCOPE",
    "ActionRule",
    "Audience",
    "ByIdentity",
    "ByKey",
    "EditedRow",
    "EntityPolicy",
    "Everyone",
    "ExistsResolver",
    "Key",
    "Nobody",
    "PerClass",
    "PolicyError",
    "Rule",
    "compile_action_policy",
    "compile_app_policies",
    "compile_entity_policy",
    "compile_scope",
]

DEFAULT_DENY = "_default_deny"
"""The policy that denies where no other speaks; named in logs."""

TENANT_SCOPE = "_tenant_scope"
"""The policy that keeps tenants apart, of every entity whose rows belong to one; named in logs."""

_ROW_ROOTS = frozenset({"auth", "data", "existing"})
_UPDATE_ROOTS = _ROW_ROOTS | {"new"}
_ACTION_ROOTS = frozenset({"auth", "input"})


class PolicyError(ValueError):
    """A policy that can't be started with: it doesn't parse, or names what nothing declares. The message names policy,
    target and rule, and says what to write instead.

    Attributes:
        policy: the policy's name.
        target: the entity or action that it is for.
        rule: `read`, `insert`, `update`, `delete`, `allow` or `sync_scope`; empty for the policy as a whole.
    """

    def __init__(self, policy: str, target: str, rule: str, problem: str) -> None:
        where = f", {rule} rule" if rule else ""
        super().__init__(f'Policy "{policy}" of {target}{where}: {problem}')
        self.policy = policy
        self.target = target
        self.rule = rule

    @property
    def entity(self) -> str:
        """The target, for policies of entities."""
        return self.target


class Rule:
    """One compiled rule of an entity.

    Attributes:
        policies: the names of the policies it is made of, for logs.
        reads_row: whether the row before the write (`data`, `existing`), or an edit of its document, has a part in it.
        reads_new: whether the row after the write (`new`) has.
        uses_exists: whether it looks other rows up.
        uses_clock: whether it depends on the time.
        audience: whom fan-out has to ask; admins, who always pass, aside.
    """

    __slots__ = (
        "_decide",
        "_expr",
        "_is_open",
        "audience",
        "policies",
        "reads_new",
        "reads_row",
        "uses_clock",
        "uses_exists",
    )

    def __init__(self, expr: Expr, policies: tuple[str, ...]) -> None:
        expr = simplify(expr)
        self._expr = expr
        self._decide = compile_predicate(expr)
        self.policies = policies
        self.reads_row = reads(expr, Root.DATA) or reads(expr, Root.EDIT)
        self.reads_new = reads(expr, Root.NEW)
        self.uses_exists = any(isinstance(node, Exists) for node in walk(expr))
        self.uses_clock = any(isinstance(node, Ago) for node in walk(expr))
        self.audience: Audience = audience_of(expr)
        self._is_open = isinstance(self.audience, Everyone)

    def __repr__(self) -> str:
        return f"Rule({', '.join(self.policies)}: {self.audience})"

    def observe(self, tell: Callable[[bool], None]) -> None:
        """Tell every decision about anybody but admins from now on, for whoever counts them in tests."""
        decide, self._is_open = self._decide, False

        def observed(*situation: Any) -> bool:
            allowed = decide(*situation)
            tell(allowed)
            return allowed

        self._decide = observed

    @property
    def expression(self) -> Expr:
        """What it was compiled from, simplified."""
        return self._expr

    def allows(
        self,
        identity: Identity,
        row: object | None,
        new: object | None = None,
        *,
        now: datetime,
        exists: ExistsResolver | None = None,
    ) -> bool:
        """Whether the caller may. Without a row every `data.*` is null. What can't be evaluated denies, also under
        `!`: `new.*` without `new`, `exists` without a resolver, arithmetic on what is no number. What the resolver
        raises is passed on. `now` is an aware time."""
        if self._is_open or identity.is_admin:
            return True
        try:
            return self._decide(identity, row, new, now, exists)
        except Unevaluable:
            return False

    def sql(self, dialect: Dialect, alias: str = "t", reach: Reach = Reach.ROW) -> SqlRule:
        """The rule as a condition over the row at `alias`, admins left aside. Raises ValueError for a rule that reads
        `new.*`: no table holds the row after a write."""
        if self.reads_new:
            raise ValueError(f"The rule of {', '.join(self.policies)} reads new.* and has no SQL form")
        return compile_sql(self._expr, dialect, alias, reach)


class ActionRule:
    """The compiled rule of a function or action (`input.*` and `auth.*`)."""

    __slots__ = ("_decide", "policies", "uses_exists")

    def __init__(self, expr: Expr, policies: tuple[str, ...]) -> None:
        expr = simplify(expr)
        self._decide = compile_predicate(expr)
        self.policies = policies
        self.uses_exists = any(isinstance(node, Exists) for node in walk(expr))

    def allows(
        self,
        identity: Identity,
        arguments: Mapping[str, Any],
        *,
        now: datetime,
        exists: ExistsResolver | None = None,
    ) -> bool:
        """Whether the caller may call it with these decoded JSON arguments. What can't be evaluated denies."""
        if identity.is_admin:
            return True
        try:
            return self._decide(identity, dict(arguments), None, now, exists)
        except Unevaluable:
            return False


@dataclass(frozen=True, slots=True)
class EntityPolicy:
    """The four rules of an entity."""

    read: Rule
    insert: Rule
    update: Rule
    delete: Rule

    def rule(self, action: Action) -> Rule:
        """The rule of an action."""
        rule: Rule = getattr(self, action.value)
        return rule


def compile_app_policies(app: AppSpec) -> dict[str, EntityPolicy]:
    """The policies of every entity by its name; action policies are checked as well. Raises PolicyError."""
    names = [entity.name for entity in app.entities]
    for policy in app.policies:
        if policy.entity and policy.entity not in names:
            there = f"There are {', '.join(names)}" if names else "It declares none"
            raise PolicyError(policy.name, policy.entity, "", f"the app declares no such entity. {there}")
        if not policy.entity and not policy.action:
            raise PolicyError(policy.name, "nothing", "", "it is for no entity and no action. Give it one")
        if policy.action:
            compile_action_policy(app, policy.action)
    return {entity.name: compile_entity_policy(app, entity) for entity in app.entities}


def compile_entity_policy(app: AppSpec, entity: EntitySpec) -> EntityPolicy:
    """The rules of one entity. Raises PolicyError."""
    policies = [policy for policy in app.policies if policy.entity == entity.name]
    return EntityPolicy(*(_compile(app, entity, policies, action) for action in Action))


def compile_scope(app: AppSpec, entity: EntitySpec, text: str) -> Rule:
    """An entity's `sync_scope` as a rule over the same names as its read policy. Raises PolicyError."""
    scope = Scope(app, entity, _ROW_ROOTS)
    return Rule(_resolved(text, scope, "sync_scope", entity.name, "sync_scope"), ("sync_scope",))


def compile_action_policy(app: AppSpec, action: str) -> ActionRule | None:
    """The rule of the policies that target a function or action; None when none does. Raises PolicyError."""
    policies = [policy for policy in app.policies if policy.action == action]
    scope = Scope(app, None, _ACTION_ROOTS)
    parts = [(p.name, _resolved(p.allow, scope, p.name, action, "allow")) for p in policies if p.allow]
    if not policies:
        return None
    return ActionRule(*_combined(parts))


def _compile(app: AppSpec, entity: EntitySpec, policies: Sequence[PolicySpec], action: Action) -> Rule:
    roots = _UPDATE_ROOTS if action is Action.UPDATE else _ROW_ROOTS
    scope = Scope(app, entity, roots, frozenset() if action is Action.READ else frozenset(EDIT_KEYS))
    parts = []
    for policy in policies:
        text = policy.expression(action)
        if text is not None:
            parts.append((policy.name, _resolved(text, scope, policy.name, entity.name, action.value)))
    field = entity.tenant_field
    if parts and field is not None:  # it narrows what policies allow, and opens nothing where none speaks
        parts.append(
            (TENANT_SCOPE, _resolved(_of_tenant(field, action), scope, TENANT_SCOPE, entity.name, action.value))
        )
    return Rule(*_combined(parts))


def _of_tenant(field: str, action: Action) -> str:
    """The row is of the caller's tenant, and an update leaves it there. Nobody's tenant is null: what has none is for
    admins (spec 06 §3.2)."""
    own = f"auth.tenantId == data.{field}"
    return f"{own} && auth.tenantId == new.{field}" if action is Action.UPDATE else own


def _combined(parts: Sequence[tuple[str, Expr]]) -> tuple[Expr, tuple[str, ...]]:
    if not parts:
        return Literal(False), (DEFAULT_DENY,)
    if len(parts) == 1:
        return parts[0][1], (parts[0][0],)
    return And(tuple(expr for _, expr in parts)), tuple(name for name, _ in parts)


def _resolved(text: str, scope: Scope, policy: str, target: str, rule: str) -> Expr:
    try:
        return resolve(parse(text), scope)
    except (PolicySyntaxError, PolicyNameError) as error:
        raise PolicyError(policy, target, rule, str(error)) from error
