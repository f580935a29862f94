"""Tries a declared schema on a copy of the live database, so that a change which would be refused is known before the
server that is running has to leave."""

from __future__ import annotations

import contextlib

from pylon.model.schema import AppSpec
from pylon.settings import Settings

LARGEST = 64 * 1024 * 1024
"""Bytes of a database that are still copied."""


def rehearse(spec: AppSpec, settings: Settings) -> None:
    """Apply the schema to a copy in memory; with a large database, only ask its rows whether they allow each step. Does
    nothing without a database yet. Raises SCHEMA_REFUSED."""
    path = settings.database_path
    if settings.database_url or not path.is_file():
        return
    import apsw

    from pylon.store.sqlite.connection import connect_reader
    from pylon.store.sqlite.database import SqliteStore
    from pylon.store.sqlite.ddl import apply_schema, refuse

    if path.stat().st_size > LARGEST:
        refuse(SqliteStore(path, {}).plan(spec.entities))
        return

    copy = apsw.Connection(":memory:")
    with contextlib.closing(copy), contextlib.closing(connect_reader(path)) as live:
        with copy.backup("main", live, "main") as backup:
            backup.step()
        apply_schema(copy, spec.entities)
