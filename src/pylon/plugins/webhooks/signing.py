"""The signature of a delivery: HMAC-SHA256 with the endpoint's secret over `<timestamp>.<body>`, in the headers
`X-Pylon-Signature: sha256=<hex>` and `X-Pylon-Timestamp: <unix seconds>`."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

SIGNATURE = "X-Pylon-Signature"
TIMESTAMP = "X-Pylon-Timestamp"
DELIVERY = "X-Pylon-Delivery"

TOLERANCE = 300.0
"""Seconds that a delivery may be old, or early, for its receiver."""


def sign(secret: bytes, timestamp: int, body: bytes) -> str:
    """The value of the signature's header."""
    return "sha256=" + hmac.new(secret, b"%d." % timestamp + body, "sha256").hexdigest()


def verify(secret: str, headers: Mapping[str, str], body: bytes, *, now: float, tolerance: float = TOLERANCE) -> bool:
    """For receivers: whether a delivery was signed with this secret, at a time not further from `now` (Unix seconds)
    than `tolerance`. Header names may be in any case."""
    named = {name.lower(): value for name, value in headers.items()}
    stamp = named.get(TIMESTAMP.lower(), "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12) or abs(now - int(stamp)) > tolerance:
        return False
    given = named.get(SIGNATURE.lower(), "").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(sign(secret.encode(), int(stamp), body).encode(), given)
