"""Bringing the live schema to the declared one (spec 05 §6.1, §8): the plan of `model.schema_diff`, carried out.

All of it is one transaction: readers see the state before until it is committed, and a process that is killed at any
point leaves the state before. What can't be done without losing or inventing values is refused, naming the column.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import apsw
import msgspec

from pylon.model.errors import PylonError
from pylon.model.live_schema import LiveSchema
from pylon.model.schema import EntitySpec
from pylon.model.schema_change import (
    AddField,
    AddIndex,
    AlterField,
    CreateEntity,
    Plan,
    Planned,
    RemoveDocuments,
    RemoveEntity,
    RemoveField,
    RemoveIndex,
    RenameEntity,
    RenameField,
    Risk,
    Step,
)
from pylon.model.schema_diff import diff, remembered
from pylon.model.timestamps import iso_millis, iso_seconds
from pylon.store.filters import quote
from pylon.store.protocol import SchemaWish
from pylon.store.sqlite import documents, identity, schema_history, system
from pylon.store.sqlite.indexes import declared_index
from pylon.store.sqlite.introspection import read_schema
from pylon.store.sqlite.obstacles import examined
from pylon.store.sqlite.partial import with_conditions
from pylon.store.sqlite.prepared import Target, discard_all, take_prepared
from pylon.store.sqlite.rebuild import rebuild
from pylon.store.sqlite.recipe import create_table, declared_column
from pylon.store.sqlite.replaced import replace_table
from pylon.store.sqlite.samples import outdated


def plan_schema(connection: apsw.Connection, entities: Sequence[EntitySpec], wish: SchemaWish) -> Plan:
    """What `apply_schema` would do, with what the rows don't allow; nothing is written."""
    entities = [with_conditions(entity) for entity in entities]
    return examined(connection, diff(entities, read_schema(connection), wish.leftovers))


def apply_schema(
    connection: apsw.Connection,
    entities: Sequence[EntitySpec],
    wish: SchemaWish | None = None,
    *,
    clock: Callable[[], float] = time.time,
) -> Plan:
    """Apply the declared schema in one transaction; what was done. Raises SCHEMA_REFUSED for what is impossible, and
    for what is destructive unless the wish allows it."""
    wish = wish or SchemaWish()
    entities = [with_conditions(entity) for entity in entities]
    connection.execute("PRAGMA foreign_keys=OFF")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in (*system.TABLES, *documents.TABLES, *identity.TABLES, *schema_history.TABLES):
            connection.execute(statement)
        identity.settle(connection)
        live = read_schema(connection)
        plan = diff(entities, live, wish.leftovers)
        ready = _take_ready(connection, entities, plan, iso_now(clock))
        plan = examined(connection, plan, ready)
        refuse(plan)
        _carry_out(connection, entities, plan, ready, iso_now(clock))
        if plan.steps:
            discard_all(connection)
        _remember(connection, entities, live, plan, wish, clock)
        for statement in outdated(connection, [entity.name for entity in entities]):
            connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute("PRAGMA foreign_keys=ON")
    return plan


def iso_now(clock: Callable[[], float]) -> str:
    """The time, as rows hold it."""
    return iso_millis(datetime.fromtimestamp(clock(), UTC))


def refuse(plan: Plan) -> None:
    """Raise SCHEMA_REFUSED for the first impossible step, telling how many more there are."""
    impossible = plan.of(Risk.IMPOSSIBLE)
    if not impossible:
        return
    first = impossible[0]
    more = f" ({len(impossible) - 1} more: `pylon schema diff`)" if len(impossible) > 1 else ""
    raise PylonError("SCHEMA_REFUSED", f"{first.why}{more}", hint=first.mend)


def _take_ready(connection: apsw.Connection, entities: Sequence[EntitySpec], plan: Plan, now: str) -> dict[str, Target]:
    """What was prepared for the plan's entities and fits."""
    ready = {}
    for entity in entities:
        steps = [planned for planned in plan.steps if planned.step.entity == entity.name]
        impossible = any(planned.risk is Risk.IMPOSSIBLE for planned in steps)
        if steps and not impossible and (target := take_prepared(connection, entity, steps, now)) is not None:
            ready[entity.name] = target
    return ready


def _carry_out(
    connection: apsw.Connection, entities: Sequence[EntitySpec], plan: Plan, ready: Mapping[str, Target], now: str
) -> None:
    by_name = {entity.name: entity for entity in entities}
    for target in ready.values():
        replace_table(connection, target.source, target.table, target.entity, target.named_indexes)
        for planned in plan.steps:
            if planned.step.entity == target.entity:
                _follow(connection, planned.step)
    waiting = [planned for planned in plan.steps if planned.step.entity not in ready]
    while waiting:
        entity, is_index = waiting[0].step.entity, isinstance(waiting[0].step, AddIndex)
        batch = [waiting.pop(0)]
        if not is_index:  # the steps of one table go together: it is written anew once at most
            while waiting and waiting[0].step.entity == entity and not isinstance(waiting[0].step, AddIndex):
                batch.append(waiting.pop(0))
        _change_table(connection, by_name.get(entity), batch, now)


