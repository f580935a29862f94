"""What members say and show, measured and encoded once before anything happens. Any thread may call these."""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.model.errors import PylonError
from pylon.model.rows import MAX_NESTING, check_nesting
from pylon.sync.room_state import RoomLimits


def check_name(limits: RoomLimits, name: str, what: str) -> None:
    """Raises INVALID_DATA for a name of a room or topic that is too long."""
    if len(name.encode("utf-8", "surrogatepass")) > limits.name:
        raise PylonError("INVALID_DATA", f"{what} is longer than {limits.name} bytes")


def encoded(limits: RoomLimits, data: Any) -> msgspec.Raw:
    """Data as JSON. Raises PAYLOAD_TOO_LARGE, INVALID_JSON."""
    try:
        body = msgspec.json.encode(data)
    except RecursionError:
        raise PylonError("INVALID_JSON", "The data nests too deeply") from None
    if len(body) > limits.data:
        raise PylonError(
            "PAYLOAD_TOO_LARGE",
            f"A room takes {limits.data} bytes at a time, this is {len(body)}",
            hint="Send less, or raise PYLON_ROOM_DATA_MAX_BYTES.",
        )
    if body.count(b"[") + body.count(b"{") > MAX_NESTING:
        check_nesting(body)
    return msgspec.Raw(body)
