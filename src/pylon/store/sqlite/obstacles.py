"""Whether the rows allow a schema change: each step's question to them, asked before anything is changed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import apsw
import msgspec

from pylon.model.schema_change import (
    AddField,
    AddIndex,
    AlterField,
    Plan,
    Planned,
    RenameEntity,
    RenameField,
    Risk,
)
from pylon.store.filters import quote
from pylon.store.sqlite.conversions import convertible
from pylon.store.sqlite.statements import quote_text

_DIFFER = "Make the values differ first, or drop unique=True."


def examined(connection: apsw.Connection, plan: Plan, known: Collection[str] = ()) -> Plan:
    """The plan, with the steps that the rows don't allow as impossible ones. A question may read its whole table; the
    rows of `known` entities are known to allow theirs."""
    names = _Names(plan)
    steps = tuple(
        planned if planned.step.entity in known else _examine(connection, names, planned) for planned in plan.steps
    )
    return msgspec.structs.replace(plan, steps=steps)


class _Names:
    """What tables and columns are called as long as nothing is renamed yet."""

    def __init__(self, plan: Plan) -> None:
        steps = [planned.step for planned in plan.steps]
        self._tables = {step.entity: step.previous for step in steps if isinstance(step, RenameEntity)}
        self._columns = {
            (step.entity, step.field_name): step.previous for step in steps if isinstance(step, RenameField)
        }
        self._added = {(step.entity, step.field.name) for step in steps if isinstance(step, AddField)}

    def table(self, entity: str) -> str:
        return quote(self._tables.get(entity, entity))

    def column(self, entity: str, field: str) -> str:
        return quote(self._columns.get((entity, field), field))

    def has(self, entity: str, fields: tuple[str, ...]) -> bool:
        return all((entity, field) not in self._added and (entity, field) not in self._columns for field in fields)


def _examine(connection: apsw.Connection, names: _Names, planned: Planned) -> Planned:
    if planned.risk is Risk.IMPOSSIBLE:
        return planned
    for why, mend in _obstacles(connection, names, planned):
        return msgspec.structs.replace(planned, risk=Risk.IMPOSSIBLE, why=why, mend=mend)
    return planned


def _obstacles(connection: apsw.Connection, names: _Names, planned: Planned) -> Iterator[tuple[str, str]]:
    match planned.step:
        case AlterField() as step if not step.undeclared:
            yield from _altered(connection, names, step)
        case AddField(filled=True, field=field, entity=entity) if field.unique:
            if _count(connection, names.table(entity), "true") > 1:
                yield f"{entity}.{field.name}: it is declared unique, but rows would share its default.", _DIFFER
        case AddIndex(unique=True) as step if names.has(step.entity, step.fields) and _exists(connection, step.entity):
            columns = ", ".join(map(quote, step.fields))
            given = " AND ".join(f"{quote(field)} IS NOT NULL" for field in step.fields)
            where = f"({step.where_clause}) AND {given}" if step.where_clause else given
            if _shared(connection, names.table(step.entity), columns, where):
                label = ", ".join(step.fields)
                why = f"{step.entity}.{label}: the unique index {step.name} can't be made, since rows share values."
                yield why, _DIFFER


def _altered(connection: apsw.Connection, names: _Names, step: AlterField) -> Iterator[tuple[str, str]]:
    before, after, entity = step.previous, step.target, step.entity
    table, column, name = names.table(entity), names.column(entity, after.name), f"{entity}.{after.name}"
    if (wrong := no_such_type(step, column)) is not None and (count := _count(connection, table, wrong)) > 0:
        why = f"{name}: it is declared {after.field_type}, but {_rows(count)} a value that is none"
        mend = "Mend the values, keep the type, or convert them: `pylon migrate create NAME --python`."
        yield f"{why} (the first is {_first(connection, table, wrong)}).", mend
    missing = 0
    if before.optional and not after.optional:
        missing = _count(connection, table, f"{column} IS NULL")
        if missing and not step.filled:
            word = "1 row has" if missing == 1 else f"{missing} rows have"
            yield f"{name}: it is required, but {word} no value.", "Give it a default, or keep it optional."
    if after.unique and not before.unique:
        is_shared = _shared(connection, table, column, f"{column} IS NOT NULL")
        if is_shared or (step.filled and missing > 1):
            yield f"{name}: it is declared unique, but rows share values.", _DIFFER
    if (wrong := outside_enum(step, column)) is not None and (count := _count(connection, table, wrong)) > 0:
        why = f"{name}: {_rows(count)} a value that the enum no longer has"
        mend = "Keep the value, or change those rows first."
        yield f"{why} (the first is {_first(connection, table, wrong)}).", mend


def no_such_type(step: AlterField, column: str) -> str | None:
    """The condition of rows whose value in a quoted column is none of the type that it gets; None when every one is."""
    valid = convertible(step.previous.field_type, step.target.field_type, column)
    return None if valid is None else f"{column} IS NOT NULL AND NOT coalesce({valid}, false)"


def outside_enum(step: AlterField, column: str) -> str | None:
    """The condition of rows whose value the enum no longer has; None where any value is allowed that was allowed."""
    before, after = step.previous, step.target
    if after.enum_values is None or before.enum_values == after.enum_values or before.encrypted:
        return None
    return f"{column} IS NOT NULL AND {column} NOT IN ({', '.join(map(quote_text, after.enum_values))})"


def _rows(count: int) -> str:
    return "1 row has" if count == 1 else f"{count} rows have"


def _count(connection: apsw.Connection, table: str, where: str) -> int:
    found: list[Any] = connection.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchall()
    return int(found[0][0])


def _first(connection: apsw.Connection, table: str, where: str) -> str:
    return str(connection.execute(f"SELECT id FROM {table} WHERE {where} ORDER BY id LIMIT 1").fetchall()[0][0])


def _shared(connection: apsw.Connection, table: str, columns: str, where: str) -> bool:
    sql = f"SELECT 1 FROM {table} WHERE {where} GROUP BY {columns} HAVING count(*) > 1 LIMIT 1"
    return bool(connection.execute(sql).fetchall())


def _exists(connection: apsw.Connection, table: str) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchall())
