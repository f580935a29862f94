"""The ways in which a user can still sign in, so that nobody takes the last one away."""

from __future__ import annotations

from pylon.auth.foundation import Foundation
from pylon.auth.linking import has_proved
from pylon.engine.transaction import Transaction
from pylon.store.identity import AccountRecord, PasskeyRecord

MAIL_METHODS = ("magic_code", "magic_link")


def ways_in(foundation: Foundation, tx: Transaction, user_id: str) -> set[str]:
    """The ids of passkeys and linked accounts, `password` and `mail`, as far as this server is set up for them."""
    registry, users, tables = foundation.registry, foundation.users, tx.session.identity
    found: set[str] = set()
    if registry.is_built("passkey"):
        found |= {held.id for held in tables.find(PasskeyRecord, user_id=user_id)}
    found |= {
        held.id for held in tables.find(AccountRecord, user_id=user_id) if registry.is_built(f"oauth:{held.provider}")
    }
    row = tx.get(users.plan, user_id) if users.is_declared else None
    if row is None:
        return found
    if users.has("passwordHash") and row.passwordHash and registry.is_built("password"):
        found.add("password")
    by_mail = any(registry.is_built(name) for name in MAIL_METHODS)
    if by_mail and users.has("email") and row.email and has_proved(users, row):
        found.add("mail")
    return found
