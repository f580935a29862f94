"""An expression as its author would write it: for explanations and findings, never for clients."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from pylon.policy.nodes import (
    Ago,
    And,
    Arithmetic,
    Compare,
    Exists,
    Expr,
    HasRole,
    In,
    ListLiteral,
    Literal,
    Not,
    Or,
    Path,
    Reference,
    Root,
    TextTest,
)

_AUTH_NAMES = {
    "user_id": "userId",
    "is_admin": "isAdmin",
    "is_guest": "isGuest",
    "tenant_id": "tenantId",
}


def write(expr: Expr) -> str:
    """The expression as text. What was simplified away is not in it."""
    match expr:
        case Literal(value):
            return _constant(value)
        case Path(name):
            return name
        case Reference():
            return _path(expr)
        case Not(operand):
            return f"!{_inner(operand)}"
        case And(operands):
            return " && ".join(_grouped(operand) for operand in operands)
        case Or(operands):
            return " || ".join(write(o) if isinstance(o, And) else _grouped(o) for o in operands)
        case Compare(operator, left, right):
            return f"{_inner(left)} {operator} {_inner(right)}"
        case Arithmetic(operator, left, right):
            return f"({write(left)} {operator} {write(right)})"
        case In(left, right):
            return f"{_inner(left)} in {write(right)}"
        case ListLiteral(items):
            return f"[{', '.join(map(write, items))}]"
        case HasRole(roles):
            name = "hasRole" if len(roles) == 1 else "hasAnyRole"
            return f"auth.{name}({', '.join(map(_constant, roles))})"
        case Ago(seconds):
            return f"ago('{_duration(seconds)}')"
        case TextTest(function, text, part):
            return f"{function}({write(text)}, {write(part)})"
        case Exists(entity, conditions):
            tests = " and ".join(f"{c.column} == {write(c.value)}" for c in conditions)
            return f"exists({entity} where {tests})"


def _grouped(expr: Expr) -> str:
    return f"({write(expr)})" if isinstance(expr, And | Or) else write(expr)


def _inner(expr: Expr) -> str:
    return f"({write(expr)})" if isinstance(expr, And | Or | Compare | In) else write(expr)


def _path(reference: Reference) -> str:
    if not reference.member:
        return reference.root.word
    member = reference.member
    if reference.root is Root.AUTH:
        member = _AUTH_NAMES.get(member, member)
    return ".".join([reference.root.word, member, *reference.keys])


def _constant(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return msgspec.json.encode(value).decode()


def _duration(seconds: int) -> str:
    left = timedelta(seconds=seconds)
    parts = []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(int(left.total_seconds()), size)
        if count:
            parts.append(f"{count}{unit}")
        left = timedelta(seconds=rest)
    return "".join(parts) or "0s"
