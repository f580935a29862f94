"""Sessions for any user id, for developers and admins (spec 03 §2.2). No proof is asked: the door is closed to
others."""

from __future__ import annotations

from pylon.auth.arrival import Arrival
from pylon.auth.events import Event, record
from pylon.auth.foundation import Foundation
from pylon.auth.registry import Method
from pylon.auth.sessions import Grant
from pylon.engine.transaction import Authority, Transaction


class AnyUser:
    """Making sessions without a proof."""

    def __init__(self, foundation: Foundation) -> None:
        self._engine = foundation.engine
        self._sessions = foundation.sessions
        self._registry = foundation.registry

    async def enter(self, arrival: Arrival, user_id: str) -> Grant:
        """A session for this user, whether or not it has a row. Raises MAINTENANCE."""
        self._registry.check(METHOD.name, arrival.session.identity)
        grant = self._sessions.grant(user_id, method=METHOD.name, ip=arrival.ip, device=arrival.device)

        def store(tx: Transaction) -> None:
            self._sessions.put(tx, grant)
            if arrival.session.identity.is_admin:
                record(tx, arrival, Event.SIGN_IN, user_id, method=METHOD.name, session=grant.record.id)

        await self._engine.run(arrival.caller, store, authority=Authority.TRUSTED)
        return grant


METHOD = Method("session", "Any user", AnyUser)
