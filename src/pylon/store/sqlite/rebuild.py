"""Writing a table anew: other constraints, other types, fewer columns. Every value that stays is carried over."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import apsw

from pylon.model.errors import PylonError
from pylon.model.live_schema import LiveTable
from pylon.model.rows import RowTypes, compile_rows
from pylon.model.schema import DefaultLiteral, DefaultNow, EntitySpec, Field
from pylon.model.schema_change import AddField, AlterField, RemoveField, Step
from pylon.store.filters import quote
from pylon.store.sqlite.conversions import converted
from pylon.store.sqlite.statements import column_type

_OWN_INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"


def create_table(name: str, columns: Sequence[str]) -> str:
    """The statement that makes a table of rows."""
    return f"CREATE TABLE {quote(name)} ({', '.join(['id TEXT PRIMARY KEY NOT NULL', *columns])})"


def declared_column(field: Field) -> str:
    """The definition of a field's column."""
    not_null = "" if field.optional else " NOT NULL"
    unique = " UNIQUE" if field.unique else ""
    return f"{quote(field.name)} {column_type(field)}{not_null}{unique}"


def rebuild(connection: apsw.Connection, entity: EntitySpec, table: LiveTable, steps: Sequence[Step], now: str) -> None:
    """Write the entity's table anew in the open transaction. `table` is as it is now, its renames done; `now` fills new
    times. Raises SCHEMA_REFUSED when the rows contradict a constraint."""
    copied = _copied(entity, table, steps, now)
    kept = _kept_indexes(connection, entity.name, copied.dropped)
    temporary = f"_pylon_rebuild_{entity.name}"
    connection.execute(create_table(temporary, copied.definitions))
    number = _row_number(entity, table)
    targets = ", ".join([number, "id", *copied.targets])
    sources = ", ".join([number, "id", *copied.sources])
    try:
        connection.execute(
            f"INSERT INTO {quote(temporary)} ({targets}) SELECT {sources} FROM {quote(entity.name)}", copied.parameters
        )
    except apsw.ConstraintError as error:
        name = str(error).rsplit(".", 1)[-1]
        raise PylonError(
            "SCHEMA_REFUSED",
            f"{entity.name}.{name}: it is declared unique or required, and the rows contradict.",
            hint="`pylon schema diff` says which.",
        ) from error
    connection.execute(f"DROP TABLE {quote(entity.name)}")
    connection.execute(f"ALTER TABLE {quote(temporary)} RENAME TO {quote(entity.name)}")
    for sql in kept:
        connection.execute(sql)


class _Copy:
    """What the new table's columns are, and what each is filled with."""

    def __init__(self) -> None:
        self.definitions: list[str] = []
        self.targets: list[str] = []
        self.sources: list[str] = []
        self.parameters: list[Any] = []
        self.dropped: set[str] = set()

    def add(self, name: str, definition: str, source: str) -> None:
        self.definitions.append(definition)
        self.targets.append(quote(name))
        self.sources.append(source)


def _copied(entity: EntitySpec, table: LiveTable, steps: Sequence[Step], now: str) -> _Copy:
    types = compile_rows(entity)
    added = {step.field.name: step for step in steps if isinstance(step, AddField)}
    altered = {step.target.name: step for step in steps if isinstance(step, AlterField)}
    copy = _Copy()
    copy.dropped = {step.field_name for step in steps if isinstance(step, RemoveField)}
    for field in entity.fields:
        source = quote(field.name)
        if (new := added.get(field.name)) is not None:
            source = "?"
            copy.parameters.append(backfill(types, field, now) if new.filled else None)
        elif (change := altered.get(field.name)) is not None:
            source = converted(change.previous.field_type, change.target.field_type, source)
            if change.filled:
                source = f"coalesce({source}, ?)"
                copy.parameters.append(backfill(types, field, now))
        copy.add(field.name, declared_column(field), source)
    declared = {field.name for field in entity.fields}
    for column in table.columns:
        if column.name not in declared and column.name not in copy.dropped:
            copy.add(column.name, f"{quote(column.name)} {column.type}", quote(column.name))
    return copy


def backfill(types: RowTypes, field: Field, now: str) -> Any:
    """The stored form of a field's default."""
    match field.default:
        case DefaultNow():
            return now
        case DefaultLiteral(value):
            stored = types.dump_value(field.name, value)
            return int(stored) if isinstance(stored, bool) else stored
    return None


def _row_number(entity: EntitySpec, table: LiveTable) -> str:
    """SQLite's own name of the row's number, which search indexes know rows by; one that no column has taken."""
    taken = {name.casefold() for name in (*(f.name for f in entity.fields), *(c.name for c in table.columns))}
    return next(name for name in ("rowid", "_rowid_", "oid") if name not in taken)


def _kept_indexes(connection: apsw.Connection, table: str, dropped: set[str]) -> list[str]:
    """The statements of the indexes that the table has and that its new form can have."""
    kept = []
    for name, sql in connection.execute(_OWN_INDEXES, (table,)).fetchall():
        columns = {column for (column,) in connection.execute("SELECT name FROM pragma_index_info(?)", (name,))}
        words = set(re.findall(r'"([^"]+)"', str(sql)))
        if not (columns | words) & dropped:
            kept.append(str(sql))
    return kept
