"""Writing a table anew in the transaction of a schema change."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from pylon.model.errors import PylonError
from pylon.model.live_schema import LiveTable
from pylon.model.schema import EntitySpec
from pylon.model.schema_change import Step
from pylon.store.filters import quote
from pylon.store.sqlite.indexes import kept_indexes
from pylon.store.sqlite.recipe import recipe


def rebuild(connection: apsw.Connection, entity: EntitySpec, table: LiveTable, steps: Sequence[Step], now: str) -> None:
    """Write the entity's table anew in the open transaction. `table` is as it is now, its renames done; `now` fills new
    times. Raises SCHEMA_REFUSED when the rows contradict a constraint."""
    made = recipe(entity, table, steps, now, {})
    kept = kept_indexes(connection, entity.name, made.dropped)
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
    for index in kept:
        connection.execute(index.create(entity.name))
