"""A resolved rule as one SQL condition over one row, fixed at start; only parameters differ from call to call.

Two ways to write a part: *loose* (false may be NULL), which leaves `t."owner" = :p_userId` plain for the planner, and
*exact* (true or false, NULL only where evaluation fails), needed under `!` and `||` and as an operand. A whole rule
is loose: NULL denies. What the caller and the clock alone decide is computed in Python and bound.
"""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pylon.model.identity import Identity
from pylon.policy import operands as op
from pylon.policy.dialect import Dialect, JsonSql, SqliteDialect
from pylon.policy.names import type_of_field
from pylon.policy.nodes import (
    Ago,
    And,
    Arithmetic,
    Compare,
    Condition,
    Exists,
    Expr,
    In,
    ListLiteral,
    Literal,
    Not,
    Or,
    Reference,
    Root,
    TextTest,
    Type,
    can_fail,
    is_fixed,
    type_of,
)
from pylon.policy.operands import Operand
from pylon.policy.predicate import compile_predicate, compile_value
from pylon.policy.values import Unevaluable, number_of_text, text_before

__all__ = ["Dialect", "JsonSql", "Reach", "SqlRule", "SqliteDialect", "compile_sql"]

Getter = Callable[[Identity, datetime], Any]


class Reach(enum.Enum):
    """How many rows a statement looks at, which decides how `exists` is best written: a row that is already found is
    looked up on the other side; of many rows, the other side says which are wanted."""

    ROW = "row"
    ROWS = "rows"

    __hash__ = object.__hash__  # each is itself alone; that of Enum is a call for every read


_AUTH_PARAMETERS = {
    "user_id": "p_userId",
    "tenant_id": "p_tenantId",
    "email": "p_email",
    "is_admin": "p_isAdmin",
    "is_guest": "p_isGuest",
}
_ROLES = "p_roles"


@dataclass(frozen=True, slots=True)
class SqlRule:
    """A rule in SQL. `text` is a condition over the row's alias; a name always stands for the same value, so that two
    rules may share a statement."""

    text: str
    parameters: tuple[tuple[str, Getter], ...]

    def bind(self, identity: Identity, now: datetime) -> dict[str, Any]:
        """The parameters that the text names, for this caller at this time."""
        return {name: get(identity, now) for name, get in self.parameters}


def compile_sql(expr: Expr, dialect: Dialect, alias: str, reach: Reach) -> SqlRule:
    """The SQL form of a resolved, simplified rule that doesn't read `new` or `input`."""
    compiler = _Compiler(dialect, alias, reach)
    text = f"({compiler.loose(expr)})" if isinstance(expr, Or) else compiler.loose(expr)
    return SqlRule(text, tuple(sorted(compiler.parameters.items())))


