"""Finding plugins that the app's own code doesn't list: those of a manifest, and those of installed packages.

A manifest names them, `"plugins": [{"name": "timestamps", "config": {}}]`; a name that nothing answers to refuses to
start. A package offers one by an entry point in the group `pylon.plugins`, a callable that makes it out of its config.
It is taken up by being installed, without config where the manifest doesn't name it.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from pylon.model.app import declared_with
from pylon.model.diagnostics import check
from pylon.model.findings import DeclarationError, Severity, error
from pylon.model.names import suggestion
from pylon.model.schema import AppSpec

GROUP = "pylon.plugins"
KEY = "plugins"


class _Named(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    config: dict[str, Any] = {}


def with_discovered(app: AppSpec) -> AppSpec:
    """The app with the plugins of its manifest and of installed packages. Raises DeclarationError for a plugin that
    there isn't, that can't be made, or that declares what isn't sound."""
    offered = {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}
    named = _named(app)
    if not offered and not named:
        return app
    app = replace(app, extra={key: value for key, value in app.extra.items() if key != KEY})
    there = {getattr(plugin, "name", "") for plugin in app.plugins}
    plugins = [(entry.name, _make(entry.name, _maker(entry.name, offered), entry.config)) for entry in named]
    there |= {name for name, _ in plugins}
    plugins += [(name, _make(name, point.load, None)) for name, point in offered.items() if name not in there]
    for _, plugin in plugins:
        app = declared_with(app, plugin)
    findings = check(app)
    if any(finding.severity is Severity.ERROR for finding in findings):
        raise DeclarationError(findings)
    return app


def _named(app: AppSpec) -> list[_Named]:
    try:
        return msgspec.convert(app.extra.get(KEY, []), list[_Named])
    except msgspec.ValidationError as problem:
        raise _invalid(f"plugins: {problem}", 'Write [{"name": "timestamps", "config": {}}].') from None


def _maker(name: str, offered: dict[str, Any]) -> Callable[[], Any]:
    from pylon.plugins.shipped import SHIPPED

    if name in SHIPPED:
        return lambda: SHIPPED[name]
    if name in offered:
        load: Callable[[], Any] = offered[name].load
        return load
    hint = suggestion(name, [*SHIPPED, *offered])
    raise _invalid(f"plugins: there is no plugin {name!r}", hint)


def _make(name: str, load: Callable[[], Any], config: dict[str, Any] | None) -> Any:
    try:
        made = load()
        return made(**(config or {})) if callable(made) else made
    except DeclarationError:
        raise
    except Exception as problem:  # the boundary to a plugin's own code, which may raise anything
        raise _invalid(f"plugin {name!r} can't be made: {type(problem).__name__}: {problem}", None) from problem


def _invalid(message: str, hint: str | None) -> DeclarationError:
    return DeclarationError([error("PLUGIN_INVALID", message, hint)])
