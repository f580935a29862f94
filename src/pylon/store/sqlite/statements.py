"""The SQL of one entity's table, compiled once. Names are declared identifiers, quoted; values are parameters."""

from __future__ import annotations

from collections.abc import Sequence

from pylon.model.rows import RowTypes
from pylon.model.schema import Field, Kind
from pylon.store.filters import quote
from pylon.store.selection import Selection

COLUMN_TYPES = {
    Kind.INT: "INTEGER",
    Kind.FLOAT: "REAL",
    Kind.BOOL: "INTEGER",
    Kind.VECTOR: "BLOB",
}


UNSEAL = "pylon_unseal"
"""The function of a connection that opens a stored value: (entity, field, row id, stored) to JSON."""

_KEPT = 256
"""Statements kept of each kind that a caller can vary."""

_RANK = '"_pylon rank"'


def quote_text(value: str) -> str:
    """Text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def column_type(field: Field) -> str:
    """The column type of a field (spec 05 §1.3)."""
    return "TEXT" if field.encrypted else COLUMN_TYPES.get(field.kind, "TEXT")


class Statements:
    """One table's statements. `columns` are in row order."""

    __slots__ = (
        "_json_rows",
        "_projections",
        "_updates",
        "columns",
        "delete",
        "get",
        "insert",
        "json",
        "replica_json",
        "row",
        "table",
        "types",
    )

    def __init__(self, types: RowTypes) -> None:
        self.types = types
        self.table = quote(types.entity.name)
        self.columns = ", ".join(map(quote, types.columns))
        marks = ", ".join("?" * len(types.columns))
        self.insert = f"INSERT INTO {self.table} ({self.columns}) VALUES ({marks})"
        self.get = f"SELECT {self.columns} FROM {self.table} WHERE id = ?"
        self.delete = f"DELETE FROM {self.table} WHERE id = ?"
        self.row = ", ".join(f"t.{quote(name)}" for name in types.columns)
        self.json = _json_object(types, [name for name in types.columns if not _is_hidden(types, name)])
        self.replica_json = _json_object(types, [name for name in types.columns if not _is_omitted(types, name)])
        self._json_rows: dict[tuple[str | None, tuple[str, ...] | None], str] = {}
        self._projections: dict[tuple[str, ...], str] = {}
        self._updates: dict[tuple[str, ...], str] = {}

    def update(self, names: tuple[str, ...]) -> str:
        """The UPDATE of these columns; the id is the last parameter."""
        sql = self._updates.get(names)
        if sql is None:
            sets = ", ".join(f"{quote(name)} = ?" for name in names)
            sql = f"UPDATE {self.table} SET {sets} WHERE id = ?"
            if len(self._updates) < _KEPT:
                self._updates[names] = sql
        return sql

    def rows(self, selection: Selection, output: str) -> str:
        """SELECT `output` of the selected rows, in order."""
        return f"SELECT {output} FROM {self.table} t{tail(selection)}"

    def shown(self, fields: tuple[str, ...] | None) -> str:
        """The JSON object of a row on the alias `t` as clients see it; only these fields of it, if given."""
        if fields is None:
            return self.json
        sql = self._projections.get(fields)
        if sql is None:
            sql = _json_object(self.types, [name for name in fields if not _is_hidden(self.types, name)])
            if len(self._projections) < _KEPT:
                self._projections[fields] = sql
        return sql

    def json_array(self, selection: Selection) -> str:
        """One row: the JSON array of the selected rows, and their number."""
        rows = f"SELECT t.* FROM {self.table} t{tail(selection)}"
        return f"SELECT CAST(json_group_array({self.shown(selection.fields)}) AS BLOB), count(*) FROM ({rows}) t"

    def json_array_and_ids(self, selection: Selection) -> str:
        """The same with the JSON array of their ids."""
        rows = f"SELECT t.* FROM {self.table} t{tail(selection)}"
        array = f"CAST(json_group_array({self.shown(selection.fields)}) AS BLOB)"
        return f"SELECT {array}, count(*), CAST(json_group_array(t.id) AS BLOB) FROM ({rows}) t"

    def json_row(self, condition: str | None, fields: tuple[str, ...] | None) -> str:
        """The row of `:id` as JSON, if it also meets the condition."""
        sql = self._json_rows.get((condition, fields))
        if sql is None:
            also = f" AND ({condition})" if condition else ""
            sql = f"SELECT CAST({self.shown(fields)} AS BLOB) FROM {self.table} t WHERE t.id = :id{also}"
            if len(self._json_rows) < _KEPT:
                self._json_rows[condition, fields] = sql
        return sql

    def parts(self, selection: Selection, columns: tuple[str, ...]) -> str:
        """(id, JSON as clients see it, some columns as they are stored) of the selected rows, in order."""
        listed = "".join(f", t.{quote(name)}" for name in columns)
        return self.rows(selection, f"t.id, CAST({self.shown(selection.fields)} AS BLOB){listed}")

    def parts_of(self, key: str, selection: Selection, columns: tuple[str, ...]) -> str:
        """The same for rows whose `key` is in the JSON list `:keys`; the window is for each key apart. What else is
        asked of them comes after they were found by the key, or the planner might prefer another index."""
        found = f"SELECT t.* FROM json_each(:keys) k CROSS JOIN {self.table} t ON t.{quote(key)} = k.value LIMIT -1"
        listed = "".join(f", t.{quote(name)}" for name in columns)
        output = f"t.id, CAST({self.shown(selection.fields)} AS BLOB){listed}"
        order = _order(selection)
        if selection.limit is None and not selection.offset:
            return f"SELECT {output} FROM ({found}) t{_where(selection)}{order} LIMIT :most"
        ranked = (
            f"SELECT t.*, row_number() OVER (PARTITION BY t.{quote(key)}{order}) AS {_RANK} "
            f"FROM ({found}) t{_where(selection)}"
        )
        window = f"{_RANK} > :offset AND (:limit < 0 OR {_RANK} - :offset <= :limit)"
        return f"SELECT {output} FROM ({ranked}) t WHERE {window}{order} LIMIT :most"

    def count(self, selection: Selection) -> str:
        """The number of matching rows."""
        return f"SELECT count(*) FROM {self.table} t{_where(selection)}"


