"""The contract of plugins: their hooks, each with what it is given and what it may do.

A plugin is any object with a name and methods of these names; `Plugin` is a base for those who want one. A method that
begins with `before_`, `after_` or `on_`, or has the marker `hookimpl`, and is none of these hooks refuses to start.
Each method takes the arguments that it names. Plugins run in the order in which the app lists them; the first that
raises ends the call.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from pylon.model.change import Change
    from pylon.model.schema import AppSpec
    from pylon.plugins.requests import PluginRequest, Route
    from pylon.plugins.server import PluginServer
    from pylon.plugins.write import Write

PROJECT = "pylon"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl: Any = pluggy.HookimplMarker(PROJECT)
"""Marks a hook, where it needs an option of pluggy's such as `tryfirst=True`. Methods named like a hook are hooks
without it."""


class Plugin:
    """A base for plugins.

    Attributes:
        name: what it is called in messages and in a manifest; no two of an app share one.
        entities: names of the entities whose writes it takes part in, None for all. Looked at when the server is put
            together, after `declare`.
    """

    name: str = ""
    entities: Collection[str] | None = None


class Hooks:
    """The hooks. Those of writes run on the writer thread inside the write's transaction, for every door alike."""

    @hookspec
    def declare(self, app: AppSpec) -> AppSpec:  # type: ignore[empty-body]
        """The app with what the plugin adds to it, such as fields, before anything is made of it. Called for each
        plugin in turn; does no I/O. Raises DeclarationError."""

    @hookspec
    def start(self, server: PluginServer) -> None:
        """The server is about to serve. Plain or async; what it raises keeps the server from starting."""

    @hookspec
    def stop(self) -> None:
        """The server has stopped serving and still has its store. Plain or async."""

    @hookspec
    def before_insert(self, write: Write) -> None:
        """A validated and stamped row, before the policy; it may be changed, and what is raised refuses it."""

    @hookspec
    def before_update(self, write: Write) -> None:
        """A validated patch and the row before it, before the policy; the patch may be changed."""

    @hookspec
    def before_delete(self, write: Write) -> None:
        """A row that is to be deleted, before the policy. `write.update_instead(...)` keeps it, changed."""

    @hookspec
    def after_insert(self, write: Write) -> None:
        """The row is inserted, in the same transaction: what is raised undoes it."""

    @hookspec
    def after_update(self, write: Write) -> None:
        """The row is updated, in the same transaction: what is raised undoes it."""

    @hookspec
    def after_delete(self, write: Write) -> None:
        """The row is deleted, in the same transaction: what is raised undoes it."""

    @hookspec
    def committed(self, changes: Sequence[Change]) -> None:
        """Changes are committed, in order. Off the write path, plain (on a thread of its own) or async, and nothing
        that it does fails the write. At most once: what doesn't fit the queue, or is queued when the process dies, is
        not told. Follow the change log where each must be (`webhooks.py` does)."""

    @hookspec
    def on_request(self, request: PluginRequest) -> None:
        """An HTTP request, before its route, or a socket or event stream that is about to open, whose caller comes
        through the door `live`: what is raised is its answer. Plain and quick, or async. Nothing is asked about the
        frames of a socket that is open."""

    @hookspec
    def on_response(self, request: PluginRequest, status: int) -> None:
        """What was asked about is answered with this status, 101 for a socket that opened. Of a request the headers
        are about to be sent. Plain and quick, or async. What it raises is logged."""

    @hookspec
    def routes(self) -> Sequence[Route]:  # type: ignore[empty-body]
        """Routes to add. One that shadows another refuses to start."""


WRITE_HOOKS = ("before_insert", "before_update", "before_delete", "after_insert", "after_update", "after_delete")
