"""Preparing a table's new form while a server goes on writing to the old one, so that the change itself is short.

Rows are copied beside the table in small commits with rests between them; what changes meanwhile is told by the change
log and copied again. How far this got is stored in each commit, so it goes on after a kill. The schema change then
copies what changed last, looks whether both tables have as many rows, and puts the new one in the place of the old.
What doesn't fit any more (another declaration, a log that was cut) is discarded, and the table is written anew at once.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apsw
import msgspec

from pylon.model.errors import PylonError
from pylon.model.live_schema import Memory
from pylon.model.schema import EntitySpec
from pylon.model.schema_change import Plan, Planned, RenameEntity, RenameField, Risk
from pylon.store.filters import quote
from pylon.store.sqlite import system
from pylon.store.sqlite.connection import connect_writer
from pylon.store.sqlite.introspection import read_schema
from pylon.store.sqlite.recipe import Recipe, recipe

KIND = "schema-next"

_STEP_SECONDS = 0.01
"""How long one commit keeps the server's writer waiting."""

_FEW = 200
"""So few log entries are left to the schema change itself."""

_PAGE = 2000

_OVER = "INSERT OR REPLACE"

_CHANGED = "SELECT seq, entity, row_id FROM _pylon_change_log WHERE seq > ? ORDER BY seq LIMIT ?"


class State(msgspec.Struct):
    """How far a table's new form is: copied up to the row number `after`, and equal to the rows of log entry `seq`.
    `source` is what the table was called then, in the log too."""

    signature: str
    source: str
    seq: int
    after: int = -(2**63)
    copied: bool = False


def next_table(entity: str) -> str:
    """The name of a table's new form."""
    return f"_pylon_next_{entity}"


def prepare(
    path: Path,
    entities: Sequence[EntitySpec],
    plan: Plan,
    now: str,
    tell: Callable[[str, int, int], None] = lambda entity, done, total: None,
) -> dict[str, int]:
    """Prepare each table that the plan writes anew; the rows of each. Raises SCHEMA_REFUSED when a row contradicts."""
    done = {}
    with contextlib.closing(connect_writer(path, "NORMAL")) as connection:
        memory = read_schema(connection).memory
        for entity in entities:
            steps = [planned for planned in plan.steps if planned.step.entity == entity.name]
            if _is_resealed(entity, memory):
                continue
            if any(planned.risk is Risk.REBUILD for planned in steps):
                done[entity.name] = _Preparation(connection, entity, steps, now, tell).run()
    return done


def _is_resealed(entity: EntitySpec, memory: Memory) -> bool:
    """Whether the entity has encrypted values, or had: a change of keys writes these without a word in the log."""
    shapes = [memory[name] for name in (entity.name, entity.renamed_from or "") if name in memory]
    return any(field.encrypted for field in entity.fields) or any(
        field.encrypted for shape in shapes for field in shape.fields.values()
    )


def take_prepared(connection: apsw.Connection, entity: str, made: Recipe) -> str | None:
    """The prepared table of this recipe, brought up to date in the open transaction; None, and nothing is left of it,
    when there is none that fits."""
    state = _state(connection, entity)
    if state is None:
        return None
    table = next_table(entity)
    if state.signature == made.signature and state.copied and _follows_on(connection, state):
        with contextlib.suppress(apsw.ConstraintError):
            while _catch_up(connection, entity, entity, made, state):
                pass
            if _count(connection, table) == _count(connection, entity):
                connection.execute(system.RECORD_DELETE, (KIND, entity))
                return table
    discard(connection, entity)
    return None


def discard(connection: apsw.Connection, entity: str) -> None:
    """Drop what was prepared for an entity."""
    connection.execute(f"DROP TABLE IF EXISTS {quote(next_table(entity))}")
    connection.execute(system.RECORD_DELETE, (KIND, entity))


def discard_all(connection: apsw.Connection) -> None:
    """Drop everything that was prepared: the schema is another one now."""
    for key, _ in connection.execute(system.RECORDS_OF, (KIND,)).fetchall():
        discard(connection, str(key))


