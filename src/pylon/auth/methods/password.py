"""Passwords (spec 03 §9): registering, signing in, changing one.

Signing in takes as long for addresses without an account. Registering tells which have one, by EMAIL_TAKEN, unless
PYLON_REQUIRE_EMAIL_VERIFICATION is on: then the answer is the same for all, and the account is made by whoever reads
the mail."""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.events import Event, record
from pylon.auth.foundation import Foundation
from pylon.auth.limiter import Step
from pylon.auth.linking import by_address
from pylon.auth.mail.kinds import MailKind
from pylon.auth.methods.magic_code import invalid_code, mail_code, refused
from pylon.auth.passwords import Passwords
from pylon.auth.proofs import CODE, RESET
from pylon.auth.registry import Method
from pylon.auth.sessions import Grant
from pylon.auth.sign_in import Proof
from pylon.auth.users import avatar_color, normal_email
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.store.identity import TrustedDeviceRecord

NAME = "password"


class Registered(msgspec.Struct, frozen=True):
    """What came of registering: a session, or None where the address must be proved first. `code` is for developers;
    `was_mailed` says whether a letter is on its way."""

    grant: Grant | None
    was_mailed: bool = False
    code: str | None = None


class Registration(msgspec.Struct, frozen=True):
    """What somebody registers with. `code` is what the letter said, where the address is proved first."""

    email: str
    password: str
    display_name: str | None = None
    captcha: object = None
    code: str | None = None


class PasswordSignIn:
    """Registering, signing in and changing."""

    def __init__(self, foundation: Foundation) -> None:
        self._base = foundation
        self.rules = rules(foundation)

    # -- registering ---------------------------------------------------------------------------------------------

    async def register(self, arrival: Arrival, wanted: Registration) -> Registered:
        """Make an account. Raises INVALID_EMAIL, DISPOSABLE_EMAIL, WEAK_PASSWORD, PWNED_PASSWORD, CAPTCHA_FAILED,
        RATE_LIMITED, EMAIL_TAKEN, INVALID_CODE."""
        base = self._base
        email = base.addresses.accept(wanted.email)
        await base.limiter.take(Step.REGISTER, arrival)
        if wanted.code is None:
            await base.captcha.check(wanted.captcha, arrival.ip)
        password = await self.rules.accept(wanted.password, (email, wanted.display_name))
        if base.settings.require_email_verification:
            if wanted.code is None:
                return await self._announce(arrival, email)
            return Registered(await self._with_code(arrival, email, password, wanted))
        hashed = await base.hashing.hash(password)

        def make(tx: Transaction) -> tuple[Any, str | None]:
            row = base.users.insert(tx, _values(email, hashed, wanted))
            if not base.outbox.is_on:
                return row, None
            code = base.one_time.make_code(tx, CODE, email)
            mail_code(base, tx, arrival, MailKind.VERIFY_EMAIL, email, code)
            return row, code

        row, code = (await base.engine.run(arrival.caller, make, authority=Authority.TRUSTED)).value
        base.outbox.wake()
        proof = Proof(user_id=row.id, method=NAME, factors=("pwd",), is_new=True)
        grant = await base.sign_in.complete(arrival, proof, also=lambda tx: self._knows(tx, arrival, email))
        return Registered(grant, code is not None, code)

    async def _announce(self, arrival: Arrival, email: str) -> Registered:
        """Send a code to an address; the owner of an account that has it is told of that instead."""
        base = self._base
        await base.limiter.take(Step.SEND, arrival, email)

        def make(tx: Transaction) -> str:
            code = base.one_time.make_code(tx, CODE, email)
            row = base.users.find(tx, email=email)
            if row is None or not row.emailVerified:
                mail_code(base, tx, arrival, MailKind.VERIFY_EMAIL, email, code)
            else:
                base.outbox.queue(tx, MailKind.ACCOUNT_EXISTS, email, languages=arrival.languages)
            return code

        code = (await base.engine.run(arrival.caller, make, authority=Authority.TRUSTED)).value
        base.outbox.wake()
        return Registered(None, True, code)

    async def _with_code(self, arrival: Arrival, email: str, password: str, wanted: Registration) -> Grant:
        """Make the account of who proved to own the address."""
        base = self._base
        await base.limiter.take(Step.VERIFY, arrival, email)
        hashed = await base.hashing.hash(password)

        def make(tx: Transaction) -> tuple[str, bool] | None:
            if base.one_time.use_code(tx, CODE, email, wanted.code or "") is None:
                return None
            arrived = by_address(base.users, tx, email, display_name=wanted.display_name or email, is_proven=True)
            if not arrived.is_new and not arrived.was_emptied:
                raise PylonError("EMAIL_TAKEN", "An account with this address exists already")
            base.users.update(tx, arrived.row.id, {"passwordHash": hashed, "avatarColor": avatar_color(email)})
            return arrived.row.id, arrived.is_new

        made = (await base.engine.run(arrival.caller, make, authority=Authority.TRUSTED)).value
        base.sessions.take_up()
        if made is None:
            await refused(base, arrival, email, NAME)
            raise invalid_code()
        proof = Proof(user_id=made[0], method=NAME, factors=("pwd", "email"), is_new=made[1])
        return await base.sign_in.complete(arrival, proof, also=lambda tx: self._knows(tx, arrival, email))

    def _knows(self, tx: Transaction, arrival: Arrival, email: str) -> None:
        self._base.limiter.succeeded(tx, Step.LOGIN, arrival, email)

    # -- signing in ----------------------------------------------------------------------------------------------

    async def login(self, arrival: Arrival, text: str, password: str) -> Grant:
        """Sign in. Raises INVALID_CREDENTIALS whatever is wrong, RATE_LIMITED, OVERLOADED."""
        base = self._base
        email = normal_email(text)
        await base.limiter.take(Step.LOGIN, arrival, email)
        row = base.users.by_email(email)
        stored = None if row is None else row.passwordHash
        verdict = await base.hashing.verify(stored, password)
        if row is None or not verdict.ok:
            await base.limiter.failed(Step.LOGIN, arrival, email)
            await base.sign_in.failed(arrival, NAME, None if row is None else row.id, "WRONG_PASSWORD")
            raise _wrong()

        def also(tx: Transaction) -> None:
            now = tx.get(base.users.plan, row.id)
            if now is None or now.passwordHash != stored:  # changed while it was being compared
                raise _wrong()
            if verdict.rehashed is not None:
                base.users.update(tx, row.id, {"passwordHash": verdict.rehashed})
            self._knows(tx, arrival, email)

        return await base.sign_in.complete(arrival, Proof(user_id=row.id, method=NAME, factors=("pwd",)), also=also)

    async def is_right(self, arrival: Arrival, row: Any, password: str) -> bool:
        """Whether this is the password of a signed-in user. Raises NO_PASSWORD_SET, RATE_LIMITED."""
        base = self._base
        account = row.email or row.id
        await base.limiter.take(Step.LOGIN, arrival, account)
        if not base.users.has("passwordHash") or not row.passwordHash:
            raise PylonError("NO_PASSWORD_SET", "This account has no password: reset it to set one")
        verdict = await base.hashing.verify(row.passwordHash, password)
        if not verdict.ok:
            await base.limiter.failed(Step.LOGIN, arrival, account)
        return verdict.ok

    # -- changing ------------------------------------------------------------------------------------------------

    async def change(self, arrival: Arrival, current: str, new: str) -> tuple[Grant, int]:
        """Change the password of the signed-in user: a new token for this session, and how many others ended. Raises
        WRONG_PASSWORD, NO_PASSWORD_SET, WEAK_PASSWORD, PWNED_PASSWORD, USER_NOT_FOUND, RATE_LIMITED."""
        base = self._base
        session = arrival.session
        user = session.identity.user_id or ""
        row = base.users.get(user)
        if row is None:
            raise PylonError("USER_NOT_FOUND", "This user has no row")
        if not await self.is_right(arrival, row, current):
            await base.events.record(arrival, Event.PASSWORD_CHANGE, user, failure="WRONG_PASSWORD")
            raise PylonError("WRONG_PASSWORD", "The current password is wrong")
        hashed = await base.hashing.hash(await self.rules.accept(new, own_words(row)))

        def change(tx: Transaction) -> tuple[Grant | None, int]:
            now = tx.get(base.users.plan, user)
            if now is None or now.passwordHash != row.passwordHash:
                raise PylonError("WRONG_PASSWORD", "The password was changed meanwhile")
            ended = set_password(base, tx, arrival, row, hashed, but=session.id)
            record(tx, arrival, Event.PASSWORD_CHANGE, user, sessions=ended)
            return base.sessions.replace_token(tx, session.id), ended

        grant, ended = (await base.engine.run(arrival.caller, change, authority=Authority.TRUSTED)).value
        base.sessions.take_up()
        base.outbox.wake()
        if grant is None:
            raise PylonError("SESSION_EXPIRED", "The session is expired or revoked: sign in again")
        return grant, ended


