"""Ending the sessions that came by a provider when their user signs out there (OpenID Connect Back-Channel Logout 1.0).

The provider says so itself, with a token that its own key signed, for this server, of this moment, and once. Whatever
is wrong with it, it has one answer. A token that names no user ends nothing: which session of the provider's a session
here came by is not kept.
"""

from __future__ import annotations

from typing import Any

from pylon.auth.arrival import Arrival
from pylon.auth.events import Event, record
from pylon.auth.foundation import Foundation
from pylon.auth.limiter import Step
from pylon.auth.methods.oauth.flow import OAuth
from pylon.auth.methods.oauth.id_token import IdTokenError, verify_logout_token
from pylon.auth.methods.oauth.keys import Documents
from pylon.auth.methods.oauth.sources import Source
from pylon.auth.one_time import Kind
from pylon.auth.outbound import OutboundError
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.store.identity import AccountRecord, OneTimeRecord, SessionRecord

log = Log("pylon.auth.oauth")

USED = Kind("logout_token", 600, only_newest=False)
"""A token that was used, for longer than one is good."""


class Logout:
    """The sign-outs elsewhere of one server. Use on its loop."""

    def __init__(self, foundation: Foundation, flow: OAuth, documents: Documents) -> None:
        self._foundation = foundation
        self._flow = flow
        self._documents = documents

    async def end(self, arrival: Arrival, name: str, token: str) -> int:
        """End the sessions that a user has by this provider; how many there were. Raises LOGOUT_TOKEN_INVALID,
        PROVIDER_KEYS_UNAVAILABLE, RATE_LIMITED."""
        source = self._flow.source(name)
        try:
            provider = await source.provider()
            now = self._foundation.engine.clock()
            claims = await verify_logout_token(
                token, provider, (source.client.client_id,), self._documents, now, USED.seconds
            )
        except IdTokenError as problem:
            log.warning("a logout token was refused", provider=name, problem=str(problem))
            await self._foundation.limiter.take(Step.VERIFY, arrival)  # a provider may say it of many users at once
            raise _refused() from None
        except OutboundError as problem:
            log.warning("the keys of a provider can't be fetched", provider=name, problem=str(problem))
            raise PylonError("PROVIDER_KEYS_UNAVAILABLE", "The provider's keys can't be fetched now") from None
        run = self._foundation.engine.run
        work = await run(
            arrival.caller,
            lambda tx: self._end(tx, arrival, source, provider.id, claims),
            authority=Authority.TRUSTED,
        )
        self._foundation.sessions.take_up()
        if work.value is None:
            log.warning("a logout token was refused", provider=name, problem="it was used before")
            raise _refused()
        return work.value

    def _end(
        self, tx: Transaction, arrival: Arrival, source: Source, provider: str, claims: dict[str, Any]
    ) -> int | None:
        tables, base = tx.session.identity, self._foundation
        once = f"{source.name}\0{claims['jti']}"
        if any(tables.one(OneTimeRecord, hash=known) for known in base.vault.hashes(USED.name, once)):
            return None
        base.one_time.make_token(tx, USED, source.name, token=once)
        account = tables.one(AccountRecord, provider=provider, subject=claims["sub"])
        if account is None:
            return 0
        ended = tables.find(SessionRecord, user_id=account.user_id, method=source.method)
        base.sessions.end(tx, ended)
        if ended:
            record(
                tx,
                arrival,
                Event.SESSION_REVOKE,
                account.user_id,
                sessions=len(ended),
                by="provider",
                method=source.method,
            )
        return len(ended)


def _refused() -> PylonError:
    return PylonError("LOGOUT_TOKEN_INVALID", "The logout token was not accepted")
