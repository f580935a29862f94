"""Whether this server has a key that its database was used with. One that lost it would start with a new key as if
nothing were, refuse every second factor and API key, and show encrypted fields to nobody: better it says so and stops.

The database keeps the ids of the keys it was used with, which are no secret. One that holds nothing under a key takes
any.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from pylon.engine.caller import SYSTEM
from pylon.engine.engine import Engine
from pylon.engine.keyring import FILE_NAME, KeyRing
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.store.identity import AccountRecord, ApiKeyRecord, BackupCodeRecord, SigningKeyRecord, TotpRecord

log = Log("pylon.keys")

KIND, KEY = "secret-key", "ids"
_UNDER_A_KEY = (TotpRecord, BackupCodeRecord, ApiKeyRecord, AccountRecord, SigningKeyRecord)


def check_keys(engine: Engine, ring: KeyRing, made: Path | None, *, is_lost: bool) -> None:
    """Raise CONFIG_INVALID when what is stored was sealed with keys that are not here, unless its operator said that
    they are lost. `made` is the file of a key that this start made, which then goes again."""
    if _is_known(engine, ring) or not _holds_something(engine):
        return
    if is_lost:
        log.warning("the key of this database is lost: what it sealed stays closed, users enroll and make keys again")
        return
    if made is not None:
        made.unlink(missing_ok=True)
    raise PylonError(
        "CONFIG_INVALID",
        f"PYLON_SECRET_KEY: this database was used with another key, which is neither there nor in {FILE_NAME}.",
        hint=f"Put the key back, or {FILE_NAME} into the data folder; sealed backups hold it. If it is lost for ever, "
        "start once with PYLON_SECRET_KEY_LOST=1: encrypted fields stay closed, and users set up second factors and "
        "API keys again.",
    )


async def note_keys(engine: Engine, ring: KeyRing) -> None:
    """Keep the ids of the keys that this server has now."""
    if _stored(engine) != set(ring.ids):
        await engine.run(SYSTEM, lambda tx: put_keys(tx, ring), authority=Authority.TRUSTED)


def put_keys(tx: Transaction, ring: KeyRing) -> None:
    """The same, in a transaction."""
    tx.session.put_record(KIND, KEY, msgspec.json.encode(ring.ids))


def _stored(engine: Engine) -> set[str]:
    raw = engine.reads.record(KIND, KEY)
    return set() if raw is None else set(msgspec.json.decode(raw, type=list[str]))


def _is_known(engine: Engine, ring: KeyRing) -> bool:
    stored = _stored(engine)
    if stored:
        return not stored.isdisjoint(ring.ids)
    app = engine.reads.identity.one(TotpRecord)  # of a database that an earlier release made
    return app is None or ring.key_id(app.secret) in ring.ids


def _holds_something(engine: Engine) -> bool:
    if any(engine.reads.identity.one(kind) is not None for kind in _UNDER_A_KEY):
        return True
    for name, plan in engine.plans.items():
        if plan.types.seals is not None:
            try:
                if engine.reads.first(name) is not None:
                    return True
            except PylonError:  # it can't be opened
                return True
    return False
