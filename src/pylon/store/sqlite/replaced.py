"""Tables whose new form has taken their place, and new forms that were prepared and never used. Emptying a large one
takes long, so both are cleared away in portions while the server serves."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from pylon.store.filters import quote
from pylon.store.sqlite.indexes import TableIndex, rename_indexes, table_indexes
from pylon.store.sqlite.prepared import KIND
from pylon.store.sqlite.recipe import row_number

_ASIDE = """SELECT name FROM sqlite_schema WHERE type = 'table' AND (name GLOB '_pylon_old_*'
    OR name GLOB '_pylon_next_*'
    AND substr(name, length('_pylon_next_') + 1) NOT IN (SELECT key FROM _pylon_records WHERE kind = ?))
    ORDER BY name LIMIT 1"""
_SAMPLES = "SELECT name FROM sqlite_schema WHERE name IN ('sqlite_stat1', 'sqlite_stat4')"
_COLUMNS = "SELECT name FROM pragma_table_info(?)"


def replace_table(
    connection: apsw.Connection, source: str, anew: str, entity: str, indexes: Sequence[tuple[str, TableIndex]]
) -> None:
    """Put the table `anew` in the place of `source` in the open transaction, called as the entity; its indexes, given
    with the names that they have, get their own. How long it takes doesn't depend on the rows."""
    aside = f"_pylon_old_{entity}"
    connection.execute(f"DROP TABLE IF EXISTS {quote(aside)}")  # one that nobody had the time to clear away
    renamings = []
    for index in table_indexes(connection, source):
        name = f"_pylon_index_old_{index.name}"
        renamings.append((index.name, name, index.create(aside, name)))
    renamings += [(name, index.name, index.create(entity)) for name, index in indexes]
    # A view that was made by hand goes on naming the entity, not the table that is put aside.
    connection.execute("PRAGMA legacy_alter_table = ON")
    try:
        connection.execute(f"ALTER TABLE {quote(source)} RENAME TO {quote(aside)}")
        connection.execute(f"ALTER TABLE {quote(anew)} RENAME TO {quote(entity)}")
    finally:
        connection.execute("PRAGMA legacy_alter_table = OFF")
    _keep_samples(connection, source, anew, entity, indexes)
    rename_indexes(connection, renamings)


def _keep_samples(
    connection: apsw.Connection, source: str, anew: str, entity: str, indexes: Sequence[tuple[str, TableIndex]]
) -> None:
    """The samples of the new form are the entity's. They count from when the schema is next read."""
    for (table,) in connection.execute(_SAMPLES).fetchall():
        connection.execute(f"DELETE FROM {table} WHERE tbl = ?", (source,))
        moved = f"UPDATE {table} SET tbl = ?, idx = replace(idx, ?, ?) WHERE tbl = ?"
        connection.execute(moved, (entity, f"sqlite_autoindex_{anew}_", f"sqlite_autoindex_{entity}_", anew))
        for name, index in indexes:
            connection.execute(f"UPDATE {table} SET idx = ? WHERE tbl = ? AND idx = ?", (index.name, entity, name))


def clear_away(connection: apsw.Connection, rows: int) -> bool:
    """Clear a portion away of what was put aside, or prepared and forgotten: an index, at most so many rows, or the
    empty table. Whether there was something."""
    found = connection.execute(_ASIDE, (KIND,)).fetchall()
    if not found:
        return False
    table = str(found[0][0])
    indexes = table_indexes(connection, table)
    if indexes:
        connection.execute(f"DROP INDEX {quote(indexes[0].name)}")
        return True
    number = row_number(str(name) for (name,) in connection.execute(_COLUMNS, (table,)))
    last = f"SELECT max({number}) FROM (SELECT {number} FROM {quote(table)} ORDER BY {number} LIMIT ?)"
    connection.execute(f"DELETE FROM {quote(table)} WHERE {number} <= ({last})", (rows,))
    if connection.changes() < rows:
        connection.execute(f"DROP TABLE {quote(table)}")
    return True
