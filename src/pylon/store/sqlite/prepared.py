"""A table's new form, prepared beside it while a server goes on writing: what a schema change does with it.

`preparing` copies rows and makes the indexes; what changes meanwhile is told by the change log and copied again. The
schema change then copies what changed last and puts the new form in the place of the old, which takes as long for a
million rows as for ten. What doesn't fit any more (another declaration, another index, a log that was cut) is
discarded, and the table is written anew at once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apsw
import msgspec

from pylon.model.schema import EntitySpec
from pylon.model.schema_change import Planned, RenameEntity, RenameField
from pylon.store.filters import quote
from pylon.store.sqlite import system
from pylon.store.sqlite.indexes import TableIndex, indexes_after
from pylon.store.sqlite.introspection import read_schema
from pylon.store.sqlite.recipe import Recipe, recipe

KIND = "schema-next"

PAGE = 2000
"""Log entries that are followed in one go."""

_OVER = "INSERT OR REPLACE"

_CHANGED = "SELECT seq, entity, row_id FROM _pylon_change_log WHERE seq > ? ORDER BY seq LIMIT ?"


class State(msgspec.Struct):
    """How far a table's new form is: copied up to the row number `after`, and equal to the rows of log entry `seq`.
    `is_equal` says that it was compared there, row for row. `source` is what the table was called then, in the log too.
    """

    signature: str
    source: str
    seq: int
    after: int = -(2**63)
    copied: bool = False
    indexed: bool = False
    is_equal: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """What the table `source` is to become: how its rows are copied, and the indexes it then has."""

    entity: str
    source: str
    recipe: Recipe
    indexes: tuple[TableIndex, ...]

    @property
    def table(self) -> str:
        """The name of the new form while it is prepared."""
        return f"_pylon_next_{self.entity}"

    @property
    def signature(self) -> str:
        """Equal for targets that make the same table."""
        return f"{self.recipe.signature} {' '.join(index.create('') for index in self.indexes)}"

    @property
    def named_indexes(self) -> tuple[tuple[str, TableIndex], ...]:
        """The indexes, each with the name that it has while it is prepared."""
        return tuple((f"_pylon_index_next_{index.name}", index) for index in self.indexes)


def find_target(connection: apsw.Connection, entity: EntitySpec, planned: Sequence[Planned], now: str) -> Target:
    """What an entity's steps make of its table, looked up in the open transaction; `now` fills new times."""
    steps = [each.step for each in planned]
    source = next((step.previous for step in steps if isinstance(step, RenameEntity)), entity.name)
    old_names = {step.field_name: step.previous for step in steps if isinstance(step, RenameField)}
    new_names = {old: new for new, old in old_names.items()}
    table = read_schema(connection).table(source)
    assert table is not None
    columns = tuple(msgspec.structs.replace(c, name=new_names.get(c.name, c.name)) for c in table.columns)
    made = recipe(entity, msgspec.structs.replace(table, columns=columns), steps, now, old_names)
    with _renamed(connection, source, old_names):
        indexes = indexes_after(connection, source, steps)
    return Target(entity.name, source, made, indexes)


@contextlib.contextmanager
def _renamed(connection: apsw.Connection, table: str, old_names: dict[str, str]) -> Iterator[None]:
    """The table with its columns renamed, for a look at it only: SQLite rewrites what its indexes say of them."""
    if not old_names:
        yield
        return
    connection.execute("SAVEPOINT renamed")
    try:
        for new, old in old_names.items():
            connection.execute(f"ALTER TABLE {quote(table)} RENAME COLUMN {quote(old)} TO {quote(new)}")
        yield
    finally:
        connection.execute("ROLLBACK TO renamed; RELEASE renamed")


def take_prepared(
    connection: apsw.Connection, entity: EntitySpec, planned: Sequence[Planned], now: str
) -> Target | None:
    """What was prepared for an entity, brought up to date in the open transaction before anything else is changed; its
    rows allow the steps then. None, and nothing is left of it, when there is nothing that fits."""
    state = load_state(connection, entity.name)
    if state is None:
        return None
    target = find_target(connection, entity, planned, now)
    if state.signature == target.signature and state.indexed and follows_on(connection, state):
        connection.execute("SAVEPOINT catching_up")
        try:
            if _catch_up_at_last(connection, target, state):
                connection.execute("RELEASE catching_up")
                connection.execute(system.RECORD_DELETE, (KIND, entity.name))
                return target
        except apsw.ConstraintError:
            pass
        connection.execute("ROLLBACK TO catching_up; RELEASE catching_up")
    discard(connection, entity.name)
    return None


