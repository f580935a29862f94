"""Between rows on the wire and what the caller works with: dicts, or instances of a class.

A class may be an Entity of the app, a msgspec Struct or a dataclass; its name is the entity's, and an Entity knows
which wire names its attributes have.
"""

from __future__ import annotations

import datetime
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, get_args

import msgspec

from pylon.model.schema import EntitySpec
from pylon.model.timestamps import parse_iso

T = TypeVar("T")

EntityName = type | str
"""An entity: its wire name, or a class."""

Order = str | Sequence[str]
"""`"title"`, `"-updated"` for the newest first, or several of them."""

_ids = threading.Lock()
_last_ns = 0


def new_id() -> str:
    """A row id, made here: 40 lowercase hex characters that sort by creation, as the server's do."""
    global _last_ns
    with _ids:
        _last_ns = max(time.time_ns(), _last_ns + 1)
        return f"{_last_ns:032x}{secrets.token_hex(4)}"


def entity_name(entity: EntityName) -> str:
    """The wire name."""
    if isinstance(entity, str):
        return entity
    spec = getattr(entity, "__pylon_entity__", None)
    if isinstance(spec, EntitySpec):
        return spec.name
    return str(getattr(entity, "__pylon_name__", entity.__name__))


def wire_names(entity: EntityName) -> dict[str, str]:
    """Attribute names that differ on the wire."""
    if isinstance(entity, str):
        return {}
    attributes = getattr(entity, "__struct_fields__", ())
    names = getattr(entity, "__struct_encode_fields__", ())
    return {a: n for a, n in zip(attributes, names, strict=True) if a != n}


def dump(entity: EntityName, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by attribute as JSON values by wire name. Raises TypeError for what JSON can't hold."""
    names = wire_names(entity)
    built: dict[str, Any] = msgspec.to_builtins({names.get(k, k): _aware(v) for k, v in values.items()}, str_keys=True)
    return built


def dump_where(entity: EntityName, where: Mapping[str, Any]) -> dict[str, Any]:
    """A filter by attribute as JSON values by wire name, also within `$and`, `$or` and `$not`. Raises TypeError."""
    built: dict[str, Any] = msgspec.to_builtins(_renamed(where, wire_names(entity)), str_keys=True)
    return built


def _renamed(where: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in where.items():
        if key in ("$and", "$or") and isinstance(value, list | tuple):
            found[key] = [_renamed(part, names) if isinstance(part, Mapping) else part for part in value]
        elif key == "$not" and isinstance(value, Mapping):
            found[key] = _renamed(value, names)
        elif isinstance(value, Mapping):
            found[names.get(key, key)] = {
                operator: [_aware(one) for one in operand] if isinstance(operand, list | tuple) else _aware(operand)
                for operator, operand in value.items()
            }
        else:
            found[names.get(key, key)] = _aware(value)
    return found


def _aware(value: Any) -> Any:
    """A naive time is local time, as `datetime` itself sees it: on the wire every time has an offset."""
    if isinstance(value, datetime.datetime) and value.tzinfo is None:
        return value.astimezone()
    return value


def load(entity: type[T] | str | None, value: Any) -> Any:
    """A decoded row, or any value, as an instance of a class; as it is for a name or None. A time may be written in any
    way that the server stores; a date alone is its midnight in UTC. Raises msgspec.ValidationError for what doesn't
    fit."""
    if entity is None or isinstance(entity, str):
        return value
    try:
        return msgspec.convert(value, entity, strict=False)
    except msgspec.ValidationError:
        return msgspec.convert(_with_times(value, entity), entity, strict=False)


def _with_times(value: Any, of: Any) -> Any:
    """The value with its times in full, as far as the type knows which texts are times."""
    if isinstance(value, str):
        return _time(value) if datetime.datetime in (of, *get_args(of)) else value
    if isinstance(value, list):
        element = next((args[0] for one in (of, *get_args(of)) if (args := get_args(one))), Any)
        return [_with_times(part, element) for part in value]
    if isinstance(value, dict):
        cls = next(
            (one for one in (of, *get_args(of)) if isinstance(one, type) and issubclass(one, msgspec.Struct)), None
        )
        types = {} if cls is None else {f.encode_name: f.type for f in msgspec.structs.fields(cls)}
        return {name: _with_times(part, types.get(name)) for name, part in value.items()}
    return value


def _time(text: str) -> Any:
    try:
        return parse_iso(text)
    except ValueError:
        return text


def order_fields(entity: EntityName, order: Order) -> list[tuple[str, str]]:
    """`-updated` as `("updated", "desc")`."""
    names = wire_names(entity)
    fields = []
    for part in [order] if isinstance(order, str) else order:
        name = part.removeprefix("-")
        fields.append((names.get(name, name), "desc" if part.startswith("-") else "asc"))
    return fields
