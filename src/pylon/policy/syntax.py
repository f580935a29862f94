"""Policy text to a tree: the grammar of spec 05 §10.2 with the additions of design §4. Never looks at a schema.

expr    := and ( "||" and )*
and     := cmp ( "&&" cmp )*
cmp     := sum [ op right | "in" ( path | "[" [ atom ( "," atom )* ] "]" ) ]
right   := sum that doesn't begin with "!" or exists; parentheses only around arithmetic
sum     := product ( ("+" | "-") product )*
product := not ( ("*" | "/" | "%") not )*
not     := "!" not | primary
primary := "true" | "false" | "null" | number | string | "(" expr ")" | call | exists | path
exists  := "exists" "(" Entity "where" column "==" sum ( "and" column "==" sum )* ")"
"""

from __future__ import annotations

import re

from pylon.policy.lexer import PolicySyntaxError, Token, TokenKind, tokenize
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
    Path,
    TextTest,
)

__all__ = ["MAX_NESTING", "MAX_OPERATORS", "PolicySyntaxError", "parse"]

MAX_NESTING = 64
"""Levels: a parenthesis costs two, a `!` and each arithmetic operator of a chain one."""

MAX_OPERATORS = 256
"""How many `&&` and `||` one expression may have; a store limits the depth of its own expressions."""

MAX_AGO_SECONDS = 1000 * 366 * 86400
"""A thousand years; beyond, the date would leave the calendar."""

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_TEXT_TESTS = ("starts_with", "ends_with", "contains")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"([0-9]+[smhdw])+")
_FOREIGN_WORDS = {"and": "&&", "or": "||", "not": "!"}


