"""What an app declares, as JSON Schema of draft 2020-12: the shapes of an entity's rows and of what its writes and
queries take, and what functions take and give. What no client may see is in none of them.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pylon.model.annotations import is_union, split_annotated
from pylon.model.bounds import longest
from pylon.model.client_surface import result_hint
from pylon.model.schema import EntitySpec, Field, FunctionSpec, Kind

JsonSchema = dict[str, Any]

ROW_ID: JsonSchema = {"type": "string", "pattern": "^[0-9a-f]{40}$", "examples": ["0" * 40]}
_INT64 = {"minimum": -(2**63), "maximum": 2**63 - 1}
_KINDS: dict[Kind, JsonSchema] = {
    Kind.STRING: {"type": "string"},
    Kind.RICHTEXT: {"type": "string"},
    Kind.DATETIME: {"type": "string", "format": "date-time"},
    Kind.ID: {"type": "string"},
    Kind.INT: {"type": "integer", "format": "int64", **_INT64},
    Kind.FLOAT: {"type": "number"},
    Kind.BOOL: {"type": "boolean"},
    Kind.JSON: {"description": "Arbitrary JSON value"},
    Kind.VECTOR: {"type": "array", "items": {"type": "number"}},
}
OPERATORS: JsonSchema = {
    "type": "object",
    "description": "Comparisons, all of which must hold.",
    "properties": {
        "$eq": {},
        "$not": {},
        **{name: {"type": ["string", "number", "boolean"]} for name in ("$gt", "$gte", "$lt", "$lte")},
        "$in": {"type": "array"},
        "$nin": {"type": "array"},
        "$like": {"type": "string", "description": "Contains the text, whatever its case."},
        "$startsWith": {"type": "string"},
        "$exists": {"type": "boolean"},
    },
    "additionalProperties": False,
}


def field_schema(field: Field) -> JsonSchema:
    """The values of a field, null aside."""
    schema = dict(_KINDS[field.kind])
    if field.enum_values:
        return {"type": "string", "enum": list(field.enum_values)}
    if field.kind is Kind.VECTOR:
        return schema | {"minItems": field.dimensions, "maxItems": field.dimensions}
    if field.kind is Kind.ID:
        schema["description"] = f"The id of a row of {field.target}."
    bounds = field.bounds
    if bounds is not None:
        found: JsonSchema
        if schema["type"] in ("integer", "number"):
            found = {"minimum": bounds.min, "maximum": bounds.max}
        else:
            pattern = None if bounds.pattern is None else f"^(?:{bounds.pattern})$"
            found = {"minLength": bounds.min_length, "maxLength": longest(bounds), "pattern": pattern}
        schema |= {name: value for name, value in found.items() if value is not None}
    return schema


def nullable(schema: JsonSchema) -> JsonSchema:
    """The same, or null."""
    if "type" not in schema:
        return schema
    enum = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
    return {**schema, "type": [schema["type"], "null"], **enum}


def entity_schemas(entity: EntitySpec, reference: str) -> Iterator[tuple[str, JsonSchema]]:
    """Named schemas of an entity: its rows, parts of rows (`fields=`), inserts, patches and filters. `reference` is
    where they are found, with `{}` for the name."""
    name = entity.name
    shown = {f.name: _of(f) for f in entity.fields if not f.server_only}
    written = [f for f in entity.fields if not (f.is_owner or f.server_only)]
    required = [f.name for f in written if not f.optional and f.default is None]
    row = {"id": {"type": "string"}, **shown}
    yield name, _object(row, list(row), f"A row of {name}.")
    yield f"{name}Part", _object(row, ["id"], f"A row of {name}, or the fields of it that were asked for.")
    insert = {"id": ROW_ID, **{f.name: _of(f) for f in written}}
    yield f"{name}Insert", _object(insert, required, f"A new row of {name}.", is_closed=CLOSED)
    patch = {f.name: _of(f) for f in written if not f.readonly}
    yield f"{name}Update", _object(patch, [], f"The fields of a {name} to change.", is_closed=CLOSED)
    yield f"{name}Filter", _filter(entity, reference)


CLOSED: JsonSchema = {"additionalProperties": False}


def _of(field: Field) -> JsonSchema:
    return nullable(field_schema(field)) if field.optional else field_schema(field)


def _object(
    properties: JsonSchema, required: list[str], description: str, *, is_closed: JsonSchema | None = None
) -> JsonSchema:
    found: JsonSchema = {"type": "object", "description": description, "properties": properties, **(is_closed or {})}
    return found | {"required": required} if required else found


def _filter(entity: EntitySpec, reference: str) -> JsonSchema:
    own, operators = {"$ref": reference.format(f"{entity.name}Filter")}, {"$ref": reference.format("Operators")}
    fields = [f for f in entity.fields if not (f.server_only or f.encrypted or f.kind is Kind.VECTOR)]
    conditions: JsonSchema = {"id": {"anyOf": [{"type": ["string", "null"]}, operators]}}
    for f in fields:
        conditions[f.name] = {} if f.kind is Kind.JSON else {"anyOf": [nullable(_KINDS[f.kind]), operators]}
    orders = {name: {"enum": ["asc", "desc"]} for name, of in conditions.items() if of}
    window = {"type": "integer", "minimum": 0}
    return {
        "type": "object",
        "description": f"Which rows of {entity.name}: conditions of fields, all of which must hold.",
        "properties": {
            **conditions,
            "$and": {"type": "array", "items": own},
            "$or": {"type": "array", "items": own},
            "$not": own,
            "$order": {"type": "object", "properties": orders, **CLOSED},
            "$limit": window,
            "$offset": window,
        },
        **CLOSED,
    }


# -- functions ---------------------------------------------------------------------------------------------------------


class RowOf:
    """Stands in a hint for the rows of an entity, which travel in their wire form."""

    entity: str


def argument_types(function: FunctionSpec) -> list[tuple[str, Any, bool]]:
    """Name, hint and whether it must be given, of each argument."""
    arguments: tuple[Any, ...] = getattr(function.arguments, "__pylon_arguments__", ())
    return [(a.name, a.type if a.required else a.type | None, a.required) for a in arguments]


def result_type(function: FunctionSpec) -> Any:
    """What a handler says it returns, with `RowOf` in place of entities; Any where it says nothing that can be read."""
    try:
        return _without_rows(result_hint(function))
    except Exception:  # the developer's own hint, of a kind that nothing here knows
        return Any


def _without_rows(hint: Any) -> Any:
    inner, metadata = split_annotated(hint)
    if metadata:
        return _without_rows(inner)
    spec = getattr(inner, "__pylon_entity__", None)
    if spec is not None:
        return type(spec.name, (RowOf,), {"entity": spec.name})
    args = get_args(inner)
    if not args or get_origin(inner) is Literal:
        return inner
    parts = tuple(arg if arg is Ellipsis else _without_rows(arg) for arg in args)
    if is_union(inner):
        return Union[parts]  # noqa: UP007 - of a tuple
    origin = get_origin(inner)
    return types.GenericAlias(origin, parts) if isinstance(origin, type) else Any
