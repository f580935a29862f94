"""A resolved expression compiled to closures over one row, built once. No dispatch and no parsing is left for the call;
the common leaves (`auth.userId == data.owner`, `auth.userId != null`) are one closure each.

Every closure is called as (identity, row, new, now, exists). In action policies the input object stands in for the row.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pylon.model.identity import Identity
from pylon.policy.names import type_of_field
from pylon.policy.nodes import (
    Ago,
    And,
    Arithmetic,
    Compare,
    Condition,
    Exists,
    Expr,
    HasRole,
    In,
    ListLiteral,
    Literal,
    Not,
    Or,
    Reference,
    Root,
    TextTest,
    Type,
    type_of,
)
from pylon.policy.values import (
    Unevaluable,
    arithmetic,
    at_most,
    distinct,
    equal,
    less,
    number_of_text,
    scalar,
    text_before,
)

ExistsResolver = Callable[[str, list[tuple[str, Any]]], bool]
"""Whether a row of the entity has all these column values; never asked about null."""

Evaluate = Callable[[Identity, Any, Any, datetime, ExistsResolver | None], Any]
Decide = Callable[[Identity, Any, Any, datetime, ExistsResolver | None], bool]

_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": less,
    "<=": at_most,
    ">": lambda left, right: less(right, left),
    ">=": lambda left, right: at_most(right, left),
}

_PLAIN_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compile_predicate(expr: Expr) -> Decide:
    """Whether the expression holds. The closure raises Unevaluable where a part has no value."""
    match expr:
        case Literal(value):
            holds = bool(value)
            return lambda i, r, n, t, x: holds
        case Not(operand):
            inner = compile_predicate(operand)
            return lambda i, r, n, t, x: not inner(i, r, n, t, x)
        case And(operands):
            return _all([compile_predicate(operand) for operand in operands])
        case Or(operands):
            return _any([compile_predicate(operand) for operand in operands])
        case Compare():
            return _compare(expr)
        case In():
            return _in(expr)
        case HasRole(roles):
            return _has_role(roles)
        case TextTest():
            return _text_test(expr)
        case Exists():
            return _exists(expr)
        case _:
            value_of = compile_value(expr)
            return lambda i, r, n, t, x: bool(value_of(i, r, n, t, x))


def compile_value(expr: Expr) -> Evaluate:
    """The expression's value: None, bool, int, float or str."""
    match expr:
        case Literal(value):
            return lambda i, r, n, t, x: value
        case Reference():
            return _reference(expr)
        case Ago(seconds):
            return lambda i, r, n, t, x: text_before(t, seconds)
        case Arithmetic(sign, left, right):
            left_of, right_of = compile_value(left), compile_value(right)
            return lambda i, r, n, t, x: arithmetic(sign, left_of(i, r, n, t, x), right_of(i, r, n, t, x))
        case _:
            return compile_predicate(expr)


# -- references --------------------------------------------------------------------------------------------------


def _reference(expr: Reference) -> Evaluate:
    if expr.type is Type.NULL:
        return lambda i, r, n, t, x: None
    if expr.type is Type.ANY:
        raw = _raw(expr)
        return lambda i, r, n, t, x: scalar(raw(i, r, n, t, x))
    return _raw(expr)


def _raw(expr: Reference) -> Evaluate:
    name, keys = expr.member, expr.keys
    match expr.root:
        case Root.AUTH:
            member = operator.attrgetter(name)
            return lambda i, r, n, t, x: member(i)
        case Root.INPUT:
            return lambda i, r, n, t, x: _descend(r, (name, *keys))
        case Root.DATA if keys:
            return lambda i, r, n, t, x: None if r is None else _descend(getattr(r, name), keys)
        case Root.DATA:
            return lambda i, r, n, t, x: None if r is None else getattr(r, name)
        case Root.EDIT:
            return lambda i, r, n, t, x: getattr(r, name, None)
        case Root.NEW:
            return lambda i, r, n, t, x: _descend(_written(n, name), keys)