class _Compiler:
    def __init__(self, dialect: Dialect, alias: str, reach: Reach) -> None:
        self._reach = reach
        self._dialect = dialect
        self._alias = alias
        self._inner = 0
        self.parameters: dict[str, Getter] = {}

    # -- conditions ----------------------------------------------------------------------------------------------

    def loose(self, expr: Expr) -> str:
        """True, or else false or NULL."""
        match expr:
            case And(operands) if not is_fixed(expr):
                return " AND ".join(_conjunct(self.loose(operand)) for operand in operands)
            case Or(operands) if not any(can_fail(operand) for operand in operands):
                if not is_fixed(expr):
                    return " OR ".join(_conjunct(self.loose(operand)) for operand in operands)
        if isinstance(expr, Compare | In | TextTest | Reference) and not is_fixed(expr) and not can_fail(expr):
            return self._leaf(expr)
        if self._reach is Reach.ROWS and isinstance(expr, Exists) and (linked := self._linked(expr)) is not None:
            return linked
        return self.exact(expr)

    def exact(self, expr: Expr) -> str:
        """True or false; NULL only where evaluation fails."""
        if isinstance(expr, Literal):
            return "TRUE" if expr.value else "FALSE"
        if is_fixed(expr):
            return self._computed_bool(expr)
        match expr:
            case Not(operand):
                return f"NOT ({self.exact(operand)})"
            case And(operands):
                return self._joined("AND", operands)
            case Or(operands):
                return self._joined("OR", operands)
            case Exists():
                return self._exists(expr)
            case Compare() if _is_condition(expr.left):
                by_cases = self._by_cases(expr.left, lambda left: self._compare(expr.operator, left, expr.right))
                return _unless_failing([self._operand(expr.right)], by_cases)
            case In() if _is_condition(expr.left):
                return self._by_cases(expr.left, lambda left: self._in(left, expr.right))
        return _unless_failing(self._operands(expr), f"({self._leaf(expr)}) IS TRUE")

    def _joined(self, word: str, operands: tuple[Expr, ...]) -> str:
        # From the left, and a part that fails is the end of it: NULL AND FALSE would be FALSE in SQL.
        result = self.exact(operands[-1])
        for operand in reversed(operands[:-1]):
            if not can_fail(operand):
                result = f"({self.exact(operand)}) {word} ({result})"
            elif word == "AND":
                result = f"CASE ({self.exact(operand)}) WHEN TRUE THEN {result} WHEN FALSE THEN FALSE END"
            else:
                result = f"CASE ({self.exact(operand)}) WHEN TRUE THEN TRUE WHEN FALSE THEN {result} END"
        return result

    def _by_cases(self, condition: Expr, then: Callable[[Operand], str]) -> str:
        # The condition is written once, however deep conditions nest on the left of each other.
        return (
            f"CASE ({self.exact(condition)}) WHEN TRUE THEN ({then(op.TRUE)}) IS TRUE "
            f"WHEN FALSE THEN ({then(op.FALSE)}) IS TRUE END"
        )

    def _leaf(self, expr: Expr) -> str:
        match expr:
            case Compare() if not _is_condition(expr.left):
                return self._compare(expr.operator, self._operand(expr.left), expr.right)
            case In() if not _is_condition(expr.left):
                return self._in(self._operand(expr.left), expr.right)
            case TextTest():
                text, part = self._operand(expr.text), self._operand(expr.part)
                texts = op.only(self._dialect, text, Type.TEXT), op.only(self._dialect, part, Type.TEXT)
                return "FALSE" if "NULL" in texts else self._dialect.text_test(expr.function, *texts)
            case Compare() | In():
                return self.exact(expr)
            case _:
                return op.is_truthy(self._dialect, self._operand(expr))

    def _operands(self, expr: Expr) -> list[Operand]:
        match expr:
            case Compare():
                return [self._operand(expr.left), self._operand(expr.right)]
            case In():
                return [self._operand(expr.left)]
            case TextTest():
                return []
            case _:
                return [self._operand(expr)]

    def _compare(self, operator: str, left: Operand, right_expr: Expr) -> str:
        right = self._operand(right_expr)
        if operator not in ("==", "!="):
            return op.compare(self._dialect, operator, left, right)
        for one, other in ((left, right), (right, left)):
            if one is op.NULL:
                test = op.is_null(self._dialect, other)
                return test if operator == "==" else f"NOT ({test})"
        if operator == "!=":
            return op.differs(self._dialect, left, right)
        return op.equals(self._dialect, left, right)

    def _in(self, left: Operand, right: Expr) -> str:
        dialect = self._dialect
        if isinstance(right, ListLiteral):
            return op.is_one_of(dialect, left, [self._item(item) for item in right.items])
        assert isinstance(right, Reference)
        alias = self._next_alias()
        if right.root is Root.AUTH:
            self.parameters[_ROLES] = lambda identity, now: dialect.bind_list(identity.roles)
            parameter = dialect.parameter(_ROLES)
            if left.type is Type.TEXT:
                return dialect.text_in_list(left.sql, parameter)
            source, text = dialect.list_elements(parameter, alias)
            element = Operand(Type.TEXT, text)
        else:
            column = dialect.column(self._alias, right.member)
            source, json = dialect.json_elements(column, right.keys, alias)
            element = Operand(Type.ANY, json=json)
        return f"EXISTS (SELECT 1 FROM {source} WHERE {op.equals(dialect, left, element)})"

    def _item(self, item: Literal) -> tuple[Any, str, int | float | None]:
        operand = self._literal(item.value)
        return item.value, operand.sql, operand.number

    # -- exists --------------------------------------------------------------------------------------------------

    def _exists(self, expr: Exists) -> str:
        alias = self._next_alias()
        tests: list[str] = []
        values: list[Operand] = []
        for condition in expr.conditions:
            value = self._operand(condition.value)
            values.append(value)
            tests.append(f"{self._dialect.column(alias, condition.column)} = {self._as_column(condition, value)}")
        table = self._dialect.table(expr.entity)
        found = f"EXISTS (SELECT 1 FROM {table} {alias} WHERE {' AND '.join(tests)})"
        return _unless_failing(values, found)

    def _linked(self, expr: Exists) -> str | None:
        """Loosely, an `exists` that one plain column of the row links to the other entity: as membership of the column
        in what the other conditions find. So the planner may begin with either side, where EXISTS always walks the
        rows. None for any other."""
        links = [c for c in expr.conditions if _is_column(c)]
        if len(links) != 1 or any(
            can_fail(c.value) or not (c is links[0] or is_fixed(c.value)) for c in expr.conditions
        ):
            return None
        alias = self._next_alias()
        dialect = self._dialect
        tests = [
            f"{dialect.column(alias, c.column)} = {self._as_column(c, self._operand(c.value))}"
            for c in expr.conditions
            if c is not links[0]
        ]
        found = f"SELECT {dialect.column(alias, links[0].column)} FROM {dialect.table(expr.entity)} {alias}"
        where = f" WHERE {' AND '.join(tests)}" if tests else ""
        return f"{self._operand(links[0].value).sql} IN ({found}{where})"

    def _as_column(self, condition: Condition, value: Operand) -> str:
        assert condition.kind is not None
        want = type_of_field(condition.kind)
        if want is Type.NUMBER:
            return _grouped(op.number_or_spelled(self._dialect, value))
        return _grouped(op.only(self._dialect, value, want))

    def _next_alias(self) -> str:
        self._inner += 1
        return f"{self._alias}_{self._inner}"

    # -- operands ------------------------------------------------------------------------------------------------

    def _operand(self, expr: Expr) -> Operand:
        match expr:
            case Literal(value):
                return self._literal(value)
            case Reference(Root.DATA):
                return self._column(expr)
            case Reference(Root.AUTH) if expr.type is not Type.NULL:
                return self._caller(expr)
            case Reference():
                return Operand(Type.NULL, fixed=True)
            case Ago(seconds):
                sql = self._bound(f"p_ago_{seconds}", lambda identity, now: text_before(now, seconds))
                return Operand(Type.TEXT, sql, nullable=False, fixed=True)
            case Arithmetic() if is_fixed(expr):
                return Operand(Type.NUMBER, self._computed_number(expr), fails=True, nullable=False, fixed=True)
            case Arithmetic():
                left = op.only(self._dialect, self._operand(expr.left), Type.NUMBER)
                right = op.only(self._dialect, self._operand(expr.right), Type.NUMBER)
                sql = self._dialect.arithmetic(expr.operator, left, right)
                return Operand(Type.NUMBER, sql, fails=True, nullable=False)
            case _:
                fixed = is_fixed(expr)
                return Operand(Type.BOOL, _grouped(self.exact(expr)), nullable=False, fails=can_fail(expr), fixed=fixed)

    def _column(self, expr: Reference) -> Operand:
        if expr.type is Type.NULL:
            return Operand(Type.NULL)
        column = self._dialect.column(self._alias, expr.member)
        if expr.type is Type.ANY:
            return Operand(Type.ANY, json=self._dialect.json_at(column, expr.keys))
        return Operand(expr.type, column)

    def _caller(self, expr: Reference) -> Operand:
        member = expr.member
        sql = self._bound(_AUTH_PARAMETERS[member], lambda identity, now: getattr(identity, member))
        return Operand(expr.type, sql, nullable=expr.type is not Type.BOOL, fixed=True)

    def _literal(self, value: Any) -> Operand:
        if value is None:
            return op.NULL
        if isinstance(value, bool):
            return op.TRUE if value else op.FALSE
        if isinstance(value, str):
            sql = self._constant(value) if "\0" in value else self._dialect.text(value)
            return Operand(Type.TEXT, sql, nullable=False, fixed=True, number=number_of_text(value), is_literal=True)
        if isinstance(value, float) or value == -(2**63):
            sql = self._constant(value)
        else:
            sql = f"({value})" if value < 0 else str(value)
        return Operand(Type.NUMBER, sql, nullable=False, fixed=True, number=value, is_literal=True)

    # -- parameters ----------------------------------------------------------------------------------------------

    def _bound(self, name: str, get: Getter) -> str:
        self.parameters[name] = get
        return self._dialect.parameter(name)

    def _constant(self, value: Any) -> str:
        return self._bound(_named("p_k", value), lambda identity, now: value)

    def _computed_bool(self, expr: Expr) -> str:
        decide = compile_predicate(expr)

        def get(identity: Identity, now: datetime) -> bool | None:
            try:
                return bool(decide(identity, None, None, now, None))
            except Unevaluable:
                return None

        return self._bound(_named("p_is", expr), get)

    def _computed_number(self, expr: Expr) -> str:
        value_of = compile_value(expr)

        def get(identity: Identity, now: datetime) -> int | float | None:
            try:
                result: int | float = value_of(identity, None, None, now, None)
            except Unevaluable:
                return None
            return result

        return self._bound(_named("p_n", expr), get)


def _is_column(condition: Condition) -> bool:
    """Whether a condition compares with a column of the row that has the type of the other column."""
    value = condition.value
    if not isinstance(value, Reference) or value.root is not Root.DATA or condition.kind is None:
        return False
    return value.type is type_of_field(condition.kind) and value.type is not Type.ANY


def _unless_failing(operands: list[Operand], condition: str) -> str:
    failing = [f"{operand.sql} IS NULL" for operand in operands if operand.fails]
    return f"CASE WHEN {' OR '.join(failing)} THEN NULL ELSE {condition} END" if failing else condition


def _is_condition(expr: Expr) -> bool:
    """Whether an operand is itself a condition over the row."""
    return type_of(expr) is Type.BOOL and not isinstance(expr, Literal | Reference) and not is_fixed(expr)


def _named(prefix: str, content: object) -> str:
    return f"{prefix}_{hashlib.blake2s(repr(content).encode(), digest_size=6).hexdigest()}"


def _grouped(sql: str) -> str:
    return f"({sql})" if " " in sql else sql


def _conjunct(sql: str) -> str:
    # Plain comparisons stay bare, so that the planner and a reader of the statement see them as they are.
    return f"({sql})" if " OR " in sql or " AND " in sql else sql
