"""Bounds of fields, compiled into the types that decode values, so that decoding checks them; and what is said of a
value that breaks one."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta

from pylon.model.patterns import LONGEST_VALUE, Pattern, PatternError
from pylon.model.schema import Bounds, Field, Kind

_LEAST, _LARGEST = -(2**63), 2**63 - 1
_NUMBERS = (Kind.INT, Kind.FLOAT)
_TEXTS = (Kind.STRING, Kind.RICHTEXT)


def bounded(field: Field, plain: Any) -> Any:
    """The type of the field's values within its bounds; `plain` is the type without any. The pattern is left to
    `pattern_of`."""
    bounds = field.bounds
    if bounds is None:
        return plain
    if field.kind is Kind.INT:
        low = _LEAST if bounds.min is None else max(_LEAST, bounds.min)
        high = _LARGEST if bounds.max is None else min(_LARGEST, bounds.max)
        return Annotated[int, Meta(ge=low, le=high)]
    if field.kind is Kind.FLOAT:
        return Annotated[float, Meta(ge=bounds.min, le=bounds.max)]
    if field.kind in _TEXTS:
        return Annotated[str, Meta(min_length=bounds.min_length, max_length=longest(bounds))]
    return plain


def longest(bounds: Bounds) -> int | None:
    """Characters that a value may have; a pattern bounds them where nothing else does."""
    if bounds.max_length is None and bounds.pattern is not None:
        return LONGEST_VALUE
    return bounds.max_length


def pattern_of(field: Field) -> Pattern | None:
    """The compiled pattern of the field's values."""
    return None if field.bounds is None or field.bounds.pattern is None else Pattern(field.bounds.pattern)


def broken_bound(field: Field, value: Any) -> str | None:
    """Which bound of its field a value of the right type breaks, as a rule; None when it breaks none."""
    bounds = field.bounds
    if bounds is None:
        return None
    if field.kind in _NUMBERS:
        if bounds.min is not None and value < bounds.min:
            return f"must be at least {bounds.min}"
        return f"must be at most {bounds.max}" if bounds.max is not None and value > bounds.max else None
    if field.kind not in _TEXTS:
        return None
    if bounds.min_length is not None and len(value) < bounds.min_length:
        return f"must have at least {bounds.min_length} characters"
    most = longest(bounds)
    if most is not None and len(value) > most:
        return f"must have at most {most} characters"
    pattern = pattern_of(field)
    return None if pattern is None or pattern.matches(value) else f"must match {pattern.text}"


def bounds_problem(field: Field) -> str | None:
    """Why the bounds can't be those of the field, None when they can."""
    bounds = field.bounds
    if bounds is None:
        return None
    if (bounds.min, bounds.max) != (None, None) and field.kind not in _NUMBERS:
        return f"min and max bound an int or a float, not {field.type_name}"
    texts = (bounds.min_length, bounds.max_length, bounds.pattern)
    if any(bound is not None for bound in texts) and (field.kind not in _TEXTS or field.enum_values):
        return f"lengths and patterns are of a string or richtext, not {field.type_name}"
    if field.kind is Kind.INT and any(type(bound) is float for bound in (bounds.min, bounds.max)):
        return "the bounds of an int are whole numbers"
    if any(isinstance(bound, bool) for bound in (bounds.min, bounds.max)):
        return "the bounds are numbers"
    if any(length is not None and length < 0 for length in texts[:2] if not isinstance(length, str)):
        return "a length is at least 0"
    pairs = ((bounds.min, bounds.max), (bounds.min_length, longest(bounds)))
    if any(low is not None and high is not None and low > high for low, high in pairs):
        return "no value keeps to both bounds"
    try:
        pattern_of(field)
    except PatternError as reason:
        return f"the pattern can't be used: {reason}"
    return None
