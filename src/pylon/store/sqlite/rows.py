"""Reading rows over one connection; the writer and every reader share these statements."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import apsw

from pylon.model.aggregates import Aggregate
from pylon.model.rows import Stored
from pylon.model.sealed_rows import SealedRowTypes
from pylon.store.aggregates import aggregate_sql
from pylon.store.filters import quote
from pylon.store.selection import Selection
from pylon.store.sqlite.connection import storage_error
from pylon.store.sqlite.identity import SqliteIdentity
from pylon.store.sqlite.statements import UNSEAL, Statements, window_parameters


class SqliteRows:
    """Row reads within whatever transaction the connection has open."""

    def __init__(self, connection: apsw.Connection, tables: dict[str, Statements]) -> None:
        self._connection = connection
        self._tables = tables
        self.identity = SqliteIdentity(connection)
        self._execute: Callable[..., Any] = connection.execute
        sealed = {name: table.types for name, table in tables.items() if isinstance(table.types, SealedRowTypes)}
        if sealed:
            connection.create_scalar_function(UNSEAL, _unsealing(sealed), 4, deterministic=True)

    def _fetch(self, sql: str, parameters: Any) -> list[tuple[Any, ...]]:
        try:
            rows: list[tuple[Any, ...]] = self._execute(sql, parameters).fetchall()
        except apsw.Error as error:
            raise storage_error(error) from error
        return rows

    def get(self, entity: str, row_id: str) -> tuple[Stored, ...] | None:
        """The stored values of one row, in column order."""
        rows = self._fetch(self._tables[entity].get, (row_id,))
        return rows[0] if rows else None

    def undeclared(self, entity: str, row_id: str) -> dict[str, Stored]:
        """What one row holds in columns that nothing declares."""
        table = self._tables[entity]
        try:
            cursor = self._execute(f"SELECT * FROM {table.table} WHERE id = ?", (row_id,))
            for row in cursor:
                names = [column[0] for column in cursor.get_description()]
                return {n: v for n, v in zip(names, row, strict=True) if n not in table.types.columns}
        except apsw.Error as error:
            raise storage_error(error) from error
        return {}

    def select(self, entity: str, selection: Selection) -> list[tuple[Stored, ...]]:
        """Stored values of the selected rows."""
        table = self._tables[entity]
        return self._fetch(table.rows(selection, table.row), window_parameters(selection))

    def count(self, entity: str, selection: Selection) -> int:
        """How many rows match, the window left aside."""
        [(count,)] = self._fetch(self._tables[entity].count(selection), selection.parameters)
        return int(count)

    def get_json(
        self,
        entity: str,
        row_id: str,
        condition: str | None,
        parameters: Mapping[str, object],
        fields: tuple[str, ...] | None = None,
    ) -> bytes | None:
        """One row as clients see it, if it meets the condition (SQL fixed at compile time); only these fields."""
        rows = self._fetch(self._tables[entity].json_row(condition, fields), {**parameters, "id": row_id})
        return rows[0][0] if rows else None

    def exists(self, entity: str, conditions: Sequence[tuple[str, Any]]) -> bool:
        """Whether a row has all these values; null matches nothing."""
        tests = " AND ".join(f"{quote(name)} = ?" for name, _ in conditions)
        sql = f"SELECT 1 FROM {self._tables[entity].table} WHERE {tests} LIMIT 1"
        return bool(self._fetch(sql, tuple(value for _, value in conditions)))

    def aggregate_json(self, entity: str, selection: Selection, aggregate: Aggregate, most: int) -> tuple[bytes, int]:
        """The groups as a JSON array, at most `most`, and their number."""
        sql, parameters = aggregate_sql(self._tables[entity].table, selection, aggregate)
        [(rows, count)] = self._fetch(sql, {**parameters, "most": most})
        return rows, count


def _unsealing(sealed: Mapping[str, SealedRowTypes]) -> Callable[..., str | None]:
    """Opens stored values for statements that build rows: (entity, field, row id, stored) to JSON."""

    def unseal(entity: str, field: str, row_id: str, stored: Stored) -> str | None:
        return sealed[entity].json_of(field, row_id, stored)

    return unseal
