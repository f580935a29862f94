"""Python source for types: of fields, of hints, and of the classes that hints name. A type says what `pylon.client`
works with: a datetime is one, a row is a Struct.
"""

from __future__ import annotations

import enum
import json
import keyword
from collections.abc import Hashable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import msgspec

from pylon.model.annotations import Mark, is_union, split_annotated
from pylon.model.client_surface import ARRAYS, MADE, NO_DEFAULT, OBJECTS, STREAMS, Member, Names, members
from pylon.model.schema import Field, Kind

_KINDS = {
    Kind.STRING: "str",
    Kind.RICHTEXT: "str",
    Kind.DATETIME: "datetime",
    Kind.ID: "str",
    Kind.INT: "int",
    Kind.FLOAT: "float",
    Kind.BOOL: "bool",
    Kind.JSON: "Any",
    Kind.VECTOR: "list[float]",
}
_SCALARS: dict[Any, str] = {
    str: "str",
    bytes: "bytes",
    datetime: "datetime",
    date: "date",
    time: "time",
    UUID: "UUID",
    Decimal: "Decimal",
    int: "int",
    float: "float",
    bool: "bool",
    None: "None",
    type(None): "None",
}
_MODULES = {
    "datetime": "datetime",
    "date": "datetime",
    "time": "datetime",
    "Decimal": "decimal",
    "UUID": "uuid",
    "Any": "typing",
    "Literal": "typing",
}
_BUILTINS = ("str", "bytes", "int", "float", "bool", "list", "dict", "tuple", "set", "frozenset", "property", "super")
WORDS = frozenset({*keyword.kwlist, *_BUILTINS, *_MODULES, "self"})
"""What a generated file means something else by."""


class PythonTypes:
    """Writes types. `classes` are the definitions they need by name, `imported` what they use by module; `names` are
    those of the file."""

    def __init__(self, names: Names, rows: dict[str, str]) -> None:
        self.classes: dict[str, str] = {}
        self.imported: dict[str, set[str]] = {}
        self._names = names
        self._rows = rows
        self._known: dict[type, str] = {}

    def use(self, module: str, name: str) -> str:
        """The name, which the file imports from the module."""
        self.imported.setdefault(module, set()).add(name)
        return name

    def of_field(self, field: Field) -> str:
        """The values of a field, null aside."""
        if field.enum_values:
            return self._literal(field.enum_values)
        return self._scalar(_KINDS[field.kind])

    def or_none(self, name: str) -> str:
        """The same, or None."""
        return name if name == "Any" or name.endswith("None") else f"{name} | None"

    def attribute(self, name: str, taken: set[str] | None = None) -> str:
        """The name of a field or an argument in Python, where it may mean something else already."""
        clashes = name in WORDS or name in self._names.taken or (taken is not None and name in taken)
        found = f"{name}_" if clashes else name
        return f"field{found}" if found.startswith("__") else found  # else a class would hide it

    def hint(self, hint: Any) -> str:
        """The type of a hint of the app's."""
        inner, metadata = split_annotated(hint)
        if Mark.JSON in metadata:
            return self._scalar("Any")
        if metadata:
            return self.hint(inner)
        if isinstance(inner, Hashable) and inner in _SCALARS:
            return self._scalar(_SCALARS[inner])
        origin, args = get_origin(inner) or inner, get_args(inner)
        if is_union(inner):
            found = list(dict.fromkeys(self.hint(arg) for arg in args))
            return "Any" if "Any" in found else " | ".join(sorted(found, key="None".__eq__))
        if origin is Literal:
            return self._literal(args)
        if origin is tuple and args and args[-1] is not Ellipsis:
            return f"tuple[{', '.join(self.hint(arg) for arg in args)}]"
        if origin in STREAMS:
            return self._scalar("Any")
        if origin in ARRAYS or origin is tuple:
            return f"list[{self.hint(args[0]) if args else self._scalar('Any')}]"
        if origin in OBJECTS:
            return f"dict[str, {self.hint(args[1]) if args else self._scalar('Any')}]"
        return self._class(inner) if isinstance(inner, type) else self._scalar("Any")

    def result(self, hint: Any) -> str:
        """The same, or Any for what no decoder can tell apart, such as one of two Structs without a tag."""
        try:
            msgspec.json.Decoder(hint)
        except TypeError:
            return self._scalar("Any")
        return self.hint(hint)

    def _scalar(self, name: str) -> str:
        return self.use(_MODULES[name], name) if name in _MODULES else name

    def _literal(self, values: tuple[Any, ...]) -> str:
        self._scalar("Literal")
        return f"Literal[{', '.join(literal(value) for value in values)}]"

    def _class(self, cls: type) -> str:
        """An entity or an enum by what it is, another class with fields by a name of its own."""
        entity = getattr(cls, "__pylon_entity__", None)
        if entity is not None and entity.name in self._rows:
            return self._rows[entity.name]
        if issubclass(cls, enum.Enum):
            return self._literal(tuple(member.value for member in cls))
        if cls in self._known:
            return self._known[cls]
        found = members(cls)
        if found is None:
            return self._scalar("Any")
        name = self._known[cls] = self._names.free(cls.__name__)
        self.classes[name] = ""  # keeps its place before what it refers to
        lines = [line for member in found for line in self._member(member)]
        self.classes[name] = "\n".join([f"class {name}({', '.join(self._bases(cls))}):", *(lines or ["    pass"])])
        return name

    def _bases(self, cls: type) -> list[str]:
        bases = [self.use("pylon.client.typed", "Struct"), "kw_only=True"]
        config = getattr(cls, "__struct_config__", None)
        if config is not None and config.tag is not None:
            bases += [f"tag_field={literal(config.tag_field)}", f"tag={literal(config.tag)}"]
        if config is not None and config.array_like:
            bases.append("array_like=True")
        return bases

    def _member(self, member: Member) -> list[str]:
        of, default = self.hint(member.hint), ""
        if member.may_be_absent or member.default is MADE or not is_plain(member.default):
            unset = self.use("pylon.client.typed", "UnsetType")
            of = f"{of.removesuffix(' | None')} | {unset} | None" if of.endswith(" | None") else f"{of} | {unset}"
            default = self.use("pylon.client.typed", "UNSET")
        elif member.default is not NO_DEFAULT:
            default = literal(member.default)
        return self.assigned(member.name, of, default)

    def assigned(self, name: str, of: str, default: str) -> list[str]:
        """The line of a Struct's field."""
        attribute = self.attribute(name)
        if attribute != name:
            said = f"name={literal(name)}{f', default={default}' if default else ''}"
            default = f"{self.use('pylon.client.typed', 'named')}({said})"
        return [f"    {attribute}: {of}{f' = {default}' if default else ''}"]


def is_plain(value: Any) -> bool:
    """Whether a default can be written down as it is."""
    return value is NO_DEFAULT or value is None or type(value) in (str, int, float, bool)


def literal(value: Any) -> str:
    """A plain value as Python writes it, text in double quotes."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)
