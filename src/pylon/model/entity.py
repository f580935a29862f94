"""`Entity`: a class whose body declares a table, and whose instances are its rows in Python code.

An Entity class is a frozen msgspec Struct: attributes have Python values (datetimes, enum members), and changing one
is an error, since it would not reach the store.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

import msgspec

from pylon.model.declaration import read_declaration
from pylon.model.diagnostics import check_entity
from pylon.model.findings import DeclarationError, error
from pylon.model.modifiers import field
from pylon.model.schema import EntitySpec, Index, PolicySpec, Relation


class EntityMeta(msgspec.StructMeta):
    """Makes Entity classes. Raises DeclarationError for a body that declares no sound table."""

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, **options: Any) -> EntityMeta:
        parents = [base for base in bases if isinstance(base, EntityMeta)]
        if not parents:
            return super().__new__(mcls, name, bases, namespace, gc=False, **options)
        if any(hasattr(parent, "__pylon_entity__") for parent in parents):
            raise DeclarationError(
                [error("ENTITY_INHERITANCE", f"{name}: an entity can't extend another one", "Extend Entity itself.")]
            )
        frame = sys._getframe(1)
        declared = read_declaration(name, namespace, options, (namespace, frame.f_locals, frame.f_globals))
        problems = (*declared.problems, *check_entity(declared.spec))
        if problems:
            raise DeclarationError(problems)
        renames = {f.attribute: f.name for f in declared.spec.fields if f.attribute != f.name}
        cls = super().__new__(mcls, name, bases, declared.body, frozen=True, gc=False, rename=renames or None)
        cls.__pylon_entity__ = msgspec.structs.replace(declared.spec, python_class=cls)  # type: ignore[attr-defined]
        cls.__pylon_policy__ = declared.policy  # type: ignore[attr-defined]
        cls.__pylon_references__ = declared.references  # type: ignore[attr-defined]
        return cls


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Entity(msgspec.Struct, metaclass=EntityMeta, frozen=True):
    """The base of every entity. `class Note(Entity)` declares a table; annotations declare its fields.

    Class options: `name` (wire name), `crdt` (False for plain last-write-wins), `sync` (False keeps the entity out of
    replicas), `sync_scope` (a policy expression that narrows replication), `sync_limit` (newest rows in a first pull),
    `audit_reads` (True records in the audit log whom its rows are shown to), `tenant` (False for an entity whose rows
    belong to no tenant although it has a field `tenantId`), `renamed_from` (the wire name that it had before: its rows
    move with it).
    """

    indexes: ClassVar[Sequence[Index]]
    relations: ClassVar[Sequence[Relation]]
    search: ClassVar[dict[str, Any]]

    if TYPE_CHECKING:
        id: str = ""

        def __init_subclass__(
            cls,
            *,
            name: str = ...,
            crdt: bool = True,
            sync: bool = True,
            sync_scope: str = ...,
            sync_limit: int = ...,
            audit_reads: bool = False,
            renamed_from: str = ...,
            tenant: bool = True,
        ) -> None: ...


def is_entity(value: object) -> bool:
    """True for a class that declares an entity."""
    return isinstance(value, EntityMeta) and hasattr(value, "__pylon_entity__")


def entity_spec(cls: type) -> EntitySpec:
    """What the class declares. Raises TypeError for another class."""
    spec = getattr(cls, "__pylon_entity__", None)
    if not isinstance(spec, EntitySpec):
        raise TypeError(f"{cls!r} is not an Entity class")
    return spec


def policy_spec(cls: type) -> PolicySpec | None:
    """The policy that the class declares in its nested `class Policy`, None without one."""
    policy: PolicySpec | None = getattr(cls, "__pylon_policy__", None)
    return policy


def referenced_entities(cls: type) -> tuple[type, ...]:
    """The entity classes that the class names in `Id[...]`."""
    references: tuple[type, ...] = getattr(cls, "__pylon_references__", ())
    return references
