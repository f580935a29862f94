"""Live connections over HTTP: who is connected, recycling and ending connections, and throttling what they are sent."""

from __future__ import annotations

from typing import Any

import falcon.asgi
import msgspec

from pylon.model.errors import PylonError
from pylon.sync.connection import matching
from pylon.web.admin.body import decode_body
from pylon.web.described import describes
from pylon.web.request import Request, Resource, require_admin, whole_number

DEFAULT_LIMIT = 200
MAX_LIMIT = 10_000
MAX_BOUNCE_SECONDS = 3600


class BounceOrder(msgspec.Struct, forbid_unknown_fields=True):
    """How long recycling may take; as long as it needs by default."""

    seconds: float | None = None


class KickOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Whose connections end; `ip` is an address or a network."""

    user: str | None = None
    ip: str | None = None


class ThrottleOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Events a second of an entity; 0 for any number, null for the server's own setting."""

    entity: str
    rate: float | None


class SocketList(Resource):
    """`/api/admin/sockets`."""

    @describes(
        {"sockets": list[dict[str, Any]], "total": int},
        who="admin",
        query={"user": str, "ip": str, "limit": int},
        errors=("INVALID_DATA",),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """What is open, oldest first, with how much waits for each; `total` counts all that match."""
        require_admin(req)
        door = req.doors.live
        found = door.connections(matching(req.get_param("user"), req.get_param("ip")))
        limit = min(whole_number(req.get_param("limit"), DEFAULT_LIMIT) or DEFAULT_LIMIT, MAX_LIMIT)
        now = req.doors.engine.clock()
        sockets = [{**s._asdict(), "seconds": round(max(0.0, now - s.opened_at), 1)} for s in found[:limit]]
        resp.data = msgspec.json.encode({"sockets": sockets, "total": len(found)})


class Bounce(Resource):
    """`/api/admin/sockets/bounce`."""

    @describes({"bouncing": int, "seconds": float}, body=BounceOrder, who="admin", errors=("INVALID_DATA",))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Recycle every connection, spread over a while."""
        require_admin(req)
        seconds = decode_body(await req.body(), BounceOrder).seconds
        if seconds is not None and not 0 <= seconds <= MAX_BOUNCE_SECONDS:
            raise PylonError("INVALID_DATA", f"seconds is from 0 to {MAX_BOUNCE_SECONDS}")
        count, span = req.doors.live.bounce(seconds)
        await req.doors.engine.audit.note(req.caller, "sockets.bounce", connections=count, seconds=span)
        resp.data = msgspec.json.encode({"bouncing": count, "seconds": span})


class Kick(Resource):
    """`/api/admin/sockets/kick`."""

    @describes({"closed": int}, body=KickOrder, who="admin", errors=("INVALID_DATA",))
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """End the connections of a user or an address. They may come back; a switch keeps them out."""
        require_admin(req)
        order = decode_body(await req.body(), KickOrder)
        closed = req.doors.live.kick(user=order.user, ip=order.ip)
        target = ":".join(part for part in (order.user, order.ip) if part is not None)
        await req.doors.engine.audit.note(req.caller, "sockets.kick", target, closed=closed)
        resp.data = msgspec.json.encode({"closed": closed})


class FanoutThrottle(Resource):
    """`/api/admin/fanout/throttle`."""

    @describes({"default": float, "entities": dict[str, float]}, who="admin")
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The server's own setting, and the entities with another rate."""
        require_admin(req)
        doors = req.doors
        default = doors.settings.fanout_entity_rate
        resp.data = msgspec.json.encode({"default": default, "entities": doors.throttles.rates})

    @describes(
        {"entities": dict[str, float]}, body=ThrottleOrder, who="admin", errors=("INVALID_DATA", "ENTITY_NOT_FOUND")
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Set one."""
        require_admin(req)
        order = decode_body(await req.body(), ThrottleOrder)
        await req.doors.throttles.set(req.caller, order.entity, order.rate)
        resp.data = msgspec.json.encode({"entities": req.doors.throttles.rates})


ROUTES: dict[str, object] = {
    "/api/admin/sockets": SocketList(),
    "/api/admin/sockets/bounce": Bounce(),
    "/api/admin/sockets/kick": Kick(),
    "/api/admin/fanout/throttle": FanoutThrottle(),
}
