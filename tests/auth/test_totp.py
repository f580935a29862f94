"""Authenticator apps: enrolled, asked of every sign-in, and not got around."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pyotp
import pytest

from pylon.auth.methods import totp
from pylon.auth.methods.totp import Totp
from pylon.auth.registry import Method
from pylon.auth.sessions import NOBODY, Session
from pylon.auth.sign_in import MoreNeeded, Proof
from pylon.engine.limits.switch import Scope
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.store.identity import BackupCodeRecord, OneTimeRecord, TotpRecord
from pylon.testing.identity import open_foundation, somebody
from tests.auth.conftest import Clock
from tests.conftest import ADMINISTRATOR

CARD = Method("card", "Card", lambda foundation: "a card reader")
METHODS = [CARD, totp.METHOD]
LIMITS = {"auth_login_ip_per_min": 0}


async def _user(base: Any) -> str:
    return str((await base.engine.insert(ADMINISTRATOR, "User", b'{"email":"ann@example.com"}')).row_id)


async def _session(base: Any, user: str) -> Session:
    found: Session = base.sessions.resolve((await base.sessions.create(user)).token)
    return found


class Ann:
    """A user with an authenticator app, at a server."""

    def __init__(self, base: Any, clock: Clock) -> None:
        self.base, self.clock = base, clock
        self.totp: Totp = base.registry.get("totp")

    async def enroll(self) -> Ann:
        self.user = await _user(self.base)
        self.session = await _session(self.base, self.user)
        made = await self.totp.enroll(somebody(self.session), None)
        self.secret = made.secret
        verified = await self.totp.verify(somebody(self.session), self.code(), trust_device=False)
        assert verified.is_new
        self.codes = verified.codes
        self.clock.now += 30
        return self

    def code(self, ago: float = 0) -> str:
        return pyotp.TOTP(self.secret).at(int(self.clock.now - ago))

    async def challenge(self, **arrival: Any) -> str:
        with pytest.raises(MoreNeeded) as asked:
            await self.base.sign_in.complete(
                somebody(**arrival), Proof(user_id=self.user, method="card", factors=("pwd",))
            )
        assert asked.value.code == "SECOND_FACTOR_REQUIRED"
        assert asked.value.extra is not None
        return str(asked.value.extra["challenge"])

    async def answer(self, challenge: str, code: str, **options: Any) -> Any:
        return await self.totp.second_factor.answer(somebody(), challenge, code, **options)


async def _refused(call: Any) -> str:
    with pytest.raises(PylonError) as refused:
        await call
    return refused.value.code


async def test_a_first_factor_alone_gets_no_session_and_both_do(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        before = len(base.sessions.of_user(ann.user))
        challenge = await ann.challenge()
        assert len(base.sessions.of_user(ann.user)) == before
        grant, device = await ann.answer(challenge, ann.code())
        session = base.sessions.resolve(grant.token)
        assert (session.identity.user_id, session.factors, session.method) == (ann.user, ("pwd", "otp"), "card")
        assert device is None
        actions = [event["action"] for event in await base.events.search(user=ann.user)]
        assert actions == ["sign_in", "second_factor_ask", "totp_enroll"]


async def test_what_uses_the_first_proof_up_happens_when_it_is_given(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        done: list[str] = []
        with pytest.raises(MoreNeeded):
            await base.sign_in.complete(
                somebody(), Proof(user_id=ann.user, method="card"), lambda tx: done.append("used")
            )
        assert done == ["used"]


async def test_a_code_is_good_once_and_so_is_a_challenge(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        first, second = await ann.challenge(), await ann.challenge()
        code = ann.code()
        await ann.answer(first, code)
        assert await _refused(ann.answer(second, code)) == "INVALID_TOTP_CODE"
        clock.now += 30
        assert await _refused(ann.answer(first, ann.code())) == "CHALLENGE_EXPIRED"
        await ann.answer(second, ann.code())


async def test_of_many_who_send_one_code_at_once_one_gets_in(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        challenges = [await ann.challenge() for _ in range(4)]
        results = await asyncio.gather(
            *(ann.answer(challenge, ann.code()) for challenge in challenges), return_exceptions=True
        )
        assert sum(not isinstance(result, PylonError) for result in results) == 1


async def test_an_older_step_is_refused_once_a_newer_was_used(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        clock.now += 60
        await ann.answer(await ann.challenge(), ann.code())
        assert await _refused(ann.answer(await ann.challenge(), ann.code(ago=30))) == "INVALID_TOTP_CODE"


@pytest.mark.parametrize(("ago", "is_good"), [(30, True), (-30, True), (60, False), (-60, False)])
async def test_clocks_may_differ_by_one_step(
    people: AppSpec, tmp_path: Path, clock: Clock, ago: float, is_good: bool
) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        clock.now += 90
        challenge = await ann.challenge()
        if is_good:
            await ann.answer(challenge, ann.code(ago=ago))
        else:
            assert await _refused(ann.answer(challenge, ann.code(ago=ago))) == "INVALID_TOTP_CODE"


async def test_five_wrong_codes_burn_a_challenge_also_when_sent_at_once(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    off = {**LIMITS, "auth_login_account_per_hour": 0}
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **off) as base:
        ann = await Ann(base, clock).enroll()
        challenge = await ann.challenge()
        codes = await asyncio.gather(*(_refused(ann.answer(challenge, "000000")) for _ in range(9)))
        assert sorted(codes) == ["CHALLENGE_EXPIRED"] * 4 + ["INVALID_TOTP_CODE"] * 5
        assert await _refused(ann.answer(challenge, ann.code())) == "CHALLENGE_EXPIRED"


async def test_new_challenges_buy_no_new_tries(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        for _ in range(5):
            last = await _refused(ann.answer(await ann.challenge(), "000000"))
        assert last == "RATE_LIMITED"


async def test_a_challenge_is_of_one_browser_and_five_minutes(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        other = await ann.challenge(agent="Mozilla/5.0 Chrome/1")
        assert await _refused(ann.answer(other, ann.code())) == "CHALLENGE_EXPIRED"
        old = await ann.challenge()
        clock.now += 301
        assert await _refused(ann.answer(old, ann.code())) == "CHALLENGE_EXPIRED"
        assert await _refused(ann.answer("x" * 43, ann.code())) == "CHALLENGE_EXPIRED"


async def test_a_backup_code_works_once_however_it_is_typed(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        code = ann.codes[0]
        assert len(set(ann.codes)) == 10
        grant, _ = await ann.answer(await ann.challenge(), f" {code.lower().replace('-', ' ')} ")
        assert base.sessions.resolve(grant.token).factors == ("pwd", "backup")
        assert await _refused(ann.answer(await ann.challenge(), code)) == "INVALID_TOTP_CODE"
        assert ann.totp.codes_left(ann.user) == 9


async def test_new_backup_codes_end_the_old_and_need_proof(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        plain = await _session(base, ann.user)
        assert await _refused(ann.totp.new_backup_codes(somebody(plain), None)) == "REAUTHENTICATION_REQUIRED"
        fresh = await ann.totp.new_backup_codes(somebody(plain), ann.code())
        assert await _refused(ann.answer(await ann.challenge(), ann.codes[1])) == "INVALID_TOTP_CODE"
        await ann.answer(await ann.challenge(), fresh[1])


async def test_nothing_stored_is_a_code_or_the_seed(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        tables = base.engine.reads.identity
        [held] = tables.find(TotpRecord)
        stored = repr([held, *tables.find(BackupCodeRecord), *tables.find(OneTimeRecord)])
        assert ann.secret not in stored
        assert ann.secret.encode() not in held.secret
        assert all(code not in stored for code in ann.codes)


async def test_a_new_app_takes_over_with_its_first_code_and_not_before(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        assert await _refused(ann.totp.enroll(somebody(ann.session), None)) == "INVALID_TOTP_CODE"
        new = await ann.totp.enroll(somebody(ann.session), ann.code())
        clock.now += 30
        await ann.answer(await ann.challenge(), ann.code())
        await ann.totp.verify(somebody(ann.session), pyotp.TOTP(new.secret).at(int(clock.now)), trust_device=False)
        clock.now += 30
        assert await _refused(ann.answer(await ann.challenge(), ann.code())) == "INVALID_TOTP_CODE"


async def test_a_stolen_old_session_enrolls_no_app(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        session = await _session(base, await _user(base))
        clock.now += 901
        refused = base.registry.get("totp").enroll(somebody(session), None)
        assert await _refused(refused) == "REAUTHENTICATION_REQUIRED"


async def test_without_the_app_a_session_cannot_switch_it_off(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        for code in (None, "123456", "AAAA-BBBB"):
            assert await _refused(ann.totp.disable(somebody(ann.session), code)) == "INVALID_TOTP_CODE"
        await ann.totp.disable(somebody(ann.session), ann.code())
        await base.sign_in.complete(somebody(), Proof(user_id=ann.user, method="card"))


async def test_a_switched_off_app_lets_nobody_in_without_it(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        await base.engine.switches.turn_on(ADMINISTRATOR, Scope.AUTH, "totp", reason="x")
        await ann.challenge()


async def test_a_trusted_device_is_let_through_and_only_for_its_user(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        _, device = await ann.answer(await ann.challenge(), ann.code(), trust_device=True)
        assert device is not None
        here = _trusting(device.token)
        await base.sign_in.complete(here, Proof(user_id=ann.user, method="card"))
        assert ann.totp.devices.find(device.token, "somebody else") is None
        clock.now += 30 * 86_400
        with pytest.raises(MoreNeeded):
            await base.sign_in.complete(here, Proof(user_id=ann.user, method="card"))


async def test_a_revoked_device_is_asked_again(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **LIMITS) as base:
        ann = await Ann(base, clock).enroll()
        _, device = await ann.answer(await ann.challenge(), ann.code(), trust_device=True)
        assert device is not None
        assert await ann.totp.devices.revoke(somebody(), "somebody else", device.record.id) == 0
        assert await ann.totp.devices.revoke(somebody(), ann.user, device.record.id) == 1
        with pytest.raises(MoreNeeded):
            await base.sign_in.complete(_trusting(device.token), Proof(user_id=ann.user, method="card"))


async def test_where_no_device_may_be_trusted_none_is(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    none = {**LIMITS, "trusted_device_days": 0}
    async with open_foundation(people, tmp_path, methods=METHODS, clock=clock, **none) as base:
        ann = await Ann(base, clock).enroll()
        _, device = await ann.answer(await ann.challenge(), ann.code(), trust_device=True)
        assert device is None


def _trusting(token: str) -> Any:
    import msgspec

    return msgspec.structs.replace(somebody(NOBODY), trusted_device=token)
