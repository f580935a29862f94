"""The SQL of one entity's table, compiled once. Names are declared identifiers, quoted; values are parameters."""

from __future__ import annotations

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


def column_type(field: Field) -> str:
    """The column type of a field (spec 05 §1.3)."""
    return COLUMN_TYPES.get(field.kind, "TEXT")


class Statements:
    """One table's statements. `columns` are in row order."""

    __slots__ = (
        "_json_rows",
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
        self.json = _json_object(types, lambda f: f.is_hidden)
        self.replica_json = _json_object(types, lambda f: f.is_hidden or f.sync_omit)
        self._json_rows: dict[str | None, str] = {}
        self._updates: dict[tuple[str, ...], str] = {}

    def update(self, names: tuple[str, ...]) -> str:
        """The UPDATE of these columns; the id is the last parameter."""
        sql = self._updates.get(names)
        if sql is None:
            sets = ", ".join(f"{quote(name)} = ?" for name in names)
            sql = f"UPDATE {self.table} SET {sets} WHERE id = ?"
            if len(self._updates) < 256:
                self._updates[names] = sql
        return sql

    def rows(self, selection: Selection, output: str) -> str:
        """SELECT `output` of the selected rows, in order."""
        return f"SELECT {output} FROM {self.table} t{tail(selection)}"

    def json_array(self, selection: Selection) -> str:
        """One row: the JSON array of the selected rows, and their number."""
        rows = f"SELECT t.* FROM {self.table} t{tail(selection)}"
        return f"SELECT CAST(json_group_array({self.json}) AS BLOB), count(*) FROM ({rows}) t"

    def json_array_and_ids(self, selection: Selection) -> str:
        """The same with the JSON array of their ids."""
        rows = f"SELECT t.* FROM {self.table} t{tail(selection)}"
        output = f"CAST(json_group_array({self.json}) AS BLOB), count(*), CAST(json_group_array(t.id) AS BLOB)"
        return f"SELECT {output} FROM ({rows}) t"

    def json_row(self, condition: str | None) -> str:
        """The row of `:id` as JSON, if it also meets the condition."""
        sql = self._json_rows.get(condition)
        if sql is None:
            also = f" AND ({condition})" if condition else ""
            sql = f"SELECT CAST({self.json} AS BLOB) FROM {self.table} t WHERE t.id = :id{also}"
            self._json_rows[condition] = sql
        return sql

    def count(self, selection: Selection) -> str:
        """The number of matching rows."""
        return f"SELECT count(*) FROM {self.table} t{_where(selection)}"


def tail(selection: Selection) -> str:
    """WHERE, ORDER BY and the window."""
    order = ", ".join(f"t.{quote(name)}{' DESC' if descending else ''}" for name, descending in selection.order)
    window = ""
    if selection.limit is not None or selection.offset:
        window = " LIMIT :limit OFFSET :offset"
    return f"{_where(selection)}{f' ORDER BY {order}' if order else ''}{window}"


def window_parameters(selection: Selection) -> dict[str, object]:
    """All parameters of the selection, window included."""
    if selection.limit is None and not selection.offset:
        return selection.parameters
    limit = -1 if selection.limit is None else selection.limit
    return {**selection.parameters, "limit": limit, "offset": selection.offset}


def _where(selection: Selection) -> str:
    return f" WHERE {' AND '.join(f'({c})' for c in selection.where)}" if selection.where else ""


def _json_object(types: RowTypes, hidden: object) -> str:
    assert callable(hidden)
    parts = []
    for name in types.columns:
        field = types.entity.field(name)
        if field is not None and hidden(field):
            continue
        target = f"t.{quote(name)}"
        if field is not None and field.kind is Kind.BOOL:
            value = f"CASE {target} WHEN 1 THEN json('true') WHEN 0 THEN json('false') END"
        elif field is not None and field.kind is Kind.JSON:
            value = f"CASE WHEN {target} IS NULL THEN NULL ELSE json({target}) END"
        else:
            value = target
        literal = name.replace("'", "''")
        parts.append(f"'{literal}', {value}")
    return f"json_object({', '.join(parts)})"
