"""The checks on what an app declares (spec 05 §2). Expressions are checked by `policy/`, a room above.

The codes below are stable; `MANIFEST_PARSE_ERROR`, `MANIFEST_VERSION_UNSUPPORTED` and `FIELD_TYPE_UNKNOWN` are found
while a manifest is read (`manifest.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from pylon.model.auth_block import auth_block, check_auth
from pylon.model.bounds import bounds_problem, broken_bound
from pylon.model.connections import check_connections
from pylon.model.errors import PylonError
from pylon.model.filters import EntityColumns, Scope, parse_filter
from pylon.model.findings import DeclarationError, Diagnostic, Severity, Span, error, warning
from pylon.model.merging import merge_problem
from pylon.model.names import is_reserved_entity, is_reserved_field, name_problem, suggestion
from pylon.model.rows import compile_rows, field_type
from pylon.model.schema import (
    AppSpec,
    DefaultAuth,
    DefaultLiteral,
    DefaultNow,
    EntitySpec,
    Field,
    FunctionSpec,
    Kind,
    OnDelete,
    PolicySpec,
)
from pylon.model.sealing import encryption_problem

__all__ = ["DeclarationError", "Diagnostic", "Severity", "Span", "check", "check_entity"]

_PLAIN_TYPES = ("string", "int", "float", "bool", "datetime", "richtext", "json")
_ID_TYPE = re.compile(r"id\((.+)\)\Z")
_VECTOR_TYPE = re.compile(r"vector\((\d+)\)\Z")
_MAX_DIMENSIONS = 8192
_SEARCH_LISTS = ("text", "facets", "sortable")
_ROUTE_PARAMETER = re.compile(r"/(?::|\*\??)([A-Za-z_][A-Za-z0-9_]*)")
TYPES_HINT = f"Valid types: {', '.join(_PLAIN_TYPES)}, id(Entity), vector(1 to {_MAX_DIMENSIONS})."

Found = Iterator[Diagnostic]


def parse_type(text: str) -> tuple[Kind, str | None, int | None] | None:
    """Kind, target and dimensions of a manifest's field type; None when there is no such type."""
    if text in _PLAIN_TYPES:
        return Kind(text), None, None
    if match := _ID_TYPE.match(text):
        return Kind.ID, match[1], None
    if (match := _VECTOR_TYPE.match(text)) and 1 <= int(match[1]) <= _MAX_DIMENSIONS:
        return Kind.VECTOR, None, int(match[1])
    return None


def check(spec: AppSpec) -> list[Diagnostic]:
    """Every finding about the app, errors and warnings, in the order of the declaration. Empty when all is well."""
    return [
        *_check_size(spec),
        *_unknown_keys("manifest", spec.extra),
        *_check_entities(spec),
        *_check_calls(spec),
        *_check_policies(spec),
        *_check_routes(spec),
        *check_auth(spec),
        *check_connections(spec),
    ]


def check_entity(entity: EntitySpec) -> list[Diagnostic]:
    """The errors in one entity that show without looking at the others."""
    return [
        d
        for found in (
            _entity_name(entity),
            _fields(entity),
            _tenant(entity),
            _indexes(entity),
            _relations(entity),
            _search(entity),
        )
        for d in found
        if d.severity is Severity.ERROR
    ]


def _check_size(spec: AppSpec) -> Found:
    if not (spec.entities or spec.routes or spec.queries or spec.actions or spec.functions):
        yield error("SCHEMA_EMPTY", "The app declares nothing: no entities, functions or routes", "Declare an Entity.")


def _unknown_keys(where: str, extra: dict[str, Any]) -> Found:
    for key in extra:
        yield warning("UNKNOWN_KEY", f"{where}: the key {key!r} is unknown and has no effect", "It is kept as it is.")


# -- entities ----------------------------------------------------------------------------------------------------


