"""The SQLite store: one file that holds rows, change log, op-ids and sessions."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pylon.model.rows import RowTypes
from pylon.model.schema import EntitySpec
from pylon.store.sqlite.checkpoint import SqliteCheckpoints
from pylon.store.sqlite.connection import connect_writer
from pylon.store.sqlite.ddl import apply_schema
from pylon.store.sqlite.read import SqliteReader
from pylon.store.sqlite.statements import Statements
from pylon.store.sqlite.write import SqliteWriter


class SqliteStore:
    """One database file. `synchronous` is FULL (durable at COMMIT) or NORMAL (durable at the next checkpoint)."""

    def __init__(
        self,
        path: Path,
        types: Mapping[str, RowTypes],
        *,
        synchronous: str = "FULL",
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._tables = {name: Statements(rows) for name, rows in types.items()}
        self._synchronous = synchronous
        self._clock = clock

    def apply(self, entities: Sequence[EntitySpec]) -> list[str]:
        """Bring the live schema up to the declared one; what was done, in words. Raises SCHEMA_REFUSED."""
        connection = connect_writer(self.path, self._synchronous)
        try:
            return apply_schema(connection, entities)
        finally:
            connection.close()

    def writer(self) -> SqliteWriter:
        """The write session; there is one."""
        return SqliteWriter(self.path, self._tables, synchronous=self._synchronous, clock=self._clock)

    def reader(self) -> SqliteReader:
        """A new read session."""
        return SqliteReader(self.path, self._tables)

    def checkpoints(self) -> SqliteCheckpoints:
        """The checkpointer."""
        return SqliteCheckpoints(self.path)

    def used_bytes(self) -> int:
        """Size of the database's files."""
        files = (self.path, self.path.with_name(self.path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def free_bytes(self) -> int:
        """Free space on the database's disk."""
        return shutil.disk_usage(self.path.parent).free
