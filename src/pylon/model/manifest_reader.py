"""Reads `pylon.manifest.json` (spec 05 §1). Unknown keys are kept in `extra`, and reported by `diagnostics.check`."""

from __future__ import annotations

import copy
from typing import Annotated, Any, Literal

import msgspec

from pylon.model.auth_block import default_auth
from pylon.model.diagnostics import TYPES_HINT, check, parse_type
from pylon.model.findings import DeclarationError, Diagnostic, error
from pylon.model.schema import (
    AppSpec,
    Bounds,
    Default,
    DefaultAuth,
    DefaultLiteral,
    DefaultNow,
    EntitySpec,
    Field,
    Index,
    Kind,
    OnDelete,
    PolicySpec,
    Relation,
)

VERSION = 1
RAW_BLOCKS = ("auth", "llm", "connections", "crons", "fonts", "requiredEnv")
_TOP = ("manifest_version", "name", "version", "entities", "routes", "queries", "actions", "policies", *RAW_BLOCKS)


# -- the shapes, for validation with paths in the messages -------------------------------------------------------


class _Field(msgspec.Struct, rename="camel"):
    name: str
    type: str
    optional: bool
    unique: bool
    crdt: Literal["lww", "text", "counter", "list", "movable-list", "tree"] | None = None
    server_only: bool = False
    sync_omit: bool = False
    readonly: bool = False
    encrypted: bool = False
    lookup: bool = False
    tenant: bool = False
    default: Any = None
    enum_values: list[str] | None = None
    renamed_from: str | None = None
    min: int | float | None = None
    max: int | float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    on_delete: OnDelete | None = None


class _Index(msgspec.Struct):
    name: str
    fields: list[str]
    unique: bool
    where: str | dict[str, Any] | None = None


class _Relation(msgspec.Struct):
    name: str
    target: str
    field: str
    many: bool = False


class _Search(msgspec.Struct):
    text: list[str] = []
    facets: list[str] = []
    sortable: list[str] = []
    language: str | None = None


class _Entity(msgspec.Struct):
    name: str
    fields: list[_Field]
    indexes: list[_Index]
    relations: list[_Relation] = []
    search: _Search | None = None
    sync: bool = True
    sync_scope: str | None = None
    sync_limit: Annotated[int, msgspec.Meta(ge=1)] | None = None
    crdt: bool = True
    audit_reads: bool = False
    renamed_from: str | None = None
    tenant: bool = True


class _Policy(msgspec.Struct, rename="camel"):
    name: str
    entity: str | None = None
    action: str | None = None
    allow: str | None = None
    allow_read: str | None = None
    allow_insert: str | None = None
    allow_update: str | None = None
    allow_delete: str | None = None
    allow_write: str | None = None


class _Route(msgspec.Struct):
    path: str
    mode: Literal["static", "server", "live", "ssr"]
    query: str | None = None
    auth: str | None = None
    component: str | None = None
    layouts: list[str] | None = None
    kind: str | None = None


class _Input(msgspec.Struct):
    name: str
    type: str
    optional: bool
    unique: bool = False


class _Call(msgspec.Struct):
    name: str
    input: list[_Input] = []
    auth: Literal["public", "guest", "user", "admin"] | None = None
    fn_type: Literal["mutation", "action"] | None = None


class _Manifest(msgspec.Struct):
    name: str
    version: str
    entities: list[_Entity]
    routes: list[_Route]
    queries: list[_Call] = []
    actions: list[_Call] = []
    policies: list[_Policy] = []


# -- reading -----------------------------------------------------------------------------------------------------


def from_manifest(data: dict[str, Any] | bytes) -> AppSpec:
    """The app that a manifest declares. Raises DeclarationError with every finding when the manifest can't be read
    (MANIFEST_PARSE_ERROR, MANIFEST_VERSION_UNSUPPORTED) or names unknown field types; `check` finds the rest."""
    tree = copy.deepcopy(data) if isinstance(data, dict) else _decode(data)
    version = tree.get("manifest_version")
    if "manifest_version" not in tree:
        raise _parse_error("missing field `manifest_version`", None)
    if type(version) is not int or version != VERSION:
        raise DeclarationError(
            [error("MANIFEST_VERSION_UNSUPPORTED", f"manifest_version is {version!r}", f"This server reads {VERSION}.")]
        )
    shape = _validate(tree)
    problems: list[Diagnostic] = []
    spec = AppSpec(
        name=shape.name,
        version=shape.version,
        entities=tuple(_read_entity(e, t, problems) for e, t in zip(shape.entities, tree["entities"], strict=True)),
        policies=tuple(_read_policy(p, t) for p, t in zip(shape.policies, tree.get("policies", []), strict=True)),
        routes=tuple(tree["routes"]),
        queries=tuple(tree.get("queries", [])),
        actions=tuple(tree.get("actions", [])),
        raw={"auth": default_auth()} | {key: tree[key] for key in RAW_BLOCKS if tree.get(key) is not None},
        extra={key: value for key, value in tree.items() if key not in _TOP},
    )
    if problems:
        raise DeclarationError([*problems, *check(spec)])
    return spec


