"""The last step of signing in: switches, locks, guests' rows and events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pylon.auth.arrival import device_label
from pylon.auth.registry import Method
from pylon.auth.sessions import NOBODY, Session
from pylon.auth.sign_in import Proof
from pylon.engine.caller import Caller
from pylon.engine.limits.switch import Scope
from pylon.model.errors import PylonError
from pylon.model.identity import Identity
from pylon.model.schema import AppSpec
from pylon.sync.push import Push
from pylon.testing.identity import open_foundation, somebody
from tests.conftest import ADMINISTRATOR

CARD = Method("card", "Card", lambda foundation: "a card reader")
UNSET = Method("fax", "Fax", lambda foundation: "", is_configured=lambda foundation: False, needs="Set PYLON_FAX")


async def _user(base: Any, email: str = "ann@example.com") -> str:
    return str((await base.engine.insert(ADMINISTRATOR, "User", b'{"email":"%s"}' % email.encode())).row_id)


def _guest_caller(session: Session) -> Caller:
    return Caller(identity=session.identity, door="test")


async def test_what_a_guest_made_is_its_users_and_everybody_hears_of_it(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path, methods=[CARD]) as base:
        guest = base.sessions.resolve((await base.sessions.create_guest()).token)
        note = await base.engine.insert(
            _guest_caller(guest),
            "Note",
            b'{"title":"x","author":"%s","reviewer":"%s"}'
            % (
                (guest.identity.user_id or "").encode(),
                (guest.identity.user_id or "").encode(),
            ),
        )
        heard: list[Any] = []
        base.engine.subscribe(heard.extend)
        user = await _user(base)
        grant = await base.sign_in.complete(somebody(guest), Proof(user_id=user, method="card"))
        row = base.engine.reads.row("Note", note.row_id)
        assert (row.author, row.reviewer) == (user, user)
        assert {change.entity for change in heard} >= {"Note"}
        assert base.sessions.current(guest.key or b"") is NOBODY
        assert base.sessions.resolve(grant.token).identity.user_id == user
        by_action = {event["action"]: event for event in await base.events.search(user=user)}
        assert by_action["anonymous_merge"]["metadata"]["entities"] == "Note.author:1,Note.reviewer:1"
        assert by_action["sign_in"]["metadata"]["method"] == "card"


async def test_rows_that_can_not_be_merged_stay_the_guests_all_of_them(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path, methods=[CARD]) as base:
        user = await _user(base)
        guest = base.sessions.resolve((await base.sessions.create_guest()).token)
        guest_id = (guest.identity.user_id or "").encode()
        await base.engine.insert(ADMINISTRATOR, "Seat", b'{"holder":"%s"}' % user.encode())
        await base.engine.insert(ADMINISTRATOR, "Seat", b'{"holder":"%s"}' % guest_id)
        note = await base.engine.insert(ADMINISTRATOR, "Note", b'{"title":"x","author":"%s"}' % guest_id)
        grant = await base.sign_in.complete(somebody(guest), Proof(user_id=user, method="card"))
        assert base.sessions.resolve(grant.token).identity.user_id == user
        assert base.engine.reads.row("Note", note.row_id).author == guest_id.decode()
        assert base.sessions.current(guest.key or b"").identity.is_guest
        [merge] = [e for e in await base.events.search(user=user) if e["action"] == "anonymous_merge"]
        assert (merge["success"], merge["reason"]) == (False, "UPDATE_FAILED")


async def test_what_a_guest_sent_is_recognised_when_its_user_sends_it_again(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        token = (await base.sessions.create_guest()).token
        guest = base.sessions.resolve(token)
        data = b'{"title":"x","author":"%s"}' % (guest.identity.user_id or "").encode()
        body = b'{"changes":[{"entity":"Note","row_id":"","kind":"insert","data":%s,"op_id":"op1"}]}' % data
        await Push(base.engine).push(_guest_caller(guest), body)
        await base.sign_in.upgrade(somebody(guest), await _user(base))
        await Push(base.engine).push(_guest_caller(base.sessions.resolve(token)), body)
        _, count = await base.engine.reads.rows(
            ADMINISTRATOR, "Note", base.engine.reads.filter(ADMINISTRATOR, "Note", {})
        )
        assert count == 1


async def test_an_upgrade_makes_the_guest_a_user_in_the_same_session(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        token = (await base.sessions.create_guest()).token
        user = await _user(base)
        await base.sign_in.upgrade(somebody(base.sessions.resolve(token)), user)
        assert base.sessions.resolve(token).identity == Identity(user_id=user, email="ann@example.com")


async def test_a_method_that_is_switched_off_grants_nothing_by_any_way(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path, methods=[CARD]) as base:
        user = await _user(base)
        assert base.registry.is_on("card")
        await base.engine.switches.turn_on(ADMINISTRATOR, Scope.AUTH, "card", reason="leak")
        assert not base.registry.is_on("card")
        with pytest.raises(PylonError) as refused:
            await base.sign_in.complete(somebody(), Proof(user_id=user, method="card"))
        assert refused.value.code == "MAINTENANCE"


async def test_a_method_that_is_not_set_up_says_what_to_set(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path, methods=[UNSET]) as base:
        with pytest.raises(PylonError) as refused:
            base.registry.get("fax")
        assert (refused.value.code, refused.value.hint) == ("METHOD_NOT_CONFIGURED", "Set PYLON_FAX")


async def test_a_locked_account_gets_no_session_and_the_try_is_recorded(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path, methods=[CARD]) as base:
        user = await _user(base)
        await base.engine.update(ADMINISTRATOR, "User", user, b'{"disabledAt":"2026-01-01T00:00:00Z"}')
        with pytest.raises(PylonError) as refused:
            await base.sign_in.complete(somebody(), Proof(user_id=user, method="card"))
        assert refused.value.code == "ACCOUNT_LOCKED"
        assert (await base.events.search(user=user))[0]["reason"] == "ACCOUNT_LOCKED"
        assert base.sessions.of_user(user) == []


async def test_a_check_before_may_ask_for_more(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path, methods=[CARD]) as base:
        user = await _user(base)

        async def wants_more(arrival: Any, proof: Proof) -> None:
            raise PylonError("SECOND_FACTOR", "more")

        base.sign_in.before.append(wants_more)
        with pytest.raises(PylonError, match="more"):
            await base.sign_in.complete(somebody(), Proof(user_id=user, method="card"))
        assert base.sessions.of_user(user) == []


async def test_users_see_their_own_events_only(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path, methods=[CARD]) as base:
        ann, bob = await _user(base), await _user(base, "bob@example.com")
        for user in (ann, bob):
            await base.sign_in.complete(somebody(), Proof(user_id=user, method="card"))
        assert {event["user_id"] for event in await base.events.search(user=ann)} == {ann}
        assert {event["user_id"] for event in await base.events.search()} == {ann, bob}


@pytest.mark.parametrize(
    ("agent", "label"),
    [
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X) AppleWebKit/537 Chrome/120 Safari/537", "Chrome on macOS"),
        ("Mozilla/5.0 (Windows NT 10.0) Chrome/120 Safari/537 Edg/120", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 17 like Mac OS X) Safari/604", "Safari on iOS"),
        ("Mozilla/5.0 (X11; Linux x86_64) Firefox/120", "Firefox on Linux"),
        ("curl/8.1", "curl"),
        ("PylonClient/1", "Pylon SDK"),
        ("", "Unknown"),
    ],
)
def test_devices_have_names(agent: str, label: str) -> None:
    assert device_label(agent) == label
