"""The few things about SQL that differ from one database to the next, as one seam: the compiler in `sql` writes
everything else the same for all. A dialect only ever turns fragments into fragments."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from pylon.policy.values import NUMERIC_LENGTH


@dataclass(frozen=True, slots=True)
class JsonSql:
    """A value inside JSON: the fragment of its type name (NULL where there is none), and of the value itself."""

    kind: str
    value: str


class Dialect(Protocol):
    """Fragments of one database's SQL. `column`, `text` and so on are fragments unless named otherwise."""

    def column(self, alias: str, name: str) -> str:
        """A column, also of a type that needs a cast to be text, number or boolean."""

    def table(self, entity: str) -> str:
        """An entity's table."""

    def parameter(self, name: str) -> str:
        """A named parameter."""

    def text(self, value: str) -> str:
        """A quoted constant; never asked for one with a NUL character."""

    def json_at(self, column: str, keys: tuple[str, ...]) -> JsonSql:
        """The value of a JSON column below these object keys."""

    def json_elements(self, column: str, keys: tuple[str, ...], alias: str) -> tuple[str, JsonSql]:
        """A FROM item with one row per element of the list at that place, none where there is no list; the element."""

    def is_text(self, json: JsonSql) -> str:
        """True for a JSON string, else false or NULL."""

    def is_number(self, json: JsonSql) -> str:
        """True for a JSON number, else false or NULL."""

    def is_bool(self, json: JsonSql) -> str:
        """True for a JSON boolean, else false or NULL."""

    def json_text(self, json: JsonSql) -> str:
        """The string, where it is one."""

    def json_number(self, json: JsonSql) -> str:
        """The number, where it is one."""

    def json_bool(self, json: JsonSql) -> str:
        """The boolean, where it is one."""

    def number_of_text(self, text: str) -> str:
        """The number that a text spells (`values.number_of_text`), else NULL."""

    def arithmetic(self, operator: str, left: str, right: str) -> str:
        """`values.arithmetic` of two numbers; NULL where that is unevaluable."""

    def text_test(self, function: str, text: str, part: str) -> str:
        """starts_with, ends_with or contains; NULL where either is NULL."""

    def text_in_list(self, text: str, parameter: str) -> str:
        """Whether the text is one of a bound list of texts."""

    def list_elements(self, parameter: str, alias: str) -> tuple[str, str]:
        """A FROM item with one row per text of a bound list; the text."""

    def bind_list(self, values: tuple[str, ...]) -> Any:
        """What a list of texts is bound as."""


class SqliteDialect:
    """SQLite from 3.39 on: booleans are 0 and 1, JSON is text."""

    def column(self, alias: str, name: str) -> str:
        """A quoted column."""
        return f"{alias}.{_quoted(name)}"

    def table(self, entity: str) -> str:
        """The quoted table."""
        return _quoted(entity)

    def parameter(self, name: str) -> str:
        """`:name`."""
        return f":{name}"

    def text(self, value: str) -> str:
        """A constant in single quotes."""
        return "'" + value.replace("'", "''") + "'"

    def json_at(self, column: str, keys: tuple[str, ...]) -> JsonSql:
        """Quoted keys, so that they walk objects and never lists."""
        path = self.text(_path(keys))
        return JsonSql(f"json_type({column}, {path})", f"json_extract({column}, {path})")

    def json_elements(self, column: str, keys: tuple[str, ...], alias: str) -> tuple[str, JsonSql]:
        """json_each, kept from walking what is no list."""
        path = self.text(_path(keys))
        source = f"json_each(CASE WHEN json_type({column}, {path}) = 'array' THEN {column} END, {path}) AS {alias}"
        return source, JsonSql(f"{alias}.type", f"{alias}.value")

    def is_text(self, json: JsonSql) -> str:
        """A JSON string."""
        return f"{json.kind} = 'text'"

    def is_number(self, json: JsonSql) -> str:
        """A JSON number."""
        return f"{json.kind} IN ('integer', 'real')"

    def is_bool(self, json: JsonSql) -> str:
        """A JSON boolean."""
        return f"{json.kind} IN ('true', 'false')"

    def json_text(self, json: JsonSql) -> str:
        """The value as it is."""
        return json.value

    def json_number(self, json: JsonSql) -> str:
        """The value as it is."""
        return json.value

    def json_bool(self, json: JsonSql) -> str:
        """The value as 0 or 1."""
        return json.value

    def number_of_text(self, text: str) -> str:
        """Digits with at most one dot inside and a minus before, told apart by what trimming leaves."""
        return (
            "(SELECT CASE WHEN length(CAST(_x.s AS BLOB)) <= "
            f"{NUMERIC_LENGTH} AND _x.b <> '' AND (trim(_x.b, '0123456789') = '' OR (trim(_x.b, '0123456789') = '.' "
            "AND substr(_x.b, 1, 1) <> '.' AND substr(_x.b, -1) <> '.')) THEN CAST(_x.s AS NUMERIC) END "
            "FROM (SELECT _w.s, CASE WHEN substr(_w.s, 1, 1) = '-' THEN substr(_w.s, 2) ELSE _w.s END AS b "
            f"FROM (SELECT trim({text}, ' ') AS s) _w) _x)"
        )

    def arithmetic(self, operator: str, left: str, right: str) -> str:
        """SQLite's own, which overflows to floats and divides by zero to NULL, but for `/` and `%`."""
        if operator == "/":
            return f"(CAST({left} AS REAL) / {right})"
        if operator == "%":
            return (
                "(SELECT CASE WHEN typeof(_x.a) = 'integer' AND typeof(_x.b) = 'integer' THEN _x.a % _x.b END "
                f"FROM (SELECT {left} AS a, {right} AS b) _x)"
            )
        return f"({left} {operator} {right})"

    def text_test(self, function: str, text: str, part: str) -> str:
        """instr, and for the end a comparison of bytes: character counts stop at a NUL."""
        if function == "contains":
            return f"instr({text}, {part}) > 0"
        if function == "starts_with":
            return f"instr({text}, {part}) = 1"
        return (
            "(SELECT _x.a IS NOT NULL AND (_x.n = 0 OR substr(_x.a, -_x.n) = _x.b) "
            "FROM (SELECT _w.a, _w.b, length(_w.b) AS n "
            f"FROM (SELECT CAST({text} AS BLOB) AS a, CAST({part} AS BLOB) AS b) _w) _x)"
        )

    def text_in_list(self, text: str, parameter: str) -> str:
        """A subselect over a JSON list."""
        return f"{text} IN (SELECT value FROM json_each({parameter}))"

    def list_elements(self, parameter: str, alias: str) -> tuple[str, str]:
        """The rows of a JSON list."""
        return f"json_each({parameter}) AS {alias}", f"{alias}.value"

    def bind_list(self, values: tuple[str, ...]) -> Any:
        """A JSON list."""
        return json.dumps(values)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _path(keys: tuple[str, ...]) -> str:
    return "$" + "".join(f'."{key}"' for key in keys)
