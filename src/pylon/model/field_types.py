"""Which field type an annotation means, and what to write instead when it means none."""

from __future__ import annotations

import collections.abc
import enum
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Literal, get_args, get_origin
from uuid import UUID

import msgspec

from pylon.model.annotations import IdOf, Mark, describe, forward_names, is_union, split_annotated, split_optional
from pylon.model.schema import Kind


class FieldType(msgspec.Struct, frozen=True, kw_only=True):
    """What an annotation says: the field type, and the Python type that its values have in an Entity."""

    kind: Kind
    python: Any
    optional: bool = False
    target: type | str | None = None
    enum_values: tuple[str, ...] | None = None
    enum_class: type[enum.Enum] | None = None


class NotAFieldType(Exception):
    """The annotation is no field type. `reason` completes the sentence `Note.tags: ...`; `mend` says what to write."""

    def __init__(self, reason: str, mend: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.mend = mend


_SCALARS: dict[Any, Kind] = {
    str: Kind.STRING,
    int: Kind.INT,
    float: Kind.FLOAT,
    bool: Kind.BOOL,
    datetime: Kind.DATETIME,
}
_JSON_ORIGINS = (dict, list, collections.abc.Mapping, collections.abc.Sequence)
_MENDS: dict[Any, str] = {
    bytes: "Use str with base64, or keep the bytes in a file.",
    Decimal: "Use int for the smallest unit (cents), or str.",
    date: "Use datetime, or str.",
    time: "Use str.",
    timedelta: "Use float for seconds.",
    UUID: "Use str; rows have an id of their own.",
    Any: "Use Json.",
    object: "Use Json.",
    complex: "Use Json.",
}
_FIELD_TYPES = "str, int, float, bool, datetime, RichText, Id[...], Json, dict, list, Literal, an Enum of strings"


def read_field_type(annotation: Any) -> FieldType:
    """The field type of an evaluated annotation. Raises NotAFieldType."""
    hint, optional = split_optional(annotation)
    missing = forward_names(hint)
    if missing:
        raise NotAFieldType(
            f"the name {missing[0]!r} is not defined",
            f"Define or import it above the class. If it is an entity, refer to it as Id[{missing[0]!r}].",
        )
    inner, metadata = split_annotated(hint)
    if any(not isinstance(mark, IdOf | Mark | str) for mark in metadata):
        raise NotAFieldType(
            "the metadata of its Annotated has no effect here", "Write bounds as field(min=…, max_length=…, pattern=…)."
        )
    found = _from_marks(metadata) or _from_type(inner)
    if found is None:
        raise NotAFieldType(f"{describe(hint)} is not a field type", _mend(inner))
    return msgspec.structs.replace(found, python=found.python | None, optional=True) if optional else found


def _from_marks(metadata: tuple[Any, ...]) -> FieldType | None:
    for mark in metadata:
        if isinstance(mark, IdOf):
            return FieldType(kind=Kind.ID, python=str, target=mark.target)
        if mark is Mark.RICHTEXT:
            return FieldType(kind=Kind.RICHTEXT, python=str)
        if mark is Mark.JSON:
            return FieldType(kind=Kind.JSON, python=Any)
    return None


def _from_type(hint: Any) -> FieldType | None:
    if hint in _SCALARS:
        return FieldType(kind=_SCALARS[hint], python=hint)
    if hint in _JSON_ORIGINS or get_origin(hint) in _JSON_ORIGINS:
        return FieldType(kind=Kind.JSON, python=Any)
    if get_origin(hint) is Literal and all(type(value) is str for value in get_args(hint)):
        return FieldType(kind=Kind.STRING, python=hint, enum_values=get_args(hint))
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        values = tuple(member.value for member in hint)
        if values and all(isinstance(value, str) for value in values):
            plain = tuple(str.__str__(value) for value in values)
            return FieldType(kind=Kind.STRING, python=hint, enum_values=plain, enum_class=hint)
    return None


def _mend(hint: Any) -> str:
    origin = get_origin(hint) or hint
    if origin in (set, frozenset, tuple):
        element = describe(get_args(hint)[0]) if get_args(hint) else "str"
        return f"Use list[{element}] for a JSON list, or an entity of its own for something that you query."
    if getattr(hint, "__name__", None) == "Id":
        return 'Say of what: Id["User"].'
    if is_union(hint):
        return "Use Json for a value of several types."
    if origin is Literal:
        return "Use a Literal of strings only."
    if isinstance(hint, type):
        if issubclass(hint, enum.Enum):
            return "Give every member a string value."
        if hasattr(hint, "__pylon_entity__"):
            return f"Use Id[{hint.__name__}] to refer to a row."
    return _MENDS.get(origin) or f"Field types are: {_FIELD_TYPES}, and each of them `| None`."
