"""Codes by mail: six digits, good once, for ten minutes (spec 03 §7). Whether an account exists is not told: a code is
sent in any case, and whoever has it gets the account or a new one."""

from __future__ import annotations

from pylon.auth.arrival import Arrival
from pylon.auth.foundation import Foundation
from pylon.auth.limiter import Step
from pylon.auth.linking import Arrived, by_address
from pylon.auth.mail.kinds import MailKind
from pylon.auth.proofs import CODE, minutes
from pylon.auth.registry import Method
from pylon.auth.sessions import Grant
from pylon.auth.sign_in import Proof
from pylon.auth.users import normal_email
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError

NAME = "magic_code"


class MagicCodes:
    """Sending codes, and signing in with them."""

    def __init__(self, foundation: Foundation) -> None:
        self._base = foundation

    async def send(self, arrival: Arrival, text: str, captcha: object = None) -> tuple[str, str]:
        """Send a code to an address: (its normal form, the code, which nobody but a developer is told). Raises
        INVALID_EMAIL, DISPOSABLE_EMAIL, RATE_LIMITED, CAPTCHA_FAILED."""
        base = self._base
        email = base.addresses.accept(text)
        await base.limiter.take(Step.SEND, arrival, email)
        await base.captcha.check(captcha, arrival.ip)

        def make(tx: Transaction) -> str:
            code = base.one_time.make_code(tx, CODE, email)
            mail_code(base, tx, arrival, MailKind.MAGIC_CODE, email, code)
            return code

        code = (await base.engine.run(arrival.caller, make, authority=Authority.TRUSTED)).value
        base.outbox.wake()
        return email, code

    async def verify(self, arrival: Arrival, text: str, code: str) -> Grant:
        """Sign in with a code. Raises INVALID_CODE for a wrong, unknown or expired one, RATE_LIMITED for one that was
        guessed at."""
        base = self._base
        email = normal_email(text)
        await base.limiter.take(Step.VERIFY, arrival, email)

        def use(tx: Transaction) -> Arrived | None:
            if base.one_time.use_code(tx, CODE, email, code) is None:
                return None
            return by_address(base.users, tx, email, display_name=email, is_proven=True)

        arrived = (await base.engine.run(arrival.caller, use, authority=Authority.TRUSTED)).value
        base.sessions.take_up()
        if arrived is None:
            await refused(base, arrival, email, NAME)
            raise invalid_code()
        proof = Proof(user_id=arrived.row.id, method=NAME, factors=("email",), is_new=arrived.is_new)
        return await base.sign_in.complete(
            arrival, proof, also=lambda tx: base.limiter.succeeded(tx, Step.VERIFY, arrival, email)
        )


def mail_code(
    base: Foundation,
    tx: Transaction,
    arrival: Arrival,
    kind: MailKind,
    email: str,
    code: str,
    *,
    user_id: str | None = None,
) -> None:
    """Put the letter with a code in, with the transaction that made it. Raises as `Outbox.queue`."""
    base.outbox.queue(
        tx,
        kind,
        email,
        user_id=user_id,
        languages=arrival.languages,
        seconds=CODE.seconds,
        code=code,
        minutes=minutes(CODE),
    )


async def refused(base: Foundation, arrival: Arrival, email: str, method: str) -> None:
    """A code was wrong: the next try waits longer, and it is written down."""
    await base.limiter.failed(Step.VERIFY, arrival, email)
    row = base.users.by_email(email)
    await base.sign_in.failed(arrival, method, None if row is None else row.id, "WRONG_CODE")


def invalid_code() -> PylonError:
    """The answer to every code that isn't the one."""
    return PylonError("INVALID_CODE", "The code is wrong or expired")


def has_mail(foundation: Foundation) -> bool:
    """Whether there are people with addresses, and mail to reach them."""
    return foundation.outbox.is_on and foundation.users.has("email")


NEEDS_MAIL = "Set PYLON_EMAIL_PROVIDER, and declare an entity of users with an `email`."

METHOD = Method(NAME, "Code by mail", MagicCodes, is_configured=has_mail, needs=NEEDS_MAIL)
