"""Who may be interested in a row, read off the rule, so that fan-out need not ask everyone (design §5).

Every answer is a superset: whoever a rule lets in is in its audience, admins aside, who are let in everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal as Choice

from pylon.model.identity import ANONYMOUS
from pylon.policy.nodes import (
    And,
    Arithmetic,
    Compare,
    Condition,
    Exists,
    Expr,
    In,
    Literal,
    Not,
    Or,
    Reference,
    Root,
    TextTest,
    Type,
    can_fail,
    is_constant,
    reads,
    type_of,
    walk,
)
from pylon.policy.predicate import compile_predicate
from pylon.policy.values import Unevaluable

Member = Choice["user_id", "tenant_id", "email", "role"]


@dataclass(frozen=True, slots=True)
class Everyone:
    """The rule is true."""


@dataclass(frozen=True, slots=True)
class Nobody:
    """The rule is never true."""


@dataclass(frozen=True, slots=True)
class ByIdentity:
    """The rule doesn't read the row: decide it once per identity class."""


@dataclass(frozen=True, slots=True)
class Key:
    """Identities whose `member` equals the row's `field`; for `role`, those that have that role."""

    member: Member
    field: str


@dataclass(frozen=True, slots=True)
class ByKey:
    """Only identities that match the row on at least one key can pass; each of them is still to be decided."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class PerClass:
    """Nothing narrows it: decide for every identity class."""


Audience = Everyone | Nobody | ByIdentity | ByKey | PerClass


def simplify(expr: Expr) -> Expr:
    """The same rule without the parts that are constant. Order and failures are kept."""
    match expr:
        case Not():
            expr = Not(simplify(expr.operand))
        case And(operands):
            kept = _until(False, [simplify(operand) for operand in operands])
            expr = And(kept) if kept else Literal(True)
        case Or(operands):
            kept = _until(True, [simplify(operand) for operand in operands])
            expr = Or(kept) if kept else Literal(False)
        case Compare() | In() | Arithmetic():
            expr = replace(expr, left=simplify(expr.left), right=simplify(expr.right))
        case TextTest():
            expr = replace(expr, text=simplify(expr.text), part=simplify(expr.part))
        case Exists():
            expr = replace(expr, conditions=tuple(_simplify_condition(c) for c in expr.conditions))
        case _:
            return expr
    if type_of(expr) is not Type.BOOL or not is_constant(expr):
        return expr
    try:
        return Literal(bool(compile_predicate(expr)(ANONYMOUS, None, None, datetime(2000, 1, 1, tzinfo=UTC), None)))
    except Unevaluable:
        return expr


def _simplify_condition(condition: Condition) -> Condition:
    return replace(condition, value=simplify(condition.value))


def _until(deciding: bool, operands: list[Expr]) -> tuple[Expr, ...]:
    """Operands up to the first that is constantly `deciding`, without those that constantly aren't."""
    kept: list[Expr] = []
    for operand in operands:
        if not isinstance(operand, Literal):
            kept.append(operand)
        elif bool(operand.value) is deciding:
            if not kept or not any(can_fail(k) or _may_lack_resolver(k) for k in kept):
                return (Literal(deciding),)
            kept.append(Literal(deciding))
            break
    return tuple(kept)


def _may_lack_resolver(expr: Expr) -> bool:
    return reads(expr, Root.NEW) or any(isinstance(node, Exists) for node in walk(expr))


def audience_of(expr: Expr) -> Audience:
    """The audience of a simplified rule."""
    if isinstance(expr, Literal):
        return Everyone() if expr.value else Nobody()
    if isinstance(expr, And):
        parts = [audience_of(operand) for operand in expr.operands]
        if Nobody() in parts:
            return Nobody()
        narrow = [part for part in parts if isinstance(part, ByKey)]
        if narrow:
            return min(narrow, key=_breadth)
    if isinstance(expr, Or):
        parts = [part for operand in expr.operands if not isinstance(part := audience_of(operand), Nobody)]
        if not parts:
            return Nobody()
        keys = [key for part in parts if isinstance(part, ByKey) for key in part.keys]
        if all(isinstance(part, ByKey) for part in parts):
            return ByKey(tuple(dict.fromkeys(keys)))
    if not reads(expr, Root.DATA) and not reads(expr, Root.NEW):
        return ByIdentity()
    key = _key(expr)
    return PerClass() if key is None else ByKey((key,))


def _breadth(audience: ByKey) -> tuple[int, int]:
    rank = {"user_id": 0, "email": 1, "tenant_id": 2, "role": 3}
    return len(audience.keys), max(rank[key.member] for key in audience.keys)


def _key(expr: Expr) -> Key | None:
    match expr:
        case Compare("==", left, right):
            return _equality_key(left, right) or _equality_key(right, left)
        case In(Reference() as left, Reference(Root.AUTH, "roles")) if _is_text_column(left):
            return Key("role", left.member)
        case _:
            return None


def _equality_key(caller: Expr, column: Expr) -> Key | None:
    if not isinstance(caller, Reference) or not isinstance(column, Reference) or not _is_text_column(column):
        return None
    if caller.root is not Root.AUTH:
        return None
    match caller.member:
        case "user_id":
            return Key("user_id", column.member)
        case "tenant_id":
            return Key("tenant_id", column.member)
        case "email":
            return Key("email", column.member)
        case _:
            return None


def _is_text_column(expr: Reference) -> bool:
    return expr.root is Root.DATA and expr.type is Type.TEXT and not expr.keys