def _written(new: Any, name: str) -> Any:
    if new is None:
        raise Unevaluable
    return getattr(new, name)


def _descend(value: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        if type(value) is not dict:
            return None
        value = value.get(key)
    return value


def _is_column(expr: Expr) -> bool:
    return isinstance(expr, Reference) and expr.root is Root.DATA and expr.type is not Type.ANY and expr.member != ""


def _is_caller_text(expr: Expr) -> bool:
    return isinstance(expr, Reference) and expr.root is Root.AUTH and expr.type is Type.TEXT


# -- connectives -------------------------------------------------------------------------------------------------


def _all(parts: list[Decide]) -> Decide:
    if len(parts) == 2:
        first, second = parts
        return lambda i, r, n, t, x: first(i, r, n, t, x) and second(i, r, n, t, x)

    def every(i: Identity, r: Any, n: Any, t: datetime, x: ExistsResolver | None) -> bool:
        for part in parts:
            if not part(i, r, n, t, x):
                return False
        return True

    return every


def _any(parts: list[Decide]) -> Decide:
    if len(parts) == 2:
        first, second = parts
        return lambda i, r, n, t, x: first(i, r, n, t, x) or second(i, r, n, t, x)

    def some(i: Identity, r: Any, n: Any, t: datetime, x: ExistsResolver | None) -> bool:
        for part in parts:
            if part(i, r, n, t, x):
                return True
        return False

    return some


# -- comparisons -------------------------------------------------------------------------------------------------


def _compare(expr: Compare) -> Decide:
    sign, left, right = expr.operator, expr.left, expr.right
    if sign not in ("==", "!="):
        return _ordering(sign, left, right)
    if left == Literal(None):
        left, right = right, left
    if right == Literal(None):
        return _null_test(sign, left)
    if _is_column(left) and (_is_caller_text(right) or isinstance(right, Literal)):
        left, right = right, left
    same_type = type_of(left) is type_of(right) is not Type.ANY
    if sign == "==" and same_type and isinstance(right, Reference) and _is_column(right):
        if isinstance(left, Literal):
            return _column_equals(right.member, left.value)
        if isinstance(left, Reference) and _is_caller_text(left):
            return _caller_owns(left.member, right.member)
    left_of, right_of = compile_value(left), compile_value(right)
    if sign == "!=":
        if same_type:
            return lambda i, r, n, t, x: left_of(i, r, n, t, x) != right_of(i, r, n, t, x)
        return lambda i, r, n, t, x: distinct(left_of(i, r, n, t, x), right_of(i, r, n, t, x))
    return lambda i, r, n, t, x: equal(left_of(i, r, n, t, x), right_of(i, r, n, t, x))


def _null_test(sign: str, operand: Expr) -> Decide:
    if isinstance(operand, Reference) and operand.root is Root.AUTH and operand.member == "user_id":
        if sign == "==":
            return lambda i, r, n, t, x: i.user_id is None
        return lambda i, r, n, t, x: i.user_id is not None
    value_of = compile_value(operand)
    if sign == "==":
        return lambda i, r, n, t, x: value_of(i, r, n, t, x) is None
    return lambda i, r, n, t, x: value_of(i, r, n, t, x) is not None


def _column_equals(name: str, constant: Any) -> Decide:
    return lambda i, r, n, t, x: r is not None and getattr(r, name) == constant


def _caller_owns(attribute: str, name: str) -> Decide:
    if attribute == "user_id":

        def owns(i: Identity, r: Any, n: Any, t: datetime, x: ExistsResolver | None) -> bool:
            user = i.user_id
            return user is not None and r is not None and user == getattr(r, name)

        return owns
    member = operator.attrgetter(attribute)

    def belongs(i: Identity, r: Any, n: Any, t: datetime, x: ExistsResolver | None) -> bool:
        value = member(i)
        return value is not None and r is not None and bool(value == getattr(r, name))

    return belongs


def _ordering(sign: str, left: Expr, right: Expr) -> Decide:
    left_of, right_of = compile_value(left), compile_value(right)
    if type_of(left) is type_of(right) and type_of(left) in (Type.TEXT, Type.NUMBER):
        return _plain_ordering(_PLAIN_ORDERINGS[sign], left_of, right_of)
    holds = _ORDERINGS[sign]
    return lambda i, r, n, t, x: holds(left_of(i, r, n, t, x), right_of(i, r, n, t, x))


def _plain_ordering(holds: Callable[[Any, Any], bool], left_of: Evaluate, right_of: Evaluate) -> Decide:
    def ordered(i: Identity, r: Any, n: Any, t: datetime, x: ExistsResolver | None) -> bool:
        left, right = left_of(i, r, n, t, x), right_of(i, r, n, t, x)
        return left is not None and right is not None and holds(left, right)

    return ordered


# -- membership, roles and text ----------------------------------------------------------------------------------


def _in(expr: In) -> Decide:
    value_of, right = compile_value(expr.left), expr.right
    if isinstance(right, ListLiteral):
        items: list[Any] = [item.value for item in right.items]
        texts = frozenset(item for item in items if type(item) is str)
        return lambda i, r, n, t, x: _is_member(value_of(i, r, n, t, x), items, texts)
    assert isinstance(right, Reference)
    list_of = _raw(right)

    def is_in(i: Identity, r: Any, n: Any, t: datetime, x: ExistsResolver | None) -> bool:
        value, found = value_of(i, r, n, t, x), list_of(i, r, n, t, x)
        return isinstance(found, list | tuple) and _is_member(value, found, found)

    return is_in


def _is_member(value: Any, items: Any, texts: Any) -> bool:
    if type(value) is str:
        if value in texts:
            return True
        number = number_of_text(value)
        return number is not None and any(equal(number, scalar(item)) for item in items if type(item) is not str)
    return value is not None and any(equal(value, scalar(item)) for item in items)


def _has_role(roles: tuple[str, ...]) -> Decide:
    if len(roles) == 1:
        role = roles[0]
        return lambda i, r, n, t, x: i.is_admin or role in i.roles
    wanted = frozenset(roles)
    return lambda i, r, n, t, x: i.is_admin or not wanted.isdisjoint(i.roles)


def _text_test(expr: TextTest) -> Decide:
    test = {"starts_with": str.startswith, "ends_with": str.endswith, "contains": str.__contains__}[expr.function]
    text_of, part_of = compile_value(expr.text), compile_value(expr.part)

    def holds(i: Identity, r: Any, n: Any, t: datetime, x: ExistsResolver | None) -> bool:
        text, part = text_of(i, r, n, t, x), part_of(i, r, n, t, x)
        return type(text) is str and type(part) is str and test(text, part)

    return holds


# -- exists ------------------------------------------------------------------------------------------------------


def _exists(expr: Exists) -> Decide:
    entity = expr.entity
    parts = [(condition.column, _as_column(condition)) for condition in expr.conditions]

    def exists(i: Identity, r: Any, n: Any, t: datetime, x: ExistsResolver | None) -> bool:
        values = [(column, value_of(i, r, n, t, x)) for column, value_of in parts]
        if x is None:
            raise Unevaluable
        for _, value in values:
            if value is None:
                return False
        return x(entity, values)

    return exists


def _as_column(condition: Condition) -> Evaluate:
    """The value as the column holds it; None where it can't equal any."""
    assert condition.kind is not None
    value_of = compile_value(condition.value)
    want = type_of_field(condition.kind)
    if type_of(condition.value) is want:
        return value_of
    convert = {Type.TEXT: _text_or_none, Type.BOOL: _bool_or_none}.get(want, _number_or_none)
    return lambda i, r, n, t, x: convert(value_of(i, r, n, t, x))


def _text_or_none(value: Any) -> str | None:
    return value if type(value) is str else None


def _bool_or_none(value: Any) -> bool | None:
    return value if type(value) is bool else None


def _number_or_none(value: Any) -> int | float | None:
    if type(value) is str:
        return number_of_text(value)
    return value if type(value) is int or type(value) is float else None