def _change_table(connection: apsw.Connection, entity: EntitySpec | None, batch: Sequence[Planned], now: str) -> None:
    columns: list[Step] = []
    anew = False
    for planned in batch:
        match planned.step:
            case CreateEntity(entity=name):
                assert entity is not None
                connection.execute(create_table(name, [declared_column(field) for field in entity.fields]))
            case RenameEntity() as step:
                _rename_table(connection, step)
            case RenameField(entity=name, previous=old, field_name=new):
                connection.execute(f"ALTER TABLE {quote(name)} RENAME COLUMN {quote(old)} TO {quote(new)}")
            case RemoveEntity(entity=name):
                connection.execute(f"DROP TABLE {quote(name)}")
            case RemoveIndex(name=index):
                connection.execute(f"DROP INDEX {quote(index)}")
            case AddIndex() as index_step:
                _add_index(connection, index_step)
            case AddField() | AlterField() | RemoveField():
                columns.append(planned.step)
                anew = anew or planned.risk in (Risk.REBUILD, Risk.DESTRUCTIVE)
        _follow(connection, planned.step)
    if columns:
        assert entity is not None
        _change_columns(connection, entity, columns, now, anew)


def _change_columns(
    connection: apsw.Connection, entity: EntitySpec, steps: Sequence[Step], now: str, anew: bool
) -> None:
    if anew:
        table = read_schema(connection).table(entity.name)
        assert table is not None
        rebuild(connection, entity, table, steps, now)
    else:
        for step in steps:
            if isinstance(step, AddField):
                field = entity.field(step.field.name)
                assert field is not None
                connection.execute(f"ALTER TABLE {quote(entity.name)} ADD COLUMN {declared_column(field)}")


def _follow(connection: apsw.Connection, step: Step) -> None:
    """What belongs to a table goes with it: what operators set for the entity holds for it under another name. A
    document knows fields by their names, and is made anew from the row when it is next asked for."""
    match step:
        case RenameEntity(entity=new, previous=old):
            for name in _document_tables(connection):
                connection.execute(f"UPDATE {quote(name)} SET entity = ? WHERE entity = ?", (new, old))
            connection.execute(system.THROTTLE_RENAME, (new, old))
            connection.execute(system.SWITCH_RENAME, (new, old))
        case AlterField(previous=before, target=after) if before.field_type == after.field_type:
            pass
        case RenameField() | RemoveEntity() | RemoveDocuments() | AlterField() | RemoveField():
            for name in _document_tables(connection):
                connection.execute(f"DELETE FROM {quote(name)} WHERE entity = ?", (step.entity,))


def _rename_table(connection: apsw.Connection, step: RenameEntity) -> None:
    source = step.previous
    if source.casefold() == step.entity.casefold():  # the same name to SQLite: it goes by way of another one
        source = f"_pylon_rename_{step.entity}"
        connection.execute(f"ALTER TABLE {quote(step.previous)} RENAME TO {quote(source)}")
    connection.execute(f"ALTER TABLE {quote(source)} RENAME TO {quote(step.entity)}")


def _document_tables(connection: apsw.Connection) -> list[str]:
    return [str(name) for (name,) in connection.execute(system.DOCUMENT_TABLES).fetchall()]


def _add_index(connection: apsw.Connection, step: AddIndex) -> None:
    if step.replaces:
        connection.execute(f"DROP INDEX IF EXISTS {quote(step.name)}")
    try:
        connection.execute(declared_index(step).create(step.entity))
    except apsw.ConstraintError as error:
        fields = ", ".join(step.fields)
        raise PylonError(
            "SCHEMA_REFUSED",
            f"{step.entity}.{fields}: the unique index {step.name} can't be made, since rows share values.",
            hint="Make the values differ first, or drop unique=True.",
        ) from error
    except apsw.SQLError as error:
        raise PylonError(
            "SCHEMA_REFUSED",
            f"{step.entity}: the index {step.name} can't be made: {error}.",
            hint='Write its condition as a filter: where={"archived": False}.',
        ) from error


def _remember(
    connection: apsw.Connection,
    entities: Sequence[EntitySpec],
    live: LiveSchema,
    plan: Plan,
    wish: SchemaWish,
    clock: Callable[[], float],
) -> None:
    memory = remembered(entities, live, wish.leftovers)
    if not plan.steps and memory == live.memory:
        return
    [(head,)] = _fetch(connection, system.LOG_HEAD)
    [(floor,)] = _fetch(connection, system.LOG_FLOOR)
    if plan.resyncs and head:
        floor = head + 1
        connection.execute(system.META_RAISE, ("log_floor", floor))
    if plan.reshapes and head:
        [(line,)] = _fetch(connection, system.META_GET, (system.TIMELINE_KEY,))
        connection.execute(system.META_PUT, (system.TIMELINE_KEY, max(int(clock()), line + 1)))
    steps = [planned.step for planned in plan.steps]
    schema_history.append(
        connection,
        (
            iso_seconds(datetime.fromtimestamp(clock(), UTC)),
            wish.by,
            wish.app_version,
            "live_sqlite" if live.tables else "empty",
            len(steps),
            msgspec.json.encode({"operations": steps}).decode(),
            int(floor),
            msgspec.json.encode(memory).decode(),
        ),
    )


def _fetch(connection: apsw.Connection, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
    return connection.execute(sql, tuple(values)).fetchall()
