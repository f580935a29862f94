"""How a table is written anew: the columns of its new form, and what each of them is filled with. Every value that
stays is carried over."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pylon.model.live_schema import LiveTable
from pylon.model.rows import RowTypes, compile_rows
from pylon.model.schema import DefaultLiteral, DefaultNow, EntitySpec, Field
from pylon.model.schema_change import AddField, AlterField, RemoveField, Step
from pylon.store.filters import quote
from pylon.store.sqlite.conversions import converted
from pylon.store.sqlite.obstacles import no_such_type, outside_enum
from pylon.store.sqlite.statements import column_type


@dataclass(frozen=True, slots=True)
class Recipe:
    """`targets` are the new table's columns, `sources` what fills them, with `parameters` in their order. Two recipes
    of one signature make the same table. `contradiction` is the condition of rows whose values can't be had in it."""

    definitions: tuple[str, ...]
    targets: tuple[str, ...]
    sources: tuple[str, ...]
    parameters: tuple[Any, ...]
    dropped: frozenset[str]
    contradiction: str | None
    signature: str

    def create(self, name: str) -> str:
        """The statement that makes the new table."""
        return create_table(name, self.definitions)

    def copy(self, into: str, source: str, tail: str = "", verb: str = "INSERT") -> str:
        """The statement that copies rows; parameters of `tail` come behind the recipe's own."""
        targets, sources = ", ".join(self.targets), ", ".join(self.sources)
        return f"{verb} INTO {quote(into)} ({targets}) SELECT {sources} FROM {quote(source)}{tail}"


def create_table(name: str, columns: Sequence[str]) -> str:
    """The statement that makes a table of rows."""
    return f"CREATE TABLE {quote(name)} ({', '.join(['id TEXT PRIMARY KEY NOT NULL', *columns])})"


def declared_column(field: Field) -> str:
    """The definition of a field's column."""
    not_null = "" if field.optional else " NOT NULL"
    unique = " UNIQUE" if field.unique else ""
    return f"{quote(field.name)} {column_type(field)}{not_null}{unique}"


def recipe(
    entity: EntitySpec, table: LiveTable, steps: Sequence[Step], now: str, old_names: Mapping[str, str]
) -> Recipe:
    """The recipe of an entity's table. `table` names its columns as they are to be named, `old_names` those that are
    still called otherwise; `now` fills new times."""
    types = compile_rows(entity)
    added = {step.field.name: step for step in steps if isinstance(step, AddField)}
    altered = {step.target.name: step for step in steps if isinstance(step, AlterField)}
    dropped = frozenset(step.field_name for step in steps if isinstance(step, RemoveField))
    number = row_number([*(field.name for field in entity.fields), *(column.name for column in table.columns)])
    definitions: list[str] = []
    targets, sources, parameters = [number, "id"], [number, "id"], []
    ways: list[object] = []
    wrong: list[str] = []
    for field in entity.fields:
        source, way = quote(old_names.get(field.name, field.name)), "as it is"
        if (new := added.get(field.name)) is not None:
            source, way = "?", "new"
            parameters.append(_backfill(types, field, now) if new.filled else None)
        elif (change := altered.get(field.name)) is not None:
            wrong += filter(None, (no_such_type(change, source), outside_enum(change, source)))
            source = converted(change.previous.field_type, change.target.field_type, source)
            way = change.previous.field_type
            if change.filled:
                source, way = f"coalesce({source}, ?)", f"{way}, filled"
                parameters.append(_backfill(types, field, now))
        definitions.append(declared_column(field))
        targets.append(quote(field.name))
        sources.append(source)
        ways.append(way)
    declared = {field.name for field in entity.fields}
    for column in table.columns:
        if column.name not in declared and column.name not in dropped:
            definitions.append(f"{quote(column.name)} {column.type}")
            targets.append(quote(column.name))
            sources.append(quote(column.name))
    known = ["now" if value == now else value for value in parameters]
    signature = hashlib.sha256(repr((definitions, targets, ways, wrong, known)).encode()).hexdigest()
    contradiction = " OR ".join(f"({condition})" for condition in wrong) or None
    return Recipe(
        tuple(definitions), tuple(targets), tuple(sources), tuple(parameters), dropped, contradiction, signature
    )


def _backfill(types: RowTypes, field: Field, now: str) -> Any:
    """The stored form of a field's default."""
    match field.default:
        case DefaultNow():
            return now
        case DefaultLiteral(value):
            stored = types.dump_value(field.name, value)
            return int(stored) if isinstance(stored, bool) else stored
    return None


def row_number(columns: Iterable[str]) -> str:
    """SQLite's own name of the row's number, which search indexes know rows by; one that no column has taken."""
    taken = {name.casefold() for name in columns}
    return next(name for name in ("rowid", "_rowid_", "oid") if name not in taken)
