"""API keys over HTTP (spec 03 §11). None of it is for API keys themselves."""

from __future__ import annotations

from typing import Any

import falcon.asgi
import msgspec

from pylon.auth.methods.api_key import MAX_NAME, MAX_SCOPES, ApiKeys
from pylon.model.errors import PylonError
from pylon.store.identity import ApiKeyRecord
from pylon.web.auth.arriving import arrival, json_body, require_user
from pylon.web.auth.resource import MethodResource
from pylon.web.described import REVOKED, describes
from pylon.web.request import Request

METHOD = "api_key"
UNNAMED = "untitled"
_LATEST = 2**53


def _keys(req: Request) -> ApiKeys:
    found: ApiKeys = req.doors.identity.registry.get(METHOD)
    return found


class KeyList(MethodResource):
    """`/api/auth/api-keys`."""

    method = METHOD
    open_responders = frozenset({"on_get", "on_head"})

    @describes(list[dict[str, Any]], who="user")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The caller's keys, newest first, without what opens anything."""
        user_id = require_user(req).identity.user_id or ""
        resp.data = msgspec.json.encode([_shown(held) for held in _keys(req).of_user(user_id)])

    @describes(
        {"key": str, "id": str, "prefix": str, "name": str},
        body={"name?": str | None, "scopes?": str | None, "expires_at?": int | None},
        who="user",
        errors=("INVALID_DATA", "METHOD_NOT_CONFIGURED", "CONFLICT"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A new key; its secret is in this answer alone."""
        require_user(req)
        body = await json_body(req)
        name, scopes, expires_at = body.get("name"), body.get("scopes"), body.get("expires_at")
        for field, value in (("name", name), ("scopes", scopes)):  # a list of scopes must not make a key without any
            if value is not None and not isinstance(value, str):
                raise PylonError("INVALID_DATA", f"{field}: expected text")
        if expires_at is not None and (type(expires_at) is not int or not 0 <= expires_at <= _LATEST):
            raise PylonError("INVALID_DATA", "expires_at: expected Unix seconds")
        made = await _keys(req).create(
            arrival(req),
            name=name.strip()[:MAX_NAME] if name and name.strip() else UNNAMED,
            scopes=_scopes(scopes) if scopes is not None else None,
            expires_at=expires_at or 0,
        )
        shown = {name: value for name, value in _shown(made.record).items() if name != "last_used_at"}
        resp.data = msgspec.json.encode({"key": made.key, **shown})


class OneKey(MethodResource):
    """`/api/auth/api-keys/{key_id}`."""

    method = METHOD
    open_responders = frozenset({"on_delete"})

    @describes(REVOKED, who="user", errors=("NOT_FOUND",))
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, key_id: str) -> None:
        """End one of the caller's keys."""
        user_id = require_user(req).identity.user_id or ""
        if not await _keys(req).revoke(arrival(req), user_id, key_id):
            raise PylonError("NOT_FOUND", "No such API key")
        resp.data = b'{"revoked":true}'


def _scopes(text: str) -> str:
    if len(text) > MAX_SCOPES or not text.isprintable():
        raise PylonError("INVALID_DATA", f"scopes: expected at most {MAX_SCOPES} characters")
    return text


def _shown(held: ApiKeyRecord) -> dict[str, Any]:
    return {
        "id": held.id,
        "prefix": held.prefix,
        "name": held.name,
        "scopes": held.scopes,
        "expires_at": held.expires_at or None,
        "last_used_at": held.last_used_at or None,
        "created_at": held.created_at,
    }


ROUTES: dict[str, object] = {"/api/auth/api-keys": KeyList(), "/api/auth/api-keys/{key_id}": OneKey()}
