"""Authenticator apps and trusted devices over HTTP."""

from __future__ import annotations

import time
from typing import Any

import pyotp
import pytest

from pylon.auth.sign_in import MoreNeeded, Proof
from pylon.testing.identity import somebody
from tests.auth.factors import ORIGIN, Door, code_of, open_door, open_house


async def enroll(door: Door, **also: Any) -> str:
    """The secret of Ann's new app; the code of the step before is used up."""
    made = (await door("POST", "/api/auth/totp/enroll")).json()
    code = pyotp.TOTP(made["secret"]).at(int(time.time()) - 30)
    assert (await door("POST", "/api/auth/totp/verify", {"code": code, **also})).json()["enrolled"]
    return str(made["secret"])


async def challenge(door: Door) -> str:
    """What somebody gets who proves Ann's first factor in this client."""
    arrival = somebody(agent=door.http.headers["User-Agent"])
    with pytest.raises(MoreNeeded) as asked:
        await door.server.identity.sign_in.complete(
            arrival, Proof(user_id=door.user, method="session", factors=("pwd",))
        )
    return str((asked.value.extra or {})["challenge"])


async def test_an_app_is_set_up_with_a_picture_and_answers_backup_codes_once() -> None:
    async with open_door() as door:
        made = (await door("POST", "/api/auth/totp/enroll")).json()
        assert made["url"].startswith("otpauth://totp/factors:ann%40example.com?secret=")
        assert made["url"].endswith("&issuer=factors&algorithm=SHA1&digits=6&period=30")
        assert made["qr"].startswith("data:image/svg+xml")
        code = pyotp.TOTP(made["secret"]).now()
        shown = (await door("POST", "/api/auth/totp/verify", {"code": code})).json()
        assert (shown["verified"], shown["enrolled"], len(shown["backup_codes"])) == (True, True, 10)
        row = (await door("GET", "/api/auth/session")).json()["user"]
        assert row["totpVerified"]
        assert (await door("GET", "/api/auth/totp")).json() == {"backup_codes_left": 10, "enrolled": True}
        assert code_of(await door("POST", "/api/auth/totp/disable")) == (401, "INVALID_TOTP_CODE")


async def test_a_password_alone_gets_a_challenge_and_the_code_a_session() -> None:
    async with open_house(env={"PYLON_DISABLE_HIBP": "1"}) as door:
        sent = {"email": "ann@example.com", "password": "correct horse battery"}
        door.token = (await door("POST", "/api/auth/password/register", sent)).json()["token"]
        secret = await enroll(door)
        refused = await door("POST", "/api/auth/password/login", sent, token="", Origin=ORIGIN)
        assert code_of(refused) == (401, "SECOND_FACTOR_REQUIRED")
        assert "set-cookie" not in refused.headers
        challenge = refused.json()["error"]["challenge"]
        assert (await door("GET", "/api/auth/me", token=challenge)).json()["user_id"] is None
        code = {"challenge": challenge, "code": pyotp.TOTP(secret).now()}
        told = await door("POST", "/api/auth/totp/login", code, token="")
        assert (await door("GET", "/api/auth/me", token=told.json()["token"])).json()["user_id"]
        assert code_of(await door("POST", "/api/auth/totp/login", code, token="")) == (401, "CHALLENGE_EXPIRED")


async def test_the_second_step_answers_what_a_sign_in_answers() -> None:
    async with open_door() as door:
        secret = await enroll(door)
        sent = {"challenge": await challenge(door), "code": pyotp.TOTP(secret).now()}
        answer = await door("POST", "/api/auth/totp/login", sent, token="", Origin=ORIGIN)
        assert answer.json().keys() == {"token", "user_id", "expires_at", "trust_device"}
        assert "__Host-factors_session" in answer.headers["set-cookie"]
        me = await door("GET", "/api/auth/me", token=answer.json()["token"])
        assert me.json()["user_id"] == door.user


async def test_a_browser_that_is_led_from_page_to_page_carries_the_challenge_in_a_cookie() -> None:
    async with open_door() as door:
        secret = await enroll(door)
        cookie = f"pylon_second_factor={await challenge(door)}"
        sent = {"code": pyotp.TOTP(secret).now()}
        assert code_of(await door("POST", "/api/auth/totp/login", sent, token="")) == (401, "CHALLENGE_EXPIRED")
        answer = await door("POST", "/api/auth/totp/login", sent, token="", Cookie=cookie, Origin=ORIGIN)
        assert answer.status_code == 200
        assert any("pylon_second_factor=;" in value for value in answer.headers.get_list("set-cookie"))


async def test_a_trusted_browser_is_listed_shown_and_revoked() -> None:
    async with open_door() as door:
        made = (await door("POST", "/api/auth/totp/enroll")).json()
        code = pyotp.TOTP(made["secret"]).now()
        answer = await door("POST", "/api/auth/totp/verify", {"code": code, "trust_device": True})
        assert answer.json()["trust_device"]
        given = answer.headers["set-cookie"]
        assert given.endswith("; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=2592000")
        cookie = given.partition(";")[0]
        assert (await door("GET", "/api/auth/me", Cookie=cookie)).json()["is_trusted_device"]
        [device] = (await door("GET", "/api/auth/trusted-devices", Cookie=cookie)).json()["devices"]
        assert device["current"]
        assert int(device["expires_at"]) - int(device["created_at"]) == 30 * 86_400
        _, other = await door.new_user("bo@example.com")
        path = f"/api/auth/trusted-devices/{device['id']}"
        assert "is_trusted_device" not in (await door("GET", "/api/auth/me", token=other, Cookie=cookie)).json()
        assert code_of(await door("DELETE", path, token=other)) == (404, "NOT_FOUND")
        assert (await door("DELETE", path)).json() == {"revoked": True}
        assert "is_trusted_device" not in (await door("GET", "/api/auth/me", Cookie=cookie)).json()
        assert (await door("DELETE", "/api/auth/trusted-devices")).json() == {"revoked": 0}


async def test_guests_and_strangers_have_no_app() -> None:
    async with open_door() as door:
        guest = (await door("POST", "/api/auth/guest", token="")).json()["token"]
        for token in ("", guest):
            for path in ("enroll", "verify", "disable", "backup-codes/regenerate"):
                answer = await door("POST", f"/api/auth/totp/{path}", {"code": "123456"}, token=token)
                assert code_of(answer) == (401, "AUTH_REQUIRED"), path
            assert code_of(await door("GET", "/api/auth/trusted-devices", token=token)) == (401, "AUTH_REQUIRED")


async def test_a_client_can_not_say_that_it_has_an_app() -> None:
    async with open_door() as door:
        answer = await door("PATCH", f"/api/entities/User/{door.user}", {"totpVerified": "2026-01-01T00:00:00Z"})
        assert code_of(answer) == (400, "READONLY_FIELD")
