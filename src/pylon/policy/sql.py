"""A resolved expression compiled to SQL, once per dialect: the same answer as `predicate` for every stored row.

SQL's NULL stands for two things that are kept apart. In `Form.LOOSE`, where NULL counts as false, comparisons are left
bare, so that an index can serve them. In `Form.EXACT`, under a negation or inside a value, what is false is 0, and NULL
means unevaluable, which denies the whole rule. What the caller and the clock decide alone is worked out in Python and
bound.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pylon.model.identity import Identity
from pylon.policy.dialect import Dialect, JsonSql, SqliteDialect
from pylon.policy.names import type_of_field
from pylon.policy.nodes import (
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
from pylon.policy.predicate import compile_predicate, compile_value
from pylon.policy.values import Unevaluable

__all__ = ["Dialect", "SqlRule", "SqliteDialect", "compile_sql"]

Bind = Callable[[Identity, datetime], Any]

_NAMES = {"user_id": "p_userId", "tenant_id": "p_tenantId", "email": "p_email"}


class Form(enum.Enum):
    """What NULL may mean in a condition."""

    LOOSE = "false or unevaluable"
    EXACT = "unevaluable only"


@dataclass(frozen=True, slots=True)
class SqlRule:
    """A condition over one table's alias, and the values of its named parameters."""

    text: str
    binds: tuple[tuple[str, Bind], ...]

    def bind(self, identity: Identity, now: datetime) -> dict[str, Any]:
        """The parameters for this caller and time."""
        return {name: value_of(identity, now) for name, value_of in self.binds}


@dataclass(frozen=True, slots=True)
class _Operand:
    """A value as fragments by type; each is NULL where the value is of another type. None: never of that type."""

    text: str | None = None
    number: str | None = None
    boolean: str | None = None

    @property
    def parts(self) -> list[str]:
        return [part for part in (self.text, self.number, self.boolean) if part is not None]

    @property
    def is_null(self) -> str:
        return " AND ".join(f"{part} IS NULL" for part in self.parts) or "1"


def compile_sql(expr: Expr, dialect: Dialect, alias: str) -> SqlRule:
    """The condition of a simplified rule. The row must be in `alias`."""
    compiler = _Compiler(dialect, alias)
    text = compiler.condition(expr, Form.LOOSE)
    return SqlRule(text, tuple(compiler.binds.items()))


