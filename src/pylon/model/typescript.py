"""An app as TypeScript: the rows, what inserts and updates take, and what functions take and give (`Schema` in
`pylon.d.ts`). Types say what travels as JSON: a datetime is text, a set is an array.

client_types(AppSpec) -> str      the whole file; the same app gives the same text
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Hashable, Iterable, Iterator
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

from pylon.model.annotations import Mark, is_union, split_annotated
from pylon.model.client_surface import (
    ARRAYS,
    OBJECTS,
    STREAMS,
    Names,
    changed,
    may_be_left_out,
    members,
    result_hint,
    shown,
    written,
)
from pylon.model.schema import AppSpec, EntitySpec, Field, FunctionSpec, Kind

_IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*\Z")
_HEAD = "// Written by `pylon codegen client`. Run it again after a change of the app; do not edit.\n"
_KINDS = {
    Kind.STRING: "string",
    Kind.RICHTEXT: "string",
    Kind.DATETIME: "string",
    Kind.ID: "string",
    Kind.INT: "number",
    Kind.FLOAT: "number",
    Kind.BOOL: "boolean",
    Kind.JSON: "any",
    Kind.VECTOR: "number[]",
}
_SCALARS: dict[Any, str] = {
    str: "string",
    bytes: "string",
    datetime: "string",
    date: "string",
    time: "string",
    UUID: "string",
    Decimal: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    None: "null",
    type(None): "null",
}

Member = tuple[str, str, bool]
"""Name, type, and whether it may be absent."""


def client_types(spec: AppSpec) -> str:
    """The file. Nothing that no client may see is in it: server-only fields and internal functions are left out."""
    writer = _Writer(spec)
    entities = [block for entity in spec.entities for block in writer.entity(entity)]
    functions = [writer.function(function) for function in spec.functions if not function.internal]
    names = [(_key(entity.name), entity.name) for entity in spec.entities]
    rows = [f"    {key}: {{ row: {name}; insert: {name}Insert; update: {name}Update }};" for key, name in names]
    schema = ["export interface Schema {", "  entities: {", *rows, "  };", "  functions: {", *functions, "  };", "}"]
    return "\n\n".join([_HEAD.rstrip(), *entities, *writer.named.values(), "\n".join(schema)]) + "\n"


class _Writer:
    """Writes types, and collects the classes that they name."""

    def __init__(self, spec: AppSpec) -> None:
        self.named: dict[str, str] = {}
        parts = ("", "Insert", "Update")
        self._names = Names(["Schema", *(f"{entity.name}{part}" for entity in spec.entities for part in parts)])
        self._classes: dict[type, str] = {}

    def entity(self, entity: EntitySpec) -> Iterator[str]:
        row = [(f.name, _type(f), False) for f in shown(entity) if not f.sync_omit]
        yield _interface(entity.name, [("id", "string", False), *row])
        inserts = [(f.name, _type(f), may_be_left_out(f)) for f in written(entity)]
        yield _interface(f"{entity.name}Insert", [("id", "string", True), *inserts])
        yield _interface(f"{entity.name}Update", [(f.name, _type(f), True) for f in changed(entity)])

    def function(self, function: FunctionSpec) -> str:
        arguments: tuple[Any, ...] = getattr(function.arguments, "__pylon_arguments__", ())
        members = [
            (a.name, self.hint(a.type) if a.required else _or_null(self.hint(a.type)), not a.required)
            for a in arguments
        ]
        parts = (("kind", f'"{function.kind}"'), ("args", _inline(members)), ("result", self.result(function)))
        return f"    {_key(function.name)}: {_inline((name, of, False) for name, of in parts)};"

    def result(self, function: FunctionSpec) -> str:
        """What a function gives."""
        return self.hint(result_hint(function))

    def hint(self, hint: Any) -> str:
        """The type of a Python hint."""
        inner, metadata = split_annotated(hint)
        if Mark.JSON in metadata:
            return "any"
        if metadata:
            return self.hint(inner)
        if isinstance(inner, Hashable) and inner in _SCALARS:
            return _SCALARS[inner]
        origin, args = get_origin(inner) or inner, get_args(inner)
        if is_union(inner):
            return " | ".join(dict.fromkeys(self.hint(arg) for arg in args))
        if origin is Literal:
            return " | ".join(json.dumps(value) for value in args)
        if origin in STREAMS:
            return "any"
        if origin is tuple and args and args[-1] is not Ellipsis:
            return f"[{', '.join(self.hint(arg) for arg in args)}]"
        if origin in ARRAYS or origin is tuple:
            return f"{_grouped(self.hint(args[0]))}[]" if args else "any[]"
        if origin in OBJECTS:
            return f"Record<string, {self.hint(args[1])}>" if args else "Record<string, any>"
        return self.of_class(inner) if isinstance(inner, type) else "any"

    def of_class(self, cls: type) -> str:
        """An entity or an enum by what it is, another class with fields by a name of its own."""
        entity = getattr(cls, "__pylon_entity__", None)
        if entity is not None:
            return str(entity.name)
        if issubclass(cls, enum.Enum):
            return " | ".join(json.dumps(member.value) for member in cls)
        if cls in self._classes:
            return self._classes[cls]
        found = members(cls)
        if found is None:
            return "any"
        name = self._names.free(cls.__name__)
        self._classes[cls] = name
        self.named[name] = ""  # keeps its place before what it refers to
        self.named[name] = _interface(name, [(m.name, self.hint(m.hint), m.may_be_absent) for m in found])
        return name


def _type(field: Field) -> str:
    name = " | ".join(json.dumps(value) for value in field.enum_values) if field.enum_values else _KINDS[field.kind]
    return _or_null(name) if field.optional else name


def _or_null(name: str) -> str:
    return name if name == "any" or name.endswith("null") else f"{name} | null"


def _grouped(name: str) -> str:
    return f"({name})" if " | " in name else name


def _key(name: str) -> str:
    return name if _IDENTIFIER.match(name) else json.dumps(name)


def _member(member: Member) -> str:
    name, type_name, may_be_absent = member
    return f"{_key(name)}{'?' if may_be_absent else ''}: {type_name}"


def _inline(members: Iterable[Member]) -> str:
    return "{ " + "; ".join(_member(member) for member in members) + " }" if (members := list(members)) else "{}"


def _interface(name: str, members: Iterable[Member]) -> str:
    return "\n".join([f"export interface {name} {{", *(f"  {_member(member)};" for member in members), "}"])
