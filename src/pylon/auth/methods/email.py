"""The address of an account: proving to own it, and changing it (spec 03 §9.1, §9.2)."""

from __future__ import annotations

from typing import Any

from pylon.auth.arrival import Arrival
from pylon.auth.events import Event, record
from pylon.auth.foundation import Foundation
from pylon.auth.limiter import Step
from pylon.auth.mail.kinds import MailKind
from pylon.auth.methods.magic_code import NEEDS_MAIL, has_mail, invalid_code, mail_code, refused
from pylon.auth.methods.magic_link import invalid_token
from pylon.auth.methods.password import PasswordSignIn
from pylon.auth.proofs import CHANGE, CODE, LINK, RESET
from pylon.auth.registry import Method
from pylon.auth.sessions import Grant
from pylon.auth.sign_in import Proof
from pylon.auth.uniform import evenly
from pylon.auth.users import timestamp
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError

NAME = "email"
PATH = "/email-change/confirm"


class EmailAddress:
    """Verifying and changing the signed-in user's address."""

    def __init__(self, foundation: Foundation) -> None:
        self._base = foundation
        self._passwords = PasswordSignIn(foundation)

    async def send_verification(self, arrival: Arrival) -> tuple[str, str]:
        """Send a code to the user's address: (the address, the code for developers). Raises USER_NOT_FOUND,
        MISSING_EMAIL, RATE_LIMITED."""
        base = self._base
        row = self._row(arrival)
        email = row.email
        if not email:
            raise PylonError("MISSING_EMAIL", "This account has no address")
        await base.limiter.take(Step.SEND, arrival, email)

        def make(tx: Transaction) -> str:
            code = base.one_time.make_code(tx, CODE, email)
            mail_code(base, tx, arrival, MailKind.VERIFY_EMAIL, email, code, user_id=row.id)
            return code

        code = (await base.engine.run(arrival.caller, make, authority=Authority.TRUSTED)).value
        base.outbox.wake()
        return email, code

    async def verify(self, arrival: Arrival, code: str) -> str:
        """Note that the user owns its address: when, as rows carry it. Raises INVALID_CODE, RATE_LIMITED,
        USER_NOT_FOUND."""
        base = self._base
        row = self._row(arrival)
        email = row.email or ""
        await base.limiter.take(Step.VERIFY, arrival, email)

        def verify(tx: Transaction) -> str | None:
            now = tx.get(base.users.plan, row.id)
            if now is None or now.email != email or base.one_time.use_code(tx, CODE, email, code) is None:
                return None
            at = timestamp(tx)
            base.users.update(tx, row.id, {"emailVerified": at})
            base.limiter.succeeded(tx, Step.VERIFY, arrival, email)
            record(tx, arrival, Event.EMAIL_VERIFY, row.id)
            return at

        at = (await base.engine.run(arrival.caller, verify, authority=Authority.TRUSTED)).value
        if at is None:
            await refused(base, arrival, email, NAME)
            raise invalid_code()
        return at

    async def request_change(self, arrival: Arrival, text: str, password: str | None) -> str | None:
        """Send a link to the new address, unless an account has it, which neither the answer nor its time tells. The
        token, for developers. Raises REAUTHENTICATION_REQUIRED unless the user signed in just now or says the
        password, WRONG_PASSWORD, INVALID_EMAIL, DISPOSABLE_EMAIL, RATE_LIMITED."""
        base = self._base
        new = base.addresses.accept(text)
        row = self._row(arrival)
        await self._is_it_you(arrival, row, password)
        await base.limiter.take(Step.SEND, arrival, row.id)

        def make(tx: Transaction) -> str | None:
            if base.users.find(tx, email=new) is not None:
                return None
            token = base.one_time.make_token(tx, CHANGE, new, user_id=row.id, payload={"from": row.email})
            base.outbox.queue(
                tx,
                MailKind.EMAIL_CHANGE,
                new,
                user_id=row.id,
                languages=arrival.languages,
                seconds=CHANGE.seconds,
                url=base.redirects.link(PATH, token=token),
                hours=str(CHANGE.seconds // 3600),
            )
            return token

        async with evenly():
            token = (await base.engine.run(arrival.caller, make, authority=Authority.TRUSTED)).value
        base.outbox.wake()
        return token

    async def confirm_change(self, arrival: Arrival, token: str) -> tuple[Grant, str]:
        """Change the address: a new session, and the address. The link alone is not enough: who opens it must be signed
        in as who asked for it, or else somebody could hand his account over to a stranger who clicks, and keep the
        password. Raises INVALID_TOKEN, AUTH_REQUIRED, EMAIL_TAKEN, RATE_LIMITED."""
        base = self._base
        session = arrival.session
        await base.limiter.take(Step.VERIFY, arrival)

        def confirm(tx: Transaction) -> tuple[str, str] | None:
            found = base.one_time.peek_token(tx, CHANGE, token)
            row = None if found is None or found.user_id is None else tx.get(base.users.plan, found.user_id)
            if found is None or row is None or base.one_time.payload(found)["from"] != row.email:
                return None
            if row.id != session.identity.user_id:
                raise PylonError("AUTH_REQUIRED", "Sign in to the account whose address this changes")
            new, old = found.subject, row.email
            if base.users.find(tx, email=new) is not None:
                raise PylonError("EMAIL_TAKEN", "An account with this address exists already")
            base.one_time.use_token(tx, CHANGE, token)
            tell_old = bool(old) and (not base.users.has("emailVerified") or bool(row.emailVerified))
            base.users.update(tx, row.id, {"email": new, "emailVerified": timestamp(tx)})
            for kind, subject in ((CHANGE, new), (RESET, old), (LINK, old), (CODE, old)):
                if subject:
                    base.one_time.drop(tx, kind, subject)
            if tell_old:
                base.outbox.queue(
                    tx, MailKind.EMAIL_CHANGED, old, user_id=row.id, languages=arrival.languages, email=new
                )
            base.sessions.end_all(tx, row.id)
            record(tx, arrival, Event.EMAIL_CHANGE, row.id)
            return row.id, new

        changed = (await base.engine.run(arrival.caller, confirm, authority=Authority.TRUSTED)).value
        base.sessions.take_up()
        base.outbox.wake()
        if changed is None:
            raise invalid_token()
        user, email = changed
        factors = tuple(dict.fromkeys((*session.factors, "email")))
        proof = Proof(user_id=user, method=NAME, factors=factors, tenant_id=session.identity.tenant_id)
        return await base.sign_in.complete(arrival, proof), email

    async def _is_it_you(self, arrival: Arrival, row: Any, password: str | None) -> None:
        if password is not None:
            if not await self._passwords.is_right(arrival, row, password):
                raise PylonError("WRONG_PASSWORD", "The password is wrong")
        elif not arrival.session.is_recent(self._base.engine.clock()):
            raise PylonError(
                "REAUTHENTICATION_REQUIRED", "Sign in again to do this", hint="Or send `currentPassword` as well."
            )

    def _row(self, arrival: Arrival) -> Any:
        row = self._base.users.get(arrival.session.identity.user_id or "")
        if row is None:
            raise PylonError("USER_NOT_FOUND", "This user has no row")
        return row


METHOD = Method(NAME, "E-mail address", EmailAddress, is_configured=has_mail, needs=NEEDS_MAIL)
