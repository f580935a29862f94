"""From what a database holds to what an app declares: the steps, in order, each with its risk.

    diff(declared, live) -> Plan      equal schemas give an empty plan; a plan that was applied gives none after it

Names are followed where they are declared (`renamed_from`). What is no longer declared is kept, without constraints
that would stop inserts, unless leftovers are to be dropped. Whether the rows allow a step is for the store to look at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from pylon.model.conversions import Conversion, conversion, kind_of
from pylon.model.live_schema import (
    EntityShape,
    FieldShape,
    LiveColumn,
    LiveSchema,
    LiveTable,
    Memory,
    entity_shape,
    field_shape,
    index_columns,
    index_condition,
)
from pylon.model.schema import DefaultLiteral, DefaultNow, EntitySpec, Field, Index, Kind
from pylon.model.schema_change import (
    AddField,
    AddIndex,
    AlterField,
    AlterSync,
    CreateEntity,
    Leftovers,
    Plan,
    Planned,
    RemoveDocuments,
    RemoveEntity,
    RemoveField,
    RemoveIndex,
    RenameEntity,
    RenameField,
    Risk,
)

_GIVE_DEFAULT = "Give it a default, or make it optional (`| None`)."
_KEEP_THE_NAME = (
    'Keep the name on the wire (`field(name="old")`, `class New(Entity, name="Old")`), or copy the values into a new '
    "field: `pylon migrate create NAME --python`."
)
_BY_PYTHON = "Keep its type, or declare it under a new name and copy the values: `pylon migrate create NAME --python`."


def diff(declared: Sequence[EntitySpec], live: LiveSchema, leftovers: Leftovers = Leftovers.KEEP) -> Plan:
    """The plan that leads from the live schema to the declared one."""
    names = {entity.name for entity in declared}
    linked = linked_fields(declared)
    renames: list[Planned] = []
    changes: list[Planned] = []
    kept: list[str] = []
    taken: set[str] = set()
    for entity in declared:
        before = live_name(entity, live, names)
        if before is None:
            changes += _created(entity, linked[entity.name])
            continue
        taken.add(before)
        table = live.table(before)
        assert table is not None
        change = _Change(entity, table, live.memory.get(before), leftovers)
        renames += change.renames()
        changes += [*change.columns(), *change.indexes(linked[entity.name])]
        kept += change.kept()
    for table in live.tables:
        if table.name in taken or table.name in names:
            continue
        if leftovers is Leftovers.KEEP:
            kept.append(table.name)
        else:
            step_ = RemoveEntity(entity=table.name)
            risk = Risk.SAFE if table.is_empty else Risk.DESTRUCTIVE
            changes.append(Planned(step=step_, risk=risk, sentence=f"dropped table {table.name}"))
    for name in _unused_documents(declared, live, taken):
        if leftovers is Leftovers.KEEP:
            kept.append(f"{name} (documents)")
        else:
            gone = RemoveDocuments(entity=name)
            changes.append(Planned(step=gone, risk=Risk.DESTRUCTIVE, sentence=f"dropped the documents of {name}"))
    return Plan(steps=(*renames, *changes), leftovers=tuple(kept))


def _unused_documents(declared: Sequence[EntitySpec], live: LiveSchema, taken: set[str]) -> list[str]:
    """Entities with documents that nothing asks for: those declared without any, and those without rows. What is no
    longer declared keeps them with its rows, since both come back together."""
    in_use = {entity.name for entity in declared if entity.crdt} | (taken - {entity.name for entity in declared})
    kept = {table.name for table in live.tables} - {entity.name for entity in declared}
    return [name for name in live.documented if name not in in_use | kept]


def remembered(declared: Sequence[EntitySpec], live: LiveSchema, leftovers: Leftovers) -> Memory:
    """What is to be remembered once the plan is applied: the declared shapes, and those of what is kept."""
    names = {entity.name for entity in declared}
    memory: Memory = {}
    if leftovers is Leftovers.KEEP:
        taken = {live_name(entity, live, names) for entity in declared}
        memory = {name: shape for name, shape in live.memory.items() if name not in taken}
    for entity in declared:
        shape = entity_shape(entity)
        before = live.memory.get(live_name(entity, live, names) or "")
        if before is not None and leftovers is Leftovers.KEEP:
            table = live.table(live_name(entity, live, names) or "")
            gone = set(shape.fields) | {old for _, old in _renamed_fields(entity, table)}
            extra = {
                name: msgspec.structs.replace(field, optional=True, unique=False)
                for name, field in before.fields.items()
                if name not in gone and table is not None and table.column(name) is not None
            }
            shape = msgspec.structs.replace(shape, fields=shape.fields | extra)
        memory[entity.name] = shape
    return memory


def live_name(entity: EntitySpec, live: LiveSchema, names: set[str]) -> str | None:
    """The table that is this entity's: of its name, or of the one that it is declared to have had."""
    if live.table(entity.name) is not None:
        return entity.name
    old = entity.renamed_from
    if old is not None and old not in names and live.table(old) is not None:
        return old
    return next((table.name for table in live.tables if _is_respelled(table.name, entity.name, names)), None)


