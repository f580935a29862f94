"""The SQLite store: one file that holds rows, change log, op-ids and sessions."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import apsw

from pylon.model.live_schema import LiveSchema
from pylon.model.rows import RowTypes
from pylon.model.schema import EntitySpec
from pylon.model.schema_change import Plan
from pylon.store.protocol import SchemaEntry, SchemaWish
from pylon.store.sqlite import schema_history
from pylon.store.sqlite.checkpoint import SqliteCheckpoints
from pylon.store.sqlite.connection import connect_reader, connect_writer
from pylon.store.sqlite.ddl import apply_schema, iso_now, plan_schema
from pylon.store.sqlite.introspection import read_schema
from pylon.store.sqlite.preparing import prepare
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

    def apply(self, entities: Sequence[EntitySpec], wish: SchemaWish | None = None) -> list[str]:
        """Bring the live schema to the declared one; what was done, in words. Raises SCHEMA_REFUSED."""
        with contextlib.closing(connect_writer(self.path, self._synchronous)) as connection:
            # Whoever opens the database next checkpoints what a large change wrote; nobody need wait for it here.
            connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            done = apply_schema(connection, entities, wish, clock=self._clock)
        return [planned.sentence for planned in done.steps]

    def plan(self, entities: Sequence[EntitySpec], wish: SchemaWish | None = None) -> Plan:
        """What `apply` would do, with what the rows don't allow."""
        with self._looking() as connection:
            return plan_schema(connection, entities, wish or SchemaWish())

    def prepare(
        self, entities: Sequence[EntitySpec], plan: Plan, tell: Callable[[str, int, int], None]
    ) -> dict[str, int]:
        """Copy what a change is to write anew while a server goes on; `tell` hears (entity, rows, of rows). The rows by
        entity. Raises SCHEMA_REFUSED."""
        return prepare(self.path, entities, plan, iso_now(self._clock), tell)

    def live_schema(self) -> LiveSchema:
        """The tables of rows that there are."""
        with self._looking() as connection:
            return read_schema(connection)

    def schema_history(self) -> list[SchemaEntry]:
        """The schema changes that were made, newest first."""
        with self._looking() as connection:
            return schema_history.entries(connection)

    @contextmanager
    def _looking(self) -> Iterator[apsw.Connection]:
        """One moment of the database; an empty one where there is none."""
        connection = connect_reader(self.path) if self.path.is_file() else apsw.Connection(":memory:")
        with contextlib.closing(connection):
            connection.execute("BEGIN")
            yield connection

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
