"""Codes and links by mail: good once, for their address, for a while; nothing tells who has an account."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pylon.auth.one_time import CODE_TRIES
from pylon.auth.proofs import CODE, LINK
from pylon.auth.sessions import NOBODY, Session
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.store.identity import OneTimeRecord
from pylon.testing.identity import somebody
from tests.auth.conftest import Clock
from tests.auth.mailing import code_of, open_with_mail

ANN = "ann@example.com"


def codes(base: Any) -> Any:
    return base.registry.get("magic_code")


def links(base: Any) -> Any:
    return base.registry.get("magic_link")


async def test_a_code_makes_an_account_and_signs_in_to_it_again(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_with_mail(people, tmp_path, clock=clock) as (base, post):
        email, code = await codes(base).send(somebody(), "  Ann@Example.COM ")
        assert email == ANN
        [letter] = await post.to(ANN)
        assert code in letter.text
        grant = await codes(base).verify(somebody(), ANN, code)
        row = base.users.by_email(ANN)
        assert (row.id, bool(row.emailVerified), row.displayName) == (grant.record.user_id, True, ANN)
        assert base.sessions.resolve(grant.token).factors == ("email",)
        clock.now += CODE.cooldown
        _, code = await codes(base).send(somebody(), ANN)
        assert (await codes(base).verify(somebody(), ANN, code)).record.user_id == row.id
        assert [e["action"] for e in await base.events.search(user=row.id)] == ["sign_in", "sign_in", "sign_up"]


async def test_of_many_who_present_one_code_at_once_one_signs_in(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        _, code = await codes(base).send(somebody(), ANN)
        answers = await asyncio.gather(*[code_of(codes(base).verify(somebody(), ANN, code)) for _ in range(8)])
        assert sorted(answers) == [""] + ["INVALID_CODE"] * 7


async def test_a_guessed_code_burns_and_the_next_one_waits(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_with_mail(people, tmp_path, clock=clock) as (base, _):
        _, code = await codes(base).send(somebody(), ANN)
        wrong = "000000" if code != "000000" else "111111"
        for _ in range(CODE_TRIES):
            assert await code_of(codes(base).verify(somebody(), ANN, wrong)) == "INVALID_CODE"
        assert await code_of(codes(base).verify(somebody(), ANN, code)) == "RATE_LIMITED"
        with pytest.raises(PylonError) as soon:
            await codes(base).send(somebody(), ANN)
        assert (soon.value.headers or {})["Retry-After"] == "60"
        clock.now += CODE.seconds
        assert await code_of(codes(base).verify(somebody(), ANN, code)) == "INVALID_CODE"


async def test_unknown_and_known_addresses_are_answered_alike(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_with_mail(people, tmp_path, clock=clock) as (base, _):
        _, code = await codes(base).send(somebody(), ANN)
        await codes(base).verify(somebody(), ANN, code)
        clock.now += CODE.cooldown
        for address in (ANN, "nobody@example.com"):
            assert await code_of(codes(base).send(somebody(), address)) == ""
            assert await code_of(codes(base).send(somebody(), address)) == "RATE_LIMITED"
            assert await code_of(codes(base).verify(somebody(), address, "x")) == "INVALID_CODE"
            assert await code_of(links(base).send(somebody(), address)) == ""


async def test_throw_away_addresses_get_nothing(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path, email_blocklist_extra=("throwaway.example",)) as (base, post):
        for method in (codes(base), links(base)):
            assert await code_of(method.send(somebody(), "a@throwaway.example")) == "DISPOSABLE_EMAIL"
            assert await code_of(method.send(somebody(), "not an address")) == "INVALID_EMAIL"
        assert not post.letters


async def test_sending_is_limited_by_address_and_account(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    limits = {"auth_send_ip_per_min": 3, "auth_send_account_per_hour": 10}
    async with open_with_mail(people, tmp_path, clock=clock, **limits) as (base, _):
        answers = [await code_of(links(base).send(somebody(), f"a{n}@example.com")) for n in range(4)]
        assert answers == ["", "", "", "RATE_LIMITED"]
        answers = [await code_of(links(base).send(somebody(ip=f"198.18.{n}.1"), ANN)) for n in range(11)]
        assert answers == [""] * 10 + ["RATE_LIMITED"]


async def test_a_link_leads_to_the_configured_server_whatever_the_request_says(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, post):
        sent = await links(base).send(somebody(), ANN)
        [letter] = await post.to(ANN)
        assert sent.url == f"https://app.example.com/api/auth/magic-link/verify?token={sent.token}"
        assert sent.url in letter.text
        assert await code_of(links(base).send(somebody(), ANN, None, "https://evil.example/")) == "UNTRUSTED_REDIRECT"


async def test_a_link_signs_in_once_and_takes_its_siblings_with_it(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_with_mail(people, tmp_path, clock=clock) as (base, _):
        first, second = [await links(base).send(somebody(), ANN, None, "/home") for _ in range(2)]
        grant, page = await links(base).verify(somebody(), first.token)
        assert page == "/home"
        assert base.sessions.resolve(grant.token).method == "magic_link"
        for token in (first.token, second.token, "x"):
            assert await code_of(links(base).verify(somebody(), token)) == "INVALID_TOKEN"
        late = await links(base).send(somebody(), ANN)
        clock.now += LINK.seconds
        assert await code_of(links(base).verify(somebody(), late.token)) == "INVALID_TOKEN"


async def test_looking_at_a_link_uses_nothing_up_and_knows_the_browser_that_asked(
    people: AppSpec, tmp_path: Path
) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        sent = await links(base).send(somebody(), ANN)
        for browser, is_same in ((None, False), ("another", False), (sent.browser, True)):
            link = await links(base).look(somebody(), sent.token, browser)
            assert (link.is_same_browser, link.recipient) == (is_same, "an***@example.com")
        assert await code_of(links(base).verify(somebody(), sent.token)) == ""


async def test_a_guest_keeps_its_rows_when_it_signs_in_by_code(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        guest = await base.sessions.create_guest()
        session = base.sessions.resolve(guest.token)
        _, code = await codes(base).send(somebody(session), ANN)
        await codes(base).verify(somebody(session), ANN, code)
        assert base.sessions.resolve(guest.token) == NOBODY == Session()


async def test_a_stolen_database_yields_no_code_and_no_link(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        _, code = await codes(base).send(somebody(), ANN)
        sent = await links(base).send(somebody(), ANN)
        stored = repr(base.engine.reads.identity.find(OneTimeRecord))
        files = _files(tmp_path)
        for secret in (sent.token, sent.browser):
            assert secret not in stored
            assert secret.encode() not in files
        assert code not in stored


def _files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("pylon.db*"))


async def test_a_server_that_does_not_know_its_address_mails_no_links_and_keeps_none(
    people: AppSpec, tmp_path: Path
) -> None:
    async with open_with_mail(people, tmp_path, public_url=None) as (base, post):
        assert await code_of(links(base).send(somebody(), ANN)) == "PUBLIC_URL_MISSING"
        assert base.engine.reads.identity.find(OneTimeRecord) == []
        assert post.letters == []
