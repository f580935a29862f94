"""Limits that stop guessing and lock out no victim; codes that burn; hashes that never hold the loop."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from pylon.auth.addresses import Addresses
from pylon.auth.captcha import Captcha, Provider
from pylon.auth.hashing import Hashing
from pylon.auth.limiter import FREE_FAILURES, Step
from pylon.auth.one_time import CODE_TRIES, Kind
from pylon.auth.redirects import Redirects
from pylon.engine.caller import SYSTEM
from pylon.engine.transaction import Authority
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.testing.identity import open_foundation, somebody
from tests.auth.conftest import Clock

LOGIN = {"auth_login_ip_per_min": 5, "auth_login_account_per_hour": 30}
CODE = Kind("test_code", 600, cooldown=60)
LINK = Kind("test_link", 900)
OTHER = Kind("test_other", 900)


async def _tx(base: Any, work: Any) -> Any:
    return (await base.engine.run(SYSTEM, work, authority=Authority.TRUSTED)).value


async def _refused(base: Any, ip: str, account: str | None = None) -> int:
    """Seconds to wait, 0 when let through."""
    try:
        await base.limiter.take(Step.LOGIN, somebody(ip=ip), account)
    except PylonError as error:
        return int((error.headers or {})["Retry-After"])
    return 0


async def test_an_address_tries_five_times_a_minute_and_a_restart_forgives_nothing(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_foundation(people, tmp_path, clock=clock, **LOGIN) as base:
        assert [bool(await _refused(base, "203.0.113.1")) for _ in range(7)] == [False] * 5 + [True] * 2
        assert not await _refused(base, "203.0.113.2")
    async with open_foundation(people, tmp_path, clock=clock, **LOGIN) as base:
        wait = await _refused(base, "203.0.113.1")
        assert 0 < wait <= 12
        clock.now += wait
        assert not await _refused(base, "203.0.113.1")


async def test_a_household_of_ipv6_is_one_address(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, clock=clock, **LOGIN) as base:
        refused = [bool(await _refused(base, f"2001:db8:1:1::{n}")) for n in range(1, 8)]
        assert refused == [False] * 5 + [True] * 2


async def test_guessing_locks_out_the_guesser_and_not_the_victim(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, clock=clock, **LOGIN) as base:
        home, account = somebody(ip="192.0.2.1"), "victim@example.com"
        await _tx(base, lambda tx: base.limiter.succeeded(tx, Step.LOGIN, home, account))
        for n in range(60):  # a botnet, each from a network of its own
            ip = f"198.18.{n}.1"
            if not await _refused(base, ip, account):
                await base.limiter.failed(Step.LOGIN, somebody(ip=ip), account)
        assert await _refused(base, "198.19.0.1", account), "strangers are stopped"
        assert not await _refused(base, home.ip, account), "the victim at home is let in"


async def test_one_network_waits_ever_longer_at_one_account(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, clock=clock, auth_login_account_per_hour=1000) as base:
        waits = []
        for _ in range(FREE_FAILURES + 4):
            wait = await _refused(base, "203.0.113.5", "ann@example.com")
            waits.append(wait)
            clock.now += wait
            await base.limiter.failed(Step.LOGIN, somebody(ip="203.0.113.5"), "ann@example.com")
        assert waits == [0, 0, 0, 0, 2, 4, 8]
        assert not await _refused(base, "203.0.113.5", "bob@example.com")


async def test_a_code_is_good_once_for_its_subject_and_flow(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        code = await _tx(base, lambda tx: base.one_time.make_code(tx, CODE, "ann@example.com"))
        assert await _tx(base, lambda tx: base.one_time.use_code(tx, CODE, "bob@example.com", code)) is None
        assert await _tx(base, lambda tx: base.one_time.use_code(tx, OTHER, "ann@example.com", code)) is None
        used = await asyncio.gather(
            *[_tx(base, lambda tx: base.one_time.use_code(tx, CODE, "ann@example.com", code)) for _ in range(5)]
        )
        assert sum(record is not None for record in used) == 1


async def test_a_code_that_is_guessed_at_burns(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        code = await _tx(base, lambda tx: base.one_time.make_code(tx, CODE, "ann@example.com"))
        wrong = "000000" if code != "000000" else "111111"
        for _ in range(CODE_TRIES):
            assert await _tx(base, lambda tx: base.one_time.use_code(tx, CODE, "ann@example.com", wrong)) is None
        with pytest.raises(PylonError) as refused:
            await _tx(base, lambda tx: base.one_time.use_code(tx, CODE, "ann@example.com", code))
        assert refused.value.code == "RATE_LIMITED"
        with pytest.raises(PylonError):  # and no new one within the cooldown
            await _tx(base, lambda tx: base.one_time.make_code(tx, CODE, "ann@example.com"))


async def test_a_link_works_once_and_not_for_ever(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        token = await _tx(base, lambda tx: base.one_time.make_token(tx, LINK, "ann", payload={"to": "x"}))
        assert await _tx(base, lambda tx: base.one_time.use_token(tx, OTHER, token)) is None
        record = await _tx(base, lambda tx: base.one_time.use_token(tx, LINK, token))
        assert base.one_time.payload(record) == {"to": "x"}
        assert await _tx(base, lambda tx: base.one_time.use_token(tx, LINK, token)) is None
        late = await _tx(base, lambda tx: base.one_time.make_token(tx, LINK, "ann"))
        clock.now += LINK.seconds
        assert await _tx(base, lambda tx: base.one_time.use_token(tx, LINK, late)) is None


async def test_a_stolen_database_yields_no_code(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        code = await _tx(base, lambda tx: base.one_time.make_code(tx, CODE, "ann@example.com"))
        stored = base.engine.reads.identity.find  # what a thief has: every record, and all the time in the world
        from pylon.auth.vault import Vault
        from pylon.engine.keyring import KeyRing
        from pylon.store.identity import OneTimeRecord

        [record] = stored(OneTimeRecord, kind=CODE.name, subject="ann@example.com")
        thief = Vault(KeyRing(["a key of the thief's own, as good as any"]))
        assert not any(thief.matches(CODE.name, f"ann@example.com\0{n:06d}", record.hash) for n in range(0, 10**6, 997))
        assert not thief.matches(CODE.name, f"ann@example.com\0{code}", record.hash)
        assert base.vault.matches(CODE.name, f"ann@example.com\0{code}", record.hash)


async def test_passwords_are_checked_beside_the_loop_and_no_more_than_fit() -> None:
    hashing = Hashing(threads=1, waiting=2)
    try:
        stored = await hashing.hash("correct horse")
        assert (await hashing.verify(stored, "correct horse")).ok
        assert not (await hashing.verify(stored, "wrong")).ok
        assert not (await hashing.verify(None, "wrong")).ok
        assert not (await hashing.verify("not a hash", "wrong")).ok
        assert not (await hashing.verify(stored, "x" * 100_000)).ok
        answers = await asyncio.gather(*[hashing.verify(stored, "x") for _ in range(8)], return_exceptions=True)
        refused = [a for a in answers if isinstance(a, PylonError)]
        assert len(refused) == 5
        assert {error.code for error in refused} == {"OVERLOADED"}
    finally:
        hashing.close()


async def test_a_weaker_hash_is_replaced_when_its_password_is_right() -> None:
    from argon2 import PasswordHasher

    hashing = Hashing(threads=1)
    try:
        weak = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash("secret word")
        verdict = await hashing.verify(weak, "secret word")
        assert verdict.rehashed is not None
        assert "m=19456,t=2,p=1" in verdict.rehashed
        assert (await hashing.verify(weak, "wrong")).rehashed is None
    finally:
        hashing.close()


async def test_what_an_unknown_account_costs_is_what_a_known_one_does() -> None:
    from pylon.auth.uniform import evenly

    took = []
    for work in (0.0, 0.02):
        began = time.perf_counter()
        async with evenly(0.05, 0.0):
            await asyncio.sleep(work)
        took.append(time.perf_counter() - began)
    assert all(seconds >= 0.05 for seconds in took)


async def test_a_captcha_is_asked_of_its_provider_and_fails_closed() -> None:
    await Captcha(None, None).check(None, "203.0.113.1")
    unreachable = Captcha(Provider.TURNSTILE, "s", endpoint="http://127.0.0.1:9/")
    for token in (None, "", "x", 7):
        with pytest.raises(PylonError) as refused:
            await unreachable.check(token, "203.0.113.1")
        assert refused.value.code == "CAPTCHA_FAILED"
    assert not unreachable._vouches({"success": True, "score": 0.1})
    assert not unreachable._vouches({"success": True, "challenge_ts": "2020-01-01T00:00:00Z"})
    assert unreachable._vouches({"success": True})


@pytest.mark.parametrize("email", ["x@mailinator.com", "x@sub.mailinator.com", "x@own.example"])
def test_throw_away_addresses_are_refused(email: str) -> None:
    with pytest.raises(PylonError) as refused:
        Addresses(extra=["own.example"]).accept(email)
    assert refused.value.code == "DISPOSABLE_EMAIL"
    assert Addresses().accept(" Ann@Example.com") == "ann@example.com"
    assert Addresses(is_on=False).accept("x@mailinator.com") == "x@mailinator.com"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/",
        "//evil.example/",
        "https://app.example.com.evil.example/",
        "https://app.example.com@evil.example/",
        "javascript:alert(1)",
        "/\\evil.example",
        "https://evil.example\\@app.example.com/",
        "https://app.example.com\t.evil.example/",
        "",
    ],
)
def test_a_sign_in_leads_back_to_trusted_pages_only(url: str) -> None:
    redirects = Redirects("https://api.example.com", ["https://app.example.com"])
    for good in ("/x", "https://app.example.com/a?b=c", "https://api.example.com/"):
        assert redirects.check(good) == good
    with pytest.raises(PylonError) as refused:
        redirects.check(url)
    assert refused.value.code == "UNTRUSTED_REDIRECT"


def test_links_in_mail_begin_with_the_configured_address() -> None:
    link = Redirects("https://api.example.com", []).link("/auth/verify", token="a b")
    assert link == "https://api.example.com/auth/verify?token=a%20b"
    with pytest.raises(PylonError):
        Redirects(None, []).link("/auth/verify")
