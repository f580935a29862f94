"""The second factor, asked of everybody who has one, whichever way the first was proven (spec 03 §16, Do better 12).

    first factor ──▶ user has an authenticator app? ── no ──▶ session
                                │ yes
                                ├─ proof holds two factors already, or a trusted device ──▶ session
                                └─ 401 SECOND_FACTOR_REQUIRED with a challenge ──code──▶ session

A challenge is a token of 256 bits for one user, one first proof and one browser, good for five minutes and five codes.
The first proof is used up when it is given: nobody repeats it, and nothing but the challenge leads on. Codes are also
counted by account, so asking for new challenges buys no new tries.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.demanded_factor import DEVICE, SHOWN
from pylon.auth.events import Event, record
from pylon.auth.foundation import Foundation
from pylon.auth.limiter import Step
from pylon.auth.one_time import Kind
from pylon.auth.sessions import Grant
from pylon.auth.sign_in import MoreNeeded, Proof
from pylon.auth.trusted_devices import TrustedDevice, TrustedDevices
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.store.identity import OneTimeRecord

T = TypeVar("T")

CHALLENGE = Kind("second_factor", 300, only_newest=False)
TRIES = 5


class Factor(Protocol):
    """Where users keep their second factor."""

    def is_enrolled(self, user_id: str) -> bool:
        """Whether this user has one."""

    def use(self, tx: Transaction, user_id: str, code: str) -> str | None:
        """Use a code up, in this transaction: which factor it proves, None for a wrong one."""


class SecondFactor:
    """Asking for it, and the way on. One for a server."""

    def __init__(self, foundation: Foundation, factor: Factor, devices: TrustedDevices) -> None:
        self._engine = foundation.engine
        self._vault = foundation.vault
        self._one_time = foundation.one_time
        self._limiter = foundation.limiter
        self._sign_in = foundation.sign_in
        self._factor = factor
        self._devices = devices
        foundation.sign_in.before.append(self.ask)
        foundation.sign_in.after.append(self._note_device)

    async def ask(self, arrival: Arrival, proof: Proof) -> Proof:
        """Let through who needs no more than this proof, with the factor that the browser showed before. Raises
        SECOND_FACTOR_REQUIRED."""
        if SHOWN & set(proof.factors):
            return proof
        held = arrival.session
        is_known = held.is_user and held.identity.user_id == proof.user_id and bool(SHOWN & set(held.factors))
        if is_known or self._devices.find(arrival.trusted_device, proof.user_id) is not None:
            return msgspec.structs.replace(proof, factors=(*proof.factors, DEVICE))
        if not self._factor.is_enrolled(proof.user_id):
            return proof
        made: dict[str, Any] = {"factors": ["totp", "backup_code"], "expires_in": CHALLENGE.seconds}
        raise MoreNeeded(
            "SECOND_FACTOR_REQUIRED",
            "Enter the code of your authenticator app",
            store=lambda tx: self._challenge(tx, arrival, proof, made),
            extra=made,
        )

    def _challenge(self, tx: Transaction, arrival: Arrival, proof: Proof, made: dict[str, Any]) -> None:
        payload = {"proof": msgspec.to_builtins(proof), "agent": self._agent(arrival)}
        made["challenge"] = self._one_time.make_token(
            tx, CHALLENGE, proof.user_id, user_id=proof.user_id, payload=payload
        )
        record(tx, arrival, Event.SECOND_FACTOR_ASK, proof.user_id, method=proof.method)

    async def answer(
        self, arrival: Arrival, challenge: str, code: str, *, trust_device: bool = False
    ) -> tuple[Grant, TrustedDevice | None]:
        """The session of who answers a challenge with the right code. Raises CHALLENGE_EXPIRED, INVALID_TOTP_CODE,
        RATE_LIMITED, and what completing a sign-in raises."""
        await self._limiter.take(Step.VERIFY, arrival)
        held = await self._run(arrival, lambda tx: self._try(tx, arrival, challenge))
        if held is None or held.user_id is None:
            raise _expired()
        user_id = held.user_id
        account = f"second factor {user_id}"
        await self._limiter.take(Step.LOGIN, arrival, account)
        proof = msgspec.convert(self._one_time.payload(held)["proof"], Proof)
        proved = await self._run(arrival, lambda tx: self._answer(tx, challenge, user_id, code))
        if proved is None:
            await self._limiter.failed(Step.LOGIN, arrival, account)
            await self._sign_in.failed(arrival, proof.method, user_id, "WRONG_SECOND_FACTOR")
            raise PylonError("INVALID_TOTP_CODE", "This is not the code")
        proof = msgspec.structs.replace(proof, factors=(*proof.factors, proved))
        device = self._devices.trust(arrival, user_id) if trust_device else None

        def also(tx: Transaction) -> None:
            self._limiter.succeeded(tx, Step.LOGIN, arrival, account)
            if device is not None:
                self._devices.put(tx, arrival, device)

        return await self._sign_in.complete(arrival, proof, also), device

    def _try(self, tx: Transaction, arrival: Arrival, challenge: str) -> OneTimeRecord | None:
        """The challenge, with this try counted before the code is looked at: of many at once none is free."""
        held = self._one_time.peek_token(tx, CHALLENGE, challenge)
        if held is None or held.attempts >= TRIES or self._one_time.payload(held)["agent"] != self._agent(arrival):
            return None
        tx.session.identity.change(OneTimeRecord, {"attempts": held.attempts + 1}, id=held.id)
        return held

    def _answer(self, tx: Transaction, challenge: str, user_id: str, code: str) -> str | None:
        """Use up code and challenge, or neither."""
        if self._one_time.peek_token(tx, CHALLENGE, challenge) is None:
            raise _expired()
        proved = self._factor.use(tx, user_id, code)
        if proved is not None:
            self._one_time.use_token(tx, CHALLENGE, challenge)
        return proved

    def _agent(self, arrival: Arrival) -> str:
        return self._vault.hash(CHALLENGE.name, arrival.agent or "").hex()

    def _note_device(self, tx: Transaction, arrival: Arrival, proof: Proof) -> None:
        if arrival.trusted_device is not None:
            self._devices.note_use(tx, arrival.trusted_device, proof.user_id)

    async def _run(self, arrival: Arrival, work: Callable[[Transaction], T]) -> T:
        return (await self._engine.run(arrival.caller, work, authority=Authority.TRUSTED)).value


def _expired() -> PylonError:
    return PylonError("CHALLENGE_EXPIRED", "This sign-in took too long or had too many wrong codes: begin again")
