"""Preparing a table's new form while a server goes on writing to the old one, so that the change itself is short.

Rows are copied beside the table in small commits with rests between them, the indexes are made, and what changed
meanwhile is copied again. How far this got is stored in each commit, so it goes on after a kill.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import apsw
import msgspec

from pylon.model.errors import PylonError
from pylon.model.live_schema import Memory
from pylon.model.schema import EntitySpec
from pylon.model.schema_change import AddIndex, Plan, Planned, RenameEntity, Risk
from pylon.store.filters import quote
from pylon.store.sqlite import system
from pylon.store.sqlite.connection import connect_writer, storage_error
from pylon.store.sqlite.indexes import table_indexes
from pylon.store.sqlite.introspection import read_schema
from pylon.store.sqlite.prepared import (
    KIND,
    State,
    catch_up,
    copy_rows,
    count,
    discard,
    find_target,
    follows_on,
    load_state,
)

_STEP_SECONDS = 0.01
"""How long one commit keeps the server's writer waiting."""

_FEW = 200
"""So few log entries are left to the last look at both tables."""

_LARGE = 200_000
"""Rows from which on an index alone is reason enough to prepare: it would take a tenth of a second to make."""

_SORTED = 2_000_000
"""Rows up to which an index is made at once, in half a second at most; that of a larger table grows with the copy."""

Tell = Callable[[str, int, int], None]


def prepare(
    path: Path,
    entities: Sequence[EntitySpec],
    plan: Plan,
    now: str,
    tell: Tell = lambda entity, done, total: None,
) -> dict[str, int]:
    """Prepare each table that the plan would keep waiting for long; the rows of each. Raises SCHEMA_REFUSED when a row
    contradicts, and STORAGE_FULL."""
    with contextlib.closing(connect_writer(path, "NORMAL")) as connection:
        connection.execute(system.SAMPLE_SIZE)
        memory = read_schema(connection).memory
        begun = []
        for entity in entities:
            steps = [planned for planned in plan.steps if planned.step.entity == entity.name]
            if not _is_resealed(entity, memory) and _takes_long(connection, entity, steps):
                begun.append(_Preparation(connection, entity, steps, now, tell))
        try:
            for preparation in begun:
                preparation.copy()
            return {preparation.entity: preparation.settle() for preparation in begun}
        except apsw.FullError as error:
            with contextlib.suppress(apsw.Error):
                for preparation in begun:
                    preparation.give_up()
            raise storage_error(error) from error


def _is_resealed(entity: EntitySpec, memory: Memory) -> bool:
    """Whether the entity has encrypted values, or had: a change of keys writes these without a word in the log."""
    shapes = [memory[name] for name in (entity.name, entity.renamed_from or "") if name in memory]
    return any(field.encrypted for field in entity.fields) or any(
        field.encrypted for shape in shapes for field in shape.fields.values()
    )


def _takes_long(connection: apsw.Connection, entity: EntitySpec, steps: Sequence[Planned]) -> bool:
    if any(planned.risk is Risk.REBUILD for planned in steps):
        return True
    if not any(isinstance(planned.step, AddIndex) for planned in steps):
        return False
    source = next((planned.step.previous for planned in steps if isinstance(planned.step, RenameEntity)), entity.name)
    table = read_schema(connection).table(source)
    return table is not None and _has_rows(connection, source, _LARGE)


def _has_rows(connection: apsw.Connection, table: str, rows: int) -> bool:
    found = connection.execute(f"SELECT count(*) FROM (SELECT 1 FROM {quote(table)} LIMIT ?)", (rows,)).fetchall()
    return found[0][0] == rows


