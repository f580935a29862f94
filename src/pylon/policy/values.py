"""What policy operators mean over Python values: None, bool, int, float and str. The SQL form must say the same."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

_NUMERIC = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
NUMERIC_LENGTH = 18
"""The longest text that counts as a number: what fits is read exactly alike here and in SQL."""
_INT64 = 2**63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unevaluable(Exception):
    """A part of a rule that has no value; the rule denies, whatever stands around that part."""


def scalar(value: Any) -> Any:
    """A value found inside JSON as an operand: lists and objects are null, integers beyond 64 bits become floats."""
    kind = type(value)
    if kind is str or kind is bool or kind is float:
        return value
    if kind is int:
        return value if -_INT64 <= value < _INT64 else _float(value)
    return None


def number_of_text(text: str) -> int | float | None:
    """The number that a text spells, spaces around it aside, or None."""
    text = text.strip(" ")
    if len(text) > NUMERIC_LENGTH or not _NUMERIC.fullmatch(text):
        return None
    return float(text) if "." in text else int(text)


def equal(left: Any, right: Any) -> bool:
    """`==` of two operands of any type; null equals nothing."""
    if left is None or right is None:
        return False
    left_type, right_type = type(left), type(right)
    if left_type is right_type:
        return bool(left == right)
    if left_type is bool or right_type is bool:
        return False
    pair = _numbers(left, right)
    return pair is not None and pair[0] == pair[1]


def distinct(left: Any, right: Any) -> bool:
    """`!=` of two operands of any type; null differs from everything but null."""
    if left is None or right is None:
        return left is not right
    return not equal(left, right)


def less(left: Any, right: Any) -> bool:
    """`<` of two operands of any type."""
    pair = _ordered(left, right)
    return pair is not None and pair[0] < pair[1]


def at_most(left: Any, right: Any) -> bool:
    """`<=` of two operands of any type."""
    pair = _ordered(left, right)
    return pair is not None and pair[0] <= pair[1]


def arithmetic(operator: str, left: Any, right: Any) -> int | float:
    """`+ - * / %`. `/` is division of floats, `%` the remainder of integers with the sign of the left one; integers
    beyond 64 bits become floats. Raises Unevaluable unless both are numbers and there is a result."""
    left_type, right_type = type(left), type(right)
    if (left_type is not int and left_type is not float) or (right_type is not int and right_type is not float):
        raise Unevaluable
    whole = left_type is int and right_type is int
    result: int | float
    match operator:
        case "+":
            result = left + right
            if whole and not -_INT64 <= result < _INT64:
                result = float(left) + float(right)
        case "-":
            result = left - right
            if whole and not -_INT64 <= result < _INT64:
                result = float(left) - float(right)
        case "*":
            result = left * right
            if whole and not -_INT64 <= result < _INT64:
                result = float(left) * float(right)
        case "/":
            if right == 0:
                raise Unevaluable
            result = float(left) / float(right)
        case _:
            if not whole or right == 0:
                raise Unevaluable
            result = abs(left) % abs(right)
            return -result if left < 0 else result
    if result != result:
        raise Unevaluable
    return result


def text_before(now: datetime, seconds: int) -> str:
    """`now` less so many seconds, as `YYYY-MM-DDTHH:MM:SSZ`."""
    return _text_at(math.floor(now.timestamp()) - seconds)


@lru_cache(maxsize=256)
def _text_at(epoch: int) -> str:
    # Asked for the same second again and again in fan-out; making the text costs more than all else in a rule.
    return (_EPOCH + timedelta(seconds=epoch)).isoformat(timespec="seconds")[:19] + "Z"


def _float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _numbers(left: Any, right: Any) -> tuple[Any, Any] | None:
    if type(left) is str:
        left = number_of_text(left)
    if type(right) is str:
        right = number_of_text(right)
    return None if left is None or right is None else (left, right)


def _ordered(left: Any, right: Any) -> tuple[Any, Any] | None:
    if left is None or right is None or type(left) is bool or type(right) is bool:
        return None
    if type(left) is str and type(right) is str:
        return left, right
    return _numbers(left, right)
