"""What a class body says about its fields, indexes and relations: `field(...)`, `index(...)`, `relation(...)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import UNSET

from pylon.model.schema import Index, Relation


class FieldOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of one `field(...)`."""

    default: Any = UNSET
    owner: bool = False
    unique: bool = False
    index: bool = False
    readonly: bool = False
    server_only: bool = False
    sync_omit: bool = False
    encrypted: bool = False
    lookup: bool = False
    min: int | float | None = None
    max: int | float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    on_delete: str | None = None
    tenant: bool = False
    crdt: str | None = None
    name: str | None = None
    renamed_from: str | None = None


def field(
    *,
    default: Any = UNSET,
    owner: bool = False,
    unique: bool = False,
    index: bool = False,
    readonly: bool = False,
    server_only: bool = False,
    sync_omit: bool = False,
    encrypted: bool = False,
    lookup: bool = False,
    min: int | float | None = None,
    max: int | float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    pattern: str | None = None,
    on_delete: Literal["restrict", "cascade", "set_null"] | None = None,
    tenant: bool = False,
    crdt: Literal["lww", "text", "counter", "list", "movable-list", "tree"] | None = None,
    name: str | None = None,
    renamed_from: str | None = None,
) -> Any:
    """Options of one field of an Entity.

    `default` is a literal, an enum member, or "now" on a datetime: the time of the insert. `owner` stamps the caller's
    user id on insert and makes the field readonly. `unique` and `index` make an index. `readonly` fields are set on
    insert only. `server_only` fields never leave the server. `encrypted` ones are sealed at rest; with `lookup` they
    can still be found by their exact value. `sync_omit` keeps a field out of replicas. `tenant` makes
    it the field that holds the row's tenant.

    `min` and `max` bound a number, `min_length` and `max_length` the characters of a text, and `pattern` is a regular
    expression that the whole text matches. `on_delete`, on an Id, makes the row that it names have to exist, and says
    what becomes of this row when that one is deleted.

    `crdt` picks how concurrent edits merge; `name` is the name on the wire, and `renamed_from` the one that the field
    had before: the values move with it.
    """
    return FieldOptions(
        default=default,
        owner=owner,
        unique=unique,
        index=index,
        readonly=readonly,
        server_only=server_only,
        sync_omit=sync_omit,
        encrypted=encrypted,
        lookup=lookup,
        min=min,
        max=max,
        min_length=min_length,
        max_length=max_length,
        pattern=pattern,
        on_delete=on_delete,
        tenant=tenant,
        crdt=crdt,
        name=name,
        renamed_from=renamed_from,
    )


def index(
    *fields: str, unique: bool = False, where: Mapping[str, Any] | str | None = None, name: str | None = None
) -> Index:
    """An index over fields, named by their attributes. `where` makes it partial: a filter such as
    `{"archived": False}`, by wire names, or an SQL predicate over columns.
    The name defaults to `by_<field>_<field>`."""
    condition = dict(where) if isinstance(where, Mapping) else where
    return Index(name=f"by_{'_'.join(fields)}" if name is None else name, fields=fields, unique=unique, where=condition)


def relation(name: str, target: type | str, *, field: str, many: bool = False) -> Relation:
    """A relation that graph queries may include. `field` is the Id field of this entity; for `many`, the Id field of
    the target that points back."""
    return Relation(name=name, target=target if isinstance(target, str) else target.__name__, field=field, many=many)
