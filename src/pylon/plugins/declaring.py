"""What plugins do to an app in `declare`: add fields and entities, and narrow policies without ever opening any."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec.structs import replace

from pylon.model.findings import DeclarationError, error
from pylon.model.names import suggestion
from pylon.model.schema import Action, AppSpec, EntitySpec, Field, PolicySpec

EntityName = type | str
"""An Entity class, or the wire name of one."""


def entity_name(app: AppSpec, entity: EntityName, plugin: str) -> str:
    """The wire name of an entity that the app declares. Raises DeclarationError for another."""
    for spec in app.entities:
        if entity == spec.name or (isinstance(entity, type) and spec.python_class is entity):
            return spec.name
    shown = entity if isinstance(entity, str) else entity.__name__
    hint = suggestion(shown, [spec.name for spec in app.entities])
    raise DeclarationError([error("PLUGIN_INVALID", f"plugin {plugin}: the app declares no entity {shown!r}", hint)])


def entity_names(app: AppSpec, entities: Iterable[EntityName], plugin: str) -> tuple[str, ...]:
    """The same for several."""
    return tuple(entity_name(app, entity, plugin) for entity in entities)


def spec_of(app: AppSpec, name: str) -> EntitySpec:
    """The entity of this name, which is declared."""
    return next(spec for spec in app.entities if spec.name == name)


def check_field(app: AppSpec, entity: str, field: str, plugin: str) -> None:
    """Raise DeclarationError for a field that the entity lacks."""
    fields = [f.name for f in spec_of(app, entity).fields]
    if field not in fields:
        text = f"plugin {plugin}: {entity} has no field {field!r}"
        raise DeclarationError([error("PLUGIN_INVALID", text, suggestion(field, fields))])


def with_field(app: AppSpec, entity: str, field: Field) -> AppSpec:
    """The app with this field on an entity; as it is where the entity has one of that name already."""

    def changed(spec: EntitySpec) -> EntitySpec:
        if spec.name != entity or spec.field(field.name) is not None:
            return spec
        return replace(spec, fields=(*spec.fields, replace(field, attribute=field.name)))

    return replace(app, entities=tuple(map(changed, app.entities)))


def with_entity(app: AppSpec, entity: EntitySpec) -> AppSpec:
    """The app with one more entity. One that has no policy is closed to everybody but admins and server code."""
    return replace(app, entities=(*app.entities, entity))


def narrowed(app: AppSpec, entity: str, plugin: str, rules: dict[Action, str]) -> AppSpec:
    """The app whose policies for an entity also demand these expressions. An action that no policy speaks of stays
    denied: a condition of a plugin's never opens what the app left closed."""
    spoken = {a for p in app.policies if p.entity == entity for a in Action if p.expression(a) is not None}
    kept: dict[str, Any] = {f"allow_{action.value}": text for action, text in rules.items() if action in spoken}
    if not kept:
        return app
    return replace(app, policies=(*app.policies, PolicySpec(name=f"{plugin}:{entity}", entity=entity, **kept)))
