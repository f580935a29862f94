"""Whose account it is that somebody signs in to: the one rule by which an address, or an account with a provider, leads
to a user (spec 03 §10.5, Do better 2).

    the address is …        proved now (a code, a link, a provider that    only claimed (a provider that does
                            vouches for it)                                not vouch, a form)
    nobody's yet            a new account, its address proved              a new account, its address not proved
    of an account that      that account                                   refused: sign in first, then link
      proved it
    of an account that      that account, emptied first of every           refused
      never proved it       password, session, key and linked account

So an account never holds what two people sign in with: who planted it with another's address is outside from the moment
at which the owner of the address comes. To link more to an account one must be signed in to it, and prove the other
side as well (`attach`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.auth.forgetting import forget_user
from pylon.auth.users import Users, timestamp
from pylon.engine.transaction import Transaction
from pylon.model.errors import PylonError
from pylon.store.identity import AccountRecord


class Arrived(msgspec.Struct, frozen=True):
    """The user's row, whether it was made now, and whether what it had to sign in with was dropped."""

    row: Any
    is_new: bool = False
    was_emptied: bool = False


def by_address(users: Users, tx: Transaction, email: str, *, display_name: str, is_proven: bool) -> Arrived:
    """The account of a normalised address, made when there is none. `is_proven` says that who comes has just proved to
    own the address. Raises ACCOUNT_LINK_REQUIRED and EMAIL_NOT_VERIFIED for one that is only claimed. Call
    `sessions.take_up` after the commit."""
    row = users.find(tx, email=email)
    if row is None:
        if not is_proven and not users.has("emailVerified"):
            raise PylonError("EMAIL_NOT_VERIFIED", "An account is made here with a proved address only")
        stamp = {"emailVerified": timestamp(tx)} if is_proven else {}
        return Arrived(users.insert(tx, {"email": email, "displayName": display_name} | stamp), is_new=True)
    if not is_proven:
        raise PylonError("ACCOUNT_LINK_REQUIRED", "An account with this address exists already")
    if has_proved(users, row):
        return Arrived(row)
    return Arrived(claim(users, tx, row), was_emptied=True)


def has_proved(users: Users, row: Any) -> bool:
    """Whether the user of this row proved to own its address. Where the app keeps no note of it, a password says that
    nobody knows: registering with one asks for no proof."""
    if users.has("emailVerified"):
        return bool(row.emailVerified)
    return not (users.has("passwordHash") and row.passwordHash)


def claim(users: Users, tx: Transaction, row: Any) -> Any:
    """Hand an account over to the owner of its address: whatever anybody signs in to it with ends. The new row. Call
    `sessions.take_up` after the commit."""
    forget_user(tx, row.id)
    values: dict[str, Any] = {"emailVerified": timestamp(tx)}
    if users.has("passwordHash") and row.passwordHash:
        values["passwordHash"] = None
    return users.update(tx, row.id, values) or row


def attach(tx: Transaction, account: AccountRecord) -> None:
    """Link an account with a provider to the user that it names, who is signed in and has just proved to own it. Raises
    ACCOUNT_TAKEN when it is linked to another user."""
    tables = tx.session.identity
    held = tables.one(AccountRecord, provider=account.provider, subject=account.subject)
    if held is not None and held.user_id != account.user_id:
        raise PylonError("ACCOUNT_TAKEN", "This account is linked to another user already")
    if held is not None:
        account = msgspec.structs.replace(account, id=held.id, created_at=held.created_at)
    tables.put(account)
