"""Bringing the live schema up to the declared one, by changes that lose nothing (spec 05 §6.1, §8).

New tables, columns and indexes are added. A table whose constraints changed is rebuilt with all its columns kept: one
that is no longer declared stays, without its NOT NULL, so that inserts go on. What can't be done without losing or
inventing data is refused, naming the column, and nothing is applied.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import apsw

from pylon.model.errors import PylonError
from pylon.model.schema import DefaultLiteral, DefaultNow, EntitySpec, Field, Index
from pylon.store.filters import quote
from pylon.store.sqlite import documents, identity, system
from pylon.store.sqlite.samples import outdated
from pylon.store.sqlite.statements import column_type


def apply_schema(connection: apsw.Connection, entities: Sequence[EntitySpec]) -> list[str]:
    """Apply the declared schema in one transaction; what was done, in words. Raises SCHEMA_REFUSED."""
    done: list[str] = []
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in (*system.TABLES, *documents.TABLES, *identity.TABLES):
            connection.execute(statement)
        identity.settle(connection)
        linked = _linked_fields(entities)
        for entity in entities:
            done += _apply_entity(connection, entity, linked[entity.name])
        for statement in outdated(connection, [entity.name for entity in entities]):
            connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("PRAGMA foreign_keys=ON")
    return done


def _apply_entity(connection: apsw.Connection, entity: EntitySpec, linked: Sequence[str]) -> list[str]:
    live = _live_columns(connection, entity.name)
    done: list[str] = []
    if not live:
        connection.execute(_create_table(entity.name, [_declared_column(f) for f in entity.fields]))
        done.append(f"created table {entity.name}")
    elif any(_differs(live, field) for field in entity.fields) or _has_orphan_constraint(live, entity):
        done += _rebuild(connection, entity, live)
    else:
        for field in entity.fields:
            if field.name not in live:
                connection.execute(f"ALTER TABLE {quote(entity.name)} ADD COLUMN {_declared_column(field)}")
                done.append(f"added column {entity.name}.{field.name}")
    return done + _apply_indexes(connection, entity, linked)


class _Live:
    __slots__ = ("not_null", "type", "unique")

    def __init__(self, type_: str, not_null: bool, unique: bool) -> None:
        self.type = type_
        self.not_null = not_null
        self.unique = unique


def _live_columns(connection: apsw.Connection, table: str) -> dict[str, _Live]:
    unique = set()
    for name, is_unique, origin in connection.execute(
        'SELECT name, "unique", origin FROM pragma_index_list(?)', (table,)
    ).fetchall():
        columns = connection.execute("SELECT name FROM pragma_index_info(?)", (name,)).fetchall()
        if is_unique and origin == "u" and len(columns) == 1:
            unique.add(columns[0][0])
    return {
        str(name): _Live(str(type_).upper(), bool(not_null), name in unique)
        for name, type_, not_null in connection.execute(
            'SELECT name, type, "notnull" FROM pragma_table_info(?)', (table,)
        ).fetchall()
    }


def _differs(live: dict[str, _Live], field: Field) -> bool:
    column = live.get(field.name)
    if column is None:
        return field.unique or not field.optional
    return column.not_null != (not field.optional) or column.unique != field.unique or column.type != column_type(field)


def _has_orphan_constraint(live: dict[str, _Live], entity: EntitySpec) -> bool:
    declared = {"id", *(f.name for f in entity.fields)}
    return any((column.not_null or column.unique) for name, column in live.items() if name not in declared)


def _rebuild(connection: apsw.Connection, entity: EntitySpec, live: dict[str, _Live]) -> list[str]:
    table = quote(entity.name)
    is_empty = not connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchall()
    definitions: list[str] = []
    targets, sources, parameters, done = ["id"], ["id"], [], []
    for field in entity.fields:
        column = live.get(field.name)
        definitions.append(_declared_column(field))
        targets.append(quote(field.name))
        if column is None:
            value = _backfill(field)
            if value is None and not field.optional and not is_empty:
                raise _refused(
                    entity,
                    field.name,
                    "a new required field needs a default for the rows that exist",
                    "Give it a default, or make it optional (`| None`).",
                )
            sources.append("?")
            parameters.append(value)
            done.append(f"added column {entity.name}.{field.name}")
            continue
        if column.type != column_type(field) and not is_empty:
            raise _refused(
                entity,
                field.name,
                f"it is declared {field.type_name}, but the database holds {column.type} values",
                "Declare it under a new name and copy the values in a mutation, or keep its type.",
            )
        value = _backfill(field)
        if not field.optional and not column.not_null:
            missing = connection.execute(f"SELECT count(*) FROM {table} WHERE {quote(field.name)} IS NULL").fetchall()[
                0
            ][0]
            if missing and value is None:
                raise _refused(
                    entity,
                    field.name,
                    f"it is required, but {missing} rows have no value",
                    "Give it a default, or keep it optional.",
                )
        if not field.optional and value is not None:
            sources.append(f"coalesce({quote(field.name)}, ?)")
            parameters.append(value)
        else:
            sources.append(quote(field.name))
        if _differs(live, field):
            done.append(f"changed constraints of {entity.name}.{field.name}")
    declared = {"id", *(f.name for f in entity.fields)}
    for name, column in live.items():
        if name not in declared:
            definitions.append(f"{quote(name)} {column.type}")
            targets.append(quote(name))
            sources.append(quote(name))
            done.append(f"kept undeclared column {entity.name}.{name}")
    temporary = f"_pylon_rebuild_{entity.name}"
    connection.execute(_create_table(temporary, definitions))
    try:
        connection.execute(
            f"INSERT INTO {quote(temporary)} ({', '.join(targets)}) SELECT {', '.join(sources)} FROM {table}",
            parameters,
        )
    except apsw.ConstraintError as error:
        name = str(error).rsplit(".", 1)[-1]
        raise _refused(
            entity,
            name,
            "it is declared unique, but rows share values",
            "Make the values differ first, or drop unique=True.",
        ) from error
    connection.execute(f"DROP TABLE {table}")
    connection.execute(f"ALTER TABLE {quote(temporary)} RENAME TO {table}")
    return done


def _apply_indexes(connection: apsw.Connection, entity: EntitySpec, linked: Sequence[str]) -> list[str]:
    listed = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
        (entity.name,),
    ).fetchall()
    live = {str(name): str(sql) for name, sql in listed}
    done = []
    for name, index in _declared_indexes(entity, linked).items():
        sql = _create_index(name, entity, index)
        if live.get(name) == sql:
            continue
        if name in live:
            connection.execute(f"DROP INDEX {quote(name)}")
        try:
            connection.execute(sql)
        except apsw.ConstraintError as error:
            raise _refused(
                entity,
                ", ".join(index.fields),
                f"the unique index {index.name} can't be made, since rows share values",
                "Make the values differ first, or drop unique=True.",
            ) from error
        done.append(f"created index {name}")
    return done


def _linked_fields(entities: Sequence[EntitySpec]) -> dict[str, list[str]]:
    """By entity, the fields that its rows are found by: their tenant, relations (a to-many one leads to a field of its
    target), and those with a rule for deletes or a blind index."""
    fields: dict[str, list[str]] = {entity.name: [] for entity in entities}
    for entity in entities:
        for relation in entity.relations:
            fields.get(relation.target if relation.many else entity.name, []).append(relation.field)
        fields[entity.name] += [f.name for f in entity.fields if f.on_delete is not None or f.lookup]
        if entity.tenant_field is not None:
            fields[entity.name].append(entity.tenant_field)
    return fields


def _declared_indexes(entity: EntitySpec, linked: Sequence[str]) -> dict[str, Index]:
    indexes = {f"{entity.name}_{index.name}": index for index in entity.indexes}
    for field in linked:
        name = f"{entity.name}_rel_{field}"
        if entity.field(field) is not None and name not in indexes:
            indexes[name] = Index(name=f"rel_{field}", fields=(field,))
    return indexes


def _create_index(name: str, entity: EntitySpec, index: Index) -> str:
    # Rows come by id unless said otherwise: with the id behind its fields an index finds them in that order, so that a
    # list reads no more rows than it shows, and a sorted page needs no sorting.
    fields = index.fields if index.unique or "id" in index.fields else (*index.fields, "id")
    columns = ", ".join(map(quote, fields))
    unique = "UNIQUE " if index.unique else ""
    where = f" WHERE {index.where}" if index.where else ""
    return f"CREATE {unique}INDEX {quote(name)} ON {quote(entity.name)} ({columns}){where}"


def _create_table(name: str, columns: list[str]) -> str:
    return f"CREATE TABLE {quote(name)} ({', '.join(['id TEXT PRIMARY KEY NOT NULL', *columns])})"


def _declared_column(field: Field) -> str:
    not_null = "" if field.optional else " NOT NULL"
    unique = " UNIQUE" if field.unique else ""
    return f"{quote(field.name)} {column_type(field)}{not_null}{unique}"


def _backfill(field: Field) -> str | int | float | None:
    match field.default:
        case DefaultNow():
            return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case DefaultLiteral(value) if isinstance(value, bool):
            return int(value)
        case DefaultLiteral(value) if isinstance(value, str | int | float):
            return value
    return None


def _refused(entity: EntitySpec, column: str, why: str, mend: str) -> PylonError:
    return PylonError("SCHEMA_REFUSED", f"{entity.name}.{column}: {why}.", hint=mend)
