"""Operands of the SQL form: a fragment, what is known of its type, and comparisons of two of them.

A comparison written here is *loose*: true, or else false or NULL. `sql` makes it exact where that matters.
"""

from __future__ import annotations

from dataclasses import dataclass

from pylon.policy.dialect import Dialect, JsonSql
from pylon.policy.nodes import Constant, Type

_FLIPPED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Operand:
    """`sql` is the value's fragment (empty for ANY, whose fragments are in `json`). `fails` says that NULL stands for
    a failed evaluation. `fixed` says that no row is read; `constant` is set where the value itself is known."""

    type: Type
    sql: str = ""
    json: JsonSql | None = None
    nullable: bool = True
    fails: bool = False
    fixed: bool = False
    number: int | float | None = None
    is_literal: bool = False


NULL = Operand(Type.NULL, fixed=True, is_literal=True)
TRUE = Operand(Type.BOOL, "TRUE", nullable=False, fixed=True, is_literal=True)
FALSE = Operand(Type.BOOL, "FALSE", nullable=False, fixed=True, is_literal=True)

_TAGS = {
    Type.NULL: (),
    Type.TEXT: (Type.TEXT,),
    Type.NUMBER: (Type.NUMBER,),
    Type.BOOL: (Type.BOOL,),
    Type.ANY: (Type.TEXT, Type.NUMBER, Type.BOOL),
}


def tag_test(dialect: Dialect, operand: Operand, tag: Type) -> str | None:
    """The fragment that is true when an ANY operand is of this type; None when that is known already."""
    if operand.json is None:
        return None
    tests = {Type.TEXT: dialect.is_text, Type.NUMBER: dialect.is_number, Type.BOOL: dialect.is_bool}
    return tests[tag](operand.json)


def value_as(dialect: Dialect, operand: Operand, tag: Type) -> str:
    """The fragment of the value, given that it is of this type."""
    if operand.json is None:
        return operand.sql
    values = {Type.TEXT: dialect.json_text, Type.NUMBER: dialect.json_number, Type.BOOL: dialect.json_bool}
    return values[tag](operand.json)


def only(dialect: Dialect, operand: Operand, tag: Type) -> str:
    """The fragment of the value where it is of this type, else NULL."""
    if tag not in _TAGS[operand.type]:
        return "NULL"
    test = tag_test(dialect, operand, tag)
    value = value_as(dialect, operand, tag)
    return value if test is None else f"CASE WHEN {test} THEN {value} END"


def number_or_spelled(dialect: Dialect, operand: Operand) -> str:
    """The fragment of the number that the value is, or spells, else NULL."""
    if operand.type is Type.NUMBER:
        return operand.sql
    if operand.type is Type.TEXT:
        return _spelled(dialect, operand) or "NULL"
    if operand.json is None:
        return "NULL"
    json = operand.json
    spelled = dialect.number_of_text(dialect.json_text(json))
    return (
        f"CASE WHEN {dialect.is_number(json)} THEN {dialect.json_number(json)} "
        f"WHEN {dialect.is_text(json)} THEN {spelled} END"
    )


def is_null(dialect: Dialect, operand: Operand) -> str:
    """The exact fragment that tells whether the operand is null, failures aside."""
    if operand.type is Type.NULL:
        return "TRUE"
    if operand.json is not None:
        tests = [dialect.is_text(operand.json), dialect.is_number(operand.json), dialect.is_bool(operand.json)]
        return f"({' OR '.join(tests)}) IS NOT TRUE"
    return f"{operand.sql} IS NULL" if operand.nullable else "FALSE"


def equals(dialect: Dialect, left: Operand, right: Operand) -> str:
    """Loose `==`."""
    return compare(dialect, "==", left, right)


def compare(dialect: Dialect, operator: str, left: Operand, right: Operand) -> str:
    """Loose `==`, `<`, `<=`, `>` or `>=`."""
    if left.fixed and not right.fixed:
        left, right, operator = right, left, _FLIPPED[operator]
    branches: list[tuple[str, str]] = []
    for left_tag in _TAGS[left.type]:
        for right_tag in _TAGS[right.type]:
            result = _branch(dialect, operator, left, left_tag, right, right_tag)
            if result is not None:
                tests = [tag_test(dialect, left, left_tag), tag_test(dialect, right, right_tag)]
                branches.append((" AND ".join(test for test in tests if test is not None), result))
    if not branches:
        return "FALSE"
    if branches[0][0] == "":
        return branches[0][1]
    return f"CASE {' '.join(f'WHEN {test} THEN {result}' for test, result in branches)} END"


