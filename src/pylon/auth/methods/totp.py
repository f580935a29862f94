"""Authenticator apps (TOTP, RFC 6238) and backup codes: a second factor of every sign-in (spec 03 §16).

The seed is sealed and leaves the server once, when it is enrolled. A code is good within one step of 30 seconds around
now, and once: a step that was used, and any before it, is refused. Backup codes are keyed hashes, each gone when it is
used. A new app takes over when its first code was right, never before.
"""

from __future__ import annotations

import hmac
import re
import secrets
import string

import msgspec
import pyotp

from pylon.auth.arrival import Arrival
from pylon.auth.demanded_factor import BACKUP, OTP
from pylon.auth.events import Event, record
from pylon.auth.foundation import Foundation
from pylon.auth.limiter import Step
from pylon.auth.one_time import Kind
from pylon.auth.registry import Method
from pylon.auth.second_factor import SecondFactor
from pylon.auth.sessions import Grant, Session
from pylon.auth.trusted_devices import TrustedDevice, TrustedDevices
from pylon.auth.users import timestamp
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.model.schema import Kind as FieldKind
from pylon.store.identity import BackupCodeRecord, OneTimeRecord, TotpRecord, TrustedDeviceRecord

PENDING = Kind("totp_enroll", 1800)
STEP_SECONDS = 30
BACKUP_CODES = 10

_SECRET = "totp"  # noqa: S105 - a purpose of the key ring
_ALPHABET = string.ascii_uppercase + string.digits
_DAY = 86_400


class Enrollment(msgspec.Struct, frozen=True):
    """What an authenticator app is set up with, shown this once."""

    secret: str
    url: str
    issuer: str
    account: str


class Verified(msgspec.Struct, frozen=True):
    """A code that was right. `is_new` when it was the first of a new app; then `codes` are its backup codes. A
    session that was held until now goes on with `grant`, a new token."""

    is_new: bool
    codes: tuple[str, ...] = ()
    device: TrustedDevice | None = None
    grant: Grant | None = None