def linked_fields(entities: Sequence[EntitySpec]) -> dict[str, list[str]]:
    """By entity, the fields that its rows are found by: their tenant, relations (a to-many one leads to a field of its
    target), and those with a rule for deletes or a blind index."""
    fields: dict[str, list[str]] = {entity.name: [] for entity in entities}
    for entity in entities:
        for relation in entity.relations:
            fields.get(relation.target if relation.many else entity.name, []).append(relation.field)
        fields[entity.name] += [f.name for f in entity.fields if f.on_delete is not None or f.lookup]
        if entity.tenant_field is not None:
            fields[entity.name].append(entity.tenant_field)
    return fields


def declared_indexes(entity: EntitySpec, linked: Sequence[str]) -> dict[str, Index]:
    """The indexes of an entity under the names that the database knows them by."""
    indexes = {f"{entity.name}_{index.name}": index for index in entity.indexes}
    for field in linked:
        name = f"{entity.name}_rel_{field}"
        if entity.field(field) is not None and name not in indexes:
            indexes[name] = Index(name=f"rel_{field}", fields=(field,))
    return indexes


def has_backfill(field: Field) -> bool:
    """Whether rows that exist can be given the field's default."""
    return isinstance(field.default, DefaultNow | DefaultLiteral)


def _is_respelled(live: str, declared: str, names: set[str]) -> bool:
    """Upper and lower case are the same to the database, so another spelling is a renaming."""
    return live not in names and live.casefold() == declared.casefold()


def _renamed_fields(entity: EntitySpec, table: LiveTable | None) -> Iterator[tuple[Field, str]]:
    declared = {field.name for field in entity.fields}
    for field in entity.fields:
        if table is None or table.column(field.name) is not None:
            continue
        old = field.renamed_from
        if old is not None and old not in declared and table.column(old) is not None:
            yield field, old
            continue
        for column in table.columns:
            if _is_respelled(column.name, field.name, declared):
                yield field, column.name


def _created(entity: EntitySpec, linked: Sequence[str]) -> Iterator[Planned]:
    step = CreateEntity(entity=entity.name, fields=tuple(field_shape(field) for field in entity.fields))
    yield _safe(step, f"created table {entity.name}")
    for name, index in declared_indexes(entity, linked).items():
        yield _add_index(entity, name, index, replaces=False)


def _add_index(entity: EntitySpec, name: str, index: Index, *, replaces: bool) -> Planned:
    step = AddIndex(
        entity=entity.name,
        name=name,
        fields=index_columns(index),
        unique=index.unique,
        where_clause=index_condition(index),
        replaces=replaces,
    )
    return _safe(step, f"created index {name}")


def _safe(step: RenameEntity | RenameField | CreateEntity | AddIndex | RemoveIndex | AlterSync, text: str) -> Planned:
    return Planned(step=step, risk=Risk.SAFE, sentence=text)