class _Preparation:
    """One table's."""

    def __init__(
        self,
        connection: apsw.Connection,
        entity: EntitySpec,
        steps: Sequence[Planned],
        now: str,
        tell: Callable[[str, int, int], None],
    ) -> None:
        self._connection = connection
        self._name = entity.name
        self._tell = tell
        moves = [planned.step for planned in steps]
        self._source = next((step.previous for step in moves if isinstance(step, RenameEntity)), entity.name)
        old_names = {step.field_name: step.previous for step in moves if isinstance(step, RenameField)}
        new_names = {old: new for new, old in old_names.items()}
        table = read_schema(connection).table(self._source)
        assert table is not None
        columns = tuple(msgspec.structs.replace(c, name=new_names.get(c.name, c.name)) for c in table.columns)
        renamed = msgspec.structs.replace(table, columns=columns)
        self._recipe = recipe(entity, renamed, moves, now, old_names)
        self._state = State(self._recipe.signature, self._source, 0)

    def run(self) -> int:
        """Copy, then catch up until little is left; the rows."""
        try:
            self._commit(self._begin)
            total = _count(self._connection, self._source)
            done, size = _count(self._connection, next_table(self._name)), 100
            while not self._state.copied:
                began = time.perf_counter()
                done += self._commit(lambda size=size: self._copy(size))  # type: ignore[misc]
                self._tell(self._name, done, max(done, total))
                size = _fitting(size, time.perf_counter() - began)
            while self._commit(self._follow) > _FEW:
                pass
            return self._commit(self._compare)
        except apsw.ConstraintError as error:
            self._connection.execute("BEGIN IMMEDIATE")
            discard(self._connection, self._name)
            self._connection.execute("COMMIT")
            raise PylonError(
                "SCHEMA_REFUSED",
                f"{self._name}: a field is declared unique or required, and rows that were written since contradict.",
                hint="`pylon schema diff` says which.",
            ) from error

    def _begin(self) -> int:
        found = _state(self._connection, self._name)
        if found is not None and found.signature == self._state.signature and _follows_on(self._connection, found):
            self._state = found
            return 0
        discard(self._connection, self._name)
        self._connection.execute(self._recipe.create(next_table(self._name)))
        self._state.seq = int(_one(self._connection, system.LOG_HEAD))
        return 0

    def _copy(self, size: int) -> int:
        number, table = self._recipe.targets[0], next_table(self._name)
        tail = f" WHERE {number} > ? ORDER BY {number} LIMIT ?"
        # A unique value may have come over from a row that was copied before: that row changed, and is copied again.
        sql = self._recipe.copy(table, self._source, tail, _OVER)
        self._connection.execute(sql, (*self._recipe.parameters, self._state.after, size))
        copied = self._connection.changes()
        if copied:
            self._state.after = int(_one(self._connection, f"SELECT max({number}) FROM {quote(table)}"))
        self._state.copied = copied < size
        return copied

    def _compare(self) -> int:
        """Whether each row has its own in the new form; how many there are."""
        while self._follow():
            pass
        rows = _count(self._connection, next_table(self._name))
        if rows != _count(self._connection, self._source):
            raise apsw.ConstraintError(self._name)
        return rows

    def _follow(self) -> int:
        return _catch_up(self._connection, self._name, self._source, self._recipe, self._state)

    def _commit(self, change: Callable[[], int]) -> int:
        """One short transaction, its progress in it, and a rest as long as it took."""
        began = time.perf_counter()
        self._connection.execute("BEGIN IMMEDIATE")
        before = msgspec.structs.replace(self._state)
        try:
            done = change()
            record = msgspec.json.encode(self._state)
            self._connection.execute(system.RECORD_PUT, (KIND, self._name, record, int(time.time())))
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            self._state = before
            raise
        time.sleep(time.perf_counter() - began)
        return done


def _catch_up(connection: apsw.Connection, entity: str, source: str, made: Recipe, state: State) -> int:
    """Copy the rows again that the next log entries are of; how many entries."""
    entries = connection.execute(_CHANGED, (state.seq, _PAGE)).fetchall()
    if not entries:
        return 0
    table = next_table(entity)
    changed = list(dict.fromkeys(row_id for _, of, row_id in entries if of in (entity, state.source)))
    connection.executemany(f"DELETE FROM {quote(table)} WHERE id = ?", [(row_id,) for row_id in changed])
    # A value that a row gave up may be another's by now: the row that gave it up is among those that changed.
    again = made.copy(table, source, " WHERE id = ?", _OVER)
    connection.executemany(again, [(*made.parameters, row_id) for row_id in changed])
    state.seq = int(entries[-1][0])  # type: ignore[arg-type]
    return len(entries)


def _follows_on(connection: apsw.Connection, state: State) -> bool:
    """Whether the log still tells everything that changed since, and rows were changed by it alone."""
    tail = int(_one(connection, system.LOG_TAIL))
    head = int(_one(connection, system.LOG_HEAD))
    return int(_one(connection, system.LOG_FLOOR)) <= state.seq and (head == state.seq or tail <= state.seq + 1)


def _fitting(size: int, seconds: float) -> int:
    """How many rows to copy next, when so many took so long."""
    return max(20, min(20_000, int(size * _STEP_SECONDS / max(seconds / 2, 0.001))))


def _state(connection: apsw.Connection, entity: str) -> State | None:
    rows: list[Any] = connection.execute(system.RECORD_GET, (KIND, entity)).fetchall()
    return msgspec.json.decode(rows[0][0], type=State) if rows else None


def _count(connection: apsw.Connection, table: str) -> int:
    return int(_one(connection, f"SELECT count(*) FROM {quote(table)}"))


def _one(connection: apsw.Connection, sql: str) -> Any:
    return connection.execute(sql).fetchall()[0][0]
