"""The grammar: what parses to what, and what is refused where."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pylon.policy.nodes import (
    Ago,
    And,
    Arithmetic,
    Compare,
    Condition,
    Exists,
    HasRole,
    In,
    ListLiteral,
    Literal,
    Not,
    Or,
    Path,
    TextTest,
)
from pylon.policy.syntax import MAX_OPERATORS, PolicySyntaxError, parse

A, B, C = Path("a"), Path("b"), Path("c")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a || b && c", Or((A, And((B, C))))),
        ("(a || b) && c", And((Or((A, B)), C))),
        ("!a == b", Compare("==", Not(A), B)),
        ("!(a == b)", Not(Compare("==", A, B))),
        ("!!a", Not(Not(A))),
        ("a\t!=\r\nb", Compare("!=", A, B)),
        ("(a == b) == true", Compare("==", Compare("==", A, B), Literal(True))),
        ('auth.hasRole("x")', HasRole(("x",))),
        ('auth.hasAnyRole("x", "y",)', HasRole(("x", "y"))),
        ('ago("1d12h")', Ago(129600)),
        ('starts_with(a, "x")', TextTest("starts_with", A, Literal("x"))),
        ("a in b", In(A, B)),
        ("a in [1, 'x', -2.5, true]", In(A, ListLiteral((Literal(1), Literal("x"), Literal(-2.5), Literal(True))))),
        ("a in []", In(A, ListLiteral(()))),
        ("a + b * c", Arithmetic("+", A, Arithmetic("*", B, C))),
        ("a - b - c", Arithmetic("-", Arithmetic("-", A, B), C)),
        ("a -1", Arithmetic("-", A, Literal(1))),
        ("a - -1", Arithmetic("-", A, Literal(-1))),
        ("a == -1", Compare("==", A, Literal(-1))),
        ("a == b * (c + 1)", Compare("==", A, Arithmetic("*", B, Arithmetic("+", C, Literal(1))))),
        ("a == (b + 1)", Compare("==", A, Arithmetic("+", B, Literal(1)))),
        ("exists(M where x == a)", Exists("M", (Condition("x", A),))),
        (
            "exists(M where x == a and y == (b == c))",
            Exists("M", (Condition("x", A), Condition("y", Compare("==", B, C)))),
        ),
        ("exists(M where x == (a && b))", Exists("M", (Condition("x", And((A, B))),))),
    ],
)
def test_an_expression_parses_to_its_tree(text: str, tree: object) -> None:
    assert parse(text) == tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("01", 1),
        ("1.50", 1.5),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", 2.0**63),
        (r"'\\ \" \' \n\r\t\0'", "\\ \" ' \n\r\t\0"),
        ('"it\'s"', "it's"),
        ("TRUE || x", None),
    ],
)
def test_literals_have_the_values_that_they_spell(text: str, value: object) -> None:
    tree = parse(text)
    if value is None:
        assert tree == Or((Path("TRUE"), Path("x")))
    else:
        assert tree == Literal(value)  # type: ignore[arg-type]
        assert type(tree.value) is type(value)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("text", "message", "position"),
    [
        ("", "Expected a value", 0),
        ("   ", "Expected a value", 3),
        ("a b", "Trailing tokens", 2),
        ("a and b", "write `&&`", 2),
        ("1 < a < 3", "don't chain", 6),
        ("a == b == c", "don't chain", 7),
        ("a = b", "write `==`", 2),
        ("a === b", "write `==`", 4),
        ("a & b", "write `&&`", 2),
        ("a | b", "write `||`", 2),
        ("a == (5)", "parentheses go on the left", 5),
        ("true == (1 == 1)", "parentheses go on the left", 8),
        ("a == !b", "Expected atom", 5),
        ("a == exists(M where x == 1)", "Expected atom", 5),
        ("1e3 == 1", "without an exponent", 1),
        (".5 == a", "Unexpected character '.'", 0),
        ("5. == a", "can't end in a dot", 1),
        ("-a", "Expected a value", 0),
        ("'abc", "not closed", 0),
        (r"'a\q'", "Unknown escape", 2),
        ("a[0]", "Trailing tokens", 1),
        ("a ? b : c", "Unexpected character '?'", 2),
        ("// a", "Expected a value", 0),
        ("(a", "Expected `)`", 2),
        ("a &&", "Expected a value", 4),
        ("f(a)", "Unknown function `f`", 0),
        ("now() > a", "Unknown function `now`", 0),
        ("auth.hasRole()", "Expected a role in quotes", 13),
        ("auth.hasRole(a)", "Expected a role in quotes", 13),
        ('auth.hasRole("a","b")', "Expected `)`", 16),
        ("auth.hasAnyRole()", "Expected a role in quotes", 16),
        ('ago("30")', "is no duration", 4),
        ('ago("1d 12h")', "is no duration", 4),
        ('ago("")', "is no duration", 4),
        ("ago(30)", "Expected a duration in quotes", 4),
        ('ago("99999999999d")', "thousand years", 4),
        ('ago("' + "9" * 5000 + 's")', "thousand years", 4),
        ("a in", "`in` takes", 4),
        ("a in 'x'", "`in` takes", 5),
        ("a in [null]", "A list holds", 6),
        ("a in [b]", "A list holds", 6),
        ("a in [1,]", "A list holds", 8),
        ("exists(M)", "Expected `where`", 8),
        ("exists(M where true)", "plain column", 15),
        ("exists(M where M.x == 1)", "plain column", 15),
        ("exists(M where x > 3)", "only `==` compares", 17),
        ("exists(M where x == a && y == b)", "only the word `and`", 22),
        ("exists(M where x == a || y == b)", "only the word `and`", 22),
        ("exists(M where x == a == b)", "in parentheses", 22),
        ("exists(M where x == exists(N where y == 1))", "can't be nested", 20),
        ("'\ud800'", "surrogate", 1),
    ],
)
def test_what_is_wrong_is_said_with_its_position(text: str, message: str, position: int) -> None:
    with pytest.raises(PolicySyntaxError) as raised:
        parse(text)
    assert message in raised.value.message
    assert raised.value.position == position
    assert raised.value.text == text
    assert isinstance(raised.value, ValueError)


@pytest.mark.parametrize(
    ("fits", "too_deep"),
    [
        ("(" * 31 + "a" + ")" * 31, "(" * 32 + "a" + ")" * 32),
        ("!" * 63 + "a", "!" * 64 + "a"),
        ("!(" * 21 + "a" + ")" * 21, "!(" * 22 + "a" + ")" * 22),
        ("a" + " + a" * 63, "a" + " + a" * 64),
    ],
)
def test_nesting_ends_at_64_levels(fits: str, too_deep: str) -> None:
    parse(fits)
    with pytest.raises(PolicySyntaxError, match="64 levels"):
        parse(too_deep)


def test_levels_are_given_back_after_a_parenthesis() -> None:
    parse(" && ".join(["(((!(a + 1 == 2))))"] * 100))


def test_a_chain_of_connectives_ends_at_its_limit() -> None:
    parse(" && ".join(["a"] * (MAX_OPERATORS + 1)))
    with pytest.raises(PolicySyntaxError, match="split the policy"):
        parse(" && ".join(["a"] * (MAX_OPERATORS + 2)))


def test_a_tree_can_not_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse("!a").operand = A  # type: ignore[union-attr, misc]


_PIECES = ["a", "data.x", "1", "-2", "1.5", '"s"', "true", "null", "(", ")", "!", "==", "<", "&&", "||", "+", "-", "%"]
_PIECES += [
    " ",
    ",",
    "[",
    "]",
    " in ",
    "exists(",
    " where ",
    " and ",
    "ago(",
    "auth.hasRole(",
    "contains(",
    "'",
    "\\",
    "é",
]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(_PIECES), max_size=25).map("".join) | st.text(max_size=40))
def test_any_text_parses_or_is_refused(text: str) -> None:
    position = 0
    try:
        parse(text)
    except PolicySyntaxError as error:
        position = error.position
    assert 0 <= position <= len(text)
