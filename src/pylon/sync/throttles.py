"""The throttles that operators set, kept with the data so that they survive a restart."""

from __future__ import annotations

import msgspec

from pylon.engine.caller import Caller
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.sync.hub import Hub

log = Log("pylon.sync")

KIND = "throttle"
MAX_RATE = 1e6


class Throttles:
    """Rates by entity. Use on the engine's loop."""

    def __init__(self, engine: Engine, hub: Hub) -> None:
        self._engine = engine
        self._hub = hub

    def load(self) -> None:
        """Apply what is stored; entities that the app no longer declares are passed over."""
        for entity, record in self._engine.reads.records(KIND):
            if self._engine.app.entity(entity) is not None:
                self._hub.throttle(entity, msgspec.json.decode(record, type=float))

    @property
    def rates(self) -> dict[str, float]:
        """Events a second by entity; 0 for any number."""
        return self._hub.throttles

    async def set(self, caller: Caller, entity: str, rate: float | None) -> None:
        """Throttle an entity to this many events a second, durably and recorded; 0 for any number, None for the
        server's own setting. Raises ENTITY_NOT_FOUND, INVALID_DATA."""
        if self._engine.app.entity(entity) is None:
            raise PylonError("ENTITY_NOT_FOUND", f'Unknown entity: "{entity[:100]}"')
        if rate is not None and not 0 <= rate <= MAX_RATE:
            raise PylonError("INVALID_DATA", f"rate is events a second, from 0 to {MAX_RATE:.0f}, or null")

        def store(transaction: Transaction) -> None:
            if rate is None:
                transaction.session.delete_record(KIND, entity)
            else:
                transaction.session.put_record(KIND, entity, msgspec.json.encode(float(rate)))
            transaction.note("fanout.throttle", entity, rate=rate)

        await self._engine.run(caller, store, authority=Authority.TRUSTED)
        self._hub.throttle(entity, rate)
        log.warning("fan-out throttled" if rate else "fan-out throttle lifted", entity=entity, rate=rate)
