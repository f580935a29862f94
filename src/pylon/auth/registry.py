"""The ways of signing in: each declares itself once, and one check says whether it may be used now.

A method is off when it isn't configured, and while a kill-switch of scope `auth` names it. The check stands before its
routes (`web/auth`) and again where sessions are granted (`sign_in`), so that no way around the routes opens anything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pylon.engine.engine import Engine
from pylon.model.errors import PylonError
from pylon.model.identity import Identity

if TYPE_CHECKING:
    from pylon.auth.foundation import Foundation


def always(foundation: Foundation) -> bool:
    """For a method that needs no configuration."""
    return True


@dataclass(frozen=True, slots=True)
class Method:
    """One way of signing in, or of proving more. `name` is the target of its kill-switch, the `method` of its sessions
    and of its events. `is_configured` is asked at start; `build` makes the object that its routes use."""

    name: str
    title: str
    build: Callable[[Foundation], Any]
    is_configured: Callable[[Foundation], bool] = always
    needs: str = ""
    """What to set when it isn't configured, for people."""


class Registry:
    """The methods of one server."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._methods: dict[str, Method] = {}
        self._built: dict[str, Any] = {}

    def add(self, method: Method, foundation: Foundation) -> None:
        """Take a method in; it is built when it is configured."""
        assert method.name not in self._methods, method.name
        self._methods[method.name] = method
        if method.is_configured(foundation):
            self._built[method.name] = method.build(foundation)

    def __iter__(self) -> Iterator[Method]:
        return iter(self._methods.values())

    def is_built(self, name: str) -> bool:
        """Whether a method is configured, switched off or not."""
        return name in self._built

    def is_on(self, name: str) -> bool:
        """Whether a method may be used now, for pages that offer what there is."""
        if name not in self._built:
            return False
        try:
            self.check(name)
        except PylonError:
            return False
        return True

    def check(self, name: str, identity: Identity | None = None) -> None:
        """Whether this method may be used now. Raises METHOD_NOT_CONFIGURED, MAINTENANCE."""
        if name not in self._built:
            method = self._methods.get(name)
            raise PylonError(
                "METHOD_NOT_CONFIGURED",
                "This way of signing in is not set up here",
                hint=method.needs if method is not None and method.needs else None,
            )
        board = self._engine.switches.board
        if not board.is_quiet:
            board.check_auth(name, identity or Identity())

    def get(self, name: str) -> Any:
        """What the method's routes use, after `check`. Raises METHOD_NOT_CONFIGURED."""
        if name not in self._built:
            self.check(name)
        return self._built[name]
