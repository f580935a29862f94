"""`App`: what one application declares, collected by decorators and from its module."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar, overload

import msgspec

from pylon.model.auth_block import Auth, default_auth
from pylon.model.connections import Connection, connections_block
from pylon.model.diagnostics import check
from pylon.model.entity import entity_spec, is_entity, policy_spec, referenced_entities
from pylon.model.findings import DeclarationError, Severity, error
from pylon.model.functions import read_function
from pylon.model.room_names import read_room
from pylon.model.schema import AppSpec, EntitySpec, FunctionAuth, FunctionKind, FunctionSpec, RoomSpec

if TYPE_CHECKING:
    from pylon.testing.kit import TestApp

Handler = TypeVar("Handler", bound=Callable[..., Any])


class App:
    """One application. Its entities are those given as `entities`; without it, every Entity class that is a global
    of the module that made the App, imported ones included. Classes that these name in `Id[...]`, and classes given
    to `include`, are added. `plugins` run in their order.
    """

    def __init__(
        self,
        name: str,
        *,
        version: str = "0.1.0",
        entities: Iterable[type] | None = None,
        auth: Auth | None = None,
        plugins: Iterable[Any] = (),
        connections: Sequence[Connection] = (),
    ) -> None:
        if not isinstance(name, str) or not name.strip():
            raise DeclarationError([error("APP_NAME_EMPTY", "App: the name is empty", 'Write App("notes").')])
        self.name = name
        self.version = version
        self._entities = None if entities is None else _checked(entities)
        self._included: list[type] = []
        self._auth = auth
        self._plugins = tuple(plugins)
        self._connections = tuple(connections)
        self._module: Mapping[str, Any] = sys._getframe(1).f_globals
        self._functions: list[FunctionSpec] = []
        self._rooms: list[RoomSpec] = []

    def __repr__(self) -> str:
        return f"App({self.name!r}, version={self.version!r})"

    def include(self, *entities: type) -> None:
        """Add Entity classes that the App's module does not hold."""
        self._included += _checked(entities)

    @overload
    def query(self, handler: Handler, /) -> Handler: ...
    @overload
    def query(
        self,
        *,
        auth: FunctionAuth = "user",
        internal: bool = False,
        timeout: float | None = None,
        name: str | None = None,
    ) -> Callable[[Handler], Handler]: ...
    def query(
        self,
        handler: Callable[..., Any] | None = None,
        *,
        auth: FunctionAuth = "user",
        internal: bool = False,
        timeout: float | None = None,
        name: str | None = None,
    ) -> Any:
        """Declare a plain `def` that only reads. `timeout` is in seconds. Raises DeclarationError."""
        return self._declare("query", handler, auth=auth, internal=internal, timeout=timeout, name=name)

    @overload
    def mutation(self, handler: Handler, /) -> Handler: ...
    @overload
    def mutation(
        self,
        *,
        auth: FunctionAuth = "user",
        internal: bool = False,
        timeout: float | None = None,
        name: str | None = None,
    ) -> Callable[[Handler], Handler]: ...
    def mutation(
        self,
        handler: Callable[..., Any] | None = None,
        *,
        auth: FunctionAuth = "user",
        internal: bool = False,
        timeout: float | None = None,
        name: str | None = None,
    ) -> Any:
        """Declare a plain `def` that is one transaction. `timeout` is in seconds. Raises DeclarationError."""
        return self._declare("mutation", handler, auth=auth, internal=internal, timeout=timeout, name=name)

    @overload
    def action(self, handler: Handler, /) -> Handler: ...
    @overload
    def action(
        self,
        *,
        auth: FunctionAuth = "user",
        internal: bool = False,
        timeout: float | None = None,
        name: str | None = None,
    ) -> Callable[[Handler], Handler]: ...
    def action(
        self,
        handler: Callable[..., Any] | None = None,
        *,
        auth: FunctionAuth = "user",
        internal: bool = False,
        timeout: float | None = None,
        name: str | None = None,
    ) -> Any:
        """Declare an `async def` that may await anything; one that yields streams to its caller. `timeout` is in
        seconds. Raises DeclarationError."""
        return self._declare("action", handler, auth=auth, internal=internal, timeout=timeout, name=name)

    def room(self, pattern: str) -> Callable[[Handler], Handler]:
        """Declare who may be in rooms of a name like `doc:{doc}`: a plain `def` that takes the context and what stands
        for the placeholders, only reads, and returns whether its caller may. With the first of these the app closes
        every room that none is for. The first declared whose pattern fits decides. Raises DeclarationError."""
        scope = sys._getframe(1).f_locals

        def decorate(handler: Handler) -> Handler:
            room = read_room(pattern, handler, scope)
            if any(other.pattern == pattern for other in self._rooms):
                text = f"{room.function.name}: the app has a rule for rooms {pattern!r} already"
                raise DeclarationError([error("ROOM_DUPLICATE", text, "Make them one.")])
            self._rooms.append(room)
            return handler

        return decorate

    def test(self, *, now: datetime | None = None, env: Mapping[str, str] | None = None) -> TestApp:
        """This app under test, in this process and on a database of its own; `now` is the time there, which stands
        still until it is moved, `env` are `PYLON_*` variables. See `pylon.testing.kit`."""
        from pylon.testing.kit import TestApp

        return TestApp(self, now=now, env=env)

    def spec(self) -> AppSpec:
        """Everything declared so far, checked. Raises DeclarationError with every finding when one is an error."""
        classes = self._collect()
        entities = [entity_spec(cls) for cls in classes]
        targets = {cls.__name__: spec.name for cls, spec in zip(classes, entities, strict=True)}
        targets |= {spec.name: spec.name for spec in entities}
        spec = AppSpec(
            name=self.name,
            version=self.version,
            entities=tuple(_resolve(entity, targets) for entity in entities),
            policies=tuple(policy for cls in classes if (policy := policy_spec(cls)) is not None),
            functions=tuple(_resolve_function(function, targets) for function in self._functions),
            rooms=tuple(self._rooms),
            raw={"auth": default_auth() if self._auth is None else self._auth.block(targets)}
            | ({"connections": connections_block(self._connections)} if self._connections else {}),
        )
        for plugin in self._plugins:
            spec = declared_with(spec, plugin)
        findings = check(spec)
        if any(finding.severity is Severity.ERROR for finding in findings):
            raise DeclarationError(findings)
        return spec

    def _declare(self, kind: FunctionKind, handler: Any, **options: Any) -> Any:
        scope = sys._getframe(2).f_locals

        def decorate(handler: Handler) -> Handler:
            self._add(read_function(handler, kind, scope=scope, **options))
            return handler

        return decorate if handler is None else decorate(handler)

    def _add(self, function: FunctionSpec) -> None:
        for other in self._functions:
            shared = {function.name, *function.aliases} & {other.name, *other.aliases}
            if shared:
                text = f"{function.name}: the app has a function that answers to {min(shared)!r} already"
                raise DeclarationError([error("FUNCTION_DUPLICATE", text, "Rename one, or give it a name=.")])
        self._functions.append(function)

    def _collect(self) -> list[type]:
        """Entity classes in the order of their declaration, those they refer to after them."""
        declared = [v for v in self._module.values() if is_entity(v)] if self._entities is None else self._entities
        found: dict[type, None] = {}
        waiting = [*declared, *self._included]
        while waiting:
            cls = waiting.pop(0)
            if cls not in found:
                found[cls] = None
                waiting += referenced_entities(cls)
        return list(found)


