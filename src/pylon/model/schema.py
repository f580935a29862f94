"""What an app declares, as plain values: entities, fields, policies, functions. The Python classes and
`pylon.manifest.json` are two ways of writing these; every other room reads only these. Spec 05 §1."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Literal

import msgspec


class Kind(enum.StrEnum):
    """The field types of spec 05 §1.3. ID carries a target entity, VECTOR its dimensions."""

    STRING = "string"
    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    DATETIME = "datetime"
    RICHTEXT = "richtext"
    JSON = "json"
    ID = "id"
    VECTOR = "vector"

    @property
    def is_text(self) -> bool:
        return self in _TEXT


_TEXT = frozenset({Kind.STRING, Kind.DATETIME, Kind.RICHTEXT, Kind.ID})


class DefaultNow(msgspec.Struct, frozen=True):
    """The time of the insert, `YYYY-MM-DDTHH:MM:SS.mmmZ`."""


class DefaultAuth(msgspec.Struct, frozen=True):
    """A member of the caller's identity; `userId` is the only one that spec 05 §5.2 knows."""

    member: str = "userId"


class DefaultLiteral(msgspec.Struct, frozen=True):
    """A JSON literal."""

    value: Any


Default = DefaultNow | DefaultAuth | DefaultLiteral


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What values of a field must keep to: `min` and `max` of a number, lengths in characters of a text, and the
    pattern that the whole of a text matches (`model.patterns`)."""

    min: int | float | None = None
    max: int | float | None = None
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None


class OnDelete(enum.StrEnum):
    """What becomes of a row when the row that it refers to is deleted."""

    RESTRICT = "restrict"
    CASCADE = "cascade"
    SET_NULL = "set_null"


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One declared field. `name` is the wire and column name, `attribute` the Python one, `renamed_from` the wire name
    that it had before. `on_delete` is of an ID field whose target must exist; `lookup` of an encrypted one that can be
    found by its value."""

    name: str
    kind: Kind
    target: str | None = None
    dimensions: int | None = None
    optional: bool = False
    unique: bool = False
    crdt: str | None = None
    server_only: bool = False
    sync_omit: bool = False
    readonly: bool = False
    encrypted: bool = False
    lookup: bool = False
    tenant: bool = False
    default: Default | None = None
    enum_values: tuple[str, ...] | None = None
    bounds: Bounds | None = None
    on_delete: OnDelete | None = None
    attribute: str = ""
    renamed_from: str | None = None
    extra: dict[str, Any] = {}

    @property
    def type_name(self) -> str:
        """The manifest's spelling: `string`, `id(User)`, `vector(3)`."""
        if self.kind is Kind.ID:
            return f"id({self.target})"
        if self.kind is Kind.VECTOR:
            return f"vector({self.dimensions})"
        return self.kind.value

    @property
    def is_owner(self) -> bool:
        """Stamped from the session on insert (`field(owner=True)`)."""
        return self.readonly and isinstance(self.default, DefaultAuth)

    @property
    def is_hidden(self) -> bool:
        """Never leaves the server."""
        return self.server_only


class Index(msgspec.Struct, frozen=True, kw_only=True):
    """`where` makes it partial: a filter (`model.filters`), or SQL as older manifests have it."""

    name: str
    fields: tuple[str, ...]
    unique: bool = False
    where: str | dict[str, Any] | None = None
    extra: dict[str, Any] = {}


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    target: str
    field: str
    many: bool = False
    extra: dict[str, Any] = {}


TENANT_FIELDS = ("tenantId", "tenant_id")
"""Fields of these names hold a row's tenant without being declared to (spec 06 §3.2)."""


class EntitySpec(msgspec.Struct, frozen=True, kw_only=True):
    """One entity. `python_class` is the declaring class, None when it came from a manifest. `tenant` is false for one
    whose rows belong to no tenant, whatever its fields are called."""

    name: str
    fields: tuple[Field, ...]
    indexes: tuple[Index, ...] = ()
    relations: tuple[Relation, ...] = ()
    search: dict[str, Any] | None = None
    crdt: bool = True
    sync: bool = True
    sync_scope: str | None = None
    sync_limit: int | None = None
    audit_reads: bool = False
    renamed_from: str | None = None
    tenant: bool = True
    python_class: type | None = None
    extra: dict[str, Any] = {}

    def field(self, name: str) -> Field | None:
        """The field of that wire name, or None."""
        return next((f for f in self.fields if f.name == name), None)

    @property
    def tenant_field(self) -> str | None:
        """The field that holds the tenant of a row, None for an entity of no tenant: the one that is declared to, else
        the first of `TENANT_FIELDS` that there is."""
        if not self.tenant:
            return None
        declared = next((f.name for f in self.fields if f.tenant), None)
        return declared or next((name for name in TENANT_FIELDS if self.field(name) is not None), None)


class Action(enum.StrEnum):
    """What a policy rule speaks of."""

    READ = "read"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"


class PolicySpec(msgspec.Struct, frozen=True, kw_only=True):
    """One policy of spec 05 §1.6: expressions by action; None where it says nothing."""

    name: str
    entity: str | None = None
    action: str | None = None
    allow: str | None = None
    allow_read: str | None = None
    allow_insert: str | None = None
    allow_update: str | None = None
    allow_delete: str | None = None
    allow_write: str | None = None
    extra: dict[str, Any] = {}

    def expression(self, action: Action) -> str | None:
        """The expression that decides `action`, by the order of spec 05 §10.1; empty strings count as absent."""
        own = {
            Action.READ: self.allow_read,
            Action.INSERT: self.allow_insert,
            Action.UPDATE: self.allow_update,
            Action.DELETE: self.allow_delete,
        }[action]
        if own:
            return own
        if action is not Action.READ and self.allow_write:
            return self.allow_write
        return self.allow or None


FunctionKind = Literal["query", "mutation", "action"]
FunctionAuth = Literal["public", "guest", "user", "admin"]


class FunctionSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One server function (spec 04 §2.3). `arguments` is a Struct type compiled from the hints; `args_schema`
    its wire form (spec 04 §2.4). `streams` is true for an action that is an async generator."""

    name: str
    aliases: tuple[str, ...] = ()
    kind: FunctionKind
    handler: Callable[..., Any]
    arguments: type[msgspec.Struct]
    args_schema: dict[str, Any]
    auth: FunctionAuth = "user"
    internal: bool = False
    timeout: float | None = None
    streams: bool = False


class RoomSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Who may be in rooms whose names fit `pattern`, such as `doc:{doc}`: `function` is a query that takes what stands
    for the placeholders."""

    pattern: str
    function: FunctionSpec


class AppSpec(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one app declares. `plugins` are objects with hooks, whose declarations are in the rest already. `raw`
    keeps manifest blocks that later chapters read (auth, llm, crons, ...),
    `extra` the unknown top-level keys, which are kept and reported."""

    name: str
    version: str = "0.1.0"
    entities: tuple[EntitySpec, ...] = ()
    policies: tuple[PolicySpec, ...] = ()
    functions: tuple[FunctionSpec, ...] = ()
    rooms: tuple[RoomSpec, ...] = ()
    plugins: tuple[Any, ...] = ()
    routes: tuple[dict[str, Any], ...] = ()
    queries: tuple[dict[str, Any], ...] = ()
    actions: tuple[dict[str, Any], ...] = ()
    raw: dict[str, Any] = {}
    extra: dict[str, Any] = {}

    def entity(self, name: str) -> EntitySpec | None:
        return next((e for e in self.entities if e.name == name), None)