class _Compiler:
    def __init__(self, dialect: Dialect, alias: str) -> None:
        self._dialect = dialect
        self._alias = alias
        self._inner = 0
        self.binds: dict[str, Bind] = {}

    # -- conditions ----------------------------------------------------------------------------------------------

    def condition(self, expr: Expr, form: Form) -> str:
        """Whether the expression holds: 1 or 0, or NULL as the form allows."""
        if isinstance(expr, Literal):
            return "1" if expr.value else "0"
        if is_fixed(expr):
            return self._fixed(expr, truth=True)
        match expr:
            case Not(operand):
                return f"NOT {_parens(self.condition(operand, Form.EXACT))}"
            case And(operands):
                return self._join(operands, form, "AND", "0")
            case Or(operands):
                return self._join(operands, form, "OR", "1")
            case Compare():
                return self._guarded(self._compare(expr, form), form, expr.left, expr.right)
            case In():
                return self._guarded(_exact(self._in(expr), form), form, expr.left)
            case TextTest():
                return self._guarded(_exact(self._text_test(expr), form), form, expr.text, expr.part)
            case Exists():
                values = [condition.value for condition in expr.conditions]
                return self._guarded(self._exists(expr), Form.EXACT, *values)
            case _:
                return self._truthy(expr, form)

    def _join(self, operands: tuple[Expr, ...], form: Form, word: str, deciding: str) -> str:
        if form is Form.LOOSE and (word == "AND" or not any(map(can_fail, operands))):
            return f" {word} ".join(_parens(self.condition(operand, Form.LOOSE)) for operand in operands)
        conditions = [self.condition(operand, Form.EXACT) for operand in operands]
        if not any(map(can_fail, operands)):
            return f" {word} ".join(map(_parens, conditions))
        # What comes first decides, as in Python: neither a later part nor a later failure matters then.
        *firsts, last = conditions
        test = "NOT " if word == "AND" else ""
        cases = "".join(f"WHEN {_parens(c)} IS NULL THEN NULL WHEN {test}{_parens(c)} THEN {deciding} " for c in firsts)
        return f"CASE {cases}ELSE {_parens(last)} END"

    def _guarded(self, condition: str, form: Form, *operands: Expr) -> str:
        """The condition, NULL where an operand is unevaluable."""
        failing = [operand for operand in operands if can_fail(operand)]
        if not failing:
            return condition
        tests = " OR ".join(f"{self._failure(operand)} IS NULL" for operand in failing)
        return f"CASE WHEN {tests} THEN NULL ELSE {_parens(_exact(condition, Form.EXACT))} END"

    def _failure(self, expr: Expr) -> str:
        """A fragment that is NULL exactly where an operand that can fail does."""
        operand = self._operand(expr)
        return operand.parts[0]

    def _truthy(self, expr: Expr, form: Form) -> str:
        operand = self._operand(expr)
        tests = []
        if operand.text is not None:
            tests.append(f"{operand.text} <> ''")
        if operand.number is not None:
            tests.append(f"{operand.number} <> 0")
        if operand.boolean is not None:
            tests.append(f"{operand.boolean} <> 0")
        if not tests:
            return "0"
        condition = " OR ".join(tests)
        return condition if can_fail(expr) else _exact(condition, form)

    # -- comparisons ---------------------------------------------------------------------------------------------

    def _compare(self, expr: Compare, form: Form) -> str:
        left, right = expr.left, expr.right
        if expr.operator in ("==", "!="):
            if left == Literal(None):
                left, right = right, left
            if right == Literal(None):
                test = self._operand(left).is_null
                return test if expr.operator == "==" else f"NOT ({test})"
        first, second = self._operand(left), self._operand(right)
        if expr.operator == "==":
            return _exact(self._equal(first, second), form)
        if expr.operator == "!=":
            equal = _exact(self._equal(first, second), Form.EXACT)
            return (
                f"CASE WHEN {_parens(first.is_null)} OR {_parens(second.is_null)} "
                f"THEN NOT ({_parens(first.is_null)} AND {_parens(second.is_null)}) ELSE NOT {_parens(equal)} END"
            )
        return _exact(self._ordered(expr.operator, first, second), form)

    def _equal(self, left: _Operand, right: _Operand) -> str:
        return self._pairs("=", left, right, booleans=[(left.boolean, right.boolean)])

    def _ordered(self, sign: str, left: _Operand, right: _Operand) -> str:
        return self._pairs(sign, left, right, booleans=[])

    def _pairs(
        self, sign: str, left: _Operand, right: _Operand, booleans: list[tuple[str | None, str | None]]
    ) -> str:
        """The comparison of each pair of types that compare; text and number meet as numbers."""
        pairs = [(left.text, right.text), (left.number, right.number), *booleans]
        if left.text is not None and right.number is not None:
            pairs.append((self._dialect.number_of_text(left.text), right.number))
        if left.number is not None and right.text is not None:
            pairs.append((left.number, self._dialect.number_of_text(right.text)))
        tests = [f"{a} {sign} {b}" for a, b in pairs if a is not None and b is not None]
        return " OR ".join(tests) or "0"

    # -- membership, text, exists --------------------------------------------------------------------------------

    def _in(self, expr: In) -> str:
        value, right = self._operand(expr.left), expr.right
        if isinstance(right, ListLiteral):
            tests = [self._equal(value, self._operand(item)) for item in right.items if item.value is not None]
            return " OR ".join(map(_parens, tests)) or "0"
        assert isinstance(right, Reference)
        alias = self._alias_below()
        if right.root is Root.AUTH:
            name = self._bind("p_roles", lambda i, t: self._dialect.bind_list(i.roles))
            source, element = self._dialect.list_elements(self._dialect.parameter(name), alias)
            item = _Operand(text=element)
        else:
            column = self._dialect.column(self._alias, right.member)
            source, json = self._dialect.json_elements(column, right.keys, alias)
            item = self._json_operand(json)
        return f"EXISTS (SELECT 1 FROM {source} WHERE {self._equal(value, item)})"

    def _text_test(self, expr: TextTest) -> str:
        text, part = self._operand(expr.text).text, self._operand(expr.part).text
        if text is None or part is None:
            return "0"
        return self._dialect.text_test(expr.function, text, part)

    def _exists(self, expr: Exists) -> str:
        alias = self._alias_below()
        tests = []
        for condition in expr.conditions:
            value = self._as_column(condition)
            if value is None:
                return "0"
            tests.append(f"{self._dialect.column(alias, condition.column)} = {value}")
        table = self._dialect.table(expr.entity)
        return f"EXISTS (SELECT 1 FROM {table} AS {alias} WHERE {' AND '.join(tests)})"

    def _as_column(self, condition: Condition) -> str | None:
        """The value as the column holds it, NULL or None where it can't equal any."""
        assert condition.kind is not None
        operand = self._operand(condition.value)
        match type_of_field(condition.kind):
            case Type.TEXT:
                return operand.text
            case Type.BOOL:
                return operand.boolean
            case _ if operand.text is not None and operand.number is not None:
                return f"coalesce({operand.number}, {self._dialect.number_of_text(operand.text)})"
            case _ if operand.text is not None:
                return self._dialect.number_of_text(operand.text)
            case _:
                return operand.number

    def _alias_below(self) -> str:
        self._inner += 1
        return f"{self._alias}{self._inner}"

    # -- values --------------------------------------------------------------------------------------------------

    def _operand(self, expr: Expr) -> _Operand:
        kind = type_of(expr)
        if kind is Type.NULL:
            return _Operand()
        if isinstance(expr, Reference) and expr.root is Root.DATA:
            return self._column(expr)
        if isinstance(expr, Literal) and not isinstance(expr.value, str):
            sql = repr(int(expr.value)) if isinstance(expr.value, bool) else repr(expr.value)
        elif isinstance(expr, Literal) and isinstance(expr.value, str) and "\0" not in expr.value:
            sql = self._dialect.text(expr.value)
        elif is_fixed(expr):
            sql = self._fixed(expr, truth=False)
        elif isinstance(expr, Arithmetic):
            sql = self._arithmetic(expr)
        else:
            sql = _parens(self.condition(expr, Form.EXACT))
        return _typed(kind, sql)

    def _column(self, expr: Reference) -> _Operand:
        column = self._dialect.column(self._alias, expr.member)
        if expr.type is Type.ANY:
            return self._json_operand(self._dialect.json_at(column, expr.keys))
        return _typed(expr.type, column)

    def _json_operand(self, json: JsonSql) -> _Operand:
        dialect = self._dialect
        return _Operand(
            text=f"CASE WHEN {dialect.is_text(json)} THEN {dialect.json_text(json)} END",
            number=f"CASE WHEN {dialect.is_number(json)} THEN {dialect.json_number(json)} END",
            boolean=f"CASE WHEN {dialect.is_bool(json)} THEN {dialect.json_bool(json)} END",
        )

    def _arithmetic(self, expr: Arithmetic) -> str:
        left, right = self._operand(expr.left).number, self._operand(expr.right).number
        if left is None or right is None:
            return "NULL"
        return self._dialect.arithmetic(expr.operator, left, right)

    def _fixed(self, expr: Expr, *, truth: bool) -> str:
        """What the caller and the clock decide, bound: None where it is unevaluable."""
        if isinstance(expr, Reference) and expr.member in _NAMES and not truth:
            name = _NAMES[expr.member]
        else:
            name = f"p_{len(self.binds)}"
        value_of = compile_predicate(expr) if truth else compile_value(expr)

        def bound(identity: Identity, now: datetime) -> Any:
            try:
                value = value_of(identity, None, None, now, None)
            except Unevaluable:
                return None
            return int(value) if isinstance(value, bool) else value

        return self._dialect.parameter(self._bind(name, bound))

    def _bind(self, name: str, value_of: Bind) -> str:
        self.binds.setdefault(name, value_of)
        return name


def _typed(kind: Type, sql: str) -> _Operand:
    match kind:
        case Type.TEXT:
            return _Operand(text=sql)
        case Type.NUMBER:
            return _Operand(number=sql)
        case _:
            return _Operand(boolean=sql)


def _exact(condition: str, form: Form) -> str:
    return condition if form is Form.LOOSE or condition in ("0", "1") else f"coalesce({condition}, 0)"


def _parens(condition: str) -> str:
    return condition if condition.isalnum() else f"({condition})"
