"""Samples of the entities' tables, by which SQLite chooses among their indexes. Pylon's own tables have none: their
statements are written for the one index that each of them needs."""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from pylon.store.filters import quote
from pylon.store.sqlite import system


def outdated(connection: apsw.Connection, entities: Iterable[str]) -> set[str]:
    """The statements that take samples of the tables that have none, or that grew or shrank tenfold since."""
    connection.execute(system.SAMPLE_SIZE)
    told = {str(statement) for (statement,) in connection.execute(system.SAMPLES_NEEDED)}
    return told & {f'ANALYZE "main".{quote(entity)}' for entity in entities}
