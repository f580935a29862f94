"""Writing a table anew in the transaction of a schema change: from its rows, or from what was prepared of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import apsw

from pylon.model.errors import PylonError
from pylon.model.live_schema import LiveTable
from pylon.model.schema import EntitySpec
from pylon.model.schema_change import Step
from pylon.store.filters import quote
from pylon.store.sqlite.prepared import take_prepared
from pylon.store.sqlite.recipe import recipe

_OWN_INDEXES = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL"


def rebuild(connection: apsw.Connection, entity: EntitySpec, table: LiveTable, steps: Sequence[Step], now: str) -> None:
    """Write the entity's table anew in the open transaction. `table` is as it is now, its renames done; `now` fills new
    times. Raises SCHEMA_REFUSED when the rows contradict a constraint."""
    made = recipe(entity, table, steps, now, {})
    kept = _kept_indexes(connection, entity.name, made.dropped)
    anew = take_prepared(connection, entity.name, made)
    if anew is None:
        anew = f"_pylon_rebuild_{entity.name}"
        connection.execute(made.create(anew))
        try:
            connection.execute(made.copy(anew, entity.name), made.parameters)
        except apsw.ConstraintError as error:
            name = str(error).rsplit(".", 1)[-1]
            raise PylonError(
                "SCHEMA_REFUSED",
                f"{entity.name}.{name}: it is declared unique or required, and the rows contradict.",
                hint="`pylon schema diff` says which.",
            ) from error
    connection.execute(f"DROP TABLE {quote(entity.name)}")
    connection.execute(f"ALTER TABLE {quote(anew)} RENAME TO {quote(entity.name)}")
    for sql in kept:
        connection.execute(sql)


def _kept_indexes(connection: apsw.Connection, table: str, dropped: frozenset[str]) -> list[str]:
    """The statements of the indexes that the table has and that its new form can have."""
    kept = []
    for name, sql in connection.execute(_OWN_INDEXES, (table,)).fetchall():
        columns = {column for (column,) in connection.execute("SELECT name FROM pragma_index_info(?)", (name,))}
        words = set(re.findall(r'"([^"]+)"', str(sql)))
        if not (columns | words) & dropped:
            kept.append(str(sql))
    return kept
