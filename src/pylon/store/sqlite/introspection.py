"""Reading what a database holds: tables of rows, their columns and indexes, and what was remembered of them."""

from __future__ import annotations

import re
from typing import Any

import apsw
import msgspec

from pylon.model.live_schema import LiveColumn, LiveIndex, LiveSchema, LiveTable, Memory
from pylon.model.schema import Kind
from pylon.store.filters import quote
from pylon.store.sqlite import documents, schema_history

_KINDS = {
    "TEXT": (Kind.STRING, Kind.RICHTEXT, Kind.ID, Kind.DATETIME, Kind.JSON),
    "INTEGER": (Kind.INT, Kind.BOOL),
    "REAL": (Kind.FLOAT,),
    "BLOB": (Kind.VECTOR,),
}

_TABLES = """SELECT name FROM sqlite_master
    WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT GLOB 'sqlite_*'
    AND name NOT GLOB '_pylon_*' AND name NOT GLOB '_fts_*' AND name <> '_facet_bitmap'
    AND EXISTS (SELECT 1 FROM pragma_table_info(sqlite_master.name) WHERE name = 'id' AND pk = 1 AND type = 'TEXT')
    ORDER BY name"""
_COLUMNS = 'SELECT name, upper(type), "notnull" FROM pragma_table_info(?) ORDER BY cid'
_INDEXES = """SELECT l.name, l."unique", l.origin, m.sql FROM pragma_index_list(?) l
    LEFT JOIN sqlite_master m ON m.type = 'index' AND m.name = l.name ORDER BY l.name"""
_INDEX_COLUMNS = "SELECT name FROM pragma_index_info(?) ORDER BY seqno"
_CONDITION = re.compile(r"\)\s+WHERE\s+(.*)\Z", re.DOTALL | re.IGNORECASE)


def read_schema(connection: apsw.Connection) -> LiveSchema:
    """The live schema, within whatever transaction is open."""
    tables = tuple(_table(connection, str(name)) for (name,) in _fetch(connection, _TABLES))
    return LiveSchema(tables=tables, documented=_documented(connection), memory=_memory(connection))


def _table(connection: apsw.Connection, name: str) -> LiveTable:
    unique, indexes = set(), []
    for index, is_unique, origin, sql in _fetch(connection, _INDEXES, (name,)):
        columns = tuple(str(column) for (column,) in _fetch(connection, _INDEX_COLUMNS, (index,)))
        if origin == "u" and len(columns) == 1:
            unique.add(columns[0])
        elif origin == "c":
            found = _CONDITION.search(str(sql))
            where = None if found is None else found[1]
            indexes.append(LiveIndex(name=str(index), columns=columns, unique=bool(is_unique), where=where))
    return LiveTable(
        name=name,
        columns=tuple(
            LiveColumn(
                name=str(column),
                type=str(type_),
                kinds=_KINDS.get(str(type_), (Kind.JSON,)),
                not_null=bool(not_null),
                unique=column in unique,
            )
            for column, type_, not_null in _fetch(connection, _COLUMNS, (name,))
            if column != "id"
        ),
        indexes=tuple(indexes),
        is_empty=not _fetch(connection, f"SELECT 1 FROM {quote(name)} LIMIT 1"),
    )


def _documented(connection: apsw.Connection) -> tuple[str, ...]:
    if not _fetch(connection, "SELECT 1 FROM sqlite_master WHERE name = ?", (documents.HEADS,)):
        return ()
    return tuple(str(name) for (name,) in _fetch(connection, documents.ENTITIES))


def _memory(connection: apsw.Connection) -> Memory:
    if not _fetch(connection, "SELECT 1 FROM sqlite_master WHERE name = ?", (schema_history.NAME,)):
        return {}
    found = _fetch(connection, schema_history.MEMORY)
    return msgspec.json.decode(found[0][0], type=Memory) if found else {}


def _fetch(connection: apsw.Connection, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    return connection.execute(sql, values).fetchall()
