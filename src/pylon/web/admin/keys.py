"""The keys of encrypted fields over HTTP: how values are sealed, a new key, and sealing anew."""

from __future__ import annotations

import falcon.asgi
import msgspec

from pylon.web.request import Request, Resource, require_admin


class Keys(Resource):
    """`/api/admin/keys`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The ids of the keys, the current one first, what each of them sealed, and how sealing anew stands."""
        require_admin(req)
        resealing = req.doors.resealing
        fields = await resealing.states()
        resp.data = msgspec.json.encode(
            {"keys": resealing.key_ids, "fields": fields, "reencrypting": resealing.progress}
        )


class Rotation(Resource):
    """`/api/admin/keys/rotate`."""

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A new key, which seals from now on."""
        require_admin(req)
        resp.data = msgspec.json.encode({"key": await req.doors.resealing.rotate(req.caller)})


class Reencryption(Resource):
    """`/api/admin/keys/reencrypt`."""

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Begin to seal anew what the current key didn't seal; `/api/admin/keys` tells how far it has come."""
        require_admin(req)
        resp.status = 202
        resp.data = msgspec.json.encode(await req.doors.resealing.start(req.caller))


ROUTES: dict[str, object] = {
    "/api/admin/keys": Keys(),
    "/api/admin/keys/reencrypt": Reencryption(),
    "/api/admin/keys/rotate": Rotation(),
}
