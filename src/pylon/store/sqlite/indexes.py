"""The indexes of a table of rows: the statements that make them, and other names for them without making them anew."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import apsw

from pylon.model.schema_change import AddIndex, RemoveField, RemoveIndex, Step
from pylon.store.filters import quote

_OWN = "SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL ORDER BY name"
_COLUMNS = "SELECT name FROM pragma_index_info(?)"
_RENAME = "UPDATE sqlite_schema SET name = ?, sql = ? WHERE type = 'index' AND name = ?"
_NAME = r"""("(?:[^"]|"")*"|\[[^\]]*\]|`(?:[^`]|``)*`|'(?:[^']|'')*'|[^\s"'`\[(.]+)"""
_STATEMENT = re.compile(rf"CREATE\s+(UNIQUE\s+)?INDEX\s+{_NAME}\s+ON\s+{_NAME}\s*(\(.*)\Z", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class TableIndex:
    """One index; `body` is its columns and condition as SQL."""

    name: str
    unique: bool
    body: str

    def create(self, table: str, name: str | None = None) -> str:
        """The statement that makes it on a table, under a name of its own there."""
        unique = "UNIQUE " if self.unique else ""
        return f"CREATE {unique}INDEX {quote(name or self.name)} ON {quote(table)} {self.body}"


def declared_index(step: AddIndex) -> TableIndex:
    """The index that a step makes."""
    where = f" WHERE {step.where_clause}" if step.where_clause else ""
    return TableIndex(step.name, step.unique, f"({', '.join(map(quote, step.fields))}){where}")


def table_indexes(connection: apsw.Connection, table: str) -> list[TableIndex]:
    """The indexes that a table has, apart from those that its columns brought along."""
    found = []
    for name, sql in connection.execute(_OWN, (table,)).fetchall():
        parts = _STATEMENT.match(str(sql))
        assert parts is not None, sql
        found.append(TableIndex(str(name), parts[1] is not None, parts[4]))
    return found


def kept_indexes(connection: apsw.Connection, table: str, dropped: frozenset[str]) -> list[TableIndex]:
    """Those of a table that its new form, without the dropped columns, can have."""
    kept = []
    for index in table_indexes(connection, table):
        columns = {str(column) for (column,) in connection.execute(_COLUMNS, (index.name,))}
        if not (columns | set(re.findall(r'"([^"]+)"', index.body))) & dropped:
            kept.append(index)
    return kept


def indexes_after(connection: apsw.Connection, table: str, steps: Sequence[Step]) -> tuple[TableIndex, ...]:
    """The indexes that a table has once it is changed. It is called by its new names already."""
    dropped = frozenset(step.field_name for step in steps if isinstance(step, RemoveField))
    removed = {step.name for step in steps if isinstance(step, RemoveIndex)}
    made = {step.name: declared_index(step) for step in steps if isinstance(step, AddIndex)}
    kept = [index for index in kept_indexes(connection, table, dropped) if index.name not in removed | set(made)]
    return (*kept, *made.values())


def rename_indexes(connection: apsw.Connection, renamings: Iterable[tuple[str, str, str]]) -> None:
    """Give indexes other names in the open transaction: (from, to, the statement that would make it under that name).
    SQLite has no statement for it; this is what its own ALTER TABLE RENAME does to the indexes of a constraint."""
    connection.execute("PRAGMA writable_schema = ON")
    try:
        for old, new, statement in renamings:
            connection.execute(_RENAME, (new, statement, old))
    finally:
        connection.execute("PRAGMA writable_schema = RESET")  # and read the schema again
