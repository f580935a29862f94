"""The queue of letters: committed is sent, at least once; what can't be sent shows; what is stored opens nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylon.auth.mail.kinds import MailKind
from pylon.auth.mail.outbox import CLAIM_SECONDS, MAX_ATTEMPTS, masked
from pylon.auth.mail.transport import Letter, MailRefused, MailUnavailable
from pylon.engine.caller import SYSTEM
from pylon.engine.limits.budget import Budget
from pylon.engine.limits.switch import Scope
from pylon.engine.limits.usage import Meter
from pylon.engine.transaction import Authority
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.settings import EmailProvider
from pylon.store.mail import MailRecord
from pylon.testing.identity import open_foundation
from tests.auth.conftest import Clock
from tests.mail.servers import smtp_server

ADDRESS = "ann@example.com"


class Carrier:
    """A transport in memory. `problems` are raised in turn."""

    name = "carrier"

    def __init__(self) -> None:
        self.letters: list[Letter] = []
        self.problems: list[Exception] = []

    async def send(self, letter: Letter) -> None:
        if self.problems:
            raise self.problems.pop(0)
        self.letters.append(letter)

    async def close(self) -> None:
        pass


def carry(base: Any) -> Carrier:
    """Take the foundation's letters, and send none by itself."""
    carrier = Carrier()
    base.outbox._transport = carrier
    return carrier


async def put(base: Any, code: str = "123456", **options: Any) -> None:
    def work(tx: Any) -> None:
        base.outbox.queue(tx, MailKind.MAGIC_CODE, ADDRESS, code=code, minutes="10", **options)

    await base.engine.run(SYSTEM, work, authority=Authority.TRUSTED)


async def test_a_letter_leaves_by_smtp_and_its_contents_are_forgotten(people: AppSpec, tmp_path: Path) -> None:
    with smtp_server() as (inbox, port):
        options: dict[str, Any] = {"email_provider": EmailProvider.SMTP, "smtp_host": "127.0.0.1", "smtp_port": port}
        from pylon.settings import SmtpSecurity

        options |= {"smtp_security": SmtpSecurity.OFF, "email_from": "noreply@example.org"}
        async with open_foundation(people, tmp_path, **options) as base:
            await base.outbox.stop()  # only when this test says so
            await put(base)
            await base.outbox.send_due()
            [record] = base.outbox.listed()
    assert (record.state, record.sealed, record.attempts) == ("sent", b"", 1)
    [letter] = inbox.letters
    assert letter["Subject"] == "Your sign-in code for people"
    text = letter.get_body(("plain",))
    assert text is not None
    assert "123456" in text.get_content()


async def test_a_letter_whose_transaction_fails_never_existed(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        carry(base)

        def work(tx: Any) -> None:
            base.outbox.queue(tx, MailKind.MAGIC_CODE, ADDRESS, code="1", minutes="10")
            raise PylonError("CONFLICT", "no")

        with pytest.raises(PylonError):
            await base.engine.run(SYSTEM, work, authority=Authority.TRUSTED)
        assert not base.outbox.listed()


async def test_a_process_that_dies_between_commit_and_sending_sends_after_its_next_start(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        carry(base)
        await put(base)
    async with open_foundation(people, tmp_path, clock=clock) as base:
        carrier = carry(base)
        await base.outbox.send_due()
        assert len(carrier.letters) == 1


async def test_a_process_that_dies_while_sending_sends_again_with_the_same_id(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        carrier = carry(base)
        await put(base)
        due = base.engine.reads.identity.mail_due(clock.now, 10)
        [claimed] = await base.outbox._claim(due, clock.now)  # and here it dies
        assert not await base.outbox._claim(due, clock.now), "no two processes send one letter at once"
        assert not await base.outbox.send_due()
        clock.now += CLAIM_SECONDS
        assert await base.outbox.send_due()
        assert [letter.id for letter in carrier.letters] == [claimed.id]


async def test_what_is_not_taken_is_tried_ever_later_and_then_given_up(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        carrier = carry(base)
        await put(base, seconds=10 * 86_400)
        waits = []
        for _ in range(MAX_ATTEMPTS):
            carrier.problems.append(MailUnavailable("down"))
            assert await base.outbox.send_due()
            [record] = base.outbox.listed("waiting")
            assert record.error == "down"
            waits.append(record.due_at - clock.now)
            clock.now = record.due_at
        assert 3 < waits[0] < 7
        assert waits[3] > 3 * waits[1]
        assert max(waits) < 3600 * 1.31
        await base.outbox.send_due()
        [record] = base.outbox.listed("dead")
        assert record.error == "GAVE_UP down"
        assert base.outbox.given_up == 1
        await base.outbox.retry(SYSTEM, record.id)
        await base.outbox.send_due()
        assert len(carrier.letters) == 1


async def test_a_refused_letter_is_not_tried_again_and_a_stale_one_not_sent(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        carrier = carry(base)
        await put(base)
        carrier.problems.append(MailRefused("550 no such mailbox"))
        await base.outbox.send_due()
        assert base.outbox.listed("dead")[0].error == "550 no such mailbox"
        await put(base, seconds=600)
        clock.now += 600
        await base.outbox.send_due()
        assert {record.error for record in base.outbox.listed("dead")} == {"550 no such mailbox", "EXPIRED"}
        with pytest.raises(PylonError) as late:
            await base.outbox.retry(SYSTEM, next(r.id for r in base.outbox.listed() if r.error == "EXPIRED"))
        assert late.value.code == "MAIL_EXPIRED"
        assert not carrier.letters


async def test_a_switch_and_a_spent_budget_hold_letters_back(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        carrier = carry(base)
        await put(base)
        switch = await base.engine.switches.turn_on(SYSTEM, Scope.AUTH, "mail")
        assert not await base.outbox.send_due()
        await base.engine.switches.turn_off(SYSTEM, switch.id)
        await base.engine.budgets.put(SYSTEM, Budget(meter=Meter.MAIL, limit=1, hard=True))
        await base.outbox.send_due()
        await put(base)
        await base.outbox.send_due()
        assert len(carrier.letters) == 1
        [record] = base.outbox.listed("waiting")
        assert (record.error, record.attempts) == ("BUDGET_EXCEEDED", 0)
        await base.engine.budgets.delete(SYSTEM, "mail:month:all")
        clock.now = record.due_at
        await base.outbox.send_due()
        assert len(carrier.letters) == 2


async def test_a_stolen_database_yields_no_letter(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        carry(base)
        await put(base, code="918273")
        [record] = base.engine.reads.identity.find(MailRecord)
        assert ADDRESS.encode() not in record.sealed
        assert b"918273" not in (tmp_path / "pylon.db").read_bytes() + (tmp_path / "pylon.db-wal").read_bytes()
    async with open_foundation(people, tmp_path, keys=("a key of the thief's own, of 32 characters",)) as thief:
        carrier = carry(thief)
        await thief.outbox.send_due()
        assert not carrier.letters
        assert thief.outbox.listed("dead")[0].error.startswith("SEALED_UNREADABLE")


async def test_nothing_is_queued_where_no_mail_is_sent(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        assert not base.outbox.is_on
        with pytest.raises(PylonError) as refused:
            await put(base)
        assert refused.value.code == "MAIL_NOT_CONFIGURED"


def test_an_address_is_shown_to_operators_in_part() -> None:
    assert masked("annabel@example.com") == "an***@example.com"
