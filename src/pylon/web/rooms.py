"""Rooms over HTTP (spec 02 §11.1): join, leave, presence, broadcast, and who is there.

The user is the session's; an admin may name another. Somebody who is not in a room is told the same as if it did not
exist.
"""

from __future__ import annotations

from typing import Any

import falcon.asgi
import msgspec

from pylon.engine.caller import Caller
from pylon.model.errors import PylonError
from pylon.model.rows import decode_object
from pylon.web.auth.sessions import MAX_USER_ID
from pylon.web.described import ANYTHING, describes
from pylon.web.request import Request, Resource, whole_number

LISTED = 1000
"""Rooms that an admin is listed at once by default."""

_NOT_IN_ROOM = "not_in_room"
ORDER = {"room": str, "user_id?": str | None}
MEMBERS = {"room": str, "count": int, "members": list[dict[str, Any]]}
REFUSED = ("MISSING_ROOM", "MISSING_USER_ID", "INVALID_DATA", "ROOM_LIMIT_REACHED", "PAYLOAD_TOO_LARGE", "FORBIDDEN")


class Order:
    """The body of a request: about which room, as whom, and what else was sent."""

    __slots__ = ("body", "caller", "room", "user")

    def __init__(self, caller: Caller, body: dict[str, Any]) -> None:
        self.caller = caller
        self.body = body
        room = body.get("room")
        if not isinstance(room, str) or not room:
            raise PylonError("MISSING_ROOM", "room is required: a non-empty string")
        self.room = room
        self.user = _user(caller)
        named = body.get("user_id")
        if caller.identity.is_admin and named is not None:
            if not isinstance(named, str) or not named or len(named) > MAX_USER_ID:
                raise PylonError("MISSING_USER_ID", f"user_id is a string of at most {MAX_USER_ID} characters")
            self.user = named


class RoomList(Resource):
    """`/api/rooms`."""

    @describes(list[dict[str, Any]], who="session", query={"limit": int})
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The rooms that the caller is in; for an admin all, the oldest first."""
        caller = _caller(req)
        user, guard = _user(caller), req.doors.rooms
        rooms = guard.rooms
        if caller.identity.is_admin:
            found = rooms.all(min(whole_number(req.get_param("limit"), LISTED) or LISTED, rooms.limits.rooms))
        else:
            found = [room for room in rooms.of(user) if not guard.must_ask(caller, room[0], user)]
        resp.data = msgspec.json.encode([{"name": name, "members": members} for name, members in found])


class Room(Resource):
    """`/api/rooms/{room}`."""

    @describes(MEMBERS, who="session", errors=("NOT_IN_ROOM",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response, room: str) -> None:
        """Who is in the room."""
        await _show(req, resp, room)


class Join(Resource):
    """`/api/rooms/join`. Like those below it also answers GET, for the room of that name."""

    @describes(
        {"joined": str, "snapshot": {"type": str, "room": str, "peers": list[dict[str, Any]]}},
        body={**ORDER, "data?": ANYTHING},
        who="session",
        errors=(*REFUSED, "POLICY_DENIED"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Enter a room, or enter it anew with other data."""
        order = await _order(req)
        peers = await req.doors.rooms.join(order.caller, order.room, order.body.get("data", msgspec.UNSET), order.user)
        snapshot = {"type": "snapshot", "room": order.room, "peers": peers}
        resp.data = msgspec.json.encode({"joined": order.room, "snapshot": snapshot})

    @describes(MEMBERS, who="session", errors=("NOT_IN_ROOM",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Who is in the room `join`."""
        await _show(req, resp, "join")


class Leave(Resource):
    """`/api/rooms/leave`."""

    @describes({"left": str, "was_present": bool}, body=ORDER, who="session", errors=REFUSED)
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Leave a room; no error for one that the caller isn't in."""
        order = await _order(req)
        was_present = req.doors.rooms.rooms.leave(order.room, order.user)
        resp.data = msgspec.json.encode({"left": order.room, "was_present": was_present})

    @describes(MEMBERS, who="session", errors=("NOT_IN_ROOM",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Who is in the room `leave`."""
        await _show(req, resp, "leave")


class Presence(Resource):
    """`/api/rooms/presence`."""

    @describes({"updated": bool, "reason?": str}, body={**ORDER, "data?": ANYTHING}, who="session", errors=REFUSED)
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Set the caller's data in a room."""
        order = await _order(req)
        guard, shown = req.doors.rooms, order.body.get("data", {})
        is_in = await guard.admits(order.caller, order.room, order.user)
        if is_in and guard.rooms.presence(order.caller, order.room, shown, order.user):
            resp.data = b'{"updated":true}'
        else:
            resp.data = msgspec.json.encode({"updated": False, "reason": _NOT_IN_ROOM})

    @describes(MEMBERS, who="session", errors=("NOT_IN_ROOM",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Who is in the room `presence`."""
        await _show(req, resp, "presence")


class Broadcast(Resource):
    """`/api/rooms/broadcast`."""

    @describes(
        {"broadcasted": bool, "reason?": str},
        body={**ORDER, "topic": str, "data?": ANYTHING},
        who="session",
        errors=(*REFUSED, "MISSING_TOPIC"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Send a message to a room."""
        order = await _order(req)
        topic = order.body.get("topic")
        if not isinstance(topic, str) or not topic:
            raise PylonError("MISSING_TOPIC", "topic is required: a non-empty string")
        guard, payload = req.doors.rooms, order.body.get("data")
        is_in = await guard.admits(order.caller, order.room, order.user)
        if is_in and guard.rooms.broadcast(order.caller, order.room, topic, payload, order.user):
            resp.data = b'{"broadcasted":true}'
        else:
            resp.data = msgspec.json.encode({"broadcasted": False, "reason": _NOT_IN_ROOM})

    @describes(MEMBERS, who="session", errors=("NOT_IN_ROOM",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Who is in the room `broadcast`."""
        await _show(req, resp, "broadcast")


def _caller(req: Request) -> Caller:
    """The caller, for sync. Raises MAINTENANCE."""
    caller = msgspec.structs.replace(req.caller, door="sync")
    board = req.doors.engine.switches.board
    if not board.is_quiet:
        board.check_sync(caller.identity)
    return caller


def _user(caller: Caller) -> str:
    if caller.identity.user_id is None:
        raise PylonError("AUTH_REQUIRED", "authenticated session required")
    return caller.identity.user_id


async def _order(req: Request) -> Order:
    caller = _caller(req)
    _user(caller)  # before the body: strangers are told nothing about it
    return Order(caller, decode_object(await req.body()))


async def _show(req: Request, resp: falcon.asgi.Response, room: str) -> None:
    caller = _caller(req)
    guard = req.doors.rooms
    is_in = await guard.admits(caller, room, _user(caller))
    members = guard.rooms.members(caller, room) if is_in else []
    resp.data = msgspec.json.encode({"room": room, "count": len(members), "members": members})


ROUTES: dict[str, object] = {
    "/api/rooms": RoomList(),
    "/api/rooms/join": Join(),
    "/api/rooms/leave": Leave(),
    "/api/rooms/presence": Presence(),
    "/api/rooms/broadcast": Broadcast(),
    "/api/rooms/{room:path}": Room(),
}