class _Preparation:
    """One table's."""

    def __init__(
        self,
        connection: apsw.Connection,
        entity: EntitySpec,
        steps: Sequence[Planned],
        now: str,
        tell: Tell,
    ) -> None:
        self._connection = connection
        self._tell = tell
        self.entity = entity.name
        connection.execute("BEGIN IMMEDIATE")
        try:
            self._target = find_target(connection, entity, steps, now)
        finally:
            connection.execute("ROLLBACK")
        self._state = State(self._target.signature, self._target.source, 0)

    def copy(self) -> None:
        """Copy all rows, make the indexes, and catch up until little is left."""
        with self._refusing():
            self._commit(self._begin)
            total, done, size = count(self._connection, self._target.source), self._done(), 100
            while not self._state.copied:
                began = time.perf_counter()
                done += self._commit(lambda size=size: self._copy(size))  # type: ignore[misc]
                self._tell(self.entity, done, max(done, total))
                size = _fitting(size, time.perf_counter() - began)
            while not self._state.indexed:
                self._commit(self._index)
            while self._commit(self._follow) > _FEW:
                pass

    def settle(self) -> int:
        """Catch up at last, and see that each row has its own in the new form; how many there are."""
        with self._refusing():
            while self._commit(self._follow) > _FEW:
                pass
            return self._commit(self._compare)

    def give_up(self) -> None:
        """Leave nothing of it."""
        self._connection.execute("BEGIN IMMEDIATE")
        discard(self._connection, self.entity)
        self._connection.execute("COMMIT")

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except apsw.ConstraintError as error:
            self.give_up()
            text = "a field is declared unique, required or another type, and rows written since contradict."
            raise PylonError(
                "SCHEMA_REFUSED",
                f"{self.entity}: {text}",
                hint="`pylon schema diff` says which.",
            ) from error

    def _begin(self) -> int:
        found = load_state(self._connection, self.entity)
        if found is not None and found.signature == self._state.signature and follows_on(self._connection, found):
            self._state = found
            return 0
        discard(self._connection, self.entity)
        self._connection.execute(self._target.recipe.create(self._target.table))
        if _has_rows(self._connection, self._target.source, _SORTED):
            while self._index():
                pass
        [(head,)] = self._connection.execute(system.LOG_HEAD).fetchall()
        self._state.seq = int(head)  # type: ignore[arg-type]
        return 0

    def _done(self) -> int:
        return count(self._connection, self._target.table)

    def _copy(self, size: int) -> int:
        return copy_rows(self._connection, self._target, self._state, size)

    def _index(self) -> int:
        """Make the next index; 0 when there is none left."""
        there = {index.name for index in table_indexes(self._connection, self._target.table)}
        for name, index in self._target.named_indexes:
            if name not in there:
                self._connection.execute(index.create(self._target.table, name))
                return 1
        if not self._state.copied:
            return 0
        self._connection.execute(f"ANALYZE main.{quote(self._target.table)}")
        self._state.indexed = True
        return 0

    def _follow(self) -> int:
        return catch_up(self._connection, self._target, self._state)

    def _compare(self) -> int:
        while self._follow():
            pass
        rows = self._done()
        if rows != count(self._connection, self._target.source):
            raise apsw.ConstraintError(self.entity)
        self._state.is_equal = True
        return rows

    def _commit(self, change: Callable[[], int]) -> int:
        """One short transaction, its progress in it, and a rest twice as long: SQLite's lock is not fair, and whoever
        waits for it looks only now and then."""
        began = time.perf_counter()
        self._connection.execute("BEGIN IMMEDIATE")
        before = msgspec.structs.replace(self._state)
        try:
            done = change()
            record = msgspec.json.encode(self._state)
            self._connection.execute(system.RECORD_PUT, (KIND, self.entity, record, int(time.time())))
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # a full disk ends it by itself
                self._connection.execute("ROLLBACK")
            self._state = before
            raise
        time.sleep(2 * (time.perf_counter() - began))
        return done


def _fitting(size: int, seconds: float) -> int:
    """How many rows to copy next, when so many took so long."""
    return max(20, min(20_000, int(size * _STEP_SECONDS / max(seconds / 2, 0.001))))