def _checked(entities: Iterable[Any]) -> list[type]:
    found = list(entities)
    for value in found:
        if not is_entity(value):
            raise TypeError(f"{value!r} is not an Entity class")
    return found


def _resolve(entity: EntitySpec, targets: Mapping[str, str]) -> EntitySpec:
    """The entity with class names in its Id fields and relations replaced by wire names."""
    replace = msgspec.structs.replace
    return replace(
        entity,
        fields=tuple(
            replace(f, target=targets.get(f.target, f.target)) if f.target is not None else f for f in entity.fields
        ),
        relations=tuple(replace(r, target=targets.get(r.target, r.target)) for r in entity.relations),
    )


def _resolve_function(function: FunctionSpec, targets: Mapping[str, str]) -> FunctionSpec:
    return msgspec.structs.replace(function, args_schema=_resolve_schema(function.args_schema, targets))


def _resolve_schema(schema: Any, targets: Mapping[str, str]) -> Any:
    if isinstance(schema, list):
        return [_resolve_schema(item, targets) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "id":
        return schema | {"table": targets.get(schema["table"], schema["table"])}
    return {key: _resolve_schema(value, targets) for key, value in schema.items()}


def declared_with(spec: AppSpec, plugin: Any) -> AppSpec:
    """The app with a plugin, and with what that declares (`pylon.plugins.spec`). Raises DeclarationError."""
    declare = getattr(plugin, "declare", None)
    if declare is not None:
        spec = declare(app=spec)
        if not isinstance(spec, AppSpec):
            name = getattr(plugin, "name", "") or type(plugin).__name__
            text = f"plugin {name}: declare returned {spec!r}, no AppSpec"
            raise DeclarationError([error("PLUGIN_INVALID", text, "Return the app, changed or not.")])
    return msgspec.structs.replace(spec, plugins=(*spec.plugins, plugin))