class _Change:
    """From one table to the entity that it is to hold."""

    def __init__(self, entity: EntitySpec, table: LiveTable, memory: EntityShape | None, leftovers: Leftovers) -> None:
        self._entity = entity
        self._table = table
        self._memory = memory
        self._leftovers = leftovers
        self._renamed = {field.name: old for field, old in _renamed_fields(entity, table)}
        gone = {*(field.name for field in entity.fields), *self._renamed.values()}
        self._left = [column for column in table.columns if column.name not in gone]

    def renames(self) -> Iterator[Planned]:
        name, before = self._entity.name, self._table.name
        if before != name:
            sealed = [f.name for f in self._entity.fields if self._is_sealed(f)]
            step = RenameEntity(entity=name, previous=before)
            yield self._moved(step, f"renamed table {before} to {name}", sealed)
        for new, old in self._renamed.items():
            sealed = [f.name for f in self._entity.fields if f.name == new and self._is_sealed(f)]
            field_step = RenameField(entity=name, field_name=new, previous=old)
            yield self._moved(field_step, f"renamed column {name}.{old} to {new}", sealed)

    def _moved(self, step: RenameEntity | RenameField, text: str, sealed: Sequence[str]) -> Planned:
        """A renaming. An encrypted value is bound to its entity and field, and opens nowhere else."""
        if not sealed or self._table.is_empty:
            return _safe(step, text)
        why = f"{self._entity.name}.{sealed[0]}: encrypted values open under the name that they were sealed under only."
        return Planned(step=step, risk=Risk.IMPOSSIBLE, sentence=text, why=why, mend=_KEEP_THE_NAME)

    def _is_sealed(self, field: Field) -> bool:
        """Whether the field's stored values may be encrypted."""
        old = self._renamed.get(field.name, field.name)
        if self._table.column(old) is None:
            return False
        known = None if self._memory is None else self._memory.fields.get(old)
        return field.encrypted if known is None else known.encrypted

    def columns(self) -> Iterator[Planned]:
        if self._memory is not None and self._memory.sync != self._entity.sync:
            step = AlterSync(entity=self._entity.name, sync=self._entity.sync)
            word = "takes part in" if step.sync else "is left out of"
            yield _safe(step, f"{self._entity.name} {word} replication")
        for field in self._entity.fields:
            column = self._table.column(self._renamed.get(field.name, field.name))
            if column is None:
                yield self._added(field)
            elif (planned := self._altered(field, column)) is not None:
                yield planned
        yield from self._left_over()

    def kept(self) -> list[str]:
        if self._leftovers is Leftovers.DROP:
            return []
        return [f"{self._entity.name}.{column.name}" for column in self._left]

    def indexes(self, linked: Sequence[str]) -> Iterator[Planned]:
        live = {index.name: index for index in self._table.indexes}
        declared = declared_indexes(self._entity, linked)
        renamed = {old: new for new, old in self._renamed.items()}
        own = (f"{self._entity.name}_", f"{self._table.name}_")
        for name in live:
            if name not in declared and name.startswith(own):  # an index by another name is somebody's own
                yield _safe(RemoveIndex(entity=self._entity.name, name=name), f"dropped index {name}")
        for name, index in declared.items():
            found = live.get(name)
            columns = () if found is None else tuple(renamed.get(column, column) for column in found.columns)
            wanted = (index_columns(index), index.unique, index_condition(index))
            if found is None or (columns, found.unique, found.where) != wanted:
                yield _add_index(self._entity, name, index, replaces=found is not None)

    def _added(self, field: Field) -> Planned:
        name = f"{self._entity.name}.{field.name}"
        is_filled = not field.optional and not self._table.is_empty
        step = AddField(entity=self._entity.name, field=field_shape(field), filled=is_filled)
        text = f"added column {name}"
        if is_filled and not has_backfill(field):
            why = f"{name}: a new required field needs a default for the rows that exist."
            return Planned(step=step, risk=Risk.IMPOSSIBLE, sentence=text, why=why, mend=_GIVE_DEFAULT)
        risk = Risk.SAFE if field.optional and not field.unique else Risk.REBUILD
        return Planned(step=step, risk=risk, sentence=text)

    def _altered(self, field: Field, column: LiveColumn) -> Planned | None:
        before, after = self._before(field, column), field_shape(field)
        if before == after:
            return None
        entity, name = self._entity.name, f"{self._entity.name}.{field.name}"
        requires = after.optional != before.optional and not after.optional
        step = AlterField(
            entity=entity,
            previous=before,
            target=after,
            filled=requires and has_backfill(field) and not self._table.is_empty,
        )
        text = f"changed {name}: {'; '.join(_differences(before, after))}"
        how = conversion(before.field_type, after.field_type)
        if not self._table.is_empty and (how is None or not _seals_fit(before, after)):
            why = f"{name}: it is declared {after.field_type}, but the rows' values are {before.field_type}."
            if before.encrypted or after.encrypted:
                why = f"{name}: rows have values that are stored otherwise; only a text or json can become encrypted."
            return Planned(step=step, risk=Risk.IMPOSSIBLE, sentence=text, why=why, mend=_BY_PYTHON)
        stays = how in (Conversion.ALIKE, Conversion.CHECKED) and (before.optional, before.unique) == (
            after.optional,
            after.unique,
        )
        return Planned(step=step, risk=Risk.SAFE if stays else Risk.REBUILD, sentence=text)

    def _before(self, field: Field, column: LiveColumn) -> FieldShape:
        """The shape that the column has. Where nothing was remembered of it, the declared one, as far as it fits."""
        after = field_shape(field)
        known = None if self._memory is None else self._memory.fields.get(column.name)
        type_name = after.field_type if known is None else known.field_type
        is_sealed = field.encrypted if known is None else known.encrypted  # whatever its type, it is text
        if kind_of(type_name) not in column.kinds and not is_sealed:
            type_name = column.kinds[0].value
        return FieldShape(
            name=field.name,
            field_type=type_name,
            optional=not column.not_null,
            unique=column.unique,
            enum_values=after.enum_values if known is None else known.enum_values,
            reach=after.reach if known is None else known.reach,
            encrypted=after.encrypted if known is None else known.encrypted,
        )

    def _left_over(self) -> Iterator[Planned]:
        entity = self._entity.name
        for column in self._left:
            if self._leftovers is Leftovers.DROP:
                gone = RemoveField(entity=entity, field_name=column.name)
                risk = Risk.REBUILD if self._table.is_empty else Risk.DESTRUCTIVE
                yield Planned(step=gone, risk=risk, sentence=f"dropped column {entity}.{column.name}")
            elif column.not_null or column.unique:
                before = FieldShape(
                    name=column.name,
                    field_type=column.kinds[0].value,
                    optional=not column.not_null,
                    unique=column.unique,
                )
                after = msgspec.structs.replace(before, optional=True, unique=False)
                step = AlterField(entity=entity, previous=before, target=after, undeclared=True)
                text = f"kept undeclared column {entity}.{column.name}"
                yield Planned(step=step, risk=Risk.REBUILD, sentence=text)


def _seals_fit(before: FieldShape, after: FieldShape) -> bool:
    """Whether values stay readable as far as encryption goes: open text is read until it is sealed, sealed text is
    never opened for good, and what is sealed can't be converted."""
    one, other = kind_of(before.field_type), kind_of(after.field_type)
    if before.encrypted:
        return after.encrypted and (one is other or (one.is_text and other.is_text))
    return not after.encrypted or (one is other and (one.is_text or one is Kind.JSON))


def _differences(before: FieldShape, after: FieldShape) -> Iterator[str]:
    if before.field_type != after.field_type:
        yield f"{before.field_type} becomes {after.field_type}"
    if before.optional != after.optional:
        yield "now optional" if after.optional else "now required"
    if before.unique != after.unique:
        yield "now unique" if after.unique else "no longer unique"
    if before.enum_values != after.enum_values:
        yield f"now one of {', '.join(after.enum_values)}" if after.enum_values else "now any value"
    if before.reach != after.reach:
        shown = {"replica": "shown to everybody", "direct": "kept out of replicas", "server": "kept on the server"}
        yield shown[after.reach]
    if before.encrypted != after.encrypted:
        yield "encrypted" if after.encrypted else "no longer encrypted"
