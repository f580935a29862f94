"""Plugins over HTTP: the routes that they add, which may shadow no other, and the hooks of requests."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import falcon.asgi
import msgspec

from pylon.model.errors import PylonError
from pylon.plugins.host import Plugins
from pylon.plugins.requests import PluginRequest, Response, Route
from pylon.web.request import Request, Resource
from pylon.web.rows import Row

ROW = "/api/entities/{entity}/{row_id}/"
"""Routes of one row: behind the row's own, which takes the rest of the path for its id."""

_ROW_ROUTE = "/api/entities/{entity}/{row_id:path}"
_PARAMETER = re.compile(r"\{([a-z_]\w*)\}\Z")
_SEGMENT = re.compile(r"[A-Za-z0-9._~-]+\Z")


def with_routes(routes: Mapping[str, object], added: Sequence[tuple[str, Route]]) -> dict[str, object]:
    """The routes with those of plugins, each with the plugin's name. Raises PLUGIN_ROUTE_TAKEN, PLUGIN_INVALID."""
    owners: dict[tuple[str, str], tuple[str, str]] = {}
    own: dict[str, dict[str, Route]] = {}
    of_rows: list[Route] = []
    for plugin, route in added:
        _check(plugin, route)
        shape = re.sub(r"\{\w+\}", "{}", route.path)
        taken = owners.get((route.method, shape))
        if taken is None and not route.path.startswith(ROW):
            taken = next((("Pylon", path) for path in routes if _meet(path, route.path)), None)
        if taken is not None:
            raise PylonError(
                "PLUGIN_ROUTE_TAKEN",
                f"plugin {plugin!r}: {route.method} {route.path} would shadow {taken[1]} of {taken[0]}",
            )
        owners[route.method, shape] = (f"plugin {plugin!r}", route.path)
        if route.path.startswith(ROW):
            of_rows.append(route)
        else:
            own.setdefault(route.path, {})[route.method] = route
    found: dict[str, object] = {**routes, **{path: _resource(by_method) for path, by_method in own.items()}}
    if of_rows:
        found[_ROW_ROUTE] = _row_with(of_rows)
    return found


class Hooks:
    """falcon middleware that asks and tells the plugins. Added only where one of them listens."""

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins

    async def process_request(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Raises what a plugin refuses the request with."""
        await self._plugins.request(_asked(req, {}))

    async def process_response(self, req: Request, resp: falcon.asgi.Response, resource: Any, succeeded: bool) -> None:
        """Tell them the status."""
        await self._plugins.response(_asked(req, {}), resp.status_code)


def _check(plugin: str, route: Route) -> None:
    parts = route.path.split("/")
    if parts[0] or not all(_PARAMETER.match(part) or _SEGMENT.match(part) for part in parts[1:]):
        raise PylonError(
            "PLUGIN_INVALID",
            f"plugin {plugin!r}: {route.path!r} is no path",
            hint="Write /api/things/{thing}: each part is a word or a parameter in braces.",
        )


def _meet(built_in: str, added: str) -> bool:
    """Whether one path may be asked for by both templates."""
    one, two = built_in.split("/"), added.split("/")
    for mine, theirs in zip(one, two, strict=False):
        if mine.endswith(":path}"):
            return True
        if mine != theirs and not mine.startswith("{") and not theirs.startswith("{"):
            return False
    return len(one) == len(two)


def _resource(routes: Mapping[str, Route]) -> Resource:
    """A falcon resource with a responder for each method."""

    def responder(route: Route) -> Any:
        async def respond(self: Any, req: Request, resp: falcon.asgi.Response, **params: str) -> None:
            await _answer(route, req, resp, params)

        return respond

    members = {f"on_{method.lower()}": responder(route) for method, route in routes.items()}
    resource: Resource = type("PluginResource", (Resource,), members)()
    return resource


def _row_with(routes: Sequence[Route]) -> Row:
    """The row's own resource, which looks first whether the path goes on behind the id to a plugin's route."""
    prefix = ROW[: ROW.index("{row_id}")]
    patterns = [
        (route, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", route.path[len(prefix) :]) + r"\Z"))
        for route in routes
    ]

    def found(method: str, rest: str) -> tuple[Route, dict[str, str]] | None:
        if "/" not in rest:
            return None
        for route, pattern in patterns:
            if route.method == method and (match := pattern.match(rest)):
                return route, match.groupdict()
        return None

    def responder(method: str, own: Any) -> Any:
        async def respond(self: Row, req: Request, resp: falcon.asgi.Response, entity: str, row_id: str) -> None:
            if (match := found(method, row_id)) is not None:
                route, params = match
                await _answer(route, req, resp, {"entity": entity, **params})
            elif own is None:
                raise falcon.HTTPMethodNotAllowed(["DELETE", "GET", "HEAD", "PATCH", "PUT"])
            else:
                await own(self, req, resp, entity, row_id)

        return respond

    methods = {route.method for route in routes}
    members = {f"on_{m.lower()}": responder(m, getattr(Row, f"on_{m.lower()}", None)) for m in methods}
    resource: Row = type("RowWithRoutes", (Row,), members)()
    return resource


async def _answer(route: Route, req: Request, resp: falcon.asgi.Response, params: Mapping[str, str]) -> None:
    answer = await route.handler(_asked(req, params))
    if isinstance(answer, Response):
        resp.status = answer.status
        for name, value in answer.headers.items():
            resp.set_header(name, value)
        answer = answer.body
    resp.data = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)


def _asked(req: Request, params: Mapping[str, str]) -> PluginRequest:
    return PluginRequest(
        req.method,
        req.path,
        headers={name.decode("latin-1"): value.decode("latin-1") for name, value in req._asgi_headers.items()},
        query={name: value[-1] if isinstance(value, list) else value for name, value in req.params.items()},
        ip=req.ip,
        caller=lambda: req.caller,
        body=req.body,
        params=params,
    )
