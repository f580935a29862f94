"""Accounts with providers: whom one signs in, and how a user links and unlinks it. Whose account an address leads to is
decided in `auth/linking.py`."""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.events import Event, record
from pylon.auth.foundation import Foundation
from pylon.auth.linking import attach, by_address, has_proved
from pylon.auth.methods.oauth.records import Person, Tokens
from pylon.auth.profiles import is_locked
from pylon.auth.vault import new_id
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.store.identity import AccountRecord, PasskeyRecord

SEAL = "oauth token"
MAIL_METHODS = ("magic_code", "magic_link")
"""Ways of signing in by proving an address."""


class Arrived(msgspec.Struct, frozen=True):
    """Whom a person turned out to be."""

    user_id: str
    is_new: bool


class Accounts:
    """The accounts of one server. What takes a transaction runs on the writer thread."""

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation
        self._users = foundation.users
        self._vault = foundation.vault

    def arrive(
        self, tx: Transaction, arrival: Arrival, person: Person, tokens: Tokens | None, *, may_be_new: bool = True
    ) -> Arrived:
        """The user of a person at a provider: whom its account is linked to, else the account that its address leads
        to, else a new one, unless its address is one that none is made with. Raises OAUTH_NO_EMAIL, DISPOSABLE_EMAIL,
        ACCOUNT_LINK_REQUIRED."""
        held = tx.session.identity.one(AccountRecord, provider=person.provider, subject=person.subject)
        if held is not None and tx.get(self._users.plan, held.user_id) is not None:
            self._attach(tx, held.user_id, person, tokens)
            return Arrived(held.user_id, is_new=False)
        if held is not None:
            tx.session.identity.remove(AccountRecord, id=held.id)
        email = person.email
        if email is None:
            raise PylonError("OAUTH_NO_EMAIL", "The provider gave no e-mail address")
        if person.is_made_up and self._users.find(tx, email=email) is not None:
            email = person.spare_email  # a handle can be given up and taken by somebody else, an id can't
        if not may_be_new and self._users.find(tx, email=email) is None:
            raise PylonError("DISPOSABLE_EMAIL", "Throw-away addresses can't be used here")
        found = by_address(self._users, tx, email, display_name=person.name or email, is_proven=person.is_verified)
        self._attach(tx, found.row.id, person, tokens)
        if not found.is_new:
            record(tx, arrival, Event.OAUTH_LINK, found.row.id, provider=person.provider, by="email")
        return Arrived(found.row.id, found.is_new)

    def link(self, tx: Transaction, arrival: Arrival, user_id: str, person: Person, tokens: Tokens | None) -> None:
        """Link a person at a provider to who is signed in. Raises ACCOUNT_TAKEN,
        ACCOUNT_NOT_FOUND, ACCOUNT_LOCKED."""
        row = tx.get(self._users.plan, user_id)
        if row is None:
            raise PylonError("ACCOUNT_NOT_FOUND", "The account is gone")
        if is_locked(row):
            raise PylonError("ACCOUNT_LOCKED", "This account is locked")
        self._attach(tx, user_id, person, tokens)
        record(tx, arrival, Event.OAUTH_LINK, user_id, provider=person.provider, by="user")

    async def take_away(self, arrival: Arrival, user_id: str, provider: str, account: str | None) -> None:
        """`unlink` in a transaction of its own."""
        await self._foundation.engine.run(
            arrival.caller,
            lambda tx: self.unlink(tx, arrival, user_id, provider, account),
            authority=Authority.TRUSTED,
        )

    def unlink(self, tx: Transaction, arrival: Arrival, user_id: str, provider: str, account: str | None) -> None:
        """Take a user's account with a provider away. Raises ACCOUNT_NOT_FOUND, and LAST_METHOD when nothing else
        would let the user in."""
        tables = tx.session.identity
        wanted = {"user_id": user_id, "provider": provider} | ({"id": account} if account is not None else {})
        found = tables.find(AccountRecord, **wanted)
        if not found:
            raise PylonError("ACCOUNT_NOT_FOUND", "No such account is linked")
        others = [one for one in tables.find(AccountRecord, user_id=user_id) if one.id not in {f.id for f in found}]
        row = tx.get(self._users.plan, user_id)
        if not any(self.is_usable(one.provider) for one in others) and not self._other_ways(tx, user_id, row):
            raise PylonError("LAST_METHOD", "This is the only way to sign in to the account")
        for one in found:
            tables.remove(AccountRecord, id=one.id)
            record(tx, arrival, Event.OAUTH_UNLINK, user_id, provider=provider)

    def of(self, user_id: str) -> list[AccountRecord]:
        """A user's accounts with providers, on the event loop."""
        found = self._foundation.engine.reads.identity.find(AccountRecord, user_id=user_id)
        return sorted(found, key=lambda one: (one.provider, one.created_at, one.id))

    def is_usable(self, provider: str) -> bool:
        """Whether this server is still set up for a provider."""
        return self._foundation.registry.is_built(f"oauth:{provider}")

    def open_token(self, account: AccountRecord, sealed: bytes) -> str:
        """One of an account's tokens. Raises SEALED_UNREADABLE."""
        return self._vault.open(SEAL, sealed, account.id).decode()

    def sealed(self, identifier: str, tokens: Tokens, *, now: int) -> dict[str, Any]:
        """The columns that keep these tokens."""

        def seal(text: str) -> bytes | None:
            return self._vault.seal(SEAL, text, identifier) if text else None

        return {
            "access_token": seal(tokens.access_token),
            "refresh_token": seal(tokens.refresh_token),
            "access_expires_at": now + tokens.expires_in if tokens.expires_in else 0,
            "refresh_expires_at": now + tokens.refresh_expires_in if tokens.refresh_expires_in else 0,
            "scope": tokens.scope or None,
        }

    def _other_ways(self, tx: Transaction, user_id: str, row: Any) -> bool:
        registry = self._foundation.registry
        if self._users.has("passwordHash") and row is not None and row.passwordHash and registry.is_built("password"):
            return True
        if tx.session.identity.one(PasskeyRecord, user_id=user_id) is not None:
            return True
        by_mail = any(registry.is_built(name) for name in MAIL_METHODS)
        return (
            by_mail
            and row is not None
            and self._users.has("email")
            and bool(row.email)
            and has_proved(self._users, row)
        )

    def _attach(self, tx: Transaction, user_id: str, person: Person, tokens: Tokens | None) -> None:
        tables = tx.session.identity
        now = int(tx.now.timestamp())
        held = tables.one(AccountRecord, provider=person.provider, subject=person.subject)
        if held is not None and held.user_id == user_id:
            issuer = msgspec.json.decode(held.data).get("issuer", "")
            if issuer and person.issuer and issuer != person.issuer:
                raise PylonError("OAUTH_PROVIDER_BROKEN", "This is not the provider that the account was linked with")
            identifier, base = held.id, held
        else:
            identifier = new_id("acc_")
            base = AccountRecord(
                id=identifier,
                user_id=user_id,
                provider=person.provider,
                subject=person.subject,
                data=msgspec.json.encode({"issuer": person.issuer} if person.issuer else {}).decode(),
                created_at=now,
            )
        kept = self.sealed(identifier, tokens, now=now) if tokens is not None else {}
        if kept and kept["refresh_token"] is None:
            del kept["refresh_token"]  # some give it the first time only
        attach(
            tx,
            msgspec.structs.replace(
                base,
                email=None if person.is_made_up else person.email,
                avatar_url=person.picture,
                updated_at=now,
                **kept,
            ),
        )