def _check_entities(spec: AppSpec) -> Found:
    names = [e.name for e in spec.entities]
    for name in _repeated(names):
        yield error("ENTITY_DUPLICATE", f"Entity {name!r} is declared twice (upper and lower case are the same here)")
    for entity in spec.entities:
        if entity.renamed_from in names:
            yield error(
                "RENAME_CLASH",
                f"{entity.name} was renamed from {entity.renamed_from!r}, which is declared too",
                "Name what is no longer declared.",
            )
        yield from _entity_name(entity)
        yield from _unknown_keys(f"entity {entity.name}", entity.extra)
        yield from _fields(entity)
        for field in entity.fields:
            yield from _target(spec, f"{entity.name}.{field.name}", field.target)
            yield from _on_delete(spec, f"{entity.name}.{field.name}", field)
        yield from _tenant(entity)
        yield from _indexes(entity)
        yield from _relations(entity)
        for relation in entity.relations:
            target = spec.entity(relation.target)
            where = f"{entity.name}: relation {relation.name!r}"
            if target is None:
                yield error(
                    "RELATION_TARGET_NOT_FOUND",
                    f"{where} leads to {relation.target!r}, which is not declared",
                    suggestion(relation.target, names),
                )
            elif relation.many and entity.field(relation.field) is None and target.field(relation.field) is None:
                yield _missing("RELATION_FIELD_NOT_FOUND", where, relation.field, target)
        yield from _search(entity)


def _entity_name(entity: EntitySpec) -> Found:
    if not entity.name:
        yield error("ENTITY_NAME_EMPTY", "An entity has no name")
    elif is_reserved_entity(entity.name):
        yield error("ENTITY_NAME_INVALID", f"Entity {entity.name!r}: the name belongs to the system")
    elif problem := name_problem(entity.name):
        yield error("ENTITY_NAME_INVALID", f"Entity {entity.name!r}: {problem}")


def _fields(entity: EntitySpec) -> Found:
    for name in _repeated([f.name for f in entity.fields]):
        yield error(
            "FIELD_DUPLICATE", f"{entity.name}.{name} is declared twice (upper and lower case are the same here)"
        )
    declared = {f.name for f in entity.fields}
    for field in entity.fields:
        where = f"{entity.name}.{field.name}"
        if field.renamed_from is not None and field.renamed_from in declared:
            yield error(
                "RENAME_CLASH",
                f"{where} was renamed from {field.renamed_from!r}, which is declared too",
                "Name what is no longer declared.",
            )
        if not field.name:
            yield error("FIELD_NAME_EMPTY", f"A field of {entity.name} has no name")
        elif is_reserved_field(field.name):
            yield error("FIELD_NAME_RESERVED", f"{where}: every entity has this already", "Leave the field out.")
        elif problem := name_problem(field.name):
            yield error("FIELD_NAME_INVALID", f"{where}: {problem}")
        yield from _unknown_keys(where, field.extra)
        yield from _modifiers(where, field)
        yield from _default(where, field)


def _modifiers(where: str, field: Field) -> Found:
    if field.kind is Kind.VECTOR and not field.server_only:
        yield error("VECTOR_NOT_SERVER_ONLY", f"{where}: a vector never leaves the server", 'Add "serverOnly": true.')
    if problem := encryption_problem(field):
        yield error("ENCRYPTED_INVALID", f"{where}: {problem}")
    if problem := bounds_problem(field):
        yield error("FIELD_BOUNDS_INVALID", f"{where}: {problem}")
    if problem := merge_problem(field):
        yield error("FIELD_CRDT_INVALID", f"{where}: {problem}", 'Use "lww".')


def _default(where: str, field: Field) -> Found:
    if bounds_problem(field):
        return
    if isinstance(field.default, DefaultLiteral):
        try:
            msgspec.convert(field.default.value, field_type(field))
            if problem := broken_bound(field, field.default.value):
                raise msgspec.ValidationError(problem)
        except msgspec.ValidationError as reason:
            text = str(reason).replace("`", "")
            wanted = f"one of {', '.join(map(repr, field.enum_values))}" if field.enum_values else field.type_name
            yield error(
                "FIELD_DEFAULT_INVALID", f"{where}: the default {field.default.value!r} is not {wanted}: {text}"
            )
    elif isinstance(field.default, DefaultNow) and (not field.kind.is_text or field.enum_values):
        yield error("FIELD_DEFAULT_INVALID", f'{where}: the default "now" is a time', "Make the field a datetime.")
    elif isinstance(field.default, DefaultAuth):
        if field.default.member != "userId":
            yield error(
                "FIELD_DEFAULT_INVALID", f"{where}: the default names auth.{field.default.member}", "Use userId."
            )
        elif not field.kind.is_text:
            yield error("FIELD_DEFAULT_INVALID", f"{where}: a user id does not fit {field.type_name}", "Use id(User).")