def _decode(data: bytes) -> dict[str, Any]:
    try:
        tree = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as reason:
        raise _parse_error(f"not valid JSON: {reason}", None) from None
    if not isinstance(tree, dict):
        raise _parse_error("a manifest is a JSON object", None)
    return tree


def _validate(tree: dict[str, Any]) -> _Manifest:
    try:
        return msgspec.convert(tree, _Manifest)
    except (msgspec.ValidationError, RecursionError) as reason:
        text, _, path = str(reason).partition(" - at ")
        where = path.strip("`").replace("$.", "").replace("$", "")
        if text.startswith("Object missing required field"):
            text = f"missing field {text.removeprefix('Object missing required field ')}"
        raise _parse_error(text, where or None) from None


def _parse_error(text: str, where: str | None) -> DeclarationError:
    return DeclarationError([error("MANIFEST_PARSE_ERROR", f"{where}: {text}" if where else text)])


def _extra(shape: type[msgspec.Struct], tree: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tree.items() if key not in shape.__struct_encode_fields__}


def _read_entity(shape: _Entity, tree: dict[str, Any], problems: list[Diagnostic]) -> EntitySpec:
    return EntitySpec(
        name=shape.name,
        fields=tuple(
            _read_field(shape.name, f, t, problems) for f, t in zip(shape.fields, tree["fields"], strict=True)
        ),
        indexes=tuple(
            Index(name=i.name, fields=tuple(i.fields), unique=i.unique, where=i.where, extra=_extra(_Index, t))
            for i, t in zip(shape.indexes, tree["indexes"], strict=True)
        ),
        relations=tuple(
            Relation(name=r.name, target=r.target, field=r.field, many=r.many, extra=_extra(_Relation, t))
            for r, t in zip(shape.relations, tree.get("relations", []), strict=True)
        ),
        search=tree.get("search"),
        crdt=shape.crdt,
        sync=shape.sync,
        sync_scope=shape.sync_scope,
        sync_limit=shape.sync_limit,
        audit_reads=shape.audit_reads,
        renamed_from=shape.renamed_from,
        tenant=shape.tenant,
        extra=_extra(_Entity, tree),
    )


def _read_field(entity: str, shape: _Field, tree: dict[str, Any], problems: list[Diagnostic]) -> Field:
    found = parse_type(shape.type)
    if found is None:
        text = f"{entity}.{shape.name} has the unknown type {shape.type!r}"
        problems.append(error("FIELD_TYPE_UNKNOWN", text, TYPES_HINT))
        found = (Kind.JSON, None, None)
    kind, target, dimensions = found
    return Field(
        name=shape.name,
        kind=kind,
        target=target,
        dimensions=dimensions,
        optional=shape.optional,
        unique=shape.unique,
        crdt=shape.crdt,
        server_only=shape.server_only,
        sync_omit=shape.sync_omit,
        readonly=shape.readonly,
        encrypted=shape.encrypted,
        lookup=shape.lookup,
        tenant=shape.tenant,
        default=_read_default(shape.default),
        enum_values=tuple(shape.enum_values) if shape.enum_values else None,
        bounds=_read_bounds(shape),
        on_delete=shape.on_delete,
        attribute=shape.name,
        renamed_from=shape.renamed_from,
        extra=_extra(_Field, tree),
    )


def _read_bounds(shape: _Field) -> Bounds | None:
    found = Bounds(**{name: getattr(shape, name) for name in Bounds.__struct_fields__})
    return None if found == Bounds() else found


def _read_default(value: Any) -> Default | None:
    if value is None:
        return None
    if value == "now":
        return DefaultNow()
    if isinstance(value, dict) and set(value) == {"$auth"} and isinstance(value["$auth"], str):
        return DefaultAuth(value["$auth"])
    return DefaultLiteral(value)


def _read_policy(shape: _Policy, tree: dict[str, Any]) -> PolicySpec:
    values = {name: value or None for name, value in msgspec.structs.asdict(shape).items() if name != "name"}
    return PolicySpec(name=shape.name, extra=_extra(_Policy, tree), **values)
