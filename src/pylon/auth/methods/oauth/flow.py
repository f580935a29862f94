"""Signing in with an account elsewhere: away to the provider and back (OAuth 2.1, OpenID Connect; spec 03 §10).

begin   a state, single-use and bound to the browser; PKCE and, where there is an id_token, a nonce
finish  state used up → code for tokens → who it is, from a verified id_token or the provider itself
        → whose account that is → `sign_in.complete`, or the account linked to who began signed in
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.demanded_factor import ELSEWHERE
from pylon.auth.foundation import Foundation
from pylon.auth.limiter import Step
from pylon.auth.methods.oauth.accounts import Accounts
from pylon.auth.methods.oauth.exchange import ExchangeError, ask_for_tokens
from pylon.auth.methods.oauth.id_token import IdTokenError
from pylon.auth.methods.oauth.identify import identify
from pylon.auth.methods.oauth.keys import Documents
from pylon.auth.methods.oauth.person import MAX_NAME
from pylon.auth.methods.oauth.providers import Provider
from pylon.auth.methods.oauth.records import Begun, Person, Tokens
from pylon.auth.methods.oauth.sources import Source
from pylon.auth.one_time import Kind
from pylon.auth.outbound import Outbound, OutboundError
from pylon.auth.sessions import NOBODY, Grant, Session
from pylon.auth.sign_in import Proof
from pylon.auth.tokens import new_token
from pylon.auth.vault import new_secret
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.signals.logs import Log
from pylon.store.identity import SessionRecord

log = Log("pylon.auth")

STATE = Kind("oauth_state", seconds=600, only_newest=False)
METHOD = "oauth"
_BROWSER = "oauth browser"


class Away(msgspec.Struct, frozen=True):
    """Where the browser goes next, and the state that it comes back with."""

    url: str
    state: str


class Back(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody came back from a provider. `browser` is the cookie that the browser began with, empty when there is
    none; `is_native` says that a client came that is no browser, and keeps the state to itself."""

    state: str
    code: str = ""
    error: str = ""
    iss: str = ""
    name: str | None = None
    browser: str = ""
    is_native: bool = False
    dev_email: str = ""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended: a session, an account that was linked, or a failure; and where the browser goes."""

    callback: str
    error_callback: str
    grant: Grant | None = None
    failure: PylonError | None = None


class OAuth:
    """The sign-ins elsewhere of one server. Use on its loop."""

    def __init__(
        self,
        foundation: Foundation,
        outbound: Outbound,
        sources: Mapping[str, Source],
        documents: Documents,
        accounts: Accounts | None = None,
    ) -> None:
        self._foundation = foundation
        self._engine = foundation.engine
        self._outbound = outbound
        self._documents = documents
        self.sources = dict(sources)
        self.accounts = accounts or Accounts(foundation)

    def source(self, name: str) -> Source:
        """A provider that is set up. Raises PROVIDER_NOT_FOUND."""
        found = self.sources.get(name)
        if found is None:
            raise PylonError(
                "PROVIDER_NOT_FOUND",
                "This provider is not set up here",
                hint=_how_to_set_up(name) if self._foundation.settings.dev_mode else None,
            )
        return found

    async def shown(self) -> list[dict[str, str]]:
        """The providers that may be used now, each with where it is."""
        listed = []
        for name, source in sorted(self.sources.items()):
            if not self._foundation.registry.is_on(source.method):
                continue
            try:
                url = source.authorize_url(await source.provider())
            except OutboundError:
                url = ""
            listed.append({"auth_url": url, "provider": name})
        return listed

    # -- away -------------------------------------------------------------------------------------------------------

    async def begin(
        self,
        arrival: Arrival,
        name: str,
        *,
        callback: str,
        error_callback: str,
        browser: str,
        is_native: bool = False,
        link: Session | None = None,
    ) -> Away:
        """Begin a sign-in, or the linking of an account to this session's user. `browser` is the secret of the cookie
        that the browser keeps; `is_native` says that no browser began. Raises PROVIDER_NOT_FOUND, MAINTENANCE,
        RATE_LIMITED, UNTRUSTED_REDIRECT, OAUTH_PROVIDER_BROKEN."""
        source = self.source(name)
        self.check_on(source, arrival)
        await self._foundation.limiter.take(Step.NONCE, arrival)
        callback = self._foundation.redirects.check(callback)
        error_callback = self._foundation.redirects.check(error_callback or callback)
        try:
            provider = await source.provider()
        except OutboundError as problem:
            log.warning("a provider can't be discovered", provider=name, problem=str(problem))
            raise PylonError("OAUTH_PROVIDER_BROKEN", "The provider can't be reached or is set up wrongly") from None
        session = link or (arrival.session if arrival.session.identity.is_guest else None)
        begun = Begun(
            provider=name,
            callback=callback,
            error_callback=error_callback,
            verifier=new_secret(),
            nonce=new_secret(),
            browser=self._foundation.vault.hash(_BROWSER, browser).hex(),
            is_native=is_native,
            session=session.id if session is not None else "",
            link_user=(link.identity.user_id or "") if link is not None else "",
        )
        sealed = self._foundation.vault.seal(STATE.name, msgspec.json.encode(begun), name)
        state = new_token()
        payload = {"sealed": base64.b64encode(sealed).decode()}
        await self._run(
            arrival,
            lambda tx: self._foundation.one_time.make_token(tx, STATE, name, payload=payload, token=state),
        )
        url = source.authorize_url(provider, state=state, verifier=begun.verifier, nonce=begun.nonce)
        return Away(url, state)

    # -- back -------------------------------------------------------------------------------------------------------

    async def finish(self, arrival: Arrival, name: str, back: Back) -> Done:
        """End what began; how, and where to go. Raises PROVIDER_NOT_FOUND, RATE_LIMITED, and OAUTH_INVALID_STATE for a
        state that is not one of this provider and this browser, was used or is over: it is used up either way."""
        source = self.source(name)
        await self._foundation.limiter.take(Step.VERIFY, arrival)
        begun = await self._use_state(arrival, source, back)
        try:
            self.check_on(source, arrival)
            person, tokens = await self._person(source, begun, back)
            grant = await self._settle(arrival, source, begun, person, tokens)
        except PylonError as problem:
            if problem.code in _PROVIDER_FAILURES:
                await self._foundation.sign_in.failed(arrival, source.method, None, problem.code)
            return Done(callback=begun.callback, error_callback=begun.error_callback, failure=problem)
        return Done(callback=begun.callback, error_callback=begun.error_callback, grant=grant)

    async def _use_state(self, arrival: Arrival, source: Source, back: Back) -> Begun:
        found = await self._run(arrival, lambda tx: self._foundation.one_time.use_token(tx, STATE, back.state))
        invalid = PylonError("OAUTH_INVALID_STATE", "The sign-in was not begun here, is over or was used")
        if found is None or found.subject != source.name:
            raise invalid
        sealed = base64.b64decode(self._foundation.one_time.payload(found)["sealed"])
        try:
            begun = msgspec.json.decode(self._foundation.vault.open(STATE.name, sealed, source.name), type=Begun)
        except PylonError:  # the server's key was changed meanwhile
            raise invalid from None
        candidates = self._foundation.vault.hashes(_BROWSER, back.browser) if back.browser else []
        is_same = any(hmac.compare_digest(one.hex(), begun.browser) for one in candidates)
        if not is_same and not (begun.is_native and back.is_native):
            raise invalid
        return begun

    async def _person(self, source: Source, begun: Begun, back: Back) -> tuple[Person, Tokens | None]:
        """Who came back, by the provider's word. Raises OAUTH_DENIED, MISSING_FIELD, OAUTH_TOKEN_EXCHANGE_FAILED,
        OAUTH_ID_TOKEN_INVALID."""
        if back.dev_email and self._foundation.settings.dev_mode:
            return _dev_person(source, back), None
        if back.error:
            raise _denied(back.error)
        if not back.code:
            raise PylonError("MISSING_FIELD", "code is required")
        try:
            provider = await source.provider()
            if (back.iss or provider.iss_parameter) and provider.issuer and not _is_issuer(back.iss, provider):
                raise IdTokenError("the answer is another provider's")
            fields = {"grant_type": "authorization_code", "code": back.code, "redirect_uri": source.redirect}
            if provider.pkce:
                fields["code_verifier"] = begun.verifier
            now = self._engine.clock()
            tokens = await ask_for_tokens(self._outbound, provider, source.client.client_id, source.secret(now), fields)
            nonce = begun.nonce if provider.nonce else None
            person = await identify(self._outbound, self._documents, source, provider, tokens, nonce, now)
        except ExchangeError as problem:
            log.warning("a provider gave no tokens", provider=source.name, problem=str(problem))
            raise PylonError("OAUTH_TOKEN_EXCHANGE_FAILED", f"token exchange failed: {problem}") from None
        except OutboundError as problem:
            log.warning("a provider did not say who it is", provider=source.name, problem=str(problem))
            raise PylonError("OAUTH_TOKEN_EXCHANGE_FAILED", f"userinfo fetch failed: {problem}") from None
        except IdTokenError as problem:
            log.warning("an id_token was refused", provider=source.name, problem=str(problem))
            raise PylonError("OAUTH_ID_TOKEN_INVALID", "The provider's word was not accepted") from None
        if back.name and person.name is None:
            person = msgspec.structs.replace(person, name=back.name)
        return person, tokens if source.keeps_tokens else None

    async def _settle(
        self, arrival: Arrival, source: Source, begun: Begun, person: Person, tokens: Tokens | None
    ) -> Grant | None:
        if begun.link_user:
            await self._link(arrival, begun, person, tokens)
            return None
        return await self.sign_in(self._with_guest(arrival, begun), source, person, tokens)

    async def sign_in(self, arrival: Arrival, source: Source, person: Person, tokens: Tokens | None) -> Grant:
        """A session for a person whom its provider knows. Raises OAUTH_NO_EMAIL, DISPOSABLE_EMAIL,
        ACCOUNT_LINK_REQUIRED, and what completing a sign-in raises."""
        email = person.email
        is_disposable = email is not None and await asyncio.to_thread(self._foundation.addresses.is_disposable, email)
        arrived = await self._run(
            arrival, lambda tx: self.accounts.arrive(tx, arrival, person, tokens, may_be_new=not is_disposable)
        )
        self._foundation.sessions.take_up()
        factors = ("fed", ELSEWHERE) if person.is_strong else ("fed",)
        proof = Proof(user_id=arrived.user_id, method=source.method, factors=factors, is_new=arrived.is_new)
        return await self._foundation.sign_in.complete(arrival, proof)

    async def _link(self, arrival: Arrival, begun: Begun, person: Person, tokens: Tokens | None) -> None:
        """Link to who began: the session that did must still be there, and be that user's."""

        def link(tx: Transaction) -> None:
            held = tx.session.identity.one(SessionRecord, id=begun.session)
            now = self._engine.clock()
            if held is None or held.user_id != begun.link_user or (held.expires_at and held.expires_at <= now):
                raise PylonError("SESSION_EXPIRED", "The session that began this is over")
            self.accounts.link(tx, arrival, begun.link_user, person, tokens)

        await self._run(arrival, link)

    def _with_guest(self, arrival: Arrival, begun: Begun) -> Arrival:
        """The arrival with the guest who began, whom a provider's redirect may have left without its token."""
        if not begun.session or arrival.session.id or arrival.session.identity.user_id is not None:
            return arrival
        held = self._engine.reads.identity.one(SessionRecord, id=begun.session)
        if held is None or not held.is_guest:
            return arrival
        session = self._foundation.sessions.session_of(held)
        return arrival if session is NOBODY else msgspec.structs.replace(arrival, session=session)

    def check_on(self, source: Source, arrival: Arrival) -> None:
        """Whether this provider may be used now. Raises MAINTENANCE."""
        self._foundation.registry.check(METHOD, arrival.session.identity)
        self._foundation.registry.check(source.method, arrival.session.identity)

    async def _run(self, arrival: Arrival, operation: Any) -> Any:
        return (await self._engine.run(arrival.caller, operation, authority=Authority.TRUSTED)).value


