"""Patterns mean what Python's mean, and no value makes them slow."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylon.model.patterns import MAX_POSITIONS, Pattern, PatternError

ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", "-", "[a-c0]", "(ab|b)", "(?:a|ba|)", "[^-\\s]"])
REPEATS = st.sampled_from(["", "*", "+", "?", "{2}", "{1,3}", "{0,2}", "*?", "{2,}"])
PIECES = st.builds("{}{}".format, ATOMS, REPEATS)
GROUPS = st.builds("({}){}".format, st.lists(PIECES, min_size=1, max_size=3).map("".join), REPEATS)
EXPRESSIONS = st.lists(PIECES | GROUPS, max_size=4).map("".join)


@given(EXPRESSIONS, st.text("ab-0c\n é", max_size=8))
def test_a_pattern_matches_what_the_regular_expression_matches_as_a_whole(expression: str, text: str) -> None:
    assert Pattern(expression).matches(text) == (re.fullmatch(expression, text) is not None)


@pytest.mark.parametrize("expression", [r"(a+)+$", r"(a|aa)*", r"(a*)*b", r"^(\w+\s?)*$", "(.*)*x"])
def test_a_pattern_that_would_backtrack_for_ever_answers_at_once(expression: str) -> None:
    began = time.perf_counter()
    assert not Pattern(expression).matches("a" * 4000 + "!!")
    assert time.perf_counter() - began < 1.0


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("(", "unterminated"),
        (r"(a)\1", "back-references"),
        ("(?=a)a", "lookaround"),
        ("a(?i:b)", "flags"),
        ("(?i)a", "flags"),
        ("a$b", "ends only"),
        ("a{2000}", str(MAX_POSITIONS)),
        ("((a{100}){100}){100}", str(MAX_POSITIONS)),
    ],
)
def test_what_is_more_than_a_regular_expression_is_refused(expression: str, why: str) -> None:
    with pytest.raises(PatternError, match=why):
        Pattern(expression)
