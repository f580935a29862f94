"""Passkeys over HTTP: registered, used, kept, and not forged. A browser's are in `tests/browser/test_passkeys.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pylon.engine.limits.switch import Scope
from pylon.settings import Settings, SettingsError
from pylon.store.identity import OneTimeRecord, PasskeyRecord, SessionRecord
from pylon.testing.app import sign_in
from tests.auth.authenticator import Authenticator, b64
from tests.auth.factors import HOST, Door, code_of, open_door, open_house
from tests.auth.test_totp_doors import enroll
from tests.conftest import ADMINISTRATOR

PATH = "/api/auth/passkey"
REFUSED = (401, "PASSKEY_VERIFY_FAILED")
NOT_REGISTERED = (401, "PASSKEY_REGISTER_FAILED")


async def begin(door: Door, what: str = "login", *, token: str | None = None) -> dict[str, Any]:
    answer = await door("POST", f"{PATH}/{what}/begin", token=token)
    assert answer.status_code == 200, answer.text
    begun: dict[str, Any] = answer.json()
    return begun


async def register(door: Door, key: Authenticator, name: str = "laptop") -> str:
    sent = key.create(await begin(door, "register")) | {"name": name}
    answer = await door("POST", f"{PATH}/register/finish", sent)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["id"])


async def log_in(door: Door, sent: Mapping[str, Any]) -> Any:
    return await door("POST", f"{PATH}/login/finish", sent, token="")


async def reasons(door: Door) -> list[str]:
    events = await door.server.identity.events.search(limit=20)
    return [event["reason"] for event in events if not event["success"]]


# -- as meant ----------------------------------------------------------------------------------------------------------


async def test_a_passkey_signs_its_user_in_without_a_name() -> None:
    async with open_door() as door:
        key = Authenticator(HOST)
        await register(door, key)
        begun = await begin(door, token="")
        assert begun["options"]["allowCredentials"] == []
        answer = await log_in(door, key.get(begun))
        assert answer.json().keys() == {"token", "user_id", "expires_at"}
        assert answer.json()["user_id"] == door.user
        [session] = [s for s in door.server.sessions.of_user(door.user) if s.method == "passkey"]
        assert session.factors == "webauthn,uv"
        actions = [event["action"] for event in (await door("GET", "/api/auth/audit")).json()]
        assert actions == ["sign_in", "passkey_register"]


async def test_the_browsers_own_json_form_is_taken() -> None:
    async with open_door() as door:
        key = Authenticator(HOST)
        made = key.create(await begin(door, "register"))
        sent = {
            "id": b64(key.id),
            "rawId": b64(key.id),
            "type": "public-key",
            "response": made | {"transports": ["usb"]},
        }
        assert (await door("POST", f"{PATH}/register/finish", sent)).json()["registered"]
        got = key.get(await begin(door))
        identifier = got.pop("credentialId")
        sent = {"id": identifier, "rawId": identifier, "response": got | {"userHandle": b64(key.handle)}}
        assert (await log_in(door, sent)).status_code == 200
        [shown] = (await door("GET", f"{PATH}/keys")).json()
        assert shown["transports"] == ["usb"]


async def test_passkeys_and_challenges_last_over_a_restart(tmp_path: Path) -> None:
    key = Authenticator(HOST)
    async with open_door(tmp_path) as door:
        await register(door, key)
        begun = await begin(door, token="")
    async with open_house(tmp_path) as door:
        assert (await log_in(door, key.get(begun))).status_code == 200
        assert door.server.engine.reads.identity.find(PasskeyRecord)[0].sign_count == 2


async def test_a_passkey_that_counts_nothing_is_good_again_and_again() -> None:
    async with open_door() as door:
        key = Authenticator(HOST, counter=0)
        await register(door, key)
        for _ in range(2):
            assert (await log_in(door, key.get(await begin(door)))).status_code == 200


async def test_a_passkey_is_listed_renamed_and_removed_while_something_else_lets_its_user_in() -> None:
    async with open_door() as door:
        first, second = await register(door, Authenticator(HOST), "a"), await register(door, Authenticator(HOST), "b")
        assert (await door("PATCH", f"{PATH}/keys/{first}", {"name": "mine"})).status_code == 200
        assert {shown["name"] for shown in (await door("GET", f"{PATH}/keys")).json()} == {"mine", "b"}
        assert (await door("DELETE", f"{PATH}/keys/{first}")).json() == {"deleted": True}
        assert code_of(await door("DELETE", f"{PATH}/keys/{second}")) == (409, "LAST_METHOD")
        assert code_of(await door("DELETE", f"{PATH}/keys/{first}")) == (404, "NOT_FOUND")


async def test_nobody_sees_renames_or_removes_the_passkey_of_another() -> None:
    async with open_door() as door:
        held = await register(door, Authenticator(HOST))
        _, other = await door.new_user("bo@example.com")
        assert (await door("GET", f"{PATH}/keys", token=other)).json() == []
        for method in ("PATCH", "DELETE"):
            answer = await door(method, f"{PATH}/keys/{held}", {"name": "x"}, token=other)
            assert code_of(answer) == (404, "NOT_FOUND")


async def test_a_passkey_that_knows_its_owner_is_two_factors_and_one_that_does_not_is_one() -> None:
    async with open_door() as door:
        knowing, simple = Authenticator(HOST), Authenticator(HOST, knows_owner=False)
        await register(door, knowing)
        await register(door, simple)
        await enroll(door)
        assert (await log_in(door, knowing.get(await begin(door)))).status_code == 200
        assert code_of(await log_in(door, simple.get(await begin(door)))) == (401, "SECOND_FACTOR_REQUIRED")


async def test_where_owners_must_be_known_a_passkey_that_does_not_is_refused() -> None:
    async with open_door(env={"PYLON_WEBAUTHN_USER_VERIFICATION": "required"}) as door:
        key = Authenticator(HOST, knows_owner=False)
        sent = key.create(await begin(door, "register"))
        assert code_of(await door("POST", f"{PATH}/register/finish", sent)) == NOT_REGISTERED
        key.knows_owner = True
        await register(door, key)
        key.knows_owner = False
        assert code_of(await log_in(door, key.get(await begin(door)))) == REFUSED


async def test_a_locked_user_and_a_switched_off_method_let_nobody_in() -> None:
    async with open_door() as door:
        key = Authenticator(HOST)
        await register(door, key)
        begun = await begin(door)
        await door.server.engine.switches.turn_on(ADMINISTRATOR, Scope.AUTH, "passkey", reason="x")
        assert code_of(await log_in(door, key.get(begun)))[1] == "MAINTENANCE"
        [switch] = door.server.engine.switches.current()
        await door.server.engine.switches.turn_off(ADMINISTRATOR, switch.id)
        lock = b'{"disabledAt":"2026-01-01T00:00:00Z"}'
        await door.server.engine.update(ADMINISTRATOR, "User", door.user, lock)
        assert code_of(await log_in(door, key.get(begun))) == (403, "ACCOUNT_LOCKED")


# -- attacks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "changed",
    [
        {"origin": "https://api.example.com.evil.com"},
        {"origin": "https://evil.com"},
        {"origin": "http://api.example.com"},
        {"origin": "https://api.example.com:8443"},
        {"origin": "null"},
        {"crossOrigin": True},
        {"type": "webauthn.create"},
        {"challenge": "A" * 43},
        {"rp_id": "evil.com"},
    ],
    ids=str,
)
async def test_what_was_signed_elsewhere_or_for_something_else_signs_nobody_in(changed: dict[str, Any]) -> None:
    async with open_door() as door:
        key = Authenticator(HOST)
        await register(door, key)
        sent = key.get(await begin(door), **changed)
        assert code_of(await log_in(door, sent)) == REFUSED


@pytest.mark.parametrize(
    "changed",
    [{"origin": "https://evil.com"}, {"type": "webauthn.get"}, {"challenge": "A" * 43}, {"crossOrigin": True}],
    ids=str,
)
async def test_what_was_made_elsewhere_is_not_registered(changed: dict[str, Any]) -> None:
    async with open_door() as door:
        sent = Authenticator(HOST).create(await begin(door, "register"), **changed)
        assert code_of(await door("POST", f"{PATH}/register/finish", sent)) == NOT_REGISTERED
        assert door.server.engine.reads.identity.find(PasskeyRecord) == []


async def test_a_challenge_is_good_once_also_when_what_came_with_it_was_wrong() -> None:
    async with open_door() as door:
        key = Authenticator(HOST)
        await register(door, key)
        begun = await begin(door)
        sent = key.get(begun)
        assert (await log_in(door, sent)).status_code == 200
        assert code_of(await log_in(door, sent)) == REFUSED
        assert code_of(await log_in(door, key.get(begun))) == REFUSED
        begun = await begin(door)
        assert code_of(await log_in(door, key.get(begun, origin="https://evil.com"))) == REFUSED
        assert code_of(await log_in(door, key.get(begun))) == REFUSED


async def test_of_two_who_replay_one_answer_at_once_one_gets_in() -> None:
    async with open_door() as door:
        key = Authenticator(HOST)
        await register(door, key)
        sent = key.get(await begin(door))
        answers = await asyncio.gather(*(log_in(door, sent) for _ in range(4)))
        assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401]


async def test_a_challenge_of_a_login_registers_nothing_and_the_other_way_round() -> None:
    async with open_door() as door:
        key = Authenticator(HOST)
        await register(door, key)
        login = await begin(door)
        options = {"options": {"user": {"id": b64(door.user.encode())}}}
        sent = Authenticator(HOST).create(login | options)
        assert code_of(await door("POST", f"{PATH}/register/finish", sent)) == NOT_REGISTERED
        assert code_of(await log_in(door, key.get(await begin(door, "register")))) == REFUSED


async def test_a_challenge_of_one_user_registers_nothing_for_another() -> None:
    async with open_door() as door:
        _, other = await door.new_user("bo@example.com")
        sent = Authenticator(HOST).create(await begin(door, "register"))
        assert code_of(await door("POST", f"{PATH}/register/finish", sent, token=other)) == NOT_REGISTERED


async def test_a_copied_passkey_is_refused_and_told_to_the_operator() -> None:
    async with open_door() as door:
        key = Authenticator(HOST)
        await register(door, key)
        for _ in range(2):
            assert (await log_in(door, key.get(await begin(door)))).status_code == 200
        for counter in (1, 3, 0):
            key.counter = counter
            assert code_of(await log_in(door, key.get(await begin(door)))) == REFUSED
        assert (await reasons(door))[:3] == ["PASSKEY_COPIED"] * 3
        assert len([s for s in door.server.sessions.of_user(door.user) if s.method == "passkey"]) == 2


async def test_another_key_or_a_changed_answer_does_not_fit_the_signature() -> None:
    async with open_door() as door:
        key, thief = Authenticator(HOST), Authenticator(HOST)
        await register(door, key)
        thief.id = key.id
        assert code_of(await log_in(door, thief.get(await begin(door)))) == REFUSED
        sent = key.get(await begin(door))
        for name in ("authenticatorData", "signature"):
            body = bytearray(sent[name].encode())
            body[-4] = ord("A") if body[-4] != ord("A") else ord("B")
            assert code_of(await log_in(door, sent | {name: body.decode()})) == REFUSED
            sent = key.get(await begin(door))


async def test_an_unknown_passkey_and_a_wrong_one_are_told_the_same() -> None:
    async with open_door() as door:
        key, stranger = Authenticator(HOST), Authenticator(HOST)
        await register(door, key)
        unknown = await log_in(door, stranger.get(await begin(door)))
        wrong = await log_in(door, key.get(await begin(door), origin="https://evil.com"))
        assert unknown.json() == wrong.json()
        assert unknown.status_code == wrong.status_code


async def test_one_passkey_is_one_users() -> None:
    async with open_door() as door:
        key = Authenticator(HOST)
        await register(door, key)
        user, other = await door.new_user("bo@example.com")
        begun = await begin(door, "register", token=other)
        answer = await door("POST", f"{PATH}/register/finish", key.create(begun), token=other)
        assert code_of(answer) == NOT_REGISTERED
        assert door.server.engine.reads.identity.find(PasskeyRecord, user_id=user) == []


async def test_a_handle_that_names_another_user_is_refused() -> None:
    async with open_door() as door:
        key = Authenticator(HOST)
        await register(door, key)
        sent = key.get(await begin(door)) | {"userHandle": b64(b"somebody else")}
        assert code_of(await log_in(door, sent)) == REFUSED


@pytest.mark.parametrize("value", [None, 7, "", "not base64!", "ü" * 8, "A" * 70_000, {"a": 1}])
async def test_what_is_no_base64url_is_named(value: Any) -> None:
    async with open_door() as door:
        good = {name: b64(b"{}") for name in ("credentialId", "authenticatorData", "clientDataJSON", "signature")}
        assert code_of(await log_in(door, good)) == REFUSED
        assert code_of(await log_in(door, good | {"signature": value})) == (400, "MISSING_FIELD")


@pytest.mark.parametrize("junk", [b"", b"\xff" * 40, b"[" * 3000, b"null", b'{"challenge":7}', b"\x9f" * 3000])
async def test_junk_is_refused_and_never_an_internal_error(junk: bytes) -> None:
    async with open_door() as door:
        key = Authenticator(HOST)
        await register(door, key)
        text = b64(junk) or "AA"
        for name in ("authenticatorData", "clientDataJSON", "signature", "credentialId"):
            assert code_of(await log_in(door, key.get(await begin(door)) | {name: text})) == REFUSED, name
        for name in ("clientDataJSON", "attestationObject"):
            sent = Authenticator(HOST).create(await begin(door, "register")) | {name: text}
            assert code_of(await door("POST", f"{PATH}/register/finish", sent)) == NOT_REGISTERED, name


async def test_a_stolen_old_session_registers_no_passkey() -> None:
    async with open_door() as door:
        token = await sign_in(door.server, door.user)

        def age(tx: Any) -> None:
            tx.session.identity.change(SessionRecord, {"authenticated_at": 1}, user_id=door.user)

        await door.server.engine.run(ADMINISTRATOR, age)
        answer = await door("POST", f"{PATH}/register/begin", token=token)
        assert code_of(answer) == (403, "REAUTHENTICATION_REQUIRED")


async def test_challenges_are_limited_and_expire() -> None:
    async with open_door(env={"PYLON_AUTH_NONCE_IP_PER_MIN": "3"}) as door:
        key = Authenticator(HOST)
        await register(door, key)
        begun = await begin(door)

        def age(tx: Any) -> None:
            tx.session.identity.change(OneTimeRecord, {"expires_at": 1}, kind="passkey_login")

        await door.server.engine.run(ADMINISTRATOR, age)
        assert code_of(await log_in(door, key.get(begun))) == REFUSED
        await begin(door)
        answer = await door("POST", f"{PATH}/login/begin")
        assert code_of(answer) == (429, "RATE_LIMITED")
        assert int(answer.headers["retry-after"]) > 0


async def test_without_a_public_address_there_are_no_passkeys() -> None:
    async with open_door(env={"PYLON_PUBLIC_URL": "https://203.0.113.7"}) as door:
        answer = await door("POST", f"{PATH}/login/begin")
        assert code_of(answer) == (404, "METHOD_NOT_CONFIGURED")
        assert "PYLON_WEBAUTHN_RP_ID" in answer.json()["error"]["hint"]


@pytest.mark.parametrize(
    "origin",
    ["https://example.org", "http://app.example.com", "https://notexample.com", "https://example.com.evil.com"],
)
def test_an_origin_that_browsers_would_refuse_refuses_to_start(origin: str) -> None:
    env = {"PYLON_WEBAUTHN_RP_ID": "example.com", "PYLON_WEBAUTHN_ORIGIN": origin}
    with pytest.raises(SettingsError, match="PYLON_WEBAUTHN_ORIGIN"):
        Settings.load({"PYLON_DEV_MODE": "1", **env})
