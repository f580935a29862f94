"""Passkeys (WebAuthn): registered by a signed-in user, and enough by themselves to sign in (spec 03 §15).

A challenge is a one-time proof: good once, for five minutes, for one purpose, and where something is registered for one
user; it is used up before anything is checked. A login names nobody: the passkey does. Whatever is wrong, the answer is
the same, and the audit log says what it was. A counter that does not grow means that the passkey was copied.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.demanded_factor import PASSKEY, VERIFIED
from pylon.auth.events import Event, record
from pylon.auth.foundation import Foundation
from pylon.auth.limiter import Step
from pylon.auth.one_time import Kind
from pylon.auth.registry import Method
from pylon.auth.sessions import Grant, Session
from pylon.auth.sign_in import Proof
from pylon.auth.uniform import evenly
from pylon.auth.vault import new_id
from pylon.auth.ways_in import ways_in
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.settings import Settings, UserVerification
from pylon.store.identity import OneTimeRecord, PasskeyRecord

T = TypeVar("T")

REGISTER = Kind("passkey_register", 300)
LOGIN = Kind("passkey_login", 300, only_newest=False)
TIMEOUT_MS = 300_000
MAX_PASSKEYS = 50
MAX_NAME = 100
MAX_HANDLE = 64

_UNNAMED = "Passkey"


class Attestation(msgspec.Struct, frozen=True):
    """What a browser answers to a registration, decoded."""

    client_data: bytes
    attestation: bytes
    transports: tuple[str, ...] = ()


class Assertion(msgspec.Struct, frozen=True):
    """What a browser answers to a login, decoded."""

    credential_id: bytes
    client_data: bytes
    authenticator_data: bytes
    signature: bytes
    user_handle: bytes | None = None


class RelyingParty(msgspec.Struct, frozen=True):
    """Whom passkeys are for: the domain that they are bound to, and the origins of pages that may ask for them."""

    id: str
    origins: tuple[str, ...]


class Passkeys:
    """The passkeys of one server."""

    def __init__(self, foundation: Foundation) -> None:
        self._foundation = foundation
        self._engine = foundation.engine
        self._tables = foundation.engine.reads.identity
        self._clock = foundation.engine.clock
        self._one_time = foundation.one_time
        self._limiter = foundation.limiter
        self._sign_in = foundation.sign_in
        self._sessions = foundation.sessions
        self._events = foundation.events
        self._users = foundation.users
        self._demand = foundation.demanded_factor
        party = relying_party(foundation.settings)
        assert party is not None
        self.party = party
        self._name = foundation.engine.plans.app.name
        self._verification = foundation.settings.webauthn_user_verification

    # -- registering ---------------------------------------------------------------------------------------------

    async def begin_registration(self, arrival: Arrival) -> dict[str, Any]:
        """A challenge, and `options` for `navigator.credentials.create`. Raises RATE_LIMITED, and
        SECOND_FACTOR_MISSING where one is demanded and the user has another one to show first."""
        user_id = arrival.user_id
        if not self._demand.may_set_up(arrival.session):
            raise self._demand.missing(arrival.session)
        await self._limiter.take(Step.NONCE, arrival)
        challenge = await self._run(
            arrival, lambda tx: self._one_time.make_token(tx, REGISTER, user_id, user_id=user_id)
        )
        name = getattr(self._users.get(user_id), "email", None) or user_id
        return {
            "challenge": challenge,
            "rpId": self.party.id,
            "userId": user_id,
            "userName": name,
            "options": self._creation_options(challenge, arrival.session, name),
        }

    def _creation_options(self, challenge: str, session: Session, name: str) -> dict[str, Any]:
        from webauthn import generate_registration_options
        from webauthn.helpers import base64url_to_bytes, options_to_json_dict
        from webauthn.helpers.structs import (
            AuthenticatorSelectionCriteria,
            PublicKeyCredentialDescriptor,
            ResidentKeyRequirement,
            UserVerificationRequirement,
        )

        user_id = session.identity.user_id or ""
        options = generate_registration_options(
            rp_id=self.party.id,
            rp_name=self._name,
            user_id=handle_of(user_id),
            user_name=name,
            user_display_name=name,
            challenge=base64url_to_bytes(challenge),
            timeout=TIMEOUT_MS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement(self._wanted(session).value),
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(held.credential_id) for held in self.of_user(user_id)],
        )
        return options_to_json_dict(options)

    def _wanted(self, session: Session) -> UserVerification:
        """Whether a new passkey has to know its owner: always where a second factor is lacking."""
        return UserVerification.REQUIRED if session.lacks_factor else self._verification

    async def finish_registration(
        self, arrival: Arrival, sent: Attestation, name: str
    ) -> tuple[PasskeyRecord, Grant | None]:
        """Keep a new passkey. A session that lacked a second factor has shown one by it, and goes on with the grant, a
        new token. Raises PASSKEY_REGISTER_FAILED, CONFLICT for one too many, RATE_LIMITED, SECOND_FACTOR_MISSING."""
        user_id, session = arrival.user_id, arrival.session
        if not self._demand.may_set_up(session):
            raise self._demand.missing(session)
        await self._limiter.take(Step.VERIFY, arrival)
        challenge = await self._use_challenge(arrival, REGISTER, sent.client_data)
        if challenge is None or challenge.user_id != user_id:
            raise await self._not_registered(arrival, user_id, "CHALLENGE")
        try:
            made = await asyncio.to_thread(self._attested, sent, session, name)
        except Exception as problem:  # the library raises whatever malformed CBOR makes it; nothing was kept
            raise await self._not_registered(arrival, user_id, type(problem).__name__) from None

        def store(tx: Transaction) -> Grant | None:
            tables = tx.session.identity
            if len(tables.find(PasskeyRecord, user_id=user_id)) >= MAX_PASSKEYS:
                raise PylonError("CONFLICT", f"An account has at most {MAX_PASSKEYS} passkeys: remove some first")
            if not tables.add(made):
                raise PylonError("PASSKEY_REGISTER_FAILED", "The passkey could not be registered")
            record(tx, arrival, Event.PASSKEY_REGISTER, user_id, passkey=made.id, name=name)
            return self._sessions.strengthen(tx, session, PASSKEY, VERIFIED) if session.lacks_factor else None

        grant = await self._run(arrival, store)
        self._sessions.take_up()
        return made, grant

    def _attested(self, sent: Attestation, session: Session, name: str) -> PasskeyRecord:
        from webauthn import verify_registration_response
        from webauthn.helpers import bytes_to_base64url, parse_attestation_object
        from webauthn.helpers.structs import AuthenticatorAttestationResponse, RegistrationCredential

        credential = parse_attestation_object(sent.attestation).auth_data.attested_credential_data
        assert credential is not None
        verified = verify_registration_response(
            credential=RegistrationCredential(
                id=bytes_to_base64url(credential.credential_id),
                raw_id=credential.credential_id,
                response=AuthenticatorAttestationResponse(
                    client_data_json=sent.client_data, attestation_object=sent.attestation
                ),
            ),
            expected_challenge=_challenge_bytes(sent.client_data),
            expected_rp_id=self.party.id,
            expected_origin=list(self.party.origins),
            require_user_verification=self._wanted(session) is UserVerification.REQUIRED,
        )
        return PasskeyRecord(
            id=new_id("pky_"),
            user_id=session.identity.user_id or "",
            credential_id=verified.credential_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            name=name.strip()[:MAX_NAME] or _UNNAMED,
            transports=msgspec.json.encode(sent.transports).decode(),
            aaguid=verified.aaguid,
            backed_up=verified.credential_backed_up,
            created_at=int(self._clock()),
        )

    async def _not_registered(self, arrival: Arrival, user_id: str, reason: str) -> PylonError:
        await self._events.record(arrival, Event.PASSKEY_REGISTER, user_id, failure=reason)
        return PylonError("PASSKEY_REGISTER_FAILED", "The passkey could not be registered")

    # -- signing in ----------------------------------------------------------------------------------------------

    async def begin_login(self, arrival: Arrival) -> dict[str, Any]:
        """A challenge for anybody, and `options` for `navigator.credentials.get`. Raises RATE_LIMITED."""
        await self._limiter.take(Step.NONCE, arrival)
        challenge = await self._run(arrival, lambda tx: self._one_time.make_token(tx, LOGIN, ""))
        options = {
            "challenge": challenge,
            "rpId": self.party.id,
            "timeout": TIMEOUT_MS,
            "allowCredentials": [],
            "userVerification": self._verification.value,
        }
        return {"challenge": challenge, "rpId": self.party.id, "options": options}

    async def finish_login(self, arrival: Arrival, sent: Assertion) -> Grant:
        """A session for the passkey's user. Raises PASSKEY_VERIFY_FAILED for whatever is wrong, and RATE_LIMITED."""
        await self._limiter.take(Step.VERIFY, arrival)
        async with evenly(0.03, 0.005):
            held, verified = await self._verify(arrival, sent)
        factors = (PASSKEY, VERIFIED) if verified.user_verified else (PASSKEY,)

        def note(tx: Transaction) -> None:
            now = int(self._clock())
            values = {
                "sign_count": verified.new_sign_count,
                "backed_up": verified.credential_backed_up,
                "last_used_at": now,
            }
            if not tx.session.identity.change(PasskeyRecord, values, id=held.id, sign_count=held.sign_count):
                raise _refused()  # somebody used it meanwhile, or it is gone

        proof = Proof(user_id=held.user_id, method=METHOD.name, factors=factors, extra={"passkey": held.id})
        return await self._sign_in.complete(arrival, proof, note)

    async def _verify(self, arrival: Arrival, sent: Assertion) -> tuple[PasskeyRecord, Any]:
        challenge = await self._use_challenge(arrival, LOGIN, sent.client_data)
        held = self._tables.one(PasskeyRecord, credential_id=sent.credential_id)
        owner = None if held is None else held.user_id
        if challenge is None:
            raise await self._failed(arrival, owner, "CHALLENGE")
        if held is None:
            raise await self._failed(arrival, None, "UNKNOWN_PASSKEY")
        if sent.user_handle and sent.user_handle != handle_of(held.user_id):
            raise await self._failed(arrival, owner, "USER_HANDLE")
        try:
            verified = await asyncio.to_thread(self._asserted, sent, held)
        except Exception as problem:  # as above: what is malformed raises anything
            raise await self._failed(arrival, owner, type(problem).__name__) from None
        grew = verified.new_sign_count > held.sign_count
        if (verified.new_sign_count or held.sign_count) and not grew:
            raise await self._failed(arrival, owner, "PASSKEY_COPIED")
        return held, verified

    def _asserted(self, sent: Assertion, held: PasskeyRecord) -> Any:
        from webauthn import verify_authentication_response
        from webauthn.helpers import bytes_to_base64url
        from webauthn.helpers.structs import AuthenticationCredential, AuthenticatorAssertionResponse

        return verify_authentication_response(
            credential=AuthenticationCredential(
                id=bytes_to_base64url(sent.credential_id),
                raw_id=sent.credential_id,
                response=AuthenticatorAssertionResponse(
                    client_data_json=sent.client_data,
                    authenticator_data=sent.authenticator_data,
                    signature=sent.signature,
                    user_handle=sent.user_handle,
                ),
            ),
            expected_challenge=_challenge_bytes(sent.client_data),
            expected_rp_id=self.party.id,
            expected_origin=list(self.party.origins),
            credential_public_key=held.public_key,
            credential_current_sign_count=0,  # looked at above, so that a copy is told from a bad signature
            require_user_verification=self._verification is UserVerification.REQUIRED,
        )

    async def _failed(self, arrival: Arrival, user_id: str | None, reason: str) -> PylonError:
        await self._sign_in.failed(arrival, METHOD.name, user_id, reason)
        return _refused()

    async def _use_challenge(self, arrival: Arrival, kind: Kind, client_data: bytes) -> OneTimeRecord | None:
        """The challenge that was signed, used up whatever comes of it; None for one that isn't good."""
        said = _client_data(client_data)
        if said is None or said.cross_origin:
            return None
        return await self._run(arrival, lambda tx: self._one_time.use_token(tx, kind, said.challenge))

    # -- keeping -------------------------------------------------------------------------------------------------

    def of_user(self, user_id: str) -> list[PasskeyRecord]:
        """A user's passkeys, newest first."""
        return self._tables.find(PasskeyRecord, user_id=user_id)

    async def rename(self, arrival: Arrival, user_id: str, identifier: str, name: str) -> bool:
        """Call a passkey something else; whether it is this user's."""
        values = {"name": name.strip()[:MAX_NAME] or _UNNAMED}
        return bool(
            await self._run(
                arrival, lambda tx: tx.session.identity.change(PasskeyRecord, values, id=identifier, user_id=user_id)
            )
        )

    async def remove(self, arrival: Arrival, user_id: str, identifier: str) -> bool:
        """Take a passkey away; whether it was this user's. Raises LAST_METHOD when nothing else lets the user in,
        SECOND_FACTOR_DEMANDED when everybody needs a second factor and there is no other."""

        def take(tx: Transaction) -> bool:
            held = tx.session.identity.one(PasskeyRecord, id=identifier, user_id=user_id)
            if held is None:
                return False
            if not ways_in(self._foundation, tx, user_id) - {identifier}:
                raise PylonError("LAST_METHOD", "This is the only way to sign in to the account")
            tx.session.identity.remove(PasskeyRecord, id=identifier)
            self._demand.keep_one(tx, user_id)
            record(tx, arrival, Event.PASSKEY_REVOKE, user_id, passkey=identifier, name=held.name)
            return True

        return await self._run(arrival, take)

    async def _run(self, arrival: Arrival, work: Callable[[Transaction], T]) -> T:
        return (await self._engine.run(arrival.caller, work, authority=Authority.TRUSTED)).value