def _catch_up_at_last(connection: apsw.Connection, target: Target, state: State) -> bool:
    """Bring the new form up to date; whether it is. Where it was compared and little was written since, it can't differ
    but by rows that contradict, so nobody need count all rows while everybody waits."""
    if state.is_equal:
        entries = _entries(connection, state, PAGE + 1)
        if len(entries) <= PAGE:
            _copy_again(connection, target, state, entries, "INSERT")
            return True
    while catch_up(connection, target, state):
        pass
    return count(connection, target.table) == count(connection, target.source)


def catch_up(connection: apsw.Connection, target: Target, state: State) -> int:
    """Copy the rows again that the next log entries are of; how many entries."""
    entries = _entries(connection, state, PAGE)
    if entries:
        # A value that a row gave up may be another's by now: the row that gave it up is among those that changed.
        _copy_again(connection, target, state, entries, _OVER)
        state.seq = int(entries[-1][0])
    return len(entries)


def _entries(connection: apsw.Connection, state: State, most: int) -> list[Any]:
    return connection.execute(_CHANGED, (state.seq, most)).fetchall()


def _copy_again(connection: apsw.Connection, target: Target, state: State, entries: Sequence[Any], verb: str) -> None:
    made, source = target.recipe, target.source
    changed = list(dict.fromkeys(row_id for _, of, row_id in entries if of in (target.entity, state.source)))
    state.is_equal = state.is_equal and not changed
    connection.executemany(f"DELETE FROM {quote(target.table)} WHERE id = ?", [(row_id,) for row_id in changed])
    again = made.copy(target.table, source, " WHERE id = ?", verb)
    connection.executemany(again, [(*made.parameters, row_id) for row_id in changed])
    for row_id in changed:
        refuse_contradictions(connection, target, "id = ?", (row_id,))


def copy_rows(connection: apsw.Connection, target: Target, state: State, most: int) -> int:
    """Copy the next rows; how many there were."""
    made, source = target.recipe, target.source
    number, before = made.targets[0], state.after
    # A unique value may have come over from a row that was copied before: that row changed, and is copied again.
    sql = made.copy(target.table, source, f" WHERE {number} > ? ORDER BY {number} LIMIT ?", _OVER)
    connection.execute(sql, (*made.parameters, before, most))
    copied = connection.changes()
    if copied:
        state.after = int(_one(connection, f"SELECT max({number}) FROM {quote(target.table)}"))
        refuse_contradictions(connection, target, f"{number} > ? AND {number} <= ?", (before, state.after))
    state.copied = copied < most
    return copied


def refuse_contradictions(
    connection: apsw.Connection, target: Target, where: str, values: tuple[str | int, ...]
) -> None:
    """Raise ConstraintError when a row has a value that its new form can't hold."""
    if target.recipe.contradiction is None:
        return
    sql = f"SELECT 1 FROM {quote(target.source)} WHERE {where} AND ({target.recipe.contradiction}) LIMIT 1"
    if connection.execute(sql, values).fetchall():
        raise apsw.ConstraintError(target.entity)


def follows_on(connection: apsw.Connection, state: State) -> bool:
    """Whether the log still tells everything that changed since, and rows were changed by it alone."""
    tail = int(_one(connection, system.LOG_TAIL))
    head = int(_one(connection, system.LOG_HEAD))
    return int(_one(connection, system.LOG_FLOOR)) <= state.seq and (head == state.seq or tail <= state.seq + 1)


def load_state(connection: apsw.Connection, entity: str) -> State | None:
    """How far the preparation for an entity is; None when there is none."""
    rows: list[Any] = connection.execute(system.RECORD_GET, (KIND, entity)).fetchall()
    return msgspec.json.decode(rows[0][0], type=State) if rows else None


def discard(connection: apsw.Connection, entity: str) -> None:
    """Drop what was prepared for an entity."""
    connection.execute(f"DROP TABLE IF EXISTS {quote(f'_pylon_next_{entity}')}")
    connection.execute(system.RECORD_DELETE, (KIND, entity))


def forget(connection: apsw.Connection, before: int) -> None:
    """Forget what nobody has worked on since a time (Unix seconds), such as for a version that was never started: its
    copies of rows would outlive them. The tables are cleared away like replaced ones."""
    connection.execute(system.RECORDS_DROP_UNUSED, (KIND, before))


def discard_all(connection: apsw.Connection) -> None:
    """Drop everything that was prepared: the schema is another one now."""
    for key, _ in connection.execute(system.RECORDS_OF, (KIND,)).fetchall():
        discard(connection, str(key))


def count(connection: apsw.Connection, table: str) -> int:
    """Rows of a table."""
    return int(_one(connection, f"SELECT count(*) FROM {quote(table)}"))


def _one(connection: apsw.Connection, sql: str) -> Any:
    return connection.execute(sql).fetchall()[0][0]
