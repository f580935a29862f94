"""`pylon.manifest.json`: an app written as JSON (spec 05 §1), read and written.

from_manifest(bytes | dict) -> AppSpec      unknown keys are kept, and reported by `diagnostics.check`
to_manifest(AppSpec) -> dict                canonical: keys in the order of the spec, defaults left out
public_manifest(AppSpec) -> dict            what `GET /api/manifest` tells anybody: no expressions
"""

from __future__ import annotations

import copy
from typing import Any

from pylon.model.auth_block import default_auth, filled_auth
from pylon.model.functions import input_fields
from pylon.model.manifest_reader import RAW_BLOCKS, VERSION, from_manifest
from pylon.model.schema import (
    AppSpec,
    DefaultAuth,
    DefaultLiteral,
    DefaultNow,
    EntitySpec,
    Field,
    FunctionSpec,
    Index,
    PolicySpec,
)

__all__ = ["from_manifest", "public_manifest", "to_manifest"]


def to_manifest(spec: AppSpec) -> dict[str, Any]:
    """The manifest of an app, by the serialization rules of spec 05 §3. Functions appear as queries and actions;
    internal ones, which no caller can reach, are left out."""
    return _write(spec, [_write_policy(p) for p in spec.policies], [_write_entity(e) for e in spec.entities])


def public_manifest(spec: AppSpec) -> dict[str, Any]:
    """What anybody may know of the app (spec 01 §7): policies without their expressions, no sync scopes, no audit,
    and an `auth` block with its defaults filled in."""
    policies = [
        {key: value for key, value in (("name", p.name), ("entity", p.entity), ("action", p.action)) if value}
        for p in spec.policies
    ]
    entities = [_write_entity(e) for e in spec.entities]
    for entity in entities:
        entity.pop("sync_scope", None)
        entity.pop("audit_reads", None)
    manifest = _write(spec, policies, entities)
    return manifest | {"auth": filled_auth(manifest.pop("auth"))}


def _write(spec: AppSpec, policies: list[dict[str, Any]], entities: list[dict[str, Any]]) -> dict[str, Any]:
    callable_names = {f.name for f in spec.functions}
    functions = [f for f in spec.functions if not f.internal]
    lists = {
        "queries": [q for q in spec.queries if q["name"] not in callable_names]
        + [_write_function(f) for f in functions if f.kind == "query"],
        "actions": [a for a in spec.actions if a["name"] not in callable_names]
        + [_write_function(f) for f in functions if f.kind != "query"],
        "policies": policies,
    }
    raw = {"auth": default_auth()} | spec.raw
    return {
        "manifest_version": VERSION,
        "name": spec.name,
        "version": spec.version,
        "entities": entities,
        "routes": copy.deepcopy(list(spec.routes)),
        **{key: copy.deepcopy(value) for key, value in lists.items() if value},
        **{key: copy.deepcopy(raw[key]) for key in RAW_BLOCKS if raw.get(key) not in (None, [], {})},
        **copy.deepcopy(spec.extra),
    }


def _write_entity(entity: EntitySpec) -> dict[str, Any]:
    written: dict[str, Any] = {
        "name": entity.name,
        "fields": [_write_field(f) for f in entity.fields],
        "indexes": [_write_index(i) for i in entity.indexes],
    }
    if entity.relations:
        written["relations"] = [
            {"name": r.name, "target": r.target, "field": r.field, "many": r.many} | copy.deepcopy(r.extra)
            for r in entity.relations
        ]
    search = entity.search or {}
    if any(search.get(key) for key in ("text", "facets", "sortable")):
        written["search"] = {"text": [], "facets": [], "sortable": []} | copy.deepcopy(search)
    if not entity.sync:
        written["sync"] = False
    if entity.sync_scope is not None:
        written["sync_scope"] = entity.sync_scope
    if entity.sync_limit is not None:
        written["sync_limit"] = entity.sync_limit
    if entity.audit_reads:
        written["audit_reads"] = True
    if not entity.crdt:
        written["crdt"] = False
    if entity.renamed_from is not None:
        written["renamed_from"] = entity.renamed_from
    if not entity.tenant:
        written["tenant"] = False
    return written | copy.deepcopy(entity.extra)


def _write_field(field: Field) -> dict[str, Any]:
    written: dict[str, Any] = {
        "name": field.name,
        "type": field.type_name,
        "optional": field.optional,
        "unique": field.unique,
    }
    if field.crdt is not None:
        written["crdt"] = field.crdt
    modifiers = {
        "serverOnly": field.server_only,
        "syncOmit": field.sync_omit,
        "readonly": field.readonly,
        "encrypted": field.encrypted,
        "lookup": field.lookup,
        "tenant": field.tenant,
    }
    written |= {key: True for key, is_set in modifiers.items() if is_set}
    match field.default:
        case DefaultNow():
            written["default"] = "now"
        case DefaultAuth(member):
            written["default"] = {"$auth": member}
        case DefaultLiteral(value):
            written["default"] = copy.deepcopy(value)
    if field.enum_values:
        written["enumValues"] = list(field.enum_values)
    if field.renamed_from is not None:
        written["renamedFrom"] = field.renamed_from
    if field.bounds is not None:
        keys = {"min": "min", "max": "max", "min_length": "minLength", "max_length": "maxLength", "pattern": "pattern"}
        written |= {k: v for name, k in keys.items() if (v := getattr(field.bounds, name)) is not None}
    if field.on_delete is not None:
        written["onDelete"] = field.on_delete.value
    return written | copy.deepcopy(field.extra)


def _write_index(index: Index) -> dict[str, Any]:
    written: dict[str, Any] = {"name": index.name, "fields": list(index.fields), "unique": index.unique}
    if index.where is not None:
        written["where"] = copy.deepcopy(index.where)
    return written | copy.deepcopy(index.extra)


def _write_policy(policy: PolicySpec) -> dict[str, Any]:
    written = {
        "entity": policy.entity,
        "action": policy.action,
        "allow": policy.allow,
        "allowRead": policy.allow_read,
        "allowInsert": policy.allow_insert,
        "allowUpdate": policy.allow_update,
        "allowDelete": policy.allow_delete,
        "allowWrite": policy.allow_write,
    }
    return {"name": policy.name} | {k: v for k, v in written.items() if v} | copy.deepcopy(policy.extra)


def _write_function(function: FunctionSpec) -> dict[str, Any]:
    written: dict[str, Any] = {"name": function.name}
    if inputs := input_fields(function):
        written["input"] = inputs
    written["auth"] = function.auth
    if function.kind != "query":
        written["fn_type"] = function.kind
    return written
