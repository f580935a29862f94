"""The SQL of the exact conversions of `model.conversions`: `{c}` is the column."""

from __future__ import annotations

from typing import Final

from pylon.model.conversions import Conversion, conversion, kind_of
from pylon.model.schema import Kind

_EXACT = "BETWEEN -9007199254740992 AND 9007199254740992"
"""The whole numbers that a float holds exactly."""

_WORDS: Final = (Kind.STRING, Kind.RICHTEXT, Kind.ID)
_IS_TIME = "julianday({c}) IS NOT NULL AND {c} GLOB '????-??-??*'"
_TRUTH = "CASE {c} WHEN 1 THEN 'true' WHEN 0 THEN 'false' END"
_QUOTED = "CASE WHEN {c} IS NOT NULL THEN json_quote({c}) END"
_IS_STRING = "CASE WHEN json_valid({c}) THEN json_type({c}) = 'text' END"
_IS_NUMBER = (
    "CASE WHEN json_valid({c}) THEN json_type({c}) = 'real' OR json_type({c}) = 'integer' "
    f"AND CAST({{c}} AS INTEGER) {_EXACT} END"
)

_SQL: Final[dict[tuple[Kind, Kind], tuple[str, str]]] = {
    **{(before, Kind.DATETIME): ("{c}", _IS_TIME) for before in _WORDS},
    **{(before, Kind.JSON): (_QUOTED, "true") for before in (*_WORDS, Kind.DATETIME, Kind.FLOAT)},
    **{(Kind.JSON, after): ("json_extract({c}, '$')", _IS_STRING) for after in _WORDS},
    (Kind.INT, Kind.JSON): ("CAST({c} AS TEXT)", "true"),
    (Kind.BOOL, Kind.JSON): (_TRUTH, "true"),
    (Kind.INT, Kind.STRING): ("CAST({c} AS TEXT)", "true"),
    (Kind.FLOAT, Kind.STRING): ("CAST({c} AS TEXT)", "CAST(CAST({c} AS TEXT) AS REAL) = {c}"),
    (Kind.BOOL, Kind.STRING): (_TRUTH, "true"),
    (Kind.STRING, Kind.INT): ("CAST({c} AS INTEGER)", "CAST(CAST({c} AS INTEGER) AS TEXT) = {c}"),
    (Kind.STRING, Kind.FLOAT): ("CAST({c} AS REAL)", _IS_NUMBER),
    (Kind.STRING, Kind.BOOL): ("CASE {c} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END", "{c} IN ('true', 'false')"),
    (Kind.INT, Kind.FLOAT): ("CAST({c} AS REAL)", "{c} " + _EXACT),
    (Kind.FLOAT, Kind.INT): ("CAST({c} AS INTEGER)", "{c} = CAST({c} AS INTEGER)"),
    (Kind.INT, Kind.BOOL): ("{c}", "{c} IN (0, 1)"),
}


def converted(before: str, after: str, column: str) -> str:
    """The value of a quoted column under its new type."""
    value, _ = _sql(before, after)
    return value.replace("{c}", column)


def convertible(before: str, after: str, column: str) -> str | None:
    """The condition that a value meets which is one of the new type; None when every one is."""
    _, valid = _sql(before, after)
    return None if valid == "true" else valid.replace("{c}", column)


def _sql(before: str, after: str) -> tuple[str, str]:
    if conversion(before, after) in (Conversion.ALIKE, None):  # none: there are no rows
        return "{c}", "true"
    return _SQL[kind_of(before), kind_of(after)]