class Totp:
    """Authenticator apps, for one server."""

    def __init__(self, foundation: Foundation) -> None:
        self._engine = foundation.engine
        self._tables = foundation.engine.reads.identity
        self._clock = foundation.engine.clock
        self._vault = foundation.vault
        self._one_time = foundation.one_time
        self._limiter = foundation.limiter
        self._sessions = foundation.sessions
        self._demand = foundation.demanded_factor
        self._users = foundation.users
        self._events = foundation.events
        self._issuer = foundation.settings.totp_issuer or foundation.engine.plans.app.name
        self.devices = TrustedDevices(
            foundation.engine, foundation.settings.trusted_device_days * _DAY, foundation.engine.clock
        )
        self.second_factor = SecondFactor(foundation, self, self.devices)

    # -- the factor ----------------------------------------------------------------------------------------------

    def is_enrolled(self, user_id: str) -> bool:
        """Whether this user has an app."""
        return self._tables.one(TotpRecord, user_id=user_id) is not None

    def use(self, tx: Transaction, user_id: str, code: str) -> str | None:
        """Use a code of the app, or a backup code, up: which it was, None for a wrong one."""
        held = tx.session.identity.one(TotpRecord, user_id=user_id)
        if held is None:
            return None
        plain = _plain(code)
        if len(plain) == 6 and plain.isdigit():
            step = self._step(self._open(held.secret, user_id), plain)
            if step is None or step <= held.last_step:
                return None
            tx.session.identity.change(TotpRecord, {"last_step": step}, user_id=user_id)
            return OTP
        for candidate in self._vault.hashes("backup code", f"{user_id}\0{plain}"):
            if tx.session.identity.remove(BackupCodeRecord, user_id=user_id, hash=candidate):
                return BACKUP
        return None

    def _step(self, secret: str, code: str) -> int | None:
        """The step whose code this is, one around now; every one is compared."""
        now, totp = int(self._clock()) // STEP_SECONDS, pyotp.TOTP(secret)
        sent = code.encode("utf-8", "replace")  # as text, what isn't ASCII can't be compared
        found = None
        for step in (now - 1, now, now + 1):
            if hmac.compare_digest(totp.generate_otp(step).encode(), sent):
                found = step
        return found

    def _open(self, sealed: bytes, user_id: str) -> str:
        return self._vault.open(_SECRET, sealed, user_id).decode()

    # -- what users do -------------------------------------------------------------------------------------------

    async def enroll(self, arrival: Arrival, code: str | None) -> Enrollment:
        """A new app's secret, which takes over with its first code. Who has an app proves it with a code. Raises
        INVALID_TOTP_CODE, REAUTHENTICATION_REQUIRED, RATE_LIMITED, and SECOND_FACTOR_MISSING where one is demanded and
        the user has another one to show first."""
        user_id = arrival.user_id
        if self.is_enrolled(user_id):
            await self._prove(arrival, user_id, code)
        elif not self._demand.may_set_up(arrival.session):
            raise self._demand.missing(arrival.session)
        else:
            self._require_recent(arrival.session)
        secret = pyotp.random_base32()
        row = self._users.get(user_id)
        account = getattr(row, "email", None) or user_id
        sealed = self._vault.seal(_SECRET, secret, user_id).hex()

        def store(tx: Transaction) -> None:
            self._one_time.make_token(tx, PENDING, user_id, user_id=user_id, payload={"secret": sealed})

        await self._engine.run(arrival.caller, store, authority=Authority.TRUSTED)
        url = pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=self._issuer)
        return Enrollment(secret, f"{url}&algorithm=SHA1&digits=6&period={STEP_SECONDS}", self._issuer, account)

    async def verify(self, arrival: Arrival, code: str, *, trust_device: bool) -> Verified:
        """Check a code: the first of a new app switches it on; of the app in use, it proves the session anew. Raises
        TOTP_NOT_ENROLLED, INVALID_TOTP_CODE, RATE_LIMITED."""
        user_id = arrival.user_id
        if not self.is_enrolled(user_id) and self._pending(user_id) is None:
            raise PylonError("TOTP_NOT_ENROLLED", "There is no authenticator app yet")
        account = await self._take(arrival, user_id)
        device = self.devices.trust(arrival, user_id) if trust_device else None

        may_set_up = self._demand.may_set_up(arrival.session)

        def store(tx: Transaction) -> Verified | None:
            fresh = self._take_over(tx, arrival, user_id, code) if may_set_up else None
            proved = OTP if fresh is not None else self.use(tx, user_id, code)
            if proved is None:
                return None
            grant = self._sessions.strengthen(tx, arrival.session, proved)
            self._limiter.succeeded(tx, Step.LOGIN, arrival, account)
            if device is not None:
                self.devices.put(tx, arrival, device)
            return Verified(fresh is not None, fresh or (), device, grant)

        found = (await self._engine.run(arrival.caller, store, authority=Authority.TRUSTED)).value
        self._sessions.take_up()
        if found is None:
            raise await self._wrong(arrival, user_id, account)
        return found

    async def disable(self, arrival: Arrival, code: str | None) -> None:
        """Do without an app from now on; trusted devices end with it. Raises TOTP_NOT_ENROLLED, INVALID_TOTP_CODE,
        RATE_LIMITED, SECOND_FACTOR_DEMANDED."""
        user_id = arrival.user_id
        if not self.is_enrolled(user_id):
            raise PylonError("TOTP_NOT_ENROLLED", "There is no authenticator app yet")
        await self._prove(arrival, user_id, code)
        await self._engine.run(
            arrival.caller, lambda tx: self._remove(tx, arrival, user_id), authority=Authority.TRUSTED
        )

    async def new_backup_codes(self, arrival: Arrival, code: str | None) -> tuple[str, ...]:
        """Ten new backup codes in place of all there were, shown this once. Proven with a code, or by a session that
        proved one a moment ago. Raises TOTP_NOT_ENROLLED, INVALID_TOTP_CODE, REAUTHENTICATION_REQUIRED."""
        user_id = arrival.user_id
        if not self.is_enrolled(user_id):
            raise PylonError("TOTP_NOT_ENROLLED", "There is no authenticator app yet")
        if code is not None:
            await self._prove(arrival, user_id, code)
        else:
            self._require_recent(arrival.session, OTP)

        def store(tx: Transaction) -> tuple[str, ...]:
            codes = self._make_codes(tx, user_id)
            record(tx, arrival, Event.TOTP_BACKUP_CODES, user_id)
            return codes

        return (await self._engine.run(arrival.caller, store, authority=Authority.TRUSTED)).value

    def codes_left(self, user_id: str) -> int:
        """How many backup codes a user has."""
        return len(self._tables.find(BackupCodeRecord, user_id=user_id))

    # -- steps ---------------------------------------------------------------------------------------------------

    def _pending(self, user_id: str) -> OneTimeRecord | None:
        now = self._clock()
        found = self._tables.find(OneTimeRecord, kind=PENDING.name, subject=user_id)
        return next((r for r in found if r.expires_at > now), None)

    def _take_over(self, tx: Transaction, arrival: Arrival, user_id: str, code: str) -> tuple[str, ...] | None:
        """Make a new app the user's when this is its code; its backup codes."""
        tables, now = tx.session.identity, int(self._clock())
        held = next(iter(tables.find(OneTimeRecord, kind=PENDING.name, subject=user_id)), None)
        if held is None or held.expires_at <= now:
            return None
        sealed = bytes.fromhex(self._one_time.payload(held)["secret"])
        step = self._step(self._open(sealed, user_id), _plain(code))
        if step is None:
            return None
        self._one_time.drop(tx, PENDING, user_id)
        tables.put(TotpRecord(user_id=user_id, secret=sealed, verified_at=now, last_step=step, created_at=now))
        tables.remove(TrustedDeviceRecord, user_id=user_id)
        codes = self._make_codes(tx, user_id)
        self._tell_app(tx, user_id, timestamp(tx))
        record(tx, arrival, Event.TOTP_ENROLL, user_id)
        return codes

    def _remove(self, tx: Transaction, arrival: Arrival, user_id: str) -> None:
        for kind in (TotpRecord, BackupCodeRecord, TrustedDeviceRecord):
            tx.session.identity.remove(kind, user_id=user_id)
        self._demand.keep_one(tx, user_id)
        self._one_time.drop(tx, PENDING, user_id)
        self._tell_app(tx, user_id, None)
        record(tx, arrival, Event.TOTP_DISABLE, user_id)

    def _make_codes(self, tx: Transaction, user_id: str) -> tuple[str, ...]:
        tx.session.identity.remove(BackupCodeRecord, user_id=user_id)
        codes = tuple(_backup_code() for _ in range(BACKUP_CODES))
        for code in codes:
            hashed = self._vault.hash("backup code", f"{user_id}\0{_plain(code)}")
            tx.session.identity.put(BackupCodeRecord(user_id=user_id, hash=hashed, created_at=int(self._clock())))
        return codes

    def _tell_app(self, tx: Transaction, user_id: str, at: str | None) -> None:
        """`totpVerified` of the user's row, for apps that show it; the secret is in no row."""
        if not self._users.has("totpVerified") or tx.get(self._users.plan, user_id) is None:
            return
        field = self._users.plan.spec.field("totpVerified")
        is_flag = field is not None and field.kind is FieldKind.BOOL
        self._users.update(tx, user_id, {"totpVerified": at is not None if is_flag else at})

    async def _prove(self, arrival: Arrival, user_id: str, code: str | None) -> None:
        account = await self._take(arrival, user_id)

        def check(tx: Transaction) -> str | None:
            proved = None if code is None else self.use(tx, user_id, code)
            if proved is not None:
                self._limiter.succeeded(tx, Step.LOGIN, arrival, account)
            return proved

        if (await self._engine.run(arrival.caller, check, authority=Authority.TRUSTED)).value is None:
            raise await self._wrong(arrival, user_id, account)

    async def _take(self, arrival: Arrival, user_id: str) -> str:
        """Count a try; a user's tries count together, wherever they are made."""
        account = f"second factor {user_id}"
        await self._limiter.take(Step.LOGIN, arrival, account)
        return account

    async def _wrong(self, arrival: Arrival, user_id: str, account: str) -> PylonError:
        await self._limiter.failed(Step.LOGIN, arrival, account)
        await self._events.record(arrival, Event.TOTP_CHECK, user_id, failure="WRONG_SECOND_FACTOR")
        return PylonError("INVALID_TOTP_CODE", "This is not the code")

    def _require_recent(self, session: Session, *factors: str) -> None:
        if not session.is_recent(self._clock()) or not set(factors) <= set(session.factors):
            raise PylonError("REAUTHENTICATION_REQUIRED", "Sign in again to do this")


def _plain(code: str) -> str:
    """A code as people type it, without what they put between."""
    return re.sub(r"[\s-]", "", code).upper()


def _backup_code() -> str:
    letters = "".join(secrets.choice(_ALPHABET) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


METHOD = Method("totp", "Authenticator app", Totp)
