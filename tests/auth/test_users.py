"""Rows of users: one account for an address, nothing that only the server may set, secrets that never leave."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pylon.auth.linking import Arrived, attach, by_address
from pylon.auth.sessions import NOBODY as NO_SESSION
from pylon.auth.users import avatar_color, normal_email
from pylon.engine.caller import SYSTEM, Caller
from pylon.engine.transaction import Authority
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.model.schema import AppSpec
from pylon.store.identity import AccountRecord
from pylon.testing.identity import open_foundation
from tests.conftest import ADMINISTRATOR, NOBODY


async def _arrive(base: Any, email: str, *, is_proven: bool = True) -> Arrived:
    def work(tx: Any) -> Any:
        return by_address(base.users, tx, email, display_name=email, is_proven=is_proven)

    return (await base.engine.run(SYSTEM, work, authority=Authority.TRUSTED)).value


async def test_many_who_come_at_once_with_one_address_share_one_account(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        found = await asyncio.gather(*[_arrive(base, "ann@example.com") for _ in range(20)])
        assert len({arrived.row.id for arrived in found}) == 1
        assert sum(arrived.is_new for arrived in found) == 1


async def test_addresses_are_stored_in_one_form_whichever_door_wrote_them(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        await base.engine.insert(NOBODY, "User", b'{"email":"  Ann@Example.COM "}')
        assert base.users.by_email("ann@example.com").email == "ann@example.com"
        with pytest.raises(PylonError, match="UNIQUE"):
            await base.engine.insert(NOBODY, "User", b'{"email":"ANN@example.com"}')


async def test_only_declared_fields_are_written(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        values = base.users.known({"email": "a@b.c", "avatarColor": "#fff", "stripeCustomerId": "x"})
        assert values == {"email": "a@b.c"}


async def test_a_planted_account_is_emptied_when_the_owner_of_the_address_comes(
    people: AppSpec, tmp_path: Path
) -> None:
    async with open_foundation(people, tmp_path) as base:
        body = b'{"email":"victim@example.com","passwordHash":"$argon2id$planted"}'
        planted = await base.engine.insert(ADMINISTRATOR, "User", body)
        grant = await base.sessions.create(planted.row_id)
        assert base.sessions.resolve(grant.token).identity.user_id == planted.row_id
        arrived = await _arrive(base, "victim@example.com")
        row = arrived.row
        assert (arrived.is_new, arrived.was_emptied) == (False, True)
        assert (row.passwordHash, bool(row.emailVerified)) == (None, True)
        assert base.sessions.resolve(grant.token) is NO_SESSION


async def test_who_only_claims_an_address_gets_into_no_account_that_has_it(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        await _arrive(base, "ann@example.com")
        with pytest.raises(PylonError) as refused:
            await _arrive(base, "ann@example.com", is_proven=False)
        assert refused.value.code == "ACCOUNT_LINK_REQUIRED"
        claimed = await _arrive(base, "bob@example.com", is_proven=False)
        assert claimed.row.emailVerified is None
        assert (await _arrive(base, "bob@example.com")).was_emptied


async def test_an_account_elsewhere_is_linked_to_one_user_only(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:

        def account(user: str) -> AccountRecord:
            return AccountRecord(id=f"acc_{user}", user_id=user, provider="google", subject="1")

        for _ in range(2):
            await base.engine.run(SYSTEM, lambda tx: attach(tx, account("ann")), authority=Authority.TRUSTED)
        with pytest.raises(PylonError) as refused:
            await base.engine.run(SYSTEM, lambda tx: attach(tx, account("bob")), authority=Authority.TRUSTED)
        assert refused.value.code == "ACCOUNT_TAKEN"
        assert base.engine.reads.identity.find(AccountRecord, provider="google") == [account("ann")]


@pytest.mark.parametrize(
    "body", [b'{"emailVerified":"2026-01-01T00:00:00Z"}', b'{"role":"admin"}', b'{"passwordHash":"x"}']
)
async def test_nobody_raises_itself_through_the_entity_api(people: AppSpec, tmp_path: Path, body: bytes) -> None:
    async with open_foundation(people, tmp_path) as base:
        user = await base.engine.insert(NOBODY, "User", b'{"email":"a@example.com"}')
        own = Caller(identity=Identity(user_id=user.row_id), door="test")
        with pytest.raises(PylonError):
            await base.engine.update(own, "User", user.row_id, body)
        with pytest.raises(PylonError):
            await base.engine.insert(NOBODY, "User", body)
        assert not base.sessions.profiles.of(user.row_id, None).is_admin


async def test_an_address_that_its_user_changes_is_not_verified_any_more(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        row = (await _arrive(base, "a@example.com")).row
        own = Caller(identity=Identity(user_id=row.id), door="test")
        await base.engine.update(own, "User", row.id, b'{"email":"boss@example.com"}')
        assert base.users.get(row.id).emailVerified is None


async def test_the_password_hash_is_hidden_although_the_app_forgot_to(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        body = b'{"email":"a@example.com","passwordHash":"$argon2id$secret"}'
        user = await base.engine.insert(ADMINISTRATOR, "User", body)
        own = Caller(identity=Identity(user_id=user.row_id), door="test")
        for caller in (own, ADMINISTRATOR):
            assert b"argon2" not in await base.engine.reads.get(caller, "User", user.row_id)
        with pytest.raises(PylonError):
            base.engine.reads.filter(own, "User", {"passwordHash": {"$like": "a"}})


async def test_listed_addresses_become_admins_once_they_are_proved(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        unproved = (await _arrive(base, "boss@example.com", is_proven=False)).row
    async with open_foundation(people, tmp_path, admin_emails=("Boss@example.com",)) as base:
        assert not base.sessions.profiles.of(unproved.id, None).is_admin
        await _arrive(base, "boss@example.com")
    async with open_foundation(people, tmp_path, admin_emails=("Boss@example.com",)) as base:
        assert base.sessions.profiles.of(unproved.id, None).is_admin
        assert (await base.events.search(user=unproved.id))[0]["action"] == "admin_promote"


@pytest.mark.parametrize("text", ["", "@", "a@", "@b.c", "a b@c.d", "a@b@c.d", "a\n@b.c", "x" * 251 + "@b.c"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(PylonError):
        normal_email(text)


def test_the_colours_of_avatars_are_those_of_earlier_releases() -> None:
    assert [avatar_color(e) for e in ("alice@example.com", "al@example.com", "bo@example.com")] == [
        "#6366f1",
        "#3b82f6",
        "#ef4444",
    ]
