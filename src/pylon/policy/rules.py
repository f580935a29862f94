"""An entity's rules: every policy that speaks of an action must allow it, and what nobody speaks of is denied."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pylon.model.identity import Identity
from pylon.model.schema import Action, AppSpec, EntitySpec
from pylon.policy.audience import Audience, Everyone, audience_of, simplify
from pylon.policy.names import PolicyNameError, Scope, resolve
from pylon.policy.nodes import Ago, And, Exists, Expr, Literal, Root, reads, walk
from pylon.policy.predicate import ExistsResolver, compile_predicate
from pylon.policy.sql import Dialect, SqlRule, compile_sql
from pylon.policy.syntax import PolicySyntaxError, parse
from pylon.policy.values import Unevaluable

_ROOTS = frozenset({"auth", "data", "existing"})


class PolicyError(ValueError):
    """A rule that can't stand. The message names policy, entity and action, and ends with the mend."""


class Rule:
    """What decides one action on one entity. Admins pass every rule.

    Attributes:
        reads_row, reads_new: whether the row, or the row after the write, matters.
        uses_exists, uses_clock: whether the store, or the time, is asked.
        audience: who may be interested in a row under this rule; for fan-out.
    """

    __slots__ = ("_expr", "_holds", "_is_open", "audience", "reads_new", "reads_row", "uses_clock", "uses_exists")

    def __init__(self, expr: Expr) -> None:
        self._expr = simplify(expr)
        self._holds = compile_predicate(self._expr)
        self.audience: Audience = audience_of(self._expr)
        self._is_open = isinstance(self.audience, Everyone)
        nodes = list(walk(self._expr))
        self.reads_row = reads(self._expr, Root.DATA)
        self.reads_new = reads(self._expr, Root.NEW)
        self.uses_exists = any(isinstance(node, Exists) for node in nodes)
        self.uses_clock = any(isinstance(node, Ago) for node in nodes)

    def allows(
        self,
        identity: Identity,
        row: object | None,
        new: object | None = None,
        *,
        now: datetime,
        exists: ExistsResolver | None = None,
    ) -> bool:
        """Whether this caller may. `row` is the row as it stands (the incoming one, for an insert), None where there
        is none; `new` the row after an update. What can't be evaluated is denied."""
        if self._is_open or identity.is_admin:
            return True
        try:
            return self._holds(identity, row, new, now, exists)
        except Unevaluable:
            return False

    def sql(self, dialect: Dialect, alias: str = "t") -> SqlRule:
        """The rule as a condition over the table `alias`. That admins pass is the caller's business."""
        if self.reads_new:
            raise PolicyError("a rule that reads new.* has no form over stored rows")
        return compile_sql(self._expr, dialect, alias)


@dataclass(frozen=True, slots=True)
class EntityPolicy:
    """The four rules of an entity."""

    read: Rule
    insert: Rule
    update: Rule
    delete: Rule


def compile_app_policies(app: AppSpec) -> dict[str, EntityPolicy]:
    """The rules of every entity, by name. Raises PolicyError."""
    return {entity.name: compile_entity_policy(app, entity) for entity in app.entities}


def compile_entity_policy(app: AppSpec, entity: EntitySpec) -> EntityPolicy:
    """The rules of one entity. Raises PolicyError."""
    return EntityPolicy(*(_rule(app, entity, action) for action in Action))


def compile_scope(app: AppSpec, entity: EntitySpec, text: str) -> Rule:
    """A sync scope as a rule. Raises PolicyError."""
    return Rule(_resolved(app, entity, text, _ROOTS, f"{entity.name}: sync_scope"))


def _rule(app: AppSpec, entity: EntitySpec, action: Action) -> Rule:
    roots = _ROOTS | {"new"} if action is Action.UPDATE else _ROOTS
    parts = tuple(
        _resolved(app, entity, text, roots, f'policy "{policy.name}" of {entity.name}, {action.value} rule')
        for policy in app.policies
        if policy.entity == entity.name and (text := policy.expression(action)) is not None
    )
    if not parts:
        return Rule(Literal(False))
    return Rule(parts[0] if len(parts) == 1 else And(parts))


def _resolved(app: AppSpec, entity: EntitySpec, text: str, roots: frozenset[str], where: str) -> Expr:
    try:
        return resolve(parse(text), Scope(app, entity, roots))
    except (PolicySyntaxError, PolicyNameError) as error:
        raise PolicyError(f"{where}: {error}") from error