def _tenant(entity: EntitySpec) -> Found:
    declared = [f.name for f in entity.fields if f.tenant]
    if len(declared) > 1:
        yield error(
            "TENANT_FIELD_INVALID", f"{entity.name}: {' and '.join(declared)} both hold the tenant", "Keep one."
        )
    if declared and not entity.tenant:
        yield error("TENANT_FIELD_INVALID", f"{entity.name}.{declared[0]} holds the tenant of an entity of none")
    name = entity.tenant_field
    field = None if name is None else entity.field(name)
    if field is None:
        return
    if field.kind not in (Kind.STRING, Kind.ID) or field.enum_values or field.encrypted:
        yield error(
            "TENANT_FIELD_INVALID",
            f"{entity.name}.{name} can't hold a tenant's id: it is no plain text",
            "Declare it as str or Id, or give the entity tenant=False.",
        )
    unique = [f.name for f in entity.fields if f.unique]
    unique += [", ".join(i.fields) for i in entity.indexes if i.unique and name not in i.fields]
    for other in unique:
        yield warning(
            "TENANT_UNIQUE",
            f"{entity.name}.{other} is unique across tenants: one that can't use a value learns that another has it",
            f'Make it unique within a tenant: index("{name}", "{other}", unique=True).',
        )


def _target(spec: AppSpec, where: str, target: str | None) -> Found:
    if target is not None and spec.entity(target) is None and target != _user_entity(spec):
        yield error(
            "FIELD_ID_TARGET_NOT_FOUND",
            f"{where}: {target!r} is not declared",
            suggestion(target, [e.name for e in spec.entities]),
        )


def _on_delete(spec: AppSpec, where: str, field: Field) -> Found:
    if field.on_delete is None:
        return
    code = "FIELD_ON_DELETE_INVALID"
    if field.kind is not Kind.ID:
        yield error(code, f"{where}: on_delete is of an Id, not of {field.type_name}", 'Declare it as Id["User"].')
    elif spec.entity(str(field.target)) is None:
        yield error(code, f"{where}: on_delete needs an entity {field.target!r} in this app", "Declare it.")
    if field.encrypted:
        yield error(code, f"{where}: rows are not found by an encrypted field", "Drop encrypted or on_delete.")
    if field.on_delete is OnDelete.SET_NULL and not field.optional:
        yield error(code, f"{where}: set_null needs a field that may be null", "Make it optional, or use cascade.")


def _user_entity(spec: AppSpec) -> str:
    """The entity that user ids belong to. Sessions have users also in an app that declares no such entity."""
    return auth_block(spec).user.entity


def _indexes(entity: EntitySpec) -> Found:
    for name in _repeated([i.name for i in entity.indexes]):
        yield error("INDEX_NAME_DUPLICATE", f"{entity.name}: two indexes are named {name!r}", "Give one a name=.")
    for index in entity.indexes:
        where = f"{entity.name}: index {index.name!r}"
        if not index.name:
            yield error("INDEX_NAME_EMPTY", f"An index of {entity.name} has no name")
        elif problem := name_problem(index.name):
            yield error("INDEX_NAME_INVALID", f"{where}: {problem}")
        if not index.fields:
            yield error("INDEX_FIELDS_EMPTY", f"{where} names no field")
        for name in index.fields:
            field = entity.field(name)
            if field is None:
                yield _missing("INDEX_FIELD_NOT_FOUND", where, name, entity)
            elif field.encrypted:
                yield error("INDEX_FIELD_ENCRYPTED", f"{where}: {name!r} is encrypted", "Use lookup=True instead.")
        if isinstance(index.where, dict):
            yield from _condition(entity, where, index.where)
        yield from _unknown_keys(where, index.extra)