def tail(selection: Selection) -> str:
    """WHERE, ORDER BY and the window."""
    window = ""
    if selection.limit is not None or selection.offset:
        window = " LIMIT :limit OFFSET :offset"
    return f"{_where(selection)}{_order(selection)}{window}"


def window_parameters(selection: Selection) -> dict[str, object]:
    """All parameters of the selection, window included."""
    if selection.limit is None and not selection.offset:
        return selection.parameters
    limit = -1 if selection.limit is None else selection.limit
    return {**selection.parameters, "limit": limit, "offset": selection.offset}


def _where(selection: Selection) -> str:
    return f" WHERE {' AND '.join(f'({c})' for c in selection.where)}" if selection.where else ""


def _order(selection: Selection) -> str:
    order = ", ".join(f"t.{quote(name)}{' DESC' if descending else ''}" for name, descending in selection.order)
    return f" ORDER BY {order}" if order else ""


def _is_hidden(types: RowTypes, name: str) -> bool:
    field = types.entity.field(name)
    return field is not None and field.is_hidden


def _is_omitted(types: RowTypes, name: str) -> bool:
    field = types.entity.field(name)
    return field is not None and (field.is_hidden or field.sync_omit)


def _json_object(types: RowTypes, names: Sequence[str]) -> str:
    parts = []
    for name in names:
        field = types.entity.field(name)
        target = f"t.{quote(name)}"
        if field is not None and field.encrypted:
            value = f"json({UNSEAL}({_literal(types.entity.name)}, {_literal(name)}, t.id, {target}))"
        elif field is not None and field.kind is Kind.BOOL:
            value = f"CASE {target} WHEN 1 THEN json('true') WHEN 0 THEN json('false') END"
        elif field is not None and field.kind is Kind.JSON:
            value = f"CASE WHEN {target} IS NULL THEN NULL ELSE json({target}) END"
        else:
            value = target
        parts.append(f"{_literal(name)}, {value}")
    return f"json_object({', '.join(parts)})"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
