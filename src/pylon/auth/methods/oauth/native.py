"""Signing in with the id_token that a phone's own sign-in gave its app (spec 03 §10.6)."""

from __future__ import annotations

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.foundation import Foundation
from pylon.auth.limiter import Step
from pylon.auth.methods.oauth.flow import OAuth
from pylon.auth.methods.oauth.id_token import IdTokenError, check_strength, verify_id_token
from pylon.auth.methods.oauth.keys import Documents
from pylon.auth.methods.oauth.person import read_person
from pylon.auth.one_time import Kind
from pylon.auth.outbound import OutboundError
from pylon.auth.sessions import Grant
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.store.identity import OneTimeRecord

log = Log("pylon.auth")

USED = Kind("native_id_token", seconds=86_400, only_newest=False)
"""An id_token that was used. Who has one may not use it again, such as one that was read out of a log."""


class Native:
    """The native sign-ins of one server. Use on its loop."""

    def __init__(self, foundation: Foundation, flow: OAuth, documents: Documents) -> None:
        self._foundation = foundation
        self._engine = foundation.engine
        self._flow = flow
        self._documents = documents

    async def enter(self, arrival: Arrival, name: str, token: str, display_name: str | None) -> Grant:
        """A session for an id_token, which is good once. Raises RATE_LIMITED, MAINTENANCE, INVALID_ID_TOKEN,
        PROVIDER_KEYS_UNAVAILABLE, and what signing a person in raises."""
        source = self._flow.source(name)
        await self._foundation.limiter.take(Step.VERIFY, arrival)
        self._flow.check_on(source, arrival)
        now = self._engine.clock()
        try:
            provider = await source.provider()
            claims = await verify_id_token(token, provider, source.native_audiences, None, self._documents, now)
            if claims["exp"] > now + USED.seconds:
                raise IdTokenError("it is good for too long")
            person = read_person(claims, provider, source.client, claims["iss"])
            is_strong = check_strength(claims, source.client.acr)
            if person is None or not await self._use_up(arrival, name, token):
                raise IdTokenError("it was used before")
        except IdTokenError as problem:
            log.warning("an id_token was refused", provider=name, problem=str(problem))
            await self._foundation.sign_in.failed(arrival, source.method, None, "INVALID_ID_TOKEN")
            raise PylonError("INVALID_ID_TOKEN", "The sign-in token was not accepted") from None
        except OutboundError as problem:
            log.warning("the keys of a provider can't be fetched", provider=name, problem=str(problem))
            raise PylonError("PROVIDER_KEYS_UNAVAILABLE", "The provider's keys can't be fetched now") from None
        person = msgspec.structs.replace(person, is_strong=is_strong)
        if display_name is not None and person.name is None:
            person = msgspec.structs.replace(person, name=display_name)
        return await self._flow.sign_in(arrival, source, person, None)

    async def _use_up(self, arrival: Arrival, name: str, token: str) -> bool:
        signed = token.rpartition(".")[0]  # a signature can be written in more ways than one
        hashes = self._foundation.vault.hashes(USED.name, signed)

        def use(tx: Transaction) -> bool:
            if any(tx.session.identity.one(OneTimeRecord, hash=candidate) for candidate in hashes):
                return False
            self._foundation.one_time.make_token(tx, USED, name, token=signed)
            return True

        return (await self._engine.run(arrival.caller, use, authority=Authority.TRUSTED)).value
