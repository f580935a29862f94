"""Identity over HTTP: one module for each area or method, each with its ROUTES.

A resource that belongs to a method says so (`method = "password"`); whether the method is on is asked before each of
its responders, here and nowhere else. `open_responders` names those that work while it is off, such as revoking.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import falcon.asgi

from pylon.web.auth import (
    account,
    api_keys,
    audit,
    connections,
    email,
    guests,
    jwt,
    magic,
    oauth,
    orgs,
    passkeys,
    password,
    sessions,
    totp,
    trusted_devices,
)
from pylon.web.request import Request

_MODULES = (
    account,
    api_keys,
    audit,
    connections,
    email,
    guests,
    jwt,
    magic,
    oauth,
    orgs,
    passkeys,
    password,
    sessions,
    totp,
    trusted_devices,
)


def _routes() -> dict[str, object]:
    found: dict[str, object] = {}
    for module in _MODULES:
        assert not found.keys() & module.ROUTES.keys()
        found |= {path: guarded(resource) for path, resource in module.ROUTES.items()}
    return found


def guarded(resource: object) -> object:
    """The resource with the check of its method in front of its responders; itself when it has none."""
    method = getattr(resource, "method", "")
    if not method:
        return resource
    open_ones: frozenset[str] = getattr(resource, "open_responders", frozenset())
    names = [name for name in dir(resource) if name.startswith("on_")]
    responders = {
        name: getattr(resource, name) if name in open_ones else _checked(getattr(resource, name), method)
        for name in names
    }
    return type(
        f"Guarded{type(resource).__name__}", (), {name: staticmethod(call) for name, call in responders.items()}
    )()


def _checked(responder: Callable[..., Any], method: str) -> Callable[..., Any]:
    @functools.wraps(responder)
    async def respond(req: Request, resp: falcon.asgi.Response, **params: Any) -> None:
        req.doors.identity.registry.check(method, req.session.identity)
        await responder(req, resp, **params)

    return respond


ROUTES = _routes()
"""Every auth route by path."""
