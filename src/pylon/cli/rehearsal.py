"""Tries a declared schema on a copy of the live database, so that a change which would be refused is known before the
server that is running has to leave."""

from __future__ import annotations

import contextlib

from pylon.model.schema import AppSpec
from pylon.settings import Settings

LARGEST = 64 * 1024 * 1024
"""Bytes of a database that are still copied; a larger one is not rehearsed, and the server refuses by itself."""


def rehearse(spec: AppSpec, settings: Settings) -> None:
    """Apply the schema to a copy in memory. Does nothing without a database yet, or with a large one. Raises
    SCHEMA_REFUSED."""
    path = settings.database_path
    if settings.database_url or not path.is_file() or path.stat().st_size > LARGEST:
        return
    import apsw

    from pylon.store.sqlite.connection import connect_reader
    from pylon.store.sqlite.ddl import apply_schema

    copy = apsw.Connection(":memory:")
    with contextlib.closing(copy), contextlib.closing(connect_reader(path)) as live:
        with copy.backup("main", live, "main") as backup:
            backup.step()
        apply_schema(copy, spec.entities)
