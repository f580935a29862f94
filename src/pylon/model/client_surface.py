"""What a generated client knows of an app, whatever its language: the fields of rows and writes, what functions give,
and the classes that their hints name. Nothing that no client may see is in it.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
from typing import Any, NamedTuple, NotRequired, Required, get_args, get_origin, get_type_hints, is_typeddict

import msgspec

from pylon.model.annotations import evaluate
from pylon.model.schema import DefaultAuth, DefaultNow, EntitySpec, Field, FunctionSpec

ARRAYS = (list, set, frozenset, collections.abc.Sequence, collections.abc.Iterable)
OBJECTS = (dict, collections.abc.Mapping)
STREAMS = (collections.abc.AsyncIterator, collections.abc.AsyncGenerator, collections.abc.AsyncIterable)
NO_DEFAULT = msgspec.NODEFAULT
MADE = msgspec.UNSET
"""Stands for a default that is made anew each time."""


class Member(NamedTuple):
    """A field of a class, and whether it may be absent in JSON. `default` is its value, NO_DEFAULT or MADE."""

    name: str
    hint: Any
    may_be_absent: bool
    default: Any = NO_DEFAULT


def shown(entity: EntitySpec) -> list[Field]:
    """The fields of a row."""
    return [f for f in entity.fields if not f.server_only]


def written(entity: EntitySpec) -> list[Field]:
    """The fields that an insert may set."""
    return [f for f in entity.fields if not (f.is_owner or f.server_only)]


def changed(entity: EntitySpec) -> list[Field]:
    """The fields that an update may set."""
    return [f for f in written(entity) if not f.readonly]


def stamped(entity: EntitySpec, field: Field) -> bool:
    """Whether the server fills it while a row is inserted: a row that waits in a replica lacks it."""
    is_made = isinstance(field.default, DefaultNow | DefaultAuth)
    return is_made or field.is_owner or field.name == entity.tenant_field


def may_be_left_out(field: Field) -> bool:
    """Whether an insert goes without it."""
    return field.optional or field.default is not None


def result_hint(function: FunctionSpec) -> Any:
    """What a handler says it returns; Any where it says nothing that can be read. A stream's result is set in its
    body."""
    handler = inspect.unwrap(function.handler)
    said = getattr(handler, "__annotations__", {}).get("return", inspect.Parameter.empty)
    if said is inspect.Parameter.empty or function.streams:
        return Any
    try:
        return evaluate(said, handler.__globals__)
    except Exception:  # the developer's text, with names of a scope that is gone
        return Any


def members(cls: type) -> list[Member] | None:
    """The fields of a class; None where it has none."""
    if issubclass(cls, msgspec.Struct):
        return [
            Member(f.encode_name, f.type, False, f.default if f.default_factory is NO_DEFAULT else MADE)
            for f in msgspec.structs.fields(cls)
        ]
    if dataclasses.is_dataclass(cls):
        hints = get_type_hints(cls, include_extras=True)
        return [Member(f.name, hints[f.name], False, _default(f)) for f in dataclasses.fields(cls)]
    if is_typeddict(cls):
        optional: frozenset[str] = getattr(cls, "__optional_keys__", frozenset())
        hints = get_type_hints(cls, include_extras=True)
        wrapped = (Required, NotRequired)
        return [
            Member(
                name,
                get_args(of)[0] if get_origin(of) in wrapped else of,
                name in optional or get_origin(of) is NotRequired,
            )
            for name, of in hints.items()
        ]
    return None


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return MADE
    return NO_DEFAULT if field.default is dataclasses.MISSING else field.default


class Names:
    """Names of a file, each given once."""

    def __init__(self, taken: collections.abc.Iterable[str]) -> None:
        self.taken = set(taken)

    def free(self, wanted: str) -> str:
        """The name itself, or with a number behind it."""
        name, number = wanted, 1
        while name in self.taken:
            number += 1
            name = f"{wanted}{number}"
        self.taken.add(name)
        return name
