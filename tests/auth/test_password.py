"""Passwords: hashed, renewed, checked against breaches, reset by mail; what fails tells nothing."""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest
from argon2 import PasswordHasher

from pylon.auth.captcha import Captcha, Provider
from pylon.auth.hashing import MAX_PASSWORD_BYTES
from pylon.auth.methods.password import Registration
from pylon.auth.passwords import PAUSE_SECONDS, Passwords
from pylon.auth.sessions import NOBODY
from pylon.engine.caller import SYSTEM
from pylon.engine.transaction import Authority
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.store.identity import TrustedDeviceRecord
from pylon.testing.identity import somebody
from tests.auth.conftest import Clock
from tests.auth.mailing import OTHER, PASSWORD, code_of, open_with_mail

ANN = "ann@example.com"


def passwords(base: Any) -> Any:
    return base.registry.get("password")


def reset(base: Any) -> Any:
    return base.registry.get("password_reset")


async def register(base: Any, email: str = ANN, password: str = PASSWORD, **options: Any) -> Any:
    return await passwords(base).register(somebody(), Registration(email, password, **options))


async def write(base: Any, user: str, **values: Any) -> None:
    await base.engine.run(SYSTEM, lambda tx: base.users.update(tx, user, values), authority=Authority.TRUSTED)


async def test_an_account_is_made_and_signed_in_to(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, post):
        made = await register(base, " Ann@Example.com ", display_name="Ann")
        row = base.users.by_email(ANN)
        assert row.passwordHash.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert (row.displayName, row.emailVerified, made.was_mailed) == ("Ann", None, True)
        [letter] = await post.to(ANN)
        assert made.code in letter.text
        grant = await passwords(base).login(somebody(), "ANN@example.com", PASSWORD)
        assert base.sessions.resolve(grant.token).factors == ("pwd",)
        assert await code_of(register(base)) == "EMAIL_TAKEN"


async def test_without_mail_registering_says_that_none_was_sent(people: AppSpec, tmp_path: Path) -> None:
    from pylon.settings import EmailProvider

    async with open_with_mail(people, tmp_path, email_provider=EmailProvider.OFF) as (base, _):
        base.outbox._transport = None
        assert (await register(base)).was_mailed is False
        assert not base.registry.is_on("magic_code")
        assert not base.registry.is_on("password_reset")


