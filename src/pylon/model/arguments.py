"""Which values a parameter of a function takes: its hint as a msgspec type, and as a validator of spec 04 §2.4."""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
from datetime import datetime
from types import GenericAlias
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

import msgspec

from pylon.model.annotations import IdOf, Mark, describe, forward_names, is_union, split_annotated

Schema = dict[str, Any]

_SCALARS: dict[Any, str] = {str: "string", int: "int", float: "number", bool: "boolean", datetime: "string"}
_ARRAYS = (list, set, frozenset, tuple, collections.abc.Sequence)
_OBJECTS = (dict, collections.abc.Mapping)
_ADVICE = (
    "Use str, int, float, bool, datetime, Id[...], Json, Literal, an Enum, a list, a dict, a TypedDict, a dataclass "
    "or a msgspec Struct."
)


class NotAnArgumentType(Exception):
    """The hint is no type of an argument. `reason` completes `by_tag(tag): ...`; `mend` says what to write."""

    def __init__(self, reason: str, mend: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.mend = mend


def read_argument_type(hint: Any) -> tuple[Any, Schema]:
    """The msgspec type of a hint, and its validator. A datetime must have a zone. Raises NotAnArgumentType."""
    missing = forward_names(hint)
    if missing:
        raise NotAnArgumentType(f"the name {missing[0]!r} is not defined", "Define or import it above the function.")
    return _read(hint, ())


def _read(hint: Any, inside: tuple[Any, ...]) -> tuple[Any, Schema]:
    inner, metadata = split_annotated(hint)
    for mark in metadata:
        if isinstance(mark, IdOf):
            return str, {"type": "id", "table": _table(mark.target)}
        if mark is Mark.RICHTEXT:
            return str, {"type": "string"}
        if mark is Mark.JSON:
            return Any, {"type": "any"}
    if metadata:
        read, schema = _read(inner, inside)
        constraints = tuple(m for m in metadata if isinstance(m, msgspec.Meta))
        return (Annotated[(read, *constraints)] if constraints else read), schema
    if inner in (Any, object):
        return Any, {"type": "any"}
    if inner is None or inner is type(None):
        return None, {"type": "null"}
    if inner is datetime:
        return Annotated[datetime, msgspec.Meta(tz=True)], {"type": "string"}
    if inner in _SCALARS:
        return inner, {"type": _SCALARS[inner]}
    if is_union(inner):
        parts = [_read(part, inside) for part in get_args(inner)]
        return Union[tuple(read for read, _ in parts)], {"type": "union", "variants": [schema for _, schema in parts]}  # noqa: UP007
    return _read_composed(inner, inside)


def _read_composed(hint: Any, inside: tuple[Any, ...]) -> tuple[Any, Schema]:
    origin, args = get_origin(hint) or hint, get_args(hint)
    if origin is Literal:
        return hint, _one_of(args)
    if origin in _ARRAYS:
        element = args[0] if args else Any
        if origin is tuple and not (len(args) == 2 and args[1] is Ellipsis):
            _each(args, inside)
            return hint, {"type": "array", "items": {"type": "any"}}
        read, schema = _read(element, inside)
        collection: Any = origin if origin in (set, frozenset, tuple) else list
        return collection[(read, ...) if origin is tuple else read], {"type": "array", "items": schema}
    if origin in _OBJECTS:
        read, _ = _read(args[1], inside) if args else (Any, None)
        return GenericAlias(dict, (str, read)), {"type": "object", "fields": {}}
    if isinstance(hint, type):
        return _read_class(hint, inside)
    raise NotAnArgumentType(f"{describe(hint)} is not a type of an argument", _ADVICE)


def _read_class(hint: type, inside: tuple[Any, ...]) -> tuple[Any, Schema]:
    if hasattr(hint, "__pylon_entity__"):
        raise NotAnArgumentType(
            f"{hint.__name__} is an entity, and callers can't send rows",
            f"Take its id with Id[{hint.__name__}], or the fields that you need.",
        )
    if issubclass(hint, enum.Enum):
        return hint, _one_of(tuple(member.value for member in hint))
    if hint in inside:
        return hint, {"type": "object", "fields": {}}
    inside = (*inside, hint)
    if issubclass(hint, msgspec.Struct):
        fields = {f.encode_name: (f.type, not f.required) for f in msgspec.structs.fields(hint)}
    elif dataclasses.is_dataclass(hint):
        hints = get_type_hints(hint, include_extras=True)
        nothing = dataclasses.MISSING
        fields = {
            f.name: (hints[f.name], f.default is not nothing or f.default_factory is not nothing)
            for f in dataclasses.fields(hint)
        }
    elif is_typeddict(hint):
        hints = get_type_hints(hint, include_extras=True)
        # `__optional_keys__` alone is not enough: it misses NotRequired in textual annotations.
        absent: frozenset[str] = getattr(hint, "__optional_keys__", frozenset())
        fields = {
            name: (_unwrap(of), get_origin(of) is NotRequired or (name in absent and get_origin(of) is not Required))
            for name, of in hints.items()
        }
    else:
        raise NotAnArgumentType(f"{hint.__name__} is not a type of an argument", _ADVICE)
    schemas: Schema = {}
    for name, (of, may_be_absent) in fields.items():
        _, schema = _read(of, inside)
        schemas[name] = schema | {"optional": True} if may_be_absent else schema
    return hint, {"type": "object", "fields": schemas}


def _unwrap(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (Required, NotRequired) else hint


def _each(hints: tuple[Any, ...], inside: tuple[Any, ...]) -> None:
    for hint in hints:
        _read(hint, inside)


def _one_of(values: tuple[Any, ...]) -> Schema:
    variants = [{"type": "literal", "value": value} for value in values]
    return variants[0] if len(variants) == 1 else {"type": "union", "variants": variants}


def _table(target: type | str) -> str:
    spec = getattr(target, "__pylon_entity__", None)
    return str(spec.name) if spec is not None else target if isinstance(target, str) else target.__name__


def manifest_type(schema: Schema, read: Any) -> str:
    """The field type of spec 05 §1.3 that an input has in a manifest; `json` where there is no closer one."""
    if _is_datetime(read):
        return "datetime"
    if schema["type"] == "id":
        return f"id({schema['table']})"
    variants = schema.get("variants", [schema])
    if all(v["type"] == "literal" and isinstance(v["value"], str) for v in variants):
        return "string"
    return {"string": "string", "int": "int", "number": "float", "boolean": "bool"}.get(schema["type"], "json")


def _is_datetime(read: Any) -> bool:
    return split_annotated(read)[0] is datetime