class _ClientData(msgspec.Struct, frozen=True, rename="camel"):
    challenge: str
    cross_origin: bool = False


def _client_data(raw: bytes) -> _ClientData | None:
    try:
        return msgspec.json.decode(raw, type=_ClientData)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _challenge_bytes(raw: bytes) -> bytes:
    from webauthn.helpers import base64url_to_bytes

    said = _client_data(raw)
    assert said is not None
    return base64url_to_bytes(said.challenge)


def _refused() -> PylonError:
    return PylonError("PASSKEY_VERIFY_FAILED", "The passkey could not be verified")


def handle_of(user_id: str) -> bytes:
    """What passkeys call their user by: its id, or a hash of one that is too long."""
    handle = user_id.encode()
    return handle if len(handle) <= MAX_HANDLE else hashlib.sha256(handle).digest()


def relying_party(settings: Settings) -> RelyingParty | None:
    """Whom passkeys are for: what is set, else the host of the public address; on a developer's machine localhost. None
    where nothing says so."""
    origins = settings.webauthn_origins
    if not origins and settings.public_url is not None:
        parts = urlsplit(settings.public_url)
        origins = (f"{parts.scheme}://{parts.netloc}".lower(),)
    if settings.dev_mode and not origins:
        origins = tuple(f"http://localhost:{port}" for port in dict.fromkeys((settings.port, 3000, 4321, 5173)))
    if not origins:
        return None
    host = settings.webauthn_rp_id or urlsplit(origins[0]).hostname or ""
    return None if not host or _is_address(host) else RelyingParty(host, origins)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


METHOD = Method(
    "passkey",
    "Passkey",
    Passkeys,
    is_configured=lambda foundation: relying_party(foundation.settings) is not None,
    needs="Set PYLON_PUBLIC_URL, or PYLON_WEBAUTHN_RP_ID and PYLON_WEBAUTHN_ORIGIN",
)
