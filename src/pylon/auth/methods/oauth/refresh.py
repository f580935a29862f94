"""A user's tokens at a provider, refreshed when they are about to run out (spec 03 §10.5). One refresh at a time for an
account: many providers take a refresh token once."""

from __future__ import annotations

import asyncio
import weakref
from typing import Any

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.foundation import Foundation
from pylon.auth.methods.oauth.accounts import Accounts
from pylon.auth.methods.oauth.exchange import ExchangeError, ask_for_tokens
from pylon.auth.methods.oauth.records import Tokens
from pylon.auth.methods.oauth.sources import Source
from pylon.auth.outbound import Outbound, OutboundError
from pylon.engine.transaction import Authority
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.store.identity import AccountRecord

log = Log("pylon.auth")


class Refreshing:
    """The refreshes of one server. Use on its loop."""

    def __init__(self, foundation: Foundation, outbound: Outbound, accounts: Accounts) -> None:
        self._foundation = foundation
        self._engine = foundation.engine
        self._outbound = outbound
        self._accounts = accounts
        self._buffer = foundation.settings.oauth_refresh_buffer_secs
        self._locks: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()

    async def token(self, arrival: Arrival, source: Source, user_id: str) -> dict[str, Any]:
        """`{"access_token","expires_at","scope","provider"}`, good for a while yet. Raises ACCOUNT_NOT_FOUND,
        NO_REFRESH_TOKEN, REFRESH_FAILED."""
        account = self._account(user_id, source)
        lock = self._locks.setdefault(account.id, asyncio.Lock())
        async with lock:
            account = self._account(user_id, source)  # who waited finds what the first one brought
            now = int(self._engine.clock())
            is_good = account.access_token is not None and (
                account.access_expires_at == 0 or account.access_expires_at > now + self._buffer
            )
            if not is_good:
                account = await self._refreshed(arrival, source, account)
        if account.access_token is None:
            raise PylonError("NO_REFRESH_TOKEN", "The provider's tokens are not kept")
        return {
            "access_token": self._accounts.open_token(account, account.access_token),
            "expires_at": account.access_expires_at or None,
            "provider": source.name,
            "scope": account.scope,
        }

    def _account(self, user_id: str, source: Source) -> AccountRecord:
        found = [one for one in self._accounts.of(user_id) if one.provider == source.name]
        if not found:
            raise PylonError("ACCOUNT_NOT_FOUND", "No account with this provider is linked")
        return max(found, key=lambda one: one.updated_at)

    async def _refreshed(self, arrival: Arrival, source: Source, account: AccountRecord) -> AccountRecord:
        if account.refresh_token is None:
            raise PylonError("NO_REFRESH_TOKEN", "The provider gave nothing to refresh with")
        spent = account.refresh_token
        try:
            provider = await source.provider()
            tokens = await ask_for_tokens(
                self._outbound,
                provider,
                source.client.client_id,
                source.secret(self._engine.clock()),
                {"grant_type": "refresh_token", "refresh_token": self._accounts.open_token(account, spent)},
            )
        except (ExchangeError, OutboundError) as problem:
            log.warning("tokens of a provider were not refreshed", provider=source.name, problem=str(problem))
            raise PylonError("REFRESH_FAILED", "The provider did not renew the tokens") from None
        kept = self._columns(account, tokens)
        changed = (
            await self._engine.run(
                arrival.caller,
                # Another process may have been faster, or the account may be another's by now: theirs stands.
                lambda tx: tx.session.identity.change(AccountRecord, kept, id=account.id, refresh_token=spent),
                authority=Authority.TRUSTED,
            )
        ).value
        return msgspec.structs.replace(account, **kept) if changed else self._again(account)

    def _columns(self, account: AccountRecord, tokens: Tokens) -> dict[str, Any]:
        now = int(self._engine.clock())
        kept = self._accounts.sealed(account.id, tokens, now=now) | {"updated_at": now}
        if kept["refresh_token"] is None:
            del kept["refresh_token"], kept["refresh_expires_at"]
        if kept["scope"] is None:
            del kept["scope"]
        return kept

    def _again(self, account: AccountRecord) -> AccountRecord:
        found = self._engine.reads.identity.one(AccountRecord, id=account.id)
        if found is None:
            raise PylonError("ACCOUNT_NOT_FOUND", "The account was unlinked meanwhile")
        return found
