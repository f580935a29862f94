"""Routes that plugins add, and a request as they and the request hooks see it. No HTTP framework is known here; the web
room turns its requests into these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import msgspec

from pylon.engine.caller import Caller
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.model.rows import decode_object


class PluginRequest:
    """A request, to be read only.

    Attributes:
        method, path: of the request line; the path without its query.
        headers: by name in small letters.
        query: the parameters of the query, the last of each name.
        params: what the route's template names; empty in hooks.
        ip: the client's address, behind trusted proxies too.
    """

    __slots__ = ("_body", "_caller", "headers", "ip", "method", "params", "path", "query")

    def __init__(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str],
        ip: str,
        caller: Callable[[], Caller],
        body: Callable[[], Awaitable[bytes]],
        params: Mapping[str, str] | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.query = query
        self.ip = ip
        self.params = params or {}
        self._caller = caller
        self._body = body

    @property
    def caller(self) -> Caller:
        """Who asks, through which door."""
        return self._caller()

    @property
    def identity(self) -> Identity:
        """Who asks."""
        return self._caller().identity

    def require_user(self) -> str:
        """The caller's user id. Raises AUTH_REQUIRED for anonymous callers."""
        user = self.identity.user_id
        if user is None:
            raise PylonError("AUTH_REQUIRED", "Sign in first")
        return user

    def require_admin(self) -> None:
        """Raises FORBIDDEN for everybody but admins."""
        if not self.identity.is_admin:
            raise PylonError("FORBIDDEN", "this endpoint requires admin auth (PYLON_ADMIN_TOKEN)")

    async def body(self) -> bytes:
        """The body, in routes only. Raises PAYLOAD_TOO_LARGE."""
        return await self._body()

    async def json(self) -> dict[str, Any]:
        """The body as a JSON object, an empty one for no body. Raises INVALID_JSON."""
        body = await self._body()
        return decode_object(body) if body else {}


class Response(msgspec.Struct, frozen=True):
    """An answer with more to say than its JSON: bytes are sent as they are, everything else as JSON."""

    body: Any
    status: int = 200
    headers: dict[str, str] = {}


Handler = Callable[[PluginRequest], Awaitable[Any]]


class Route(msgspec.Struct, frozen=True):
    """`GET /api/flags` and who answers it: `async def handler(request)` returns a JSON value or a Response. A path has
    parameters in braces, such as `/api/entities/{entity}/{row_id}/restore`."""

    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
    path: str
    handler: Handler
