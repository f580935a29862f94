"""Sessions: who a token is, how it changes, and that what ended opens nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from pylon.auth.sessions import NOBODY, TOUCH_SECONDS
from pylon.engine.caller import SYSTEM
from pylon.engine.transaction import Authority
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.store.identity import SessionFilter, SessionRecord
from pylon.testing.identity import open_foundation, somebody
from tests.auth.conftest import Clock
from tests.conftest import ADMINISTRATOR


async def test_a_new_session_is_its_users(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        grant = await base.sessions.create("u1")
        assert base.sessions.resolve(grant.token).identity.user_id == "u1"
        assert base.sessions.resolve(grant.token + "0") is NOBODY


async def test_using_a_session_prolongs_it_up_to_its_longest_life(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_foundation(people, tmp_path, clock=clock, session_secs=1000, session_max_secs=1500) as base:
        grant = await base.sessions.create("u1")
        clock.now += 900
        assert base.sessions.resolve(grant.token).expires_at == clock.now + 600
        await _noted(base.sessions)
        assert base.sessions.of_user("u1")[0].last_used_at == clock.now
        clock.now += 550
        assert base.sessions.resolve(grant.token).identity.user_id == "u1"
        clock.now += 51
        assert base.sessions.resolve(grant.token) is NOBODY


async def test_a_use_is_noted_once_in_five_minutes(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        grant = await base.sessions.create("u1")
        for _ in range(100):
            base.sessions.resolve(grant.token)
        assert base.sessions.touches == 0
        clock.now += TOUCH_SECONDS
        for _ in range(100):
            base.sessions.resolve(grant.token)
        assert base.sessions.touches == 1


async def test_one_session_is_revoked_by_its_owner_alone(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        one, other = await base.sessions.create("u1"), await base.sessions.create("u1")
        assert not await base.sessions.revoke(SYSTEM, "u2", one.record.id)
        assert await base.sessions.revoke(SYSTEM, "u1", one.record.id)
        assert base.sessions.resolve(one.token) is NOBODY
        assert base.sessions.resolve(other.token).identity.user_id == "u1"


async def test_a_revoke_by_another_process_is_seen_by_the_next_request(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base, open_foundation(people, tmp_path) as other:
        grant = await base.sessions.create("u1")
        assert other.sessions.resolve(grant.token).identity.user_id == "u1"
        await base.sessions.revoke_all("u1")
        assert other.sessions.resolve(grant.token) is NOBODY


async def test_sockets_hear_of_a_revoke_by_another_process_within_a_second(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base, open_foundation(people, tmp_path) as other:
        ended: list[bytes] = []
        other.sessions.on_revoked(ended.extend)
        grant = await base.sessions.create("u1")
        await base.sessions.revoke_all("u1")
        async with asyncio.timeout(1):
            while not ended:  # noqa: ASYNC110 - the callback is the only sign of it
                await asyncio.sleep(0.01)
        assert ended == [grant.record.id.encode()]


async def test_a_process_that_slept_through_too_much_looks_at_everybody_again(
    people: AppSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pylon.auth.sessions._ENDS_AT_ONCE", 3)
    async with open_foundation(people, tmp_path) as base, open_foundation(people, tmp_path) as other:
        lost: list[bool] = []
        other.sessions.on_lost(lambda: lost.append(True))
        grants = [await base.sessions.create("u1") for _ in range(5)]
        kept = await base.sessions.create("u2")
        for grant in (*grants, kept):
            assert other.sessions.resolve(grant.token) is not NOBODY
        await base.sessions.revoke_all("u1")
        assert [other.sessions.resolve(grant.token) is NOBODY for grant in grants] == [True] * 5
        assert other.sessions.resolve(kept.token).identity.user_id == "u2"
        assert lost


async def test_admins_purge_by_user_time_and_method(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        old = await base.sessions.create("u1", method="password")
        clock.now += 100
        new = await base.sessions.create("u2", method="oauth:github")
        assert await base.sessions.purge(ADMINISTRATOR, SessionFilter(method="magic_code")) == 0
        assert await base.sessions.purge(ADMINISTRATOR, SessionFilter(created_before=int(clock.now))) == 1
        assert base.sessions.resolve(old.token) is NOBODY
        assert await base.sessions.purge(ADMINISTRATOR, SessionFilter(method="oauth:github", user_id="u1")) == 0
        assert await base.sessions.purge(ADMINISTRATOR, SessionFilter(method="oauth:github")) == 1
        assert base.sessions.resolve(new.token) is NOBODY


async def test_roles_address_and_rights_are_those_of_now(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        engine = base.engine
        user = await engine.insert(ADMINISTRATOR, "User", b'{"email":"Ann@Example.com "}')
        grant = base.sessions.grant(user.row_id, method="test", tenant_id="o1")
        await engine.run(SYSTEM, lambda tx: base.sessions.put(tx, grant), authority=Authority.TRUSTED)

        identity = base.sessions.resolve(grant.token).identity
        assert (identity.email, identity.roles, identity.tenant_id) == ("ann@example.com", (), None)

        body = b'{"orgId":"o1","userId":"%s","role":"owner"}' % user.row_id.encode()
        member = await engine.insert(ADMINISTRATOR, "OrgMember", body)
        identity = base.sessions.resolve(grant.token).identity
        assert (identity.roles, identity.tenant_id) == (("owner",), "o1")

        await engine.update(ADMINISTRATOR, "OrgMember", member.row_id, b'{"role":"member"}')
        assert base.sessions.resolve(grant.token).identity.roles == ("member",)

        await engine.update(ADMINISTRATOR, "User", user.row_id, b'{"role":"admin","email":"new@example.com"}')
        identity = base.sessions.resolve(grant.token).identity
        assert identity.is_admin
        assert identity.email == "new@example.com"

        await engine.delete(ADMINISTRATOR, "OrgMember", member.row_id)
        assert base.sessions.resolve(grant.token).identity.tenant_id is None


async def test_a_locked_user_is_nobody_and_an_unlocked_one_is_back(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        user = await base.engine.insert(ADMINISTRATOR, "User", b'{"email":"a@example.com"}')
        grant = await base.sessions.create(user.row_id)
        assert base.sessions.resolve(grant.token) is not NOBODY
        await base.engine.update(ADMINISTRATOR, "User", user.row_id, b'{"disabledAt":"2026-01-01T00:00:00Z"}')
        assert base.sessions.resolve(grant.token) is NOBODY
        await base.engine.update(ADMINISTRATOR, "User", user.row_id, b'{"disabledAt":null}')
        assert base.sessions.resolve(grant.token).identity.user_id == user.row_id


async def test_a_deleted_user_leaves_nothing_that_signs_in(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        user = await base.engine.insert(ADMINISTRATOR, "User", b'{"email":"a@example.com"}')
        grant = await base.sessions.create(user.row_id)
        await base.engine.delete(ADMINISTRATOR, "User", user.row_id)
        assert base.sessions.resolve(grant.token) is NOBODY
        assert base.engine.reads.identity.find(SessionRecord, user_id=user.row_id) == []


async def test_rotation_ends_the_old_token_at_once(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        grant = await base.sessions.create("u1")
        fresh = await base.sessions.rotate(base.sessions.resolve(grant.token))
        assert base.sessions.resolve(grant.token) is NOBODY
        assert base.sessions.resolve(fresh.token).id == grant.record.id
        with pytest.raises(PylonError, match="expired"):
            await base.refresh(somebody(), grant.token)


async def test_the_database_holds_no_token(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        grant = await base.sessions.create("u1")
        fresh = await base.refresh(somebody(), grant.token)
    held = _files(tmp_path)
    for token in (grant.token, fresh.token):
        assert token.encode() not in held
        assert token.removeprefix("pylon_").encode() not in held
        assert bytes.fromhex(token.removeprefix("pylon_")) not in held


def _files(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def _noted(sessions: object) -> None:
    sessions._refresh()  # type: ignore[attr-defined]
    await sessions._noting  # type: ignore[attr-defined]
