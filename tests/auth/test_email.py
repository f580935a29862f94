"""Proving to own an address, and changing it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pylon.auth.credentials import RECENT_SECONDS
from pylon.auth.methods.password import Registration
from pylon.auth.sessions import NOBODY, Session
from pylon.model.schema import AppSpec
from pylon.testing.identity import somebody
from tests.auth.conftest import Clock
from tests.auth.mailing import OTHER, PASSWORD, code_of, open_with_mail

ANN, NEW = "ann@example.com", "new@example.com"


async def enter(base: Any, email: str = ANN) -> Session:
    made = await base.registry.get("password").register(somebody(), Registration(email, PASSWORD))
    session: Session = base.sessions.resolve(made.grant.token)
    return session


def address(base: Any) -> Any:
    return base.registry.get("email")


async def test_a_code_proves_the_address(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_with_mail(people, tmp_path, clock=clock) as (base, _):
        session = await enter(base)
        clock.now += 60
        email, code = await address(base).send_verification(somebody(session))
        wrong = "000000" if code != "000000" else "111111"
        assert await code_of(address(base).verify(somebody(session), wrong)) == "INVALID_CODE"
        at = await address(base).verify(somebody(session), code)
        assert (email, base.users.by_email(ANN).emailVerified) == (ANN, at)
        assert await code_of(address(base).verify(somebody(session), code)) == "INVALID_CODE"


async def test_a_code_of_one_address_proves_no_other(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_with_mail(people, tmp_path, clock=clock) as (base, _):
        ann, bob = await enter(base), await enter(base, "bob@example.com")
        clock.now += 60
        _, code = await address(base).send_verification(somebody(ann))
        assert await code_of(address(base).verify(somebody(bob), code)) == "INVALID_CODE"


async def test_the_address_changes_with_a_link_and_the_old_one_is_told(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, post):
        session = await enter(base)
        _, code = ANN, base.one_time  # the code of the registration's letter
        [letter] = await post.to(ANN)
        code = next(word for word in letter.text.split() if word.isdigit() and len(word) == 6)
        await address(base).verify(somebody(session), code)
        token = await address(base).request_change(somebody(session), f" {NEW.upper()} ", None)
        [letter] = await post.to(NEW)
        assert f"https://app.example.com/email-change/confirm?token={token}" in letter.text
        assert base.users.by_email(ANN) is not None, "nothing changes before"
        grant, email = await address(base).confirm_change(somebody(session), token)
        assert email == NEW
        row = base.users.by_email(NEW)
        assert (row.id, bool(row.emailVerified)) == (session.identity.user_id, True)
        assert base.sessions.resolve(grant.token).identity.email == NEW
        assert "was changed" in (await post.to(ANN, 2))[-1].subject
        assert await code_of(address(base).confirm_change(somebody(session), token)) == "INVALID_TOKEN"


async def test_nobody_is_handed_an_account_by_clicking_a_strangers_link(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        attacker = await enter(base, "attacker@example.com")
        victim = await enter(base)
        token = await address(base).request_change(somebody(attacker), "victim@example.com", None)
        for session in (NOBODY, victim):
            assert await code_of(address(base).confirm_change(somebody(session), token)) == "AUTH_REQUIRED"
        assert base.users.by_email("victim@example.com") is None


async def test_an_address_that_is_taken_is_answered_alike_and_gets_no_letter(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, post):
        session = await enter(base)
        await enter(base, NEW)
        await post.to(NEW)
        assert await code_of(address(base).request_change(somebody(session), NEW, None)) == ""
        assert len(post.letters) == 2


async def test_two_who_change_to_one_address_get_it_once(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        ann, bob = await enter(base), await enter(base, "bob@example.com")
        tokens = [await address(base).request_change(somebody(session), NEW, None) for session in (ann, bob)]
        assert await code_of(address(base).confirm_change(somebody(ann), tokens[0])) == ""
        assert await code_of(address(base).confirm_change(somebody(bob), tokens[1])) in ("INVALID_TOKEN", "EMAIL_TAKEN")


async def test_a_session_that_lay_around_changes_no_address_without_the_password(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_with_mail(people, tmp_path, clock=clock) as (base, _):
        session = await enter(base)
        clock.now += RECENT_SECONDS + 1
        change = address(base).request_change
        assert await code_of(change(somebody(session), NEW, None)) == "REAUTHENTICATION_REQUIRED"
        assert await code_of(change(somebody(session), NEW, OTHER)) == "WRONG_PASSWORD"
        assert await code_of(change(somebody(session), NEW, PASSWORD)) == ""


async def test_links_to_the_old_address_die_with_it(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        session = await enter(base)
        reset = base.registry.get("password_reset")
        old_link = await reset.request(somebody(), ANN)
        token = await address(base).request_change(somebody(session), NEW, None)
        await address(base).confirm_change(somebody(session), token)
        assert await code_of(reset.complete(somebody(), old_link, OTHER)) == "INVALID_TOKEN"