def parse(text: str) -> Expr:
    """The tree of an expression, names unchecked. Raises PolicySyntaxError."""
    parser = _Parser(text)
    expr = parser.expression()
    parser.expect_end()
    return expr


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokenize(text)
        self._at = 0
        self._depth = 0
        self._operators = 0
        self._exists_depth: int | None = None

    # -- tokens --------------------------------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _next(self) -> Token:
        token = self._tokens[self._at]
        self._at += token.kind is not TokenKind.END
        return token

    def _sees(self, operator: str) -> bool:
        return self._token.kind is TokenKind.OPERATOR and self._token.text == operator

    def _sees_word(self, word: str) -> bool:
        return self._token.kind is TokenKind.WORD and self._token.text == word

    def _sees_call(self) -> bool:
        following = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else self._token
        return self._token.kind is TokenKind.WORD and following.text == "("

    def _take(self, operator: str) -> bool:
        found = self._sees(operator)
        self._at += found
        return found

    def _expect(self, operator: str) -> None:
        if not self._take(operator):
            raise self._error(f"Expected `{operator}`, found {self._token}")

    def _error(self, message: str, position: int | None = None) -> PolicySyntaxError:
        return PolicySyntaxError(message, self._text, self._token.position if position is None else position)

    def expect_end(self) -> None:
        token = self._token
        if token.kind is TokenKind.END:
            return
        hint = ""
        if token.kind is TokenKind.WORD and token.text in _FOREIGN_WORDS:
            hint = f"; write `{_FOREIGN_WORDS[token.text]}`"
        elif token.text in _COMPARISONS:
            hint = "; comparisons don't chain, join two with `&&`"
        raise self._error(f"Trailing tokens in expression, from {token}{hint}")

    def _enter(self, levels: int, position: int) -> None:
        self._depth += levels
        if self._depth >= MAX_NESTING:
            raise self._error(f"Nested more than {MAX_NESTING} levels deep", position)

    def _count_operator(self) -> None:
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise self._error(f"More than {MAX_OPERATORS} `&&` and `||`: split the policy into several")

    # -- the grammar ---------------------------------------------------------------------------------------------

    def expression(self) -> Expr:
        operands = [self._and()]
        while self._take("||"):
            self._count_operator()
            operands.append(self._and())
        return operands[0] if len(operands) == 1 else Or(tuple(operands))

    def _and(self) -> Expr:
        operands = [self._comparison()]
        while self._take("&&"):
            self._count_operator()
            operands.append(self._comparison())
        return operands[0] if len(operands) == 1 else And(tuple(operands))

    def _comparison(self) -> Expr:
        left = self._sum()
        token = self._token
        if token.kind is TokenKind.OPERATOR and token.text in _COMPARISONS:
            self._next()
            return Compare(token.text, left, self._right_operand())
        if self._sees_word("in"):
            self._next()
            return In(left, self._collection(), token.position)
        return left

    def _right_operand(self) -> Expr:
        start = self._token
        if self._sees("!") or (self._sees_word("exists") and self._sees_call()):
            raise self._error(f"Expected atom, found {start}: put the condition on the left side")
        operand = self._sum()
        if start.text == "(" and not isinstance(operand, Arithmetic):
            raise self._error("Expected atom, found `(`: parentheses go on the left side", start.position)
        return operand

    def _collection(self) -> Expr:
        token = self._token
        if token.kind is TokenKind.WORD and token.text not in _CONSTANTS and not self._sees_call():
            self._next()
            return Path(token.text, token.position)
        if not self._take("["):
            raise self._error(f"`in` takes a field that holds a list, auth.roles or [..], found {token}")
        items: list[Literal] = []
        if not self._take("]"):
            items.append(self._list_item())
            while self._take(","):
                items.append(self._list_item())
            self._expect("]")
        return ListLiteral(tuple(items))

    def _list_item(self) -> Literal:
        token = self._next()
        if token.kind in (TokenKind.NUMBER, TokenKind.STRING):
            return Literal(token.value)
        if token.kind is TokenKind.WORD and token.text in ("true", "false"):
            return Literal(_CONSTANTS[token.text])
        raise self._error(f"A list holds strings, numbers, true and false, found {token}", token.position)

    def _sum(self) -> Expr:
        left, depth = self._product(), self._depth
        while self._sees("+") or self._sees("-"):
            token = self._next()
            self._enter(1, token.position)
            left = Arithmetic(token.text, left, self._product(), token.position)
        self._depth = depth
        return left

    def _product(self) -> Expr:
        left, depth = self._unary(), self._depth
        while self._sees("*") or self._sees("/") or self._sees("%"):
            token = self._next()
            self._enter(1, token.position)
            left = Arithmetic(token.text, left, self._unary(), token.position)
        self._depth = depth
        return left

    def _unary(self) -> Expr:
        if not self._sees("!"):
            return self._primary()
        self._enter(1, self._next().position)
        operand = self._unary()
        self._depth -= 1
        return Not(operand)

    def _primary(self) -> Expr:
        token = self._token
        if self._sees("("):
            self._next()
            self._enter(2, token.position)
            expr = self.expression()
            self._expect(")")
            self._depth -= 2
            return expr
        if token.kind in (TokenKind.NUMBER, TokenKind.STRING):
            self._next()
            return Literal(token.value)
        if token.kind is TokenKind.WORD:
            if self._sees_call():
                return self._call()
            self._next()
            if token.text in _CONSTANTS:
                return Literal(_CONSTANTS[token.text])
            return Path(token.text, token.position)
        raise self._error(f"Expected a value, found {token}")

    # -- calls ---------------------------------------------------------------------------------------------------

    def _call(self) -> Expr:
        name = self._next()
        self._expect("(")
        match name.text:
            case "auth.hasRole":
                roles: tuple[str, ...] = (self._string("a role"),)
            case "auth.hasAnyRole":
                roles = self._roles()
            case "ago":
                return self._ago()
            case "exists":
                return self._exists(name.position)
            case function if function in _TEXT_TESTS:
                text = self._sum()
                self._expect(",")
                part = self._sum()
                self._expect(")")
                return TextTest(function, text, part, name.position)
            case _:
                known = "auth.hasRole, auth.hasAnyRole, ago, exists, starts_with, ends_with, contains"
                raise self._error(f"Unknown function `{name.text}`; there are {known}", name.position)
        self._expect(")")
        return HasRole(roles)

    def _string(self, what: str) -> str:
        token = self._next()
        if token.kind is not TokenKind.STRING or not isinstance(token.value, str):
            raise self._error(f"Expected {what} in quotes, found {token}", token.position)
        return token.value

    def _roles(self) -> tuple[str, ...]:
        roles = [self._string("a role")]
        while self._take(",") and not self._sees(")"):
            roles.append(self._string("a role"))
        return tuple(roles)

    def _ago(self) -> Ago:
        position = self._token.position
        written = self._string("a duration")
        self._expect(")")
        if not _DURATION.fullmatch(written):
            raise self._error(f'{written!r} is no duration: write it like "30d" or "1d12h" (s, m, h, d, w)', position)
        seconds = 0
        for count, unit in re.findall(r"([0-9]+)([smhdw])", written):
            # Compared by length first: Python refuses to read thousands of digits.
            seconds += int(count) * _UNITS[unit] if len(count) <= 15 else MAX_AGO_SECONDS + 1
        if seconds > MAX_AGO_SECONDS:
            raise self._error(f"ago({written[:30]!r}) is more than a thousand years", position)
        return Ago(seconds)

    def _exists(self, position: int) -> Exists:
        if self._exists_depth is not None:
            raise self._error("exists can't be nested", position)
        self._exists_depth = self._depth
        entity = self._next()
        if entity.kind is not TokenKind.WORD:
            raise self._error(f"Expected an entity, found {entity}", entity.position)
        if not self._sees_word("where"):
            raise self._error(f"Expected `where` after exists({entity.text}, found {self._token}")
        self._next()
        conditions = [self._condition()]
        while self._sees_word("and"):
            self._next()
            conditions.append(self._condition())
        for operator in ("&&", "||"):
            if self._sees(operator):
                raise self._error(f"Inside exists only the word `and` separates conditions, not `{operator}`")
        self._expect(")")
        self._exists_depth = None
        return Exists(entity.text, tuple(conditions), position)

    def _condition(self) -> Condition:
        column = self._next()
        if column.kind is not TokenKind.WORD or column.text in _CONSTANTS or "." in column.text or self._sees("("):
            raise self._error(f"Expected a plain column of the entity, found {column}", column.position)
        if not self._sees("=="):
            raise self._error(f"Inside exists only `==` compares, found {self._token}")
        self._next()
        value = self._sum()
        if self._token.kind is TokenKind.OPERATOR and self._token.text in _COMPARISONS:
            raise self._error("Put a comparison inside exists in parentheses")
        return Condition(column.text, value, None, column.position)
