"""Browsers that a user chose to trust: they may leave the second factor out for some time (spec 03 §17).

The browser holds a random token in a cookie; the store holds its SHA-256. A device is one user's, and is over when it
expires, when it is revoked, and with whatever ends the second factor itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.events import Event, record
from pylon.auth.tokens import MAX_LENGTH, token_key
from pylon.auth.vault import new_secret
from pylon.engine.engine import Engine
from pylon.engine.transaction import Authority, Transaction
from pylon.store.identity import IdentityRows, TrustedDeviceRecord

MAX_DEVICES = 50
"""Of one user; the oldest gives way."""


class TrustedDevice(msgspec.Struct, frozen=True):
    """A device that is trusted from now on, with the token of its cookie, shown this once."""

    token: str
    record: TrustedDeviceRecord


class TrustedDevices:
    """The trusted devices of one server. `lifetime` is in seconds; 0 trusts none."""

    def __init__(self, engine: Engine, lifetime: int, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._tables: IdentityRows = engine.reads.identity
        self._clock = clock
        self.lifetime = lifetime

    def find(self, token: str | None, user_id: str | None) -> TrustedDeviceRecord | None:
        """The live device of this cookie, when it is this user's."""
        if not self.lifetime or not token or user_id is None or len(token) > MAX_LENGTH:
            return None
        found = self._tables.one(TrustedDeviceRecord, key=token_key(token))
        return found if found is not None and found.user_id == user_id and found.expires_at > self._clock() else None

    def of_user(self, user_id: str) -> list[TrustedDeviceRecord]:
        """A user's live devices, newest first."""
        now = self._clock()
        return [d for d in self._tables.find(TrustedDeviceRecord, user_id=user_id) if d.expires_at > now]

    def trust(self, arrival: Arrival, user_id: str) -> TrustedDevice | None:
        """A new device, not stored yet: `put` stores it, in the transaction of what it follows from. None where none
        may be trusted."""
        if not self.lifetime:
            return None
        token, now = new_secret(), int(self._clock())
        return TrustedDevice(
            token,
            TrustedDeviceRecord(
                key=token_key(token),
                id=secrets.token_urlsafe(12),
                user_id=user_id,
                label=arrival.device,
                created_at=now,
                expires_at=now + self.lifetime,
                last_used_at=now,
            ),
        )

    @staticmethod
    def put(tx: Transaction, arrival: Arrival, device: TrustedDevice) -> None:
        """Store a new device."""
        tables = tx.session.identity
        held = tables.find(TrustedDeviceRecord, user_id=device.record.user_id)
        for old in held[MAX_DEVICES - 1 :]:
            tables.remove(TrustedDeviceRecord, id=old.id)
        tables.put(device.record)
        record(tx, arrival, Event.TRUSTED_DEVICE_ADD, device.record.user_id, device=device.record.id)

    def note_use(self, tx: Transaction, token: str, user_id: str) -> None:
        """Note that a device let its user in."""
        now = int(self._clock())
        tx.session.identity.change(TrustedDeviceRecord, {"last_used_at": now}, key=token_key(token), user_id=user_id)

    async def revoke(self, arrival: Arrival, user_id: str, identifier: str | None = None) -> int:
        """End one device of a user, or all; how many there were."""

        def remove(tx: Transaction) -> int:
            which = {"user_id": user_id} if identifier is None else {"user_id": user_id, "id": identifier}
            gone = tx.session.identity.remove(TrustedDeviceRecord, **which)
            for device in gone:
                record(tx, arrival, Event.TRUSTED_DEVICE_REVOKE, user_id, device=device.id)
            return len(gone)

        return (await self._engine.run(arrival.caller, remove, authority=Authority.TRUSTED)).value
