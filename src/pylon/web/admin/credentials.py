"""What signs and what signs in, in an operator's hands: ending API keys, and rotating the keys of JWTs."""

from __future__ import annotations

from typing import Any

import falcon.asgi
import msgspec

from pylon.auth.methods.api_key import ApiKeys
from pylon.auth.methods.jwt import Jwt
from pylon.store.identity import SigningKeyRecord
from pylon.web.admin.body import Seconds, decode_body
from pylon.web.described import describes
from pylon.web.request import Request, Resource, require_admin


class PurgeOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Which API keys: all that match everything given, so `{}` is all. `after` is Unix seconds of their making."""

    user: str | None = None
    after: Seconds | None = None


class RotateOrder(msgspec.Struct, forbid_unknown_fields=True):
    """With `revoke`, every token that the old keys signed is over at once; else they verify until their last one is."""

    revoke: bool = False


class PurgeKeys(Resource):
    """`/api/admin/api-keys/purge`."""

    @describes({"keys_revoked": int}, body=PurgeOrder, who="admin", errors=("INVALID_DATA", "METHOD_NOT_CONFIGURED"))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """End them, and their sockets."""
        require_admin(req)
        order = decode_body(await req.body(), PurgeOrder)
        keys: ApiKeys = req.doors.identity.registry.get("api_key")
        count = await keys.purge(req.caller, user_id=order.user, created_after=order.after)
        resp.data = msgspec.json.encode({"keys_revoked": count})


class Keys(Resource):
    """`/api/admin/signing-keys`."""

    @describes({"keys": list[dict[str, Any]], "shared_secret": bool}, who="admin", errors=("METHOD_NOT_CONFIGURED",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Every key, newest first, without what signs. Whether JWTs are taken that a shared secret signed, which only
        PYLON_JWT_SECRET changes."""
        require_admin(req)
        jwt = _jwt(req)
        shown = [_shown(held) for held in jwt.keys.all()]
        resp.data = msgspec.json.encode({"keys": shown, "shared_secret": jwt.has_shared_secret})


class Rotate(Resource):
    """`/api/admin/signing-keys/rotate`."""

    @describes(
        {"kid": str, "algorithm": str}, body=RotateOrder, who="admin", errors=("INVALID_DATA", "METHOD_NOT_CONFIGURED")
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A new key. Raises METHOD_NOT_CONFIGURED where there are no JWTs."""
        require_admin(req)
        body = await req.body()
        order = decode_body(body, RotateOrder) if body.strip() else RotateOrder()
        resp.data = msgspec.json.encode(_shown(await _jwt(req).rotate(req.caller, revoke=order.revoke)))


def _jwt(req: Request) -> Jwt:
    found: Jwt = req.doors.identity.registry.get("jwt")
    return found


def _shown(held: SigningKeyRecord) -> dict[str, object]:
    return {
        "kid": held.kid,
        "algorithm": held.algorithm,
        "created_at": held.created_at,
        "active_at": held.active_at,
        "retired_at": held.retired_at,
    }


ROUTES: dict[str, object] = {
    "/api/admin/api-keys/purge": PurgeKeys(),
    "/api/admin/signing-keys": Keys(),
    "/api/admin/signing-keys/rotate": Rotate(),
}
