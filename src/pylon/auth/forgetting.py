"""Ending everything that a user signs in with: when it is deleted, and when its account proves to be another's."""

from __future__ import annotations

from collections import Counter

from pylon.engine.transaction import Transaction
from pylon.store.identity import (
    AccountRecord,
    ApiKeyRecord,
    BackupCodeRecord,
    OneTimeRecord,
    PasskeyRecord,
    SessionRecord,
    SpentToken,
    TotpRecord,
    TrustedDeviceRecord,
)

KEYS_OF_A_USER = (
    ApiKeyRecord,
    AccountRecord,
    PasskeyRecord,
    TotpRecord,
    BackupCodeRecord,
    TrustedDeviceRecord,
    OneTimeRecord,
)
"""Whatever a user proves itself with, by `user_id`."""


def forget_user(tx: Transaction, user_id: str) -> Counter[type]:
    """Remove every session, key and credential of a user; how many there were of each kind. Call `sessions.take_up`
    after the commit."""
    tables = tx.session.identity
    sessions = tables.remove(SessionRecord, user_id=user_id)
    for session in sessions:
        tables.remove(SpentToken, session_id=session.id)
    keys = tables.remove(ApiKeyRecord, user_id=user_id)
    tables.end_sessions([*(gone.id for gone in sessions), *(gone.id for gone in keys)], int(tx.now.timestamp()))
    counts: Counter[type] = Counter({SessionRecord: len(sessions), ApiKeyRecord: len(keys)})
    for kind in KEYS_OF_A_USER:
        counts[kind] += len(tables.remove(kind, user_id=user_id))
    return counts
