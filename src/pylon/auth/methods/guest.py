"""Guests: a session without an account, whose rows go to the account that it turns into (spec 03 §6)."""

from __future__ import annotations

from pylon.auth.arrival import Arrival
from pylon.auth.foundation import Foundation
from pylon.auth.limiter import Step
from pylon.auth.registry import Method
from pylon.auth.sessions import Grant


class Guests:
    """Making guests."""

    def __init__(self, foundation: Foundation) -> None:
        self._sessions = foundation.sessions
        self._limiter = foundation.limiter
        self._registry = foundation.registry

    async def enter(self, arrival: Arrival) -> Grant:
        """A session for a new guest. Raises RATE_LIMITED, MAINTENANCE."""
        self._registry.check(METHOD.name, arrival.session.identity)
        await self._limiter.take(Step.GUEST, arrival)
        return await self._sessions.create_guest(device=arrival.device, ip=arrival.ip)


METHOD = Method("guest", "Guest", Guests)
