"""Grants that users give the app at providers, for the app's code to use (spec 03 §10.7).

A connection is the flow of signing in elsewhere with scopes of its own: begun and ended by the same session, and with
the same browser, but it lets nobody in. Each user has one grant for each; its tokens are sealed, renewed before they
run out, and go with the user. Only the user's own calls come by them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.events import Event, record
from pylon.auth.foundation import Foundation
from pylon.auth.methods.oauth.accounts import Accounts
from pylon.auth.methods.oauth.flow import OAuth
from pylon.auth.methods.oauth.keys import Documents
from pylon.auth.methods.oauth.records import Person, Tokens
from pylon.auth.methods.oauth.refresh import Refreshing
from pylon.auth.methods.oauth.sources import CONNECTION, Source
from pylon.auth.outbound import Outbound
from pylon.engine.caller import Caller
from pylon.engine.transaction import Authority, Transaction
from pylon.model.connections import Connection
from pylon.model.errors import PylonError
from pylon.oauth_settings import OAuthClient
from pylon.store.identity import AccountRecord


class Grants(Accounts):
    """The grants of one connection: kept as accounts of a provider of their own, one for each user."""

    def __init__(self, foundation: Foundation, provider: str) -> None:
        super().__init__(foundation)
        self._provider = provider

    def link(self, tx: Transaction, arrival: Arrival, user_id: str, person: Person, tokens: Tokens | None) -> None:
        """Keep what the user granted."""
        own = msgspec.structs.replace(person, provider=self._provider, subject=user_id, issuer="", picture=None)
        self._attach(tx, user_id, own, tokens)
        record(tx, arrival, Event.OAUTH_LINK, user_id, provider=self._provider, by="user")


class Linked(msgspec.Struct, frozen=True):
    """One connection as its user sees it."""

    name: str
    provider: str
    scopes: tuple[str, ...]
    linked: bool
    is_usable: bool
    email: str | None = None
    scope: str | None = None
    linked_at: int | None = None


class Connections:
    """The connections of one server. Use on its loop."""

    def __init__(
        self,
        foundation: Foundation,
        outbound: Outbound,
        documents: Documents,
        declared: tuple[Connection, ...],
        clients: dict[str, OAuthClient],
        base: str,
    ) -> None:
        self._foundation = foundation
        self._declared = {one.name: one for one in declared}
        self._flows: dict[str, OAuth] = {}
        self._refreshing: dict[str, Refreshing] = {}
        for one in declared:
            if one.provider in clients:
                redirect = f"{base}/api/connections/{one.name}/callback"
                source = Source(clients[one.provider], documents, redirect, connection=one)
                grants = Grants(foundation, source.name)
                self._flows[one.name] = OAuth(foundation, outbound, {source.name: source}, documents, grants)
                self._refreshing[one.name] = Refreshing(foundation, outbound, grants)

    def flow(self, name: str) -> tuple[OAuth, str]:
        """What a grant is asked for with, and what it calls the provider. Raises CONNECTION_UNKNOWN,
        CONNECTIONS_NOT_CONFIGURED."""
        self._known(name)
        if name not in self._flows:
            raise PylonError("CONNECTIONS_NOT_CONFIGURED", "The provider of this connection is not set up here")
        return self._flows[name], CONNECTION + name

    def of_user(self, user_id: str) -> list[Linked]:
        """Every connection, with what the user granted."""
        found = []
        for name, one in self._declared.items():
            held = self._grant(user_id, name)
            is_usable = name in self._flows and self._foundation.registry.is_on(f"oauth:{one.provider}")
            shown = Linked(name, one.provider, tuple(one.scopes), held is not None, is_usable)
            if held is not None:
                shown = msgspec.structs.replace(
                    shown, email=held.email, scope=held.scope, linked_at=held.updated_at or held.created_at
                )
            found.append(shown)
        return found

    async def unlink(self, arrival: Arrival, name: str) -> None:
        """Forget what the caller granted. Raises CONNECTION_UNKNOWN, CONNECTION_NOT_LINKED."""
        self._known(name)
        user_id = arrival.user_id

        def remove(tx: Transaction) -> bool:
            gone = tx.session.identity.remove(AccountRecord, provider=CONNECTION + name, subject=user_id)
            if gone:
                record(tx, arrival, Event.OAUTH_UNLINK, user_id, provider=CONNECTION + name)
            return bool(gone)

        if not (await self._foundation.engine.run(arrival.caller, remove, authority=Authority.TRUSTED)).value:
            raise _not_linked()

    async def token(self, caller: Caller, name: str) -> dict[str, Any]:
        """`{"access_token","expires_at","provider","scope"}` of the caller's grant, good for a while yet. Raises
        CONNECTION_REQUIRES_AUTH, CONNECTION_UNKNOWN, CONNECTIONS_NOT_CONFIGURED, CONNECTION_NOT_LINKED,
        NO_REFRESH_TOKEN, REFRESH_FAILED, MAINTENANCE."""
        flow, key = self.flow(name)
        user_id = caller.identity.user_id
        if user_id is None or caller.identity.is_guest:
            raise PylonError("CONNECTION_REQUIRES_AUTH", "A connection is a signed-in user's")
        if self._grant(user_id, name) is None:
            raise _not_linked()
        source = flow.source(key)
        self._foundation.registry.check(source.method, caller.identity)
        token = await self._refreshing[name].token(Arrival(caller=caller), source, user_id)
        return token | {"provider": self._declared[name].provider}

    def _known(self, name: str) -> None:
        if name not in self._declared:
            raise PylonError("CONNECTION_UNKNOWN", "The app has no such connection")

    def _grant(self, user_id: str, name: str) -> AccountRecord | None:
        tables = self._foundation.engine.reads.identity
        return tables.one(AccountRecord, provider=CONNECTION + name, subject=user_id)


def _not_linked() -> PylonError:
    return PylonError("CONNECTION_NOT_LINKED", "This connection is not linked yet")