async def test_a_hash_with_weaker_parameters_is_renewed_at_the_next_sign_in(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        await register(base)
        weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
        await write(base, base.users.by_email(ANN).id, passwordHash=weak)
        await passwords(base).login(somebody(), ANN, PASSWORD)
        renewed = base.users.by_email(ANN).passwordHash
        assert "m=19456,t=2" in renewed
        await passwords(base).login(somebody(), ANN, PASSWORD)
        assert base.users.by_email(ANN).passwordHash == renewed


@pytest.mark.parametrize("stored", [None, "", "not a hash", "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA"])
async def test_an_account_without_a_readable_hash_is_signed_in_to_by_no_password(
    people: AppSpec, tmp_path: Path, stored: str | None
) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        await register(base)
        await write(base, base.users.by_email(ANN).id, passwordHash=stored)
        for password in ("", PASSWORD, "not a hash"):
            assert await code_of(passwords(base).login(somebody(), ANN, password)) == "INVALID_CREDENTIALS"


async def test_unknown_address_and_wrong_password_are_told_alike_and_written_down_apart(
    people: AppSpec, tmp_path: Path
) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        await register(base)
        user = base.users.by_email(ANN).id
        answers = []
        for email in (ANN, "nobody@example.com"):
            with pytest.raises(PylonError) as refused:
                await passwords(base).login(somebody(), email, OTHER)
            answers.append((refused.value.code, refused.value.message, refused.value.status))
        assert answers[0] == answers[1]
        events = [e for e in await base.events.search() if e["action"] == "sign_in_failed"]
        assert {e["user_id"] for e in events} == {user, None}
        assert "nobody@example.com" not in str(events)


async def test_a_known_and_an_unknown_address_take_as_long(people: AppSpec, tmp_path: Path) -> None:
    """Medians of interleaved tries: a missing hash would show as tens of milliseconds."""
    rounds = 60 if os.environ.get("PYLON_TEST_LONG") else 12
    async with open_with_mail(people, tmp_path) as (base, _):
        await register(base)
        times: dict[str, list[float]] = {ANN: [], "nobody@example.com": []}
        for _ in range(rounds):
            for email, taken in times.items():
                began = time.perf_counter()
                await code_of(passwords(base).login(somebody(), email, OTHER))
                taken.append(time.perf_counter() - began)
        known, unknown = (min(taken) for taken in times.values())
        middle = statistics.median(times[ANN])
        assert abs(known - unknown) < max(0.35 * middle, 0.005), times


async def test_a_password_that_changes_while_it_is_compared_signs_nobody_in(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        await register(base)
        user = base.users.by_email(ANN).id
        compare = base.hashing.verify

        async def slow(stored: str | None, password: str) -> Any:
            verdict = await compare(stored, password)
            await write(base, user, passwordHash="$argon2id$other")
            return verdict

        base.hashing.verify = slow
        assert await code_of(passwords(base).login(somebody(), ANN, PASSWORD)) == "INVALID_CREDENTIALS"


async def test_guessing_at_an_account_waits_and_its_owner_does_not(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    limits = {"auth_login_account_per_hour": 5}
    async with open_with_mail(people, tmp_path, clock=clock, **limits) as (base, _):
        await register(base)  # from home
        for n in range(12):
            await code_of(passwords(base).login(somebody(ip=f"198.18.{n}.1"), ANN, OTHER))
        assert await code_of(passwords(base).login(somebody(ip="198.19.0.1"), ANN, PASSWORD)) == "RATE_LIMITED"
        assert await code_of(passwords(base).login(somebody(), ANN, PASSWORD)) == ""


@pytest.mark.parametrize("password", ["", "123456789", "ü" * 9, "x" * (MAX_PASSWORD_BYTES + 1)])
async def test_passwords_have_a_least_and_a_greatest_length(people: AppSpec, tmp_path: Path, password: str) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        assert await code_of(register(base, password=password)) == "WEAK_PASSWORD"


GUESSABLE = [
    "people2026!!",  # the app's name and a year
    "P30ple-p30ple",  # however it is written
    "ann.miller1990",  # the address
    "Ann-Miller-77",
    "1990@shop-example",  # its domain
    "Annabel Miller 1",  # the name
    "harbour-2026!",  # a word of the server's own list
]


async def test_words_that_are_tried_first_do_not_count_toward_the_length(people: AppSpec, tmp_path: Path) -> None:
    email, sentence = "ann.miller@shop-example.com", "the harbour of people is deep"
    async with open_with_mail(people, tmp_path, password_words=("harbour", "Annex")) as (base, _):
        for password in GUESSABLE:
            registering = register(base, email, password, display_name="Annabel Miller")
            assert await code_of(registering) == "WEAK_PASSWORD", password
        grant = (await register(base, email, sentence, display_name="Annabel Miller")).grant
        session = base.sessions.resolve(grant.token)
        assert await code_of(passwords(base).change(somebody(session), sentence, GUESSABLE[2])) == "WEAK_PASSWORD"
        token = await reset(base).request(somebody(), email)
        assert await code_of(reset(base).complete(somebody(), token, GUESSABLE[5])) == "WEAK_PASSWORD"


async def test_every_character_counts(people: AppSpec, tmp_path: Path) -> None:
    long = "pässwörd 🔑 " + "x" * 200
    async with open_with_mail(people, tmp_path) as (base, _):
        await register(base, password=long)
        assert await code_of(passwords(base).login(somebody(), ANN, long[:-1] + "y")) == "INVALID_CREDENTIALS"
        assert await code_of(passwords(base).login(somebody(), ANN, f" {long}")) == "INVALID_CREDENTIALS"
        assert await code_of(passwords(base).login(somebody(), ANN, long)) == ""


async def test_changing_the_password_ends_everything_else_and_keeps_this_session(
    people: AppSpec, tmp_path: Path
) -> None:
    async with open_with_mail(people, tmp_path) as (base, post):
        grant = (await register(base)).grant
        user = grant.record.user_id
        other = await passwords(base).login(somebody(), ANN, PASSWORD)
        device = TrustedDeviceRecord(key=b"k", id="d", user_id=user, label=None, created_at=0, expires_at=2**40)
        await base.engine.run(SYSTEM, lambda tx: tx.session.identity.put(device), authority=Authority.TRUSTED)
        session = base.sessions.resolve(grant.token)
        assert await code_of(passwords(base).change(somebody(session), OTHER, OTHER)) == "WRONG_PASSWORD"
        fresh, ended = await passwords(base).change(somebody(session), PASSWORD, OTHER)
        assert ended == 1
        assert base.sessions.resolve(other.token) is base.sessions.resolve(grant.token) is NOBODY
        assert base.sessions.resolve(fresh.token).id == session.id
        assert not base.engine.reads.identity.find(TrustedDeviceRecord, user_id=user)
        assert await code_of(passwords(base).login(somebody(), ANN, PASSWORD)) == "INVALID_CREDENTIALS"
        assert "was changed" in (await post.to(ANN, 2))[-1].subject


async def test_a_reset_sets_the_password_ends_all_sessions_and_signs_in(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_with_mail(people, tmp_path, clock=clock) as (base, post):
        old = (await register(base)).grant
        await write(base, old.record.user_id, emailVerified="2026-01-01T00:00:00Z")
        token = await reset(base).request(somebody(), ANN)
        again = await reset(base).request(somebody(), ANN)
        assert f"https://app.example.com/reset-password?token={token}" in (await post.to(ANN, 2))[1].text
        assert await code_of(reset(base).complete(somebody(), token, "short")) == "WEAK_PASSWORD"
        grant, ended = await reset(base).complete(somebody(), token, OTHER)
        assert ended == 1
        assert base.sessions.resolve(old.token) is NOBODY
        assert base.sessions.resolve(grant.token).identity.user_id == old.record.user_id
        assert await code_of(passwords(base).login(somebody(), ANN, OTHER)) == ""
        for used in (token, again):
            assert await code_of(reset(base).complete(somebody(), used, PASSWORD)) == "INVALID_TOKEN"


async def test_a_reset_of_an_address_without_account_is_answered_alike_in_answer_and_time(
    people: AppSpec, tmp_path: Path
) -> None:
    async with open_with_mail(people, tmp_path) as (base, post):
        await register(base)
        await post.to(ANN)
        taken = []
        for email in (ANN, "nobody@example.com"):
            began = time.perf_counter()
            await reset(base).request(somebody(), email)
            taken.append(time.perf_counter() - began)
        assert min(taken) >= 0.15
        await post.to(ANN, 2)
        assert {letter.to for letter in post.letters} == {ANN}


async def test_a_reset_link_is_of_no_use_once_the_address_is_another(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        user = (await register(base)).grant.record.user_id
        token = await reset(base).request(somebody(), ANN)
        await write(base, user, email="new@example.com")
        assert await code_of(reset(base).complete(somebody(), token, OTHER)) == "USER_NOT_FOUND"


async def test_where_addresses_are_proved_first_registering_tells_nobody_who_has_an_account(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_with_mail(people, tmp_path, clock=clock, require_email_verification=True) as (base, post):
        announced = await register(base)
        assert announced.grant is None
        assert base.users.by_email(ANN) is None, "there is no account before its address is proved"
        assert await code_of(register(base, code="000000")) in ("INVALID_CODE",)
        made = await register(base, code=announced.code)
        row = base.users.by_email(ANN)
        assert (row.id, bool(row.emailVerified)) == (made.grant.record.user_id, True)
        clock.now += 60
        again = await register(base, password=OTHER)
        assert (again.grant, again.was_mailed) == (None, announced.was_mailed)
        letters = await post.to(ANN, 2)
        assert "You have an account" in letters[-1].subject
        assert again.code not in letters[-1].text
        assert base.users.by_email(ANN).passwordHash == row.passwordHash


class Breaches(BaseHTTPRequestHandler):
    """Who knows what was stolen: of every prefix the hash of `password12345`, and padding."""

    asked: ClassVar[list[str]] = []
    status = 200

    def do_GET(self) -> None:
        type(self).asked.append(f"{self.path} {self.headers['Add-Padding']}")
        body = (
            b"0018A45C4D1DEF81644B54AB7F969B88D65:1\r\n"
            + KNOWN[5:].encode()
            + b":24\r\n"
            + PADDED[5:].encode()
            + b":0\r\n"
        )
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def _sha1(password: str) -> str:
    import hashlib

    return hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()


KNOWN, PADDED = _sha1("password12345"), _sha1("padding padding")


async def test_breached_passwords_are_refused_and_who_is_asked_learns_five_digits() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Breaches)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    now = [0.0]
    rules = Passwords(f"http://127.0.0.1:{server.server_port}", clock=lambda: now[0])
    try:
        assert await code_of(rules.accept("password12345")) == "PWNED_PASSWORD"
        assert Breaches.asked == [f"/range/{KNOWN[:5]} true"]
        assert await code_of(rules.accept(PASSWORD)) == ""
        assert await code_of(rules.accept("padding padding")) == ""
        Breaches.status = 503
        assert await code_of(rules.accept("password12345")) == "", "while nobody answers, passwords pass"
        Breaches.status = 200
        assert await code_of(rules.accept("password12345")) == "", "and for a while nobody is asked"
        now[0] += PAUSE_SECONDS
        assert await code_of(rules.accept("password12345")) == "PWNED_PASSWORD"
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


async def test_without_the_captcha_nothing_is_sent_and_no_account_is_made(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, post):
        captcha = Captcha(Provider.TURNSTILE, "secret", endpoint="http://127.0.0.1:9/")
        object.__setattr__(base, "captcha", captcha)
        assert await code_of(register(base, captcha="forged")) == "CAPTCHA_FAILED"
        for method in ("magic_code", "magic_link"):
            assert await code_of(base.registry.get(method).send(somebody(), ANN, "forged")) == "CAPTCHA_FAILED"
        assert base.users.by_email(ANN) is None
        assert not post.letters


async def test_a_locked_account_is_signed_in_to_by_no_method(people: AppSpec, tmp_path: Path) -> None:
    async with open_with_mail(people, tmp_path) as (base, _):
        user = (await register(base)).grant.record.user_id
        await write(base, user, disabledAt="2026-01-01T00:00:00Z", emailVerified="2026-01-01T00:00:00Z")
        link = await base.registry.get("magic_link").send(somebody(), ANN)
        token = await reset(base).request(somebody(), ANN)
        assert await code_of(passwords(base).login(somebody(), ANN, PASSWORD)) == "ACCOUNT_LOCKED"
        assert await code_of(base.registry.get("magic_link").verify(somebody(), link.token)) == "ACCOUNT_LOCKED"
        assert await code_of(reset(base).complete(somebody(), token, OTHER)) == "ACCOUNT_LOCKED"
