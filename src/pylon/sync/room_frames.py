"""What rooms tell their members (spec 02 §7.4, §11.2), encoded once for all of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

NULL = msgspec.Raw(b"null")

_encode = msgspec.json.Encoder().encode


class Peer(msgspec.Struct):
    """A member as others see it. `joined_at` is in Unix seconds followed by `Z`."""

    user_id: str
    data: msgspec.Raw
    joined_at: str


def joined(room: str, user: str, data: msgspec.Raw | None) -> bytes:
    """Somebody joined, or joined again; without `data` where the joiner sent none."""
    member: dict[str, Any] = {"user_id": user}
    if data is not None:
        member["data"] = data
    return _encode({"type": "room-update", "room": room, "action": "join", "member": member})


def left(room: str, user: str) -> bytes:
    """Somebody left, whatever the reason."""
    return _encode({"type": "room-update", "room": room, "action": "leave", "member": {"user_id": user}})


def changed(room: str, user: str, data: msgspec.Raw) -> bytes:
    """A member's data is another now."""
    return _encode(
        {"type": "room-update", "room": room, "action": "presence", "member": {"user_id": user}, "data": data}
    )


def broadcast(room: str, user: str | None, topic: str, payload: msgspec.Raw) -> bytes:
    """A member's message, sent over HTTP, or the app's own, of no user."""
    return _encode(
        {
            "type": "room-update",
            "room": room,
            "action": "broadcast",
            "member": {"user_id": user},
            "data": {"topic": topic, "payload": payload},
        }
    )


def relayed(frame: dict[str, Any], room: str, user: str) -> bytes:
    """A member's own frame, sent over its socket; who sent it is the server's word, not the sender's."""
    return _encode({**frame, "room": room, "from": user})


def disconnected(connection: int) -> bytes:
    """A member's socket is gone. Older clients draw again when they hear it."""
    return _encode({"type": "presence", "event": "disconnect", "clientId": connection})


def snapshot(room: str, members: Iterable[Peer]) -> bytes:
    """Who is in a room now: the answer to `room-subscribe`."""
    return _encode({"type": "room-snapshot", "room": room, "members": list(members)})


def refused(code: str, room: str, retry_after: str | None) -> bytes:
    """A frame was not taken; `retry_after` is in seconds, where waiting helps."""
    told: dict[str, Any] = {"type": "error", "code": code, "room": room}
    if retry_after is not None:
        told["retry_after_secs"] = int(retry_after)
    return _encode(told)
