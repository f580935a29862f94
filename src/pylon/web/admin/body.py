"""Bodies and query parameters of admin requests, checked against their shape."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeVar

import msgspec

from pylon.model.errors import PylonError

T = TypeVar("T")

Seconds = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A time in Unix seconds, within what the store holds."""


def decode_body(body: bytes, kind: type[T]) -> T:
    """A body of this shape. Raises INVALID_DATA naming what is wrong."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PylonError("INVALID_DATA", str(error)[:300]) from None


def moment(text: str | None, name: str) -> float | None:
    """A time in Unix seconds: from RFC 3339 with its offset, or a number of seconds. Raises INVALID_QUERY."""
    if not text:
        return None
    try:
        return float(text)
    except ValueError:
        pass
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise PylonError("INVALID_QUERY", f"{name} is a time such as 2026-11-23T03:14:00Z, or Unix seconds")
    return found.timestamp()
