"""Links by mail that sign in (spec 03 §8).

Programs open links before people do: scanners, previews, prefetching browsers. So opening one signs nobody in but the
browser that asked for it, which has a cookie to show; any other is asked to confirm, with a button.
"""

from __future__ import annotations

import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.foundation import Foundation
from pylon.auth.limiter import Step
from pylon.auth.linking import Arrived, by_address
from pylon.auth.mail.kinds import MailKind
from pylon.auth.mail.outbox import masked
from pylon.auth.methods.magic_code import NEEDS_MAIL, has_mail
from pylon.auth.proofs import LINK, minutes
from pylon.auth.registry import Method
from pylon.auth.sessions import Grant
from pylon.auth.sign_in import Proof
from pylon.auth.vault import new_secret
from pylon.engine.transaction import Authority, Transaction
from pylon.model.errors import PylonError
from pylon.store.identity import OneTimeRecord

NAME = "magic_link"
PATH = "/api/auth/magic-link/verify"
_BROWSER = "link browser"


class SentLink(msgspec.Struct, frozen=True):
    """A link that was sent. `token` and `url` are for developers; `browser` is the cookie of the browser that asked."""

    token: str
    url: str
    browser: str


class OpenLink(msgspec.Struct, frozen=True):
    """A link that is good: whom it signs in, recognisably; where it leads; whether this browser asked for it."""

    recipient: str
    leads_to: str
    is_same_browser: bool


class MagicLinks:
    """Sending links, and signing in with them."""

    def __init__(self, foundation: Foundation) -> None:
        self._base = foundation

    async def send(self, arrival: Arrival, text: str, captcha: object = None, return_to: str | None = None) -> SentLink:
        """Send a link to an address, which leads to a trusted page when it has signed in. Raises INVALID_EMAIL,
        DISPOSABLE_EMAIL, UNTRUSTED_REDIRECT, RATE_LIMITED, CAPTCHA_FAILED."""
        base = self._base
        email = base.addresses.accept(text)
        page = None if return_to is None else base.redirects.check(return_to)
        await base.limiter.take(Step.SEND, arrival, email)
        await base.captcha.check(captcha, arrival.ip)
        browser = new_secret()
        payload = {"browser": base.vault.hash(_BROWSER, browser).hex(), "page": page}

        def make(tx: Transaction) -> SentLink:
            token = base.one_time.make_token(tx, LINK, email, payload=payload)
            url = base.redirects.link(PATH, token=token)
            base.outbox.queue(
                tx,
                MailKind.MAGIC_LINK,
                email,
                languages=arrival.languages,
                seconds=LINK.seconds,
                url=url,
                minutes=minutes(LINK),
            )
            return SentLink(token, url, browser)

        sent = (await base.engine.run(arrival.caller, make, authority=Authority.TRUSTED)).value
        base.outbox.wake()
        return sent

    async def look(self, arrival: Arrival, token: str, browser: str | None) -> OpenLink:
        """What a link is for, without using it. Raises INVALID_TOKEN, RATE_LIMITED."""
        base = self._base
        await base.limiter.take(Step.VERIFY, arrival)
        record = (
            await base.engine.run(
                arrival.caller, lambda tx: base.one_time.peek_token(tx, LINK, token), authority=Authority.TRUSTED
            )
        ).value
        if record is None:
            raise invalid_token()
        stored = bytes.fromhex(base.one_time.payload(record)["browser"])
        is_same = browser is not None and base.vault.matches(_BROWSER, browser, stored)
        return OpenLink(masked(record.subject), self._page(record), is_same)

    async def verify(self, arrival: Arrival, token: str) -> tuple[Grant, str]:
        """Sign in with a link: the session, and the page that it leads to. Raises INVALID_TOKEN, RATE_LIMITED."""
        base = self._base
        await base.limiter.take(Step.VERIFY, arrival)

        def use(tx: Transaction) -> tuple[OneTimeRecord, Arrived] | None:
            record = base.one_time.use_token(tx, LINK, token)
            if record is None:
                return None
            base.one_time.drop(tx, LINK, record.subject)
            email = record.subject
            return record, by_address(base.users, tx, email, display_name=email, is_proven=True)

        used = (await base.engine.run(arrival.caller, use, authority=Authority.TRUSTED)).value
        base.sessions.take_up()
        if used is None:
            await base.sign_in.failed(arrival, NAME, None, "INVALID_TOKEN")
            raise invalid_token()
        record, arrived = used
        proof = Proof(user_id=arrived.row.id, method=NAME, factors=("email",), is_new=arrived.is_new)
        grant = await base.sign_in.complete(
            arrival, proof, also=lambda tx: base.limiter.succeeded(tx, Step.VERIFY, arrival, record.subject)
        )
        return grant, self._page(record)

    def _page(self, record: OneTimeRecord) -> str:
        page = self._base.one_time.payload(record)["page"]
        return page if isinstance(page, str) else self._base.settings.dashboard_url


def invalid_token() -> PylonError:
    """The answer to every token that isn't good (any more)."""
    return PylonError("INVALID_TOKEN", "The link is unknown, used or expired")


METHOD = Method(NAME, "Link by mail", MagicLinks, is_configured=has_mail, needs=NEEDS_MAIL)
