"""The plugins of one server: who has which hook, found out once at start; hooks that nobody has cost nothing."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pluggy

from pylon.compute.database import Codecs, Database
from pylon.engine.engine import Engine
from pylon.engine.limits.gate import Viewer
from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError
from pylon.plugins.commits import Commits
from pylon.plugins.requests import PluginRequest, Route
from pylon.plugins.server import PluginServer
from pylon.plugins.spec import PROJECT, WRITE_HOOKS, Hooks
from pylon.plugins.stage import HookStage
from pylon.signals.logs import Log

log = Log("pylon.plugins")

_HOOK_NAMES = frozenset(name for name in vars(Hooks) if not name.startswith("_"))
_HOOK_PREFIXES = ("before_", "after_", "on_")


class _Manager(pluggy.PluginManager):
    """pluggy, for which a method that is named like a hook is one."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        marked = super().parse_hookimpl_opts(plugin, name)
        if marked is not None or name.startswith("_"):
            return marked
        if name not in _HOOK_NAMES and not name.startswith(_HOOK_PREFIXES):
            return None
        method = getattr(plugin, name)
        if not inspect.isroutine(method):
            return None
        defaults = {"wrapper": False, "hookwrapper": False, "optionalhook": False, "tryfirst": False, "trylast": False}
        return defaults | {"specname": None}


def name_of(plugin: Any) -> str:
    """What a plugin is called."""
    return str(getattr(plugin, "name", "") or getattr(plugin, "__name__", "") or type(plugin).__name__)


class Plugins:
    """The plugins, put into the engine. Raises PLUGIN_INVALID for two of one name and for hooks that there aren't."""

    def __init__(self, plugins: Sequence[Any], engine: Engine) -> None:
        self._engine = engine
        self.codecs = Codecs(engine.plans)
        self.depth = 0
        self._manager = _Manager(PROJECT)
        self._manager.add_hookspecs(Hooks)
        for plugin in reversed(plugins):  # pluggy calls what came last first
            try:
                self._manager.register(plugin, name_of(plugin))
            except (ValueError, pluggy.PluginValidationError) as error:
                raise PylonError("PLUGIN_INVALID", f"plugin {name_of(plugin)!r}: {error}") from None
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise PylonError("PLUGIN_INVALID", str(error)) from None
        self._plain_only((*WRITE_HOOKS, "routes", "declare"))
        self._put_into_writes()
        self.on_request = self._implementations("on_request")
        self.on_response = self._implementations("on_response")
        self.routes: tuple[tuple[str, Route], ...] = tuple(
            (impl.plugin_name, route) for impl in self._implementations("routes") for route in impl.function()
        )
        self.commits = Commits([(i.plugin_name, _bound(i), i.plugin) for i in self._implementations("committed")])
        self._server: PluginServer | None = None

    def database(self, transaction: Transaction) -> Database:
        """The rows as a transaction sees them, with server code's rights."""
        trusted = transaction.trusted()
        return Database(self.codecs, trusted, trusted, Viewer(self._engine.gate, transaction.caller))

    async def start(self, server: PluginServer) -> None:
        """Start every plugin; the first that fails keeps the server from starting."""
        self._server = server
        server.database = self.database
        if self.commits:
            self._engine.subscribe(self.commits.queue)
            self.commits.start()
        for impl in self._implementations("start"):
            try:
                await _settled(_bound(impl)(server=server))
            except PylonError:
                raise
            except Exception as error:  # the boundary to a plugin's own code
                log.exception("plugin did not start", plugin=impl.plugin_name)
                raise PylonError("PLUGIN_INVALID", f"plugin {impl.plugin_name!r} did not start: {error}") from error

    async def stop(self) -> None:
        """Tell what was committed before, and stop the tasks and every plugin."""
        if self._server is None:
            return
        server, self._server = self._server, None
        await self.commits.stop()
        await server.stop()
        for impl in reversed(self._implementations("stop")):
            try:
                await _settled(_bound(impl)())
            except Exception:  # one plugin that fails must not keep the others from stopping
                log.exception("plugin did not stop well", plugin=impl.plugin_name)

    async def request(self, request: PluginRequest) -> None:
        """Ask the hooks of requests. Raises what refuses it, and HOOK_FAILED."""
        for impl in self.on_request:
            try:
                await _settled(_bound(impl)(request=request))
            except PylonError:
                raise
            except Exception as error:  # the boundary to a plugin's own code
                log.exception("hook failed", plugin=impl.plugin_name, hook="on_request", path=request.path)
                raise PylonError("HOOK_FAILED", "A plugin failed") from error

    async def response(self, request: PluginRequest, status: int) -> None:
        """Tell the hooks of responses."""
        for impl in self.on_response:
            try:
                await _settled(_bound(impl)(request=request, status=status))
            except Exception:  # the answer stands, whatever a plugin makes of it
                log.exception("hook failed", plugin=impl.plugin_name, hook="on_response", path=request.path)

    def _implementations(self, hook: str) -> list[Any]:
        """In the order in which they are called."""
        return list(reversed(getattr(self._manager.hook, hook).get_hookimpls()))

    def _put_into_writes(self) -> None:
        everyone = self._manager.get_plugins()
        for name, plan in self._engine.plans.items():
            others = [p for p in everyone if not _takes_part(p, name)]
            hooks = {hook: self._caller(hook, others) for hook in WRITE_HOOKS}
            if any(caller is not None for caller in hooks.values()):
                plan.stages.append(HookStage(self, hooks))
        known = set(self._engine.plans)
        for plugin in everyone:
            for entity in set(getattr(plugin, "entities", None) or ()) - known:
                raise PylonError("PLUGIN_INVALID", f"plugin {name_of(plugin)!r}: the app declares no entity {entity!r}")

    def _caller(self, hook: str, without: Iterable[Any]) -> Any:
        caller = self._manager.subset_hook_caller(hook, without)
        return caller if caller.get_hookimpls() else None

    def _plain_only(self, hooks: Iterable[str]) -> None:
        for hook in hooks:
            for impl in self._implementations(hook):
                if inspect.iscoroutinefunction(impl.function):
                    raise PylonError(
                        "PLUGIN_INVALID",
                        f"plugin {impl.plugin_name!r}: {hook} is async, but it runs inside a transaction",
                        hint="Make it a plain def; `committed` may wait for the network.",
                    )


def _takes_part(plugin: Any, entity: str) -> bool:
    entities = getattr(plugin, "entities", None)
    return entities is None or entity in entities


def _bound(impl: Any) -> Callable[..., Any]:
    """The hook, given by name only what it takes."""
    function, names = impl.function, impl.argnames

    def call(**given: Any) -> Any:
        return function(*(given[name] for name in names))

    return call


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
