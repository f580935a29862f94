"""Setting a new password with a link by mail (spec 03 §9), for who forgot the old one or never had one."""

from __future__ import annotations

from typing import Any

from pylon.auth.arrival import Arrival
from pylon.auth.events import Event, record
from pylon.auth.foundation import Foundation
from pylon.auth.limiter import Step
from pylon.auth.linking import claim, has_proved
from pylon.auth.mail.kinds import MailKind
from pylon.auth.methods.magic_code import NEEDS_MAIL, has_mail
from pylon.auth.methods.magic_link import invalid_token
from pylon.auth.methods.password import has_passwords, own_words, rules, set_password
from pylon.auth.proofs import RESET, minutes
from pylon.auth.registry import Method
from pylon.auth.sessions import Grant
from pylon.auth.sign_in import Proof
from pylon.auth.uniform import evenly
from pylon.auth.users import normal_email
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError

NAME = "password_reset"
PATH = "/reset-password"


class PasswordReset:
    """Asking for a link, and setting the password with it."""

    def __init__(self, foundation: Foundation) -> None:
        self._base = foundation
        self._rules = rules(foundation)

    async def request(self, arrival: Arrival, text: str) -> str | None:
        """Send a link, if there is an account with this address: the answer and its time don't tell. The token, for
        developers. Raises RATE_LIMITED."""
        base = self._base
        email = normal_email(text)
        await base.limiter.take(Step.SEND, arrival, email)

        def make(tx: Transaction) -> str | None:
            row = base.users.find(tx, email=email)
            if row is None:
                return None
            token = base.one_time.make_token(tx, RESET, email, user_id=row.id)
            base.outbox.queue(
                tx,
                MailKind.PASSWORD_RESET,
                email,
                user_id=row.id,
                languages=arrival.languages,
                seconds=RESET.seconds,
                url=base.redirects.link(PATH, token=token),
                minutes=minutes(RESET),
            )
            record(tx, arrival, Event.PASSWORD_RESET_REQUEST, row.id)
            return token

        async with evenly():
            token = (await base.engine.run(arrival.caller, make, authority=Authority.TRUSTED)).value
        base.outbox.wake()
        return token

    async def complete(self, arrival: Arrival, token: str, new: str) -> tuple[Grant, int]:
        """Set the password: a session, and how many others ended. Who has the link owns the address, so an account that
        was planted is emptied first. Raises INVALID_TOKEN, WEAK_PASSWORD, PWNED_PASSWORD, USER_NOT_FOUND,
        RATE_LIMITED."""
        base = self._base
        await base.limiter.take(Step.VERIFY, arrival)
        peeked = (
            await base.engine.run(
                arrival.caller, lambda tx: base.one_time.peek_token(tx, RESET, token), authority=Authority.TRUSTED
            )
        ).value
        if peeked is None:  # asked before the rules and the hash, which cost something
            raise invalid_token()
        hashed = await base.hashing.hash(await self._rules.accept(new, own_words(base.users.get(peeked.user_id or ""))))

        def complete(tx: Transaction) -> tuple[Any, int] | None:
            used = base.one_time.use_token(tx, RESET, token)
            if used is None:
                return None
            row = None if used.user_id is None else tx.get(base.users.plan, used.user_id)
            if row is None or row.email != used.subject:
                raise PylonError("USER_NOT_FOUND", "This account is gone, or has another address now")
            live = len(base.sessions.of_user(row.id))
            if not has_proved(base.users, row):
                row = claim(base.users, tx, row)
            set_password(base, tx, arrival, row, hashed)
            record(tx, arrival, Event.PASSWORD_RESET, row.id, sessions=live)
            return row, live

        done = (await base.engine.run(arrival.caller, complete, authority=Authority.TRUSTED)).value
        base.sessions.take_up()
        base.outbox.wake()
        if done is None:
            raise invalid_token()
        row, ended = done
        proof = Proof(user_id=row.id, method="password", factors=("pwd", "email"))
        grant = await base.sign_in.complete(
            arrival, proof, also=lambda tx: base.limiter.succeeded(tx, Step.LOGIN, arrival, row.email)
        )
        return grant, ended


def _is_configured(foundation: Foundation) -> bool:
    return has_mail(foundation) and has_passwords(foundation)


METHOD = Method(NAME, "New password by mail", PasswordReset, is_configured=_is_configured, needs=NEEDS_MAIL)
