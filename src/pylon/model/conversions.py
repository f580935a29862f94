"""Which types of fields become which others without losing anything.

Every conversion is exact: a value that would not come back the same is refused, by row. What isn't listed needs a step
in Python (`pylon migrate create`).
"""

from __future__ import annotations

import enum
from typing import Final

from pylon.model.schema import Kind


class Conversion(enum.StrEnum):
    """ALIKE: stored the same, any value is one of the other type. CHECKED: stored the same, if the value is one of the
    other type. CONVERTED: stored otherwise."""

    ALIKE = "alike"
    CHECKED = "checked"
    CONVERTED = "converted"


_WORDS: Final = (Kind.STRING, Kind.RICHTEXT, Kind.ID)

CONVERSIONS: Final[dict[tuple[Kind, Kind], Conversion]] = {
    **{(before, after): Conversion.ALIKE for before in _WORDS for after in _WORDS if before is not after},
    **{(Kind.DATETIME, after): Conversion.ALIKE for after in _WORDS},
    **{(before, Kind.DATETIME): Conversion.CHECKED for before in _WORDS},
    **{(before, Kind.JSON): Conversion.CONVERTED for before in (*_WORDS, Kind.DATETIME)},
    **{(Kind.JSON, after): Conversion.CONVERTED for after in _WORDS},
    **{(before, Kind.STRING): Conversion.CONVERTED for before in (Kind.INT, Kind.FLOAT, Kind.BOOL)},
    **{(Kind.STRING, after): Conversion.CONVERTED for after in (Kind.INT, Kind.FLOAT, Kind.BOOL)},
    **{(before, Kind.JSON): Conversion.CONVERTED for before in (Kind.INT, Kind.FLOAT, Kind.BOOL)},
    (Kind.INT, Kind.FLOAT): Conversion.CONVERTED,
    (Kind.FLOAT, Kind.INT): Conversion.CONVERTED,
    (Kind.BOOL, Kind.INT): Conversion.ALIKE,
    (Kind.INT, Kind.BOOL): Conversion.CHECKED,
}


def kind_of(type_name: str) -> Kind:
    """The kind of a type as manifests spell it: `id(User)` is an ID."""
    return Kind(type_name.partition("(")[0])


def conversion(before: str, after: str) -> Conversion | None:
    """How values of one type become those of another, both as manifests spell them; None when they can't."""
    one, other = kind_of(before), kind_of(after)
    if one is not other:
        return CONVERSIONS.get((one, other))
    return Conversion.ALIKE if one is not Kind.VECTOR or before == after else None
