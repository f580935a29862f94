"""Reads the body of an Entity class: its fields, options, indexes, relations, search and policy.

Everything that is wrong is collected, so that a developer sees all of it at once.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, get_origin

import msgspec
from msgspec import UNSET

from pylon.model.annotations import class_annotations, describe, evaluate
from pylon.model.field_types import FieldType, NotAFieldType, read_field_type
from pylon.model.findings import Diagnostic, error
from pylon.model.modifiers import FieldOptions
from pylon.model.names import suggestion
from pylon.model.schema import (
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
from pylon.model.timestamps import iso_millis

_OPTIONS: dict[str, type] = {
    "name": str,
    "crdt": bool,
    "sync": bool,
    "sync_scope": str,
    "sync_limit": int,
    "audit_reads": bool,
    "renamed_from": str,
    "tenant": bool,
}
"""The class options, with what each must be."""

_BLOCKS = ("indexes", "relations", "search", "Policy")
_POLICY_ACTIONS = ("read", "insert", "update", "delete", "write", "allow")
_SEARCH_LISTS = ("text", "facets", "sortable")


class Declaration(msgspec.Struct, frozen=True, kw_only=True):
    """What one class body declares. `body` is the namespace of the Struct to be made, `types` the field types by
    attribute, `references` the entity classes that its Id fields name."""

    spec: EntitySpec
    policy: PolicySpec | None
    body: dict[str, Any]
    references: tuple[type, ...]
    problems: tuple[Diagnostic, ...]


def read_declaration(
    class_name: str, namespace: Mapping[str, Any], options: Mapping[str, Any], scopes: Sequence[Mapping[str, Any]]
) -> Declaration:
    """Read a class body. `scopes` are the namespaces in which textual annotations are looked up."""
    return _Reader(class_name, namespace, options, scopes).read()


class _Reader:
    def __init__(
        self,
        class_name: str,
        namespace: Mapping[str, Any],
        options: Mapping[str, Any],
        scopes: Sequence[Mapping[str, Any]],
    ) -> None:
        self._class = class_name
        self._namespace = namespace
        self._options = dict(options)
        self._scopes = scopes
        self._annotations = class_annotations(namespace)
        self._problems: list[Diagnostic] = []
        self._fields: list[Field] = []
        self._types: dict[str, FieldType] = {}
        self._own_indexes: list[Index] = []

    def read(self) -> Declaration:
        class_variables: dict[str, Any] = {}
        for attribute, annotation in self._annotations.items():
            if self._is_class_variable(annotation):
                class_variables[attribute] = annotation
            else:
                self._read_field(attribute, annotation)
        for attribute, value in self._namespace.items():
            if isinstance(value, FieldOptions) and attribute not in self._annotations:
                self._problem("FIELD_TYPE_UNKNOWN", attribute, "has no type", f"Write `{attribute}: str = field(...)`.")
        self._refuse_lost_blocks()
        options = self._read_options()
        name = options.pop("name", self._class)
        spec = EntitySpec(
            name=name,
            fields=tuple(self._fields),
            indexes=(*self._own_indexes, *self._read_indexes()),
            relations=self._read_relations(),
            search=self._read_search(),
            **options,
        )
        references = [t.target for t in self._types.values() if isinstance(t.target, type)]
        return Declaration(
            spec=spec,
            policy=self._read_policy(name),
            body=self._struct_body(class_variables),
            references=tuple(references),
            problems=tuple(self._problems),
        )

    # -- fields --------------------------------------------------------------------------------------------------

    def _read_field(self, attribute: str, annotation: Any) -> None:
        if attribute == "id":
            self._problem("FIELD_NAME_RESERVED", "id", "every entity has this already", "Leave the field out.")
            return
        value = self._namespace.get(attribute, UNSET)
        options = value if isinstance(value, FieldOptions) else FieldOptions(default=value)
        try:
            found = read_field_type(evaluate(annotation, *self._scopes))
        except NotAFieldType as verdict:
            self._problem("FIELD_TYPE_UNKNOWN", attribute, verdict.reason, verdict.mend)
            return
        except Exception as reason:  # evaluating the developer's text may raise anything
            self._problem("FIELD_TYPE_UNKNOWN", attribute, f"{describe(annotation)} can't be read: {reason}", None)
            return
        self._types[attribute] = found
        name = attribute if options.name is None else options.name
        self._fields.append(
            Field(
                name=name,
                kind=found.kind,
                target=_target_name(found.target),
                optional=found.optional,
                unique=options.unique,
                crdt=options.crdt,
                server_only=options.server_only,
                sync_omit=options.sync_omit,
                readonly=options.readonly or options.owner,
                encrypted=options.encrypted,
                lookup=options.lookup,
                tenant=options.tenant,
                default=self._read_default(attribute, found, options),
                enum_values=found.enum_values,
                bounds=_bounds(options),
                on_delete=self._read_on_delete(attribute, options.on_delete),
                attribute=attribute,
                renamed_from=options.renamed_from,
            )
        )
        if options.index and not options.unique:
            self._own_indexes.append(Index(name=f"by_{name}", fields=(name,)))

    def _read_on_delete(self, attribute: str, value: str | None) -> OnDelete | None:
        if value is None or value in tuple(OnDelete):
            return None if value is None else OnDelete(value)
        self._problem("FIELD_ON_DELETE_INVALID", attribute, f"on_delete={value!r}", f"One of {', '.join(OnDelete)}.")
        return None

    def _read_default(self, attribute: str, found: FieldType, options: FieldOptions) -> Default | None:
        value = options.default
        if options.owner:
            if value is not UNSET:
                self._problem(
                    "FIELD_DEFAULT_INVALID", attribute, "has both owner=True and a default", "Leave the default out."
                )
            if found.kind not in (Kind.ID, Kind.STRING) or found.enum_values:
                self._problem(
                    "FIELD_DEFAULT_INVALID", attribute, "owner=True stamps a user id", 'Declare it as Id["User"].'
                )
            return DefaultAuth()
        if value is UNSET or (value is None and found.optional):
            return None
        if value is None:
            self._problem(
                "FIELD_DEFAULT_INVALID",
                attribute,
                "the default is None, but the field is not optional",
                f"Write `{attribute}: {describe(self._annotations[attribute])} | None = None`.",
            )
            return None
        if value == "now" and isinstance(value, str) and found.kind is Kind.DATETIME:
            return DefaultNow()
        literal = _literal(value, found)
        if literal == "now" or (isinstance(literal, dict) and "$auth" in literal):
            self._problem(
                "FIELD_DEFAULT_INVALID",
                attribute,
                f"the literal default {value!r} would be read as an instruction: a manifest can't tell them apart",
                "Set the value in the function that inserts.",
            )
        return DefaultLiteral(literal)

    def _is_class_variable(self, annotation: Any) -> bool:
        if isinstance(annotation, str):
            return annotation.split("[")[0].rpartition(".")[2].strip() == "ClassVar"
        return annotation is ClassVar or get_origin(annotation) is ClassVar

    # -- the rest of the class body ------------------------------------------------------------------------------

    def _block(self, name: str) -> Any:
        return None if name in self._annotations else self._namespace.get(name)

    def _refuse_lost_blocks(self) -> None:
        """A policy or a list of indexes under another name would count for nothing, and nobody would know."""
        for name, value in self._namespace.items():
            if name in self._annotations or name in _BLOCKS or name.startswith("__"):
                continue
            if isinstance(value, list | tuple) and value and all(isinstance(one, Index | Relation) for one in value):
                self._lost(name, "indexes" if isinstance(value[0], Index) else "relations")
            elif isinstance(value, type) and value.__bases__ == (object,):
                said = {key for key in vars(value) if not key.startswith("__")}
                if said and said <= set(_POLICY_ACTIONS):
                    self._lost(name, "Policy")
                elif said and said <= set(_BLOCKS):
                    self._problem(
                        "ENTITY_OPTION_UNKNOWN", name, "an entity has no such class", "Write them in its own body."
                    )

    def _lost(self, name: str, block: str) -> None:
        self._problem("ENTITY_OPTION_UNKNOWN", name, "an entity has nothing of this name", f"Did you mean {block!r}?")

    def _read_options(self) -> dict[str, Any]:
        found = {key: value for key, value in self._options.items() if key in _OPTIONS}
        for key in self._options.keys() - found.keys():
            self._complain(
                "ENTITY_OPTION_UNKNOWN", f"{self._class} has an unknown option {key!r}", key, tuple(_OPTIONS)
            )
        for key, kinds in _OPTIONS.items():
            value = found.get(key)
            if key in found and not (type(value) is kinds and (type(value) is not int or value > 0)):
                del found[key]
                wanted = "a positive int" if kinds is int else f"a {kinds.__name__}"
                self._problem("ENTITY_OPTION_INVALID", None, f"{key}={value!r} is not {wanted}", None)
        return found

    def _read_indexes(self) -> tuple[Index, ...]:
        found = self._read_list("indexes", Index, 'index("title")')
        return tuple(msgspec.structs.replace(i, fields=tuple(self._wire(f) for f in i.fields)) for i in found)

    def _read_relations(self) -> tuple[Relation, ...]:
        found = self._read_list("relations", Relation, 'relation("author", "User", field="author")')
        return tuple(r if r.many else msgspec.structs.replace(r, field=self._wire(r.field)) for r in found)

    def _read_list(self, block: str, kind: type[Any], example: str) -> list[Any]:
        declared = self._block(block) or []
        if isinstance(declared, list | tuple) and all(isinstance(item, kind) for item in declared):
            return list(declared)
        self._problem("ENTITY_OPTION_INVALID", block, "is not a list of them", f"Write `{block} = [{example}]`.")
        return []

    def _read_search(self) -> dict[str, Any] | None:
        declared = self._block("search")
        if declared is None:
            return None
        if not isinstance(declared, dict):
            self._problem("SEARCH_INVALID", "search", "is not a dict", 'Write `search = {"text": ["title"]}`.')
            return None
        found: dict[str, Any] = {key: [] for key in _SEARCH_LISTS}
        for key, value in declared.items():
            if key == "language" and isinstance(value, str):
                found[key] = value
            elif key in _SEARCH_LISTS and isinstance(value, list | tuple):
                found[key] = [self._wire(attribute) for attribute in value]
            elif key in (*_SEARCH_LISTS, "language"):
                wanted = "a language" if key == "language" else "a list of fields"
                self._problem("SEARCH_INVALID", "search", f"{key} is not {wanted}", None)
            else:
                self._complain(
                    "SEARCH_INVALID", f"{self._class}.search has an unknown key {key!r}", key, (*found, "language")
                )
        return found if any(found[key] for key in _SEARCH_LISTS) else None

    def _read_policy(self, entity: str) -> PolicySpec | None:
        declared = self._block("Policy")
        if declared is None:
            return None
        rules: dict[str, Any] = {}
        for key, value in vars(declared).items():
            if key.startswith("__"):
                continue
            if key not in _POLICY_ACTIONS:
                self._complain(
                    "POLICY_ACTION_UNKNOWN",
                    f"{self._class}.Policy has an unknown rule {key!r}",
                    key,
                    _POLICY_ACTIONS,
                )
            elif not isinstance(value, str) or not value.strip():
                self._problem(
                    "POLICY_ALLOW_EMPTY",
                    f"Policy.{key}",
                    f"is {value!r}, not an expression",
                    'Write text such as "auth.userId == data.author"; "false" denies everybody but admins.',
                )
            else:
                rules["allow" if key == "allow" else f"allow_{key}"] = value
        return PolicySpec(name=f"{entity}_attached_0", entity=entity, **rules)

    def _wire(self, attribute: Any) -> str:
        return next((f.name for f in self._fields if f.attribute == attribute), str(attribute))

    # -- what becomes of it --------------------------------------------------------------------------------------

    def _struct_body(self, class_variables: dict[str, Any]) -> dict[str, Any]:
        """The namespace of the Struct: fields without a default first, so that rows can be built by position."""
        body = {
            key: value
            for key, value in self._namespace.items()
            if key not in self._types and (key not in _BLOCKS or key in class_variables)
        }
        required = [f for f in self._fields if f.default is None and not f.optional]
        others = [f for f in self._fields if f not in required]
        order = [*(f.attribute for f in required), "id", *(f.attribute for f in others)]
        types = {attribute: found.python for attribute, found in self._types.items()} | {"id": str}
        body["__annotations__"] = {attribute: types[attribute] for attribute in order} | class_variables
        body["id"] = ""
        for f in others:
            body[f.attribute] = _struct_default(f, self._types[f.attribute])
        return body

    def _problem(self, code: str, member: str | None, message: str, mend: str | None) -> None:
        where = self._class if member is None else f"{self._class}.{member}"
        self._problems.append(error(code, f"{where}: {message}", mend))

    def _complain(self, code: str, message: str, name: str, known: Sequence[str]) -> None:
        self._problems.append(error(code, message, suggestion(name, known)))


def _bounds(options: FieldOptions) -> Bounds | None:
    bounds = Bounds(
        min=options.min,
        max=options.max,
        min_length=options.min_length,
        max_length=options.max_length,
        pattern=options.pattern,
    )
    return None if bounds == Bounds() else bounds


def _target_name(target: type | str | None) -> str | None:
    if isinstance(target, type):
        spec = getattr(target, "__pylon_entity__", None)
        return spec.name if spec is not None else target.__name__
    return target


def _literal(value: Any, found: FieldType) -> Any:
    """The JSON form of a Python default."""
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, datetime):
        return iso_millis(value)
    if found.kind is Kind.FLOAT and type(value) is int:
        return float(value)
    if isinstance(value, dict | list):
        return msgspec.json.decode(msgspec.json.encode(value))
    return value


def _struct_default(field: Field, found: FieldType) -> Any:
    """What the attribute is when an instance is made without it; None where the server stamps a value on insert."""
    if not isinstance(field.default, DefaultLiteral):
        return None
    value = field.default.value
    if found.enum_class is not None:
        return next((member for member in found.enum_class if member.value == value), value)
    if isinstance(value, dict | list):
        encoded = msgspec.json.encode(value)
        return msgspec.field(default_factory=lambda: msgspec.json.decode(encoded))
    return value