def _condition(entity: EntitySpec, where: str, condition: dict[str, Any]) -> Found:
    if any(bounds_problem(field) for field in entity.fields):
        return
    try:
        parse_filter(EntityColumns(compile_rows(entity), Scope.SERVER), condition)
    except PylonError as problem:
        yield error("INDEX_WHERE_INVALID", f"{where}: {problem.message}", problem.hint)


def _relations(entity: EntitySpec) -> Found:
    for name in _repeated([r.name for r in entity.relations]):
        yield error("RELATION_DUPLICATE", f"{entity.name}: two relations are named {name!r}")
    for relation in entity.relations:
        where = f"{entity.name}: relation {relation.name!r}"
        if not relation.name:
            yield error("RELATION_NAME_EMPTY", f"A relation of {entity.name} has no name")
        if not relation.many and entity.field(relation.field) is None:
            yield _missing("RELATION_FIELD_NOT_FOUND", where, relation.field, entity)
        yield from _unknown_keys(where, relation.extra)


def _search(entity: EntitySpec) -> Found:
    search = entity.search or {}
    yield from _unknown_keys(
        f"{entity.name}.search", {k: v for k, v in search.items() if k not in (*_SEARCH_LISTS, "language")}
    )
    for block in _SEARCH_LISTS:
        for name in search.get(block) or ():
            field = entity.field(name) if isinstance(name, str) else None
            if field is None:
                yield _missing("SEARCH_FIELD_NOT_FOUND", f"{entity.name}.search.{block}", str(name), entity)
            elif field.is_hidden or field.encrypted:
                why = "never leaves the server" if field.is_hidden else "is encrypted"
                yield error(
                    "SEARCH_FIELD_HIDDEN",
                    f"{entity.name}.search.{block}: {name!r} {why}, and search would tell of it",
                    "Leave it out of search.",
                )


def _missing(code: str, where: str, name: str, entity: EntitySpec) -> Diagnostic:
    fields = [f.name for f in entity.fields]
    return error(code, f"{where} names {name!r}, which is no field of {entity.name}", suggestion(name, fields))


def _repeated(names: Iterable[str]) -> list[str]:
    """Names that occur again, as SQLite compares them: without case."""
    seen: set[str] = set()
    return [name for name in names if name and (name.lower() in seen or seen.add(name.lower()))]  # type: ignore[func-returns-value]


# -- functions, queries, actions ---------------------------------------------------------------------------------


def _check_calls(spec: AppSpec) -> Found:
    for what, declared in (("QUERY", spec.queries), ("ACTION", spec.actions)):
        names = [str(d.get("name", "")) for d in declared]
        if "" in names:
            yield error(f"{what}_NAME_EMPTY", f"A {what.lower()} has no name")
        for name in {n: None for n in names if n and names.count(n) > 1}:
            yield error(f"{what}_DUPLICATE", f"The {what.lower()} {name!r} is declared twice")
        for call in declared:
            yield from _inputs(spec, f"{what.lower()} {call.get('name')}", call)
    yield from _functions(spec)


def _inputs(spec: AppSpec, where: str, call: dict[str, Any]) -> Found:
    known = ("name", "input", "auth", "fn_type")
    yield from _unknown_keys(where, {k: v for k, v in call.items() if k not in known})
    inputs = call.get("input") or []
    for name in _repeated([f["name"] for f in inputs]):
        yield error("INPUT_FIELD_DUPLICATE", f"{where}: the input {name!r} is declared twice")
    for field in inputs:
        if not field["name"]:
            yield error("INPUT_FIELD_NAME_EMPTY", f"{where}: an input has no name")
        kind = parse_type(field["type"])
        if kind is None:
            yield error(
                "INPUT_FIELD_TYPE_UNKNOWN",
                f"{where}: the input {field['name']!r} has the unknown type {field['type']!r}",
                TYPES_HINT,
            )
        else:
            yield from _target(spec, f"{where}, input {field['name']!r}", kind[1])


