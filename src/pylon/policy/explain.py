"""Why a rule decides as it does: each part of it with its value, and which part decided. For operators and authors; a
client is never shown any of this."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from pylon.model.identity import Identity
from pylon.policy.nodes import And, Compare, Expr, In, ListLiteral, Literal, Not, Or, Reference, children
from pylon.policy.predicate import ExistsResolver, compile_predicate, compile_value
from pylon.policy.rules import Rule
from pylon.policy.text import write
from pylon.policy.values import Unevaluable

FAILED = "can't be evaluated"
REASONS = 3
"""Parts that a reason names."""


class Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """One part of a rule. `value` is what it came to, or FAILED; `decided` marks the parts that the outcome hangs on;
    `skipped` those that were not asked, since an earlier one settled it."""

    text: str
    value: Any = None
    decided: bool = False
    skipped: bool = False
    parts: tuple[Part, ...] = ()


class Verdict(msgspec.Struct, frozen=True):
    """What a rule says, and why. `reason` is one sentence."""

    allowed: bool
    reason: str
    policies: tuple[str, ...]
    rule: Part | None


class Situation(msgspec.Struct, frozen=True):
    """Who asks, about which row, when."""

    identity: Identity
    row: Any
    new: Any
    now: datetime
    exists: ExistsResolver | None = None


def explain(rule: Rule, situation: Situation) -> Verdict:
    """The rule's verdict with its reasons."""
    if situation.identity.is_admin:
        return Verdict(True, "admins pass every rule", rule.policies, None)
    allowed = rule.allows(situation.identity, situation.row, situation.new, now=situation.now, exists=situation.exists)
    part = _explain(rule.expression, situation)
    return Verdict(allowed, _reason(part), rule.policies, part)


def _explain(expr: Expr, situation: Situation) -> Part:
    value = _value(expr, situation)
    match expr:
        case And(operands):
            return _connective(expr, operands, value, situation, settles=False)
        case Or(operands):
            return _connective(expr, operands, value, situation, settles=True)
        case Not(operand):
            return Part(write(expr), value, True, parts=(_explain(operand, situation),))
        case _:
            parts = tuple(
                Part(write(child), _value(child, situation))
                for child in _shown(expr)
                if not isinstance(child, Literal | ListLiteral)
            )
            return Part(write(expr), value, True, parts=parts)


def _connective(expr: Expr, operands: tuple[Expr, ...], value: Any, situation: Situation, *, settles: bool) -> Part:
    """`&&` hangs on its first part that is false, `||` on its first that is true, and else on all of them."""
    parts: list[Part] = []
    for i, operand in enumerate(operands, 1):
        part = _explain(operand, situation)
        if part.value is settles or part.value == FAILED:
            before = [msgspec.structs.replace(earlier, decided=False) for earlier in parts]
            behind = [Part(write(later), skipped=True) for later in operands[i:]]
            parts = [*before, part, *behind]
            break
        parts.append(part)
    return Part(write(expr), value, True, parts=tuple(parts))


def _shown(expr: Expr) -> tuple[Expr, ...]:
    return children(expr) if not isinstance(expr, Reference) else ()


def _value(expr: Expr, situation: Situation) -> Any:
    s = situation
    try:
        if isinstance(expr, And | Or | Not | Compare | In):
            return compile_predicate(expr)(s.identity, s.row, s.new, s.now, s.exists)
        return compile_value(expr)(s.identity, s.row, s.new, s.now, s.exists)
    except Unevaluable:
        return FAILED


def _reason(part: Part) -> str:
    """What the outcome hangs on: the innermost parts that decided, each with what it compared."""
    reasons = [_sentence(leaf) for leaf in _deciding(part)]
    more = len(reasons) - REASONS
    return "; ".join(reasons[:REASONS]) + (f"; and {more} more" if more > 0 else "")


def _deciding(part: Part) -> list[Part]:
    inner = [p for p in part.parts if p.decided and not p.skipped]
    if not inner:
        return [part]
    return [leaf for p in inner for leaf in _deciding(p)]


def _sentence(part: Part) -> str:
    if part.value == FAILED:
        return f"{part.text} {FAILED}, which denies"
    compared = ", ".join(f"{p.text} is {_told(p.value)}" for p in part.parts)
    return f"{part.text} {'holds' if part.value else 'does not hold'}" + (f": {compared}" if compared else "")


def _told(value: Any) -> str:
    if value == FAILED:
        return FAILED
    return msgspec.json.encode(value).decode()
