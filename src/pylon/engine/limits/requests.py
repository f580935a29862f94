"""How often one caller may ask (spec 01 §11.2, §11.3): a bucket for each user, and for each address without one."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from pylon.engine.limits.buckets import Buckets
from pylon.engine.limits.waiting import spread
from pylon.model.errors import PylonError
from pylon.model.identity import Identity


@dataclass(frozen=True, slots=True)
class RequestRates:
    """Requests in a window of `seconds` of one address, and of one signed-in user. 0 is no limit."""

    address: int = 0
    user: int = 0
    seconds: float = 60.0


class Allowance(msgspec.Struct, frozen=True):
    """What a caller may ask for at once, how much of that is left, and in how many whole seconds all of it is back."""

    limit: int
    remaining: int
    reset: int


class Requests:
    """The request budgets of one server. Admins have none: an operator must get in when everybody else is refused."""

    def __init__(self, rates: RequestRates, clock: Callable[[], float] = time.monotonic) -> None:
        self.addresses = Buckets(rates.address / rates.seconds, rates.address, clock=clock)
        self.users = Buckets(rates.user / rates.seconds, rates.user, clock=clock)
        self.is_on = bool(rates.address or rates.user)

    def take(self, identity: Identity, ip: str) -> Allowance | None:
        """Count one request; None where there is no limit. Raises RATE_LIMITED."""
        if identity.is_admin:
            return None
        user = identity.user_id
        buckets, key = (self.addresses, ip) if user is None or identity.is_guest else (self.users, user)
        if not buckets.rate:
            return None
        if wait := buckets.take(key):
            seconds = spread(wait)
            raise PylonError(
                "RATE_LIMITED",
                f"Too many requests. Retry after {seconds} seconds.",
                headers={"Retry-After": str(seconds), **headers(self._allowance(buckets, key))},
                extra={"retry_after_secs": seconds},
            )
        return self._allowance(buckets, key)

    def _allowance(self, buckets: Buckets, key: str) -> Allowance:
        left = max(0.0, buckets.left(key))
        return Allowance(int(buckets.burst), int(left), math.ceil((buckets.burst - left) / buckets.rate))


def headers(allowance: Allowance) -> dict[str, str]:
    """The RateLimit fields of draft-ietf-httpapi-ratelimit-headers, in the form that clients of today read."""
    return {
        "ratelimit-limit": str(allowance.limit),
        "ratelimit-remaining": str(allowance.remaining),
        "ratelimit-reset": str(allowance.reset),
    }