def set_password(base: Foundation, tx: Transaction, arrival: Arrival, row: Any, hashed: str, *, but: str = "") -> int:
    """Store a password, and end what was opened with the one before: other sessions, trusted devices, links to reset
    it. Its user is told. How many sessions ended."""
    base.users.update(tx, row.id, {"passwordHash": hashed})
    tx.session.identity.remove(TrustedDeviceRecord, user_id=row.id)
    if row.email:
        base.one_time.drop(tx, RESET, row.email)
        if base.outbox.is_on:
            base.outbox.queue(tx, MailKind.PASSWORD_CHANGED, row.email, user_id=row.id, languages=arrival.languages)
    return base.sessions.end_all(tx, row.id, but=but)


def rules(foundation: Foundation) -> Passwords:
    """Which passwords this server takes."""
    settings = foundation.settings
    words = (foundation.engine.app.name, *settings.password_words)
    return Passwords(None if settings.hibp_disabled else settings.hibp_url, words)


def own_words(row: Any) -> tuple[str | None, ...]:
    """What of a user's row its password should not be made of."""
    return (getattr(row, "email", None), getattr(row, "displayName", None))


def _values(email: str, hashed: str, wanted: Registration) -> dict[str, Any]:
    return {
        "email": email,
        "displayName": wanted.display_name or email,
        "passwordHash": hashed,
        "avatarColor": avatar_color(email),
    }


def _wrong() -> PylonError:
    return PylonError("INVALID_CREDENTIALS", "The address or the password is wrong")


def has_passwords(foundation: Foundation) -> bool:
    """Whether users have passwords."""
    return foundation.users.has("email") and foundation.users.has("passwordHash")


METHOD = Method(
    NAME,
    "Password",
    PasswordSignIn,
    is_configured=has_passwords,
    needs="Declare an entity of users with an `email` and a `passwordHash`.",
)
