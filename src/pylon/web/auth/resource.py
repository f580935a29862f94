"""The base of routes that belong to a way of signing in."""

from __future__ import annotations

from pylon.web.request import Resource


class MethodResource(Resource):
    """A route of one method: `method` is its name; `open_responders` name those that work while it is off, such as
    `on_delete` of what was made with it."""

    method = ""
    open_responders: frozenset[str] = frozenset()