_PROVIDER_FAILURES = frozenset(
    {
        "OAUTH_DENIED",
        "OAUTH_TOKEN_EXCHANGE_FAILED",
        "OAUTH_ID_TOKEN_INVALID",
        "OAUTH_NO_EMAIL",
        "DISPOSABLE_EMAIL",
        "ACCOUNT_LINK_REQUIRED",
    }
)


def _how_to_set_up(name: str) -> str:
    shown = name.upper() if name.isascii() and name.replace("_", "").isalnum() and len(name) <= 40 else "<NAME>"
    return f"Set PYLON_OAUTH_{shown}_CLIENT_ID and PYLON_OAUTH_{shown}_CLIENT_SECRET."


def _denied(error: str) -> PylonError:
    plain = error if error.isascii() and error.replace("_", "").isalnum() and len(error) <= 64 else "unknown"
    return PylonError("OAUTH_DENIED", f"The provider did not sign you in: {plain}")


def _is_issuer(given: str, provider: Provider) -> bool:
    if "{tenantid}" in provider.issuer:
        head, _, tail = provider.issuer.partition("{tenantid}")
        return given.startswith(head) and given.endswith(tail)
    return hmac.compare_digest(given.encode(), provider.issuer.encode())


def _dev_person(source: Source, back: Back) -> Person:
    email = back.dev_email.strip().lower()
    name = (back.name or "")[:MAX_NAME] or None
    return Person(provider=source.name, subject=f"dev:{email}", email=email, is_verified=True, name=name)
