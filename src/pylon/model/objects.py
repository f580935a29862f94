"""Between rows (wire names, primitive values) and what developers handle: Entity instances and Python values.

Compiled once per entity. A stored value that the declaration can't read, such as an enum value that was removed,
is handed over as it is: one old row must not make the others unreadable.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from datetime import date, datetime
from operator import attrgetter
from typing import Any

import msgspec

from pylon.model.entity import Entity
from pylon.model.errors import PylonError
from pylon.model.schema import EntitySpec, Field, Kind
from pylon.model.timestamps import iso_millis, parse_iso

Convert = Callable[[Any], Any]


class ObjectCodec:
    """Converts the rows of one entity to Entity instances and back."""

    __slots__ = ("_attributes", "_class", "_dumps", "_getter", "_loads", "_public", "entity")

    def __init__(self, entity: EntitySpec) -> None:
        self.entity = entity
        self._class = entity.python_class
        fields = {f.attribute or f.name: f for f in entity.fields}
        self._attributes = {"id": "id"} | {attribute: f.name for attribute, f in fields.items()}
        self._dumps: dict[str, Convert] = {a: d for a, f in fields.items() if (d := _dump_of(f)) is not None}
        order = ["id", *fields] if self._class is None else list(self._class.__struct_fields__)  # type: ignore[attr-defined]
        self._getter = attrgetter(*(self._attributes[a] for a in order))
        self._loads: tuple[tuple[int, Convert], ...] = ()
        if self._class is not None:
            classes = _enum_classes(self._class)
            loads = [(i, _load_of(fields[a], classes.get(a))) for i, a in enumerate(order) if a in fields]
            self._loads = tuple((i, load) for i, load in loads if load is not None)
        # A field that a plugin declared is none of the class's attributes.
        there = set(self._attributes if self._class is None else order)
        public = (a for a, n in self._attributes.items() if n == "id" or not fields[a].is_hidden)
        self._public = tuple(a for a in public if a in there)

    def load(self, row: Any) -> Any:
        """The Entity instance of a row: aware datetimes, enum members. The row itself for an entity without a class."""
        if self._class is None:
            return row
        if len(self._attributes) == 1:
            return self._class(row.id)
        if not self._loads:
            return self._class(*self._getter(row))
        values = list(self._getter(row))
        for i, load in self._loads:
            if values[i] is not None:
                values[i] = load(values[i])
        return self._class(*values)

    def dump(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Values by attribute as wire values by wire name. Types are checked later, with the row. Raises
        INVALID_COLUMN for an attribute that the entity lacks."""
        dumped: dict[str, Any] = {}
        for attribute, value in values.items():
            convert = self._dumps.get(attribute)
            dumped[self.wire_name(attribute)] = value if convert is None or value is None else convert(value)
        return dumped

    def public(self, instance: Any) -> dict[str, Any]:
        """An Entity instance as a client may see it: wire names and values, no serverOnly field."""
        return self.dump({attribute: getattr(instance, attribute) for attribute in self._public})

    def wire_name(self, attribute: str) -> str:
        """The wire name of an attribute. Raises INVALID_COLUMN."""
        name = self._attributes.get(attribute)
        if name is None:
            valid = ", ".join(self._attributes)
            raise PylonError("INVALID_COLUMN", f'Unknown column "{attribute}" -- valid columns: {valid}')
        return name

    def attribute(self, wire_name: str) -> str:
        """The attribute of a declared wire name, of what `load` makes."""
        if self._class is None:
            return wire_name
        return next(attribute for attribute, name in self._attributes.items() if name == wire_name)


def _load_of(field: Field, enum_class: type[enum.Enum] | None) -> Convert | None:
    if enum_class is not None:
        members = {member.value: member for member in enum_class}
        return lambda value: members.get(value, value)
    return _load_datetime if field.kind is Kind.DATETIME else None


def _load_datetime(value: str) -> Any:
    try:
        return parse_iso(value)
    except ValueError:
        return value


def _enum_classes(cls: type) -> dict[str, type[enum.Enum]]:
    found: dict[str, type[enum.Enum]] = {}
    for info in msgspec.structs.fields(cls):
        for part in (info.type, *getattr(info.type, "__args__", ())):
            if isinstance(part, type) and issubclass(part, enum.Enum):
                found[info.name] = part
    return found


def _dump_of(field: Field) -> Convert | None:
    if field.kind is Kind.DATETIME:
        return _dump_datetime
    if field.kind is Kind.ID:
        return _dump_reference
    if field.kind is Kind.JSON:
        return msgspec.to_builtins
    return _dump_enum if field.enum_values else None


def _dump_datetime(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso_millis(value)
    return value.isoformat() if isinstance(value, date) else value


def _dump_reference(value: Any) -> Any:
    return value.id if isinstance(value, Entity) else value


def _dump_enum(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value