def _functions(spec: AppSpec) -> Found:
    taken: dict[str, FunctionSpec] = {}
    for function in spec.functions:
        for name in (function.name, *function.aliases):
            if name in taken:
                yield error(
                    "FUNCTION_DUPLICATE",
                    f"Two functions answer to {name!r}: {taken[name].name} and {function.name}",
                    "Rename one, or give it a name=.",
                )
            taken[name] = function
        for target in _tables(function.args_schema):
            yield from _target(spec, f"{function.kind} {function.name}", target)


def _tables(schema: Any) -> Iterator[str]:
    """Every entity that an args_schema names."""
    if isinstance(schema, dict):
        if schema.get("type") == "id" and isinstance(schema.get("table"), str):
            yield schema["table"]
        for value in schema.values():
            yield from _tables(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _tables(value)


# -- policies and routes -----------------------------------------------------------------------------------------


def _check_policies(spec: AppSpec) -> Found:
    names = [p.name for p in spec.policies]
    for name in {n: None for n in names if n and names.count(n) > 1}:
        yield error("POLICY_DUPLICATE", f"The policy {name!r} is declared twice")
    entities = [e.name for e in spec.entities]
    actions = [str(a["name"]) for a in (*spec.actions, *spec.queries)]
    actions += [n for f in spec.functions for n in (f.name, *f.aliases)]
    for policy in spec.policies:
        where = f"policy {policy.name!r}"
        if not policy.name:
            yield error("POLICY_NAME_EMPTY", "A policy has no name")
        if not any(_expressions(policy)):
            yield error("POLICY_ALLOW_EMPTY", f"{where} has no expression", 'To deny everybody, write "false".')
        if not policy.entity and not policy.action:
            yield error("POLICY_NO_TARGET", f"{where} names neither an entity nor an action")
        if policy.entity and policy.entity not in entities:
            yield error(
                "POLICY_ENTITY_NOT_FOUND",
                f"{where}: the entity {policy.entity!r} is not declared",
                suggestion(policy.entity, entities),
            )
        if policy.action and policy.action not in actions:
            yield error(
                "POLICY_ACTION_NOT_FOUND",
                f"{where}: the action {policy.action!r} is not declared",
                suggestion(policy.action, actions),
            )
        yield from _unknown_keys(where, policy.extra)


def _expressions(policy: PolicySpec) -> tuple[str | None, ...]:
    return (
        policy.allow,
        policy.allow_read,
        policy.allow_insert,
        policy.allow_update,
        policy.allow_delete,
        policy.allow_write,
    )


def _check_routes(spec: AppSpec) -> Found:
    paths = [str(r["path"]) for r in spec.routes]
    for path in {p: None for p in paths if p and paths.count(p) > 1}:
        yield error("ROUTE_PATH_DUPLICATE", f"The route {path!r} is declared twice")
    queries = {str(q["name"]): {str(f["name"]) for f in q.get("input") or []} for q in spec.queries}
    for function in spec.functions:
        if function.kind == "query":
            queries |= {name: set(function.args_schema) for name in (function.name, *function.aliases)}
    for route in spec.routes:
        yield from _route(route, queries)


def _route(route: dict[str, Any], queries: dict[str, set[str]]) -> Found:
    path, query = route["path"], route.get("query")
    known = ("path", "mode", "query", "auth", "component", "layouts", "kind")
    yield from _unknown_keys(f"route {path}", {k: v for k, v in route.items() if k not in known})
    if not path:
        yield error("ROUTE_PATH_EMPTY", "A route has no path")
    elif not path.startswith("/"):
        yield error("ROUTE_PATH_NO_SLASH", f"The route {path!r} does not start with a slash")
    if route.get("auth") not in (None, "public", "user"):
        yield error("ROUTE_AUTH_INVALID", f"The route {path!r} has auth {route['auth']!r}", "Use public or user.")
    if query and query not in queries:
        yield error(
            "ROUTE_QUERY_NOT_FOUND",
            f"The route {path!r} names the query {query!r}, which is not declared",
            suggestion(query, queries),
        )
    elif query:
        for parameter in _ROUTE_PARAMETER.findall(path):
            if parameter not in queries[query]:
                yield error(
                    "ROUTE_PARAM_NOT_IN_QUERY",
                    f"The route {path!r} has the parameter {parameter!r}, which is no input of {query!r}",
                    f"Add it to the input of {query}.",
                )
