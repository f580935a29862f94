"""Pylon: declare entities, policies and functions in Python; they are served over HTTP and live on every client."""

from typing import TYPE_CHECKING, Any

from pylon.model.annotations import Id, Json, RichText
from pylon.model.app import App
from pylon.model.auth_block import Auth
from pylon.model.connections import Connection
from pylon.model.entity import Entity
from pylon.model.errors import PylonError
from pylon.model.findings import DeclarationError
from pylon.model.modifiers import field, index, relation

if TYPE_CHECKING:
    from pylon.compute.context import Context
    from pylon.compute.related import Included
    from pylon.compute.streams import Event
    from pylon.plugins.spec import hookimpl

__all__ = [
    "App",
    "Auth",
    "Connection",
    "Context",
    "DeclarationError",
    "Entity",
    "Event",
    "Id",
    "Included",
    "Json",
    "PylonError",
    "RichText",
    "field",
    "hookimpl",
    "index",
    "relation",
]


def __getattr__(name: str) -> Any:
    # These come from a room that imports the store: whoever needs only the values of `model` must not load it.
    if name == "Context":
        from pylon.compute.context import Context

        return Context
    if name == "Included":
        from pylon.compute.related import Included

        return Included
    if name == "Event":
        from pylon.compute.streams import Event

        return Event
    if name == "hookimpl":
        from pylon.plugins.spec import hookimpl

        return hookimpl
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