def _branch(
    dialect: Dialect, operator: str, left: Operand, left_tag: Type, right: Operand, right_tag: Type
) -> str | None:
    if Type.BOOL in (left_tag, right_tag) and (left_tag is not right_tag or operator != "=="):
        return None
    left_sql: str | None = value_as(dialect, left, left_tag)
    right_sql: str | None = value_as(dialect, right, right_tag)
    if left_tag is not right_tag:
        if left_tag is Type.TEXT:
            left_sql = _spelled(dialect, left)
        else:
            right_sql = _spelled(dialect, right)
    if left_sql is None or right_sql is None:
        return None
    return f"{left_sql} {'=' if operator == '==' else operator} {right_sql}"


def _spelled(dialect: Dialect, operand: Operand) -> str | None:
    if operand.is_literal:
        return None if operand.number is None else _number(operand.number)
    return dialect.number_of_text(value_as(dialect, operand, Type.TEXT))


def _number(value: int | float) -> str:
    # Numbers spelled by text have at most 18 characters; repr of such a float reads back as the same float.
    return f"({value!r})" if value < 0 else repr(value)


def differs(dialect: Dialect, left: Operand, right: Operand) -> str:
    """Exact `!=`, failures aside."""
    if left.fixed and not right.fixed:
        left, right = right, left
    if left.type is right.type and left.type not in (Type.ANY, Type.NULL):
        return f"{left.sql} IS DISTINCT FROM {right.sql}"
    same = [f"({equals(dialect, left, right)}) IS TRUE"]
    nulls = [is_null(dialect, left), is_null(dialect, right)]
    if "FALSE" not in nulls:
        same.append("(" + " AND ".join(nulls) + ")")
    return f"NOT ({' OR '.join(same)})"


def is_truthy(dialect: Dialect, operand: Operand) -> str:
    """Loose truth of a bare value."""
    match operand.type:
        case Type.NULL:
            return "FALSE"
        case Type.BOOL:
            return operand.sql
        case Type.TEXT:
            return f"{operand.sql} <> ''"
        case Type.NUMBER:
            return f"{operand.sql} <> 0"
        case Type.ANY:
            assert operand.json is not None
            json = operand.json
            return (
                f"CASE WHEN {dialect.is_text(json)} THEN {dialect.json_text(json)} <> '' "
                f"WHEN {dialect.is_number(json)} THEN {dialect.json_number(json)} <> 0 "
                f"WHEN {dialect.is_bool(json)} THEN {dialect.json_bool(json)} END"
            )


def is_one_of(dialect: Dialect, operand: Operand, items: list[tuple[Constant, str, int | float | None]]) -> str:
    """Loose membership in constants, each with its fragment and the number that it is or spells."""
    branches: list[tuple[str | None, str]] = []
    for tag in _TAGS[operand.type]:
        value = value_as(dialect, operand, tag)
        tests = []
        if tag is Type.TEXT:
            texts = [sql for constant, sql, _ in items if isinstance(constant, str)]
            numbers = [sql for constant, sql, _ in items if _is_number(constant)]
            tests += [f"{value} IN ({', '.join(texts)})"] if texts else []
            spelled = _spelled(dialect, operand) if numbers else None
            tests += [f"{spelled} IN ({', '.join(numbers)})"] if spelled is not None else []
        elif tag is Type.NUMBER:
            numbers = [sql for constant, sql, _ in items if _is_number(constant)]
            numbers += [_number(n) for constant, _, n in items if isinstance(constant, str) and n is not None]
            tests += [f"{value} IN ({', '.join(numbers)})"] if numbers else []
        else:
            bools = [sql for constant, sql, _ in items if isinstance(constant, bool)]
            tests += [f"{value} IN ({', '.join(bools)})"] if bools else []
        if tests:
            branches.append((tag_test(dialect, operand, tag), " OR ".join(tests)))
    if not branches:
        return "FALSE"
    if branches[0][0] is None:
        return branches[0][1]
    return f"CASE {' '.join(f'WHEN {test} THEN {result}' for test, result in branches)} END"


def _is_number(constant: Constant) -> bool:
    return isinstance(constant, int | float) and not isinstance(constant, bool)
