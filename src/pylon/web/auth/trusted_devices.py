"""Trusted devices over HTTP (spec 03 §17): the list, and the end of one or all."""

from __future__ import annotations

from typing import Any

import falcon.asgi
import msgspec

from pylon.auth.trusted_devices import TrustedDevices
from pylon.model.errors import PylonError
from pylon.web.auth.arriving import TRUSTED_DEVICE_COOKIE, arrival, require_user
from pylon.web.auth.cookies import cookie
from pylon.web.described import REVOKED, describes
from pylon.web.request import Request, Resource


def _devices(req: Request) -> TrustedDevices:
    found: TrustedDevices = req.doors.identity.registry.get("totp").devices
    return found


class DeviceList(Resource):
    """`/api/auth/trusted-devices`."""

    @describes({"devices": list[dict[str, Any]]}, who="user")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The caller's devices, newest first. Times are strings, as clients expect them here."""
        user_id = require_user(req).identity.user_id or ""
        here = _devices(req).find(arrival(req).trusted_device, user_id)
        shown = [
            {
                "id": device.id,
                "label": device.label,
                "created_at": str(device.created_at),
                "expires_at": str(device.expires_at),
                "last_used_at": str(device.last_used_at),
                "current": here is not None and device.id == here.id,
            }
            for device in _devices(req).of_user(user_id)
        ]
        resp.data = msgspec.json.encode({"devices": shown})

    @describes({"revoked": int}, who="user")
    async def on_delete(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Trust none of them any more."""
        user_id = require_user(req).identity.user_id or ""
        revoked = await _devices(req).revoke(arrival(req), user_id)
        resp.append_header("Set-Cookie", cookie(req, TRUSTED_DEVICE_COOKIE, "", 0))
        resp.data = msgspec.json.encode({"revoked": revoked})


class OneDevice(Resource):
    """`/api/auth/trusted-devices/{device_id}`."""

    @describes(REVOKED, who="user", errors=("NOT_FOUND",))
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, device_id: str) -> None:
        """Trust this one no more."""
        user_id = require_user(req).identity.user_id or ""
        if not await _devices(req).revoke(arrival(req), user_id, device_id):
            raise PylonError("NOT_FOUND", "No such device")
        resp.data = b'{"revoked":true}'


ROUTES: dict[str, object] = {
    "/api/auth/trusted-devices": DeviceList(),
    "/api/auth/trusted-devices/{device_id}": OneDevice(),
}
