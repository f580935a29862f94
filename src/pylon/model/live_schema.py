"""What a database holds, as plain values: the store reads it, `schema_diff` compares it with what an app declares.

A column's type says less than a field's: a string, a time and JSON are all text. So each change of a schema remembers
the shapes that were declared, and `Memory` is what was remembered last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from pylon.model.schema import EntitySpec, Field, Index, Kind

Reach = Literal["replica", "direct", "server"]
"""Who is shown a field: replicas too, direct reads only, or nobody outside the server."""


class FieldShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One field as far as stored rows depend on it; `field_type` is the manifest's spelling."""

    name: str
    field_type: str
    optional: bool = False
    unique: bool = False
    enum_values: tuple[str, ...] | None = None
    reach: Reach = "replica"
    encrypted: bool = False


class EntityShape(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entity's fields by name, those that are no longer declared but still stored among them."""

    fields: dict[str, FieldShape] = {}
    sync: bool = True


Memory = dict[str, EntityShape]
"""What was declared when the schema was last applied."""


class LiveColumn(msgspec.Struct, frozen=True, kw_only=True):
    """One column. `kinds` are those whose values it can hold, the likeliest first; `type` is the database's word."""

    name: str
    type: str
    kinds: tuple[Kind, ...]
    not_null: bool = False
    unique: bool = False


class LiveIndex(msgspec.Struct, frozen=True, kw_only=True):
    """One index that was made by name. `where` is the condition of a partial one."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    where: str | None = None


class LiveTable(msgspec.Struct, frozen=True, kw_only=True):
    """One table of rows, without its id column."""

    name: str
    columns: tuple[LiveColumn, ...] = ()
    indexes: tuple[LiveIndex, ...] = ()
    is_empty: bool = True

    def column(self, name: str) -> LiveColumn | None:
        """The column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


class LiveSchema(msgspec.Struct, frozen=True, kw_only=True):
    """The tables of rows, what was remembered of their meaning, and the entities whose rows have documents."""

    tables: tuple[LiveTable, ...] = ()
    documented: tuple[str, ...] = ()
    memory: Memory = {}

    def table(self, name: str) -> LiveTable | None:
        """The table of that name, or None."""
        return next((table for table in self.tables if table.name == name), None)


def field_shape(field: Field) -> FieldShape:
    """The shape of a declared field."""
    return FieldShape(
        name=field.name,
        field_type=field.type_name,
        optional=field.optional,
        unique=field.unique,
        enum_values=field.enum_values,
        reach="server" if field.is_hidden else "direct" if field.sync_omit else "replica",
        encrypted=field.encrypted,
    )


def entity_shape(entity: EntitySpec) -> EntityShape:
    """The shape of a declared entity."""
    return EntityShape(fields={field.name: field_shape(field) for field in entity.fields}, sync=entity.sync)


def index_columns(index: Index) -> tuple[str, ...]:
    """The columns of a declared index. Rows come by id unless said otherwise: with the id behind its fields an index
    finds them in that order, so that a list reads no more rows than it shows, and a sorted page needs no sorting."""
    return index.fields if index.unique or "id" in index.fields else (*index.fields, "id")


def index_condition(index: Index) -> str | None:
    """The condition of a partial index as text: SQL where a store has written it as such, a filter's JSON before."""
    if isinstance(index.where, dict):
        return msgspec.json.encode(index.where).decode()
    return index.where


def as_live(entities: Sequence[EntitySpec]) -> LiveSchema:
    """The live schema of a database to which these entities were applied, with rows in every table."""
    return LiveSchema(
        tables=tuple(
            LiveTable(
                name=entity.name,
                columns=tuple(
                    LiveColumn(
                        name=field.name,
                        type=field.type_name,
                        kinds=(field.kind,),
                        not_null=not field.optional,
                        unique=field.unique,
                    )
                    for field in entity.fields
                ),
                indexes=tuple(
                    LiveIndex(
                        name=f"{entity.name}_{index.name}",
                        columns=index_columns(index),
                        unique=index.unique,
                        where=index_condition(index),
                    )
                    for index in entity.indexes
                ),
                is_empty=False,
            )
            for entity in entities
        ),
        memory={entity.name: entity_shape(entity) for entity in entities},
    )
