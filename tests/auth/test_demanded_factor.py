"""A second factor of everybody: whoever has shown none may set one up, and do nothing else."""

from __future__ import annotations

import re
import time
from typing import Any

import msgspec
import pyotp
import pytest

from pylon import App, Auth
from pylon.auth import demanded_factor
from pylon.auth.sign_in import Proof
from pylon.engine.transaction import Authority
from pylon.model.errors import PylonError
from pylon.store.identity import SessionRecord, TotpRecord
from pylon.testing.identity import somebody
from pylon.testing.process import ADMIN_TOKEN
from pylon.web.app import api_routes
from tests.auth.authenticator import Authenticator
from tests.auth.factors import APP, HOST, ORIGIN, Door, Note, User, code_of, open_door, open_house
from tests.conftest import ADMINISTRATOR

STRICT = App(
    "strict",
    entities=[User, Note],
    auth=Auth(admin_field="role", trusted_origins=[ORIGIN], second_factor="required"),
)
MISSING = (403, "SECOND_FACTOR_MISSING")
PASSWORD = "correct horse battery"
QUIET = {"PYLON_DISABLE_HIBP": "1"}


async def set_up(door: Door, **also: Any) -> tuple[str, dict[str, Any]]:
    """The secret of Ann's new app and what its first code was answered with; her session goes on with the new token."""
    made = (await door("POST", "/api/auth/totp/enroll")).json()
    code = pyotp.TOTP(made["secret"]).at(int(time.time()) - 30)
    told = (await door("POST", "/api/auth/totp/verify", {"code": code, **also})).json()
    door.token = told["token"]
    return made["secret"], told


async def enter(door: Door, *factors: str) -> str:
    """A session of Ann's by a way that proves these factors."""
    proof = Proof(user_id=door.user, method="session", factors=factors)
    return (await door.server.identity.sign_in.complete(somebody(), proof)).token


async def notes(door: Door, token: str | None = None) -> tuple[int, str]:
    answer = await door("GET", "/api/entities/Note", token=token)
    return (200, "") if answer.status_code == 200 else code_of(answer)


# -- what is held, and what stays open ---------------------------------------------------------------------------------


async def test_who_registers_sets_an_app_up_before_anything_else() -> None:
    async with open_house(env=QUIET, app=STRICT) as door:
        sent = {"email": "ann@example.com", "password": PASSWORD}
        told = (await door("POST", "/api/auth/password/register", sent)).json()
        assert told["second_factor_missing"]
        first = door.token = told["token"]
        refused = await door("GET", "/api/entities/Note")
        assert code_of(refused) == MISSING
        assert refused.json()["error"]["set_up"] == []
        _, told = await set_up(door)
        assert len(told["backup_codes"]) == 10
        assert await notes(door) == (200, "")
        assert (await door("GET", "/api/auth/me", token=first)).json()["user_id"] is None


async def test_every_route_but_those_that_set_one_up_is_closed() -> None:
    async with open_door(app=STRICT) as door:
        await door.server.engine.update(ADMINISTRATOR, "User", door.user, b'{"role":"admin"}')
        reached = []
        for path, resource in api_routes().items():
            concrete = re.sub(r"\{\w+(:path)?\}", "x", path)
            for method in ("get", "post", "put", "patch", "delete"):
                if hasattr(resource, f"on_{method}") and (method, path) != ("delete", "/api/auth/session"):
                    answer = await door(method.upper(), concrete, {} if method != "get" else None)
                    held = answer.status_code == 403 and code_of(answer) == MISSING
                    if not held and path.startswith("/api/"):
                        reached.append(path)
                    elif path == "/metrics":
                        assert answer.status_code in (401, 403)
        is_listed = [
            path in demanded_factor._OPEN_PATHS or path.startswith(demanded_factor._OPEN_FOLDERS) for path in reached
        ]
        assert all(is_listed), reached
        assert reached


async def test_what_stays_open_tells_nothing_of_the_account_and_gives_no_rights() -> None:
    async with open_door(app=STRICT) as door:
        await door.server.engine.update(ADMINISTRATOR, "User", door.user, b'{"role":"admin"}')
        me = (await door("GET", "/api/auth/me")).json()
        assert (me["user_id"], me["is_admin"], me["roles"]) == (door.user, False, [])
        assert me["second_factor_missing"]
        assert (await door("GET", "/api/auth/session")).json()["user"] is None
        # An admin may make sessions for anybody: not one that shows no second factor.
        assert code_of(await door("POST", "/api/auth/session", {"user_id": "bo"})) == (403, "FORBIDDEN")
        await set_up(door)
        assert (await door("GET", "/api/auth/me")).json()["is_admin"]


@pytest.mark.parametrize("factors", [("pwd",), ("email",), ("fed",), ("webauthn",), ()], ids=str)
async def test_one_factor_is_not_enough_by_whichever_method(factors: tuple[str, ...]) -> None:
    async with open_door(app=STRICT) as door:
        assert await notes(door, await enter(door, *factors)) == MISSING


async def test_a_passkey_that_knows_its_owner_is_enough_and_one_that_does_not_is_not() -> None:
    async with open_door(app=STRICT) as door:
        assert await notes(door, await enter(door, "webauthn", "uv")) == (200, "")
        for knows, expected in ((False, 401), (True, 200)):
            key = Authenticator(HOST, knows_owner=knows)
            begun = (await door("POST", "/api/auth/passkey/register/begin")).json()
            assert begun["options"]["authenticatorSelection"]["userVerification"] == "required"
            answer = await door("POST", "/api/auth/passkey/register/finish", key.create(begun), Origin=ORIGIN)
            assert answer.status_code == expected, answer.text
        assert "__Host-strict_session" in answer.headers["set-cookie"]
        door.token = answer.json()["token"]
        assert await notes(door) == (200, "")
        assert await notes(door, await enter(door, "pwd")) == MISSING


async def test_codes_and_links_by_mail_lead_to_a_held_session() -> None:
    async with open_house(env={"PYLON_DEV_MODE": "1", **QUIET}, app=STRICT) as door:
        sent = (await door("POST", "/api/auth/magic/send", {"email": "ann@example.com"})).json()
        code = {"email": "ann@example.com", "code": sent["dev_code"]}
        assert (await door("POST", "/api/auth/magic/verify", code)).json()["second_factor_missing"]
        sent = (await door("POST", "/api/auth/magic-link/send", {"email": "ann@example.com"})).json()
        told = (await door("POST", "/api/auth/magic-link/verify", {"token": sent["dev_token"]})).json()
        assert await notes(door, told["token"]) == MISSING


async def test_sockets_and_streams_of_a_held_session_are_refused_and_open_ones_end() -> None:
    async with open_door(app=STRICT) as door:
        gates = door.server.identity.gates
        with pytest.raises(PylonError, match="second factor"):
            gates.resolve(door.token)
        session = door.server.sessions.resolve(door.token)
        assert session.key is not None
        assert gates.current(session.key).identity.user_id is None
        await set_up(door)
        assert gates.resolve(door.token).identity.user_id == door.user
        assert gates.current(session.key).identity.user_id == door.user


async def test_guests_and_the_operator_are_asked_for_nothing() -> None:
    async with open_house(app=STRICT) as door:
        guest = (await door("POST", "/api/auth/guest")).json()
        assert "second_factor_missing" not in guest
        assert await notes(door, guest["token"]) == (200, "")
        assert await notes(door, ADMIN_TOKEN) == (200, "")


# -- ways around -------------------------------------------------------------------------------------------------------


async def test_who_knows_the_password_alone_adds_no_factor_beside_one_that_is_there() -> None:
    async with open_door(app=STRICT) as door:
        thief = await enter(door, "pwd")
        begun = (await door("POST", "/api/auth/passkey/register/begin", token=thief)).json()
        pending = (await door("POST", "/api/auth/totp/enroll", token=thief)).json()
        secret, _ = await set_up(door)
        # With an app: what was begun before leads nowhere, and nothing can be begun.
        key = Authenticator(HOST)
        sent = key.create(begun)
        assert code_of(await door("POST", "/api/auth/passkey/register/finish", sent, token=thief)) == MISSING
        assert code_of(await door("POST", "/api/auth/passkey/register/begin", token=thief)) == MISSING
        code = {"code": pyotp.TOTP(pending["secret"]).now()}
        assert code_of(await door("POST", "/api/auth/totp/verify", code, token=thief)) == (401, "INVALID_TOTP_CODE")
        assert code_of(await door("POST", "/api/auth/totp/enroll", {}, token=thief)) == (401, "INVALID_TOTP_CODE")
        # The owner's code is what leads on.
        told = await door("POST", "/api/auth/totp/verify", {"code": pyotp.TOTP(secret).now()}, token=thief)
        assert await notes(door, told.json()["token"]) == (200, "")


async def test_who_knows_the_password_alone_sets_no_app_up_beside_a_passkey() -> None:
    async with open_door(app=STRICT) as door:
        thief = await enter(door, "pwd")
        pending = (await door("POST", "/api/auth/totp/enroll", token=thief)).json()
        key = Authenticator(HOST)
        begun = (await door("POST", "/api/auth/passkey/register/begin")).json()
        await door("POST", "/api/auth/passkey/register/finish", key.create(begun))
        refused = await door("POST", "/api/auth/totp/enroll", token=thief)
        assert code_of(refused) == MISSING
        assert refused.json()["error"]["set_up"] == ["passkey"]
        code = {"code": pyotp.TOTP(pending["secret"]).now()}
        assert code_of(await door("POST", "/api/auth/totp/verify", code, token=thief)) == (401, "INVALID_TOTP_CODE")
        begun = (await door("POST", "/api/auth/passkey/login/begin", token=thief)).json()
        told = (await door("POST", "/api/auth/passkey/login/finish", key.get(begun), token=thief)).json()
        assert await notes(door, told["token"]) == (200, "")


async def test_sessions_from_before_the_demand_are_held(tmp_path: Any) -> None:
    async with open_door(tmp_path, app=App("strict", entities=[User, Note], auth=Auth(admin_field="role"))) as door:
        token = door.token
        assert await notes(door) == (200, "")
    async with open_house(tmp_path, app=STRICT) as door:
        assert await notes(door, token) == MISSING


async def test_api_keys_and_jwts_are_held_with_their_user() -> None:
    env = {"PYLON_JWT_ISSUER": "strict", "PYLON_JWT_SECRET": "s" * 40}
    async with open_door(env=env, app=STRICT) as door:
        assert code_of(await door("POST", "/api/auth/jwt")) == MISSING
        assert code_of(await door("POST", "/api/auth/api-keys", {"name": "ci"})) == MISSING
        await set_up(door)
        key = (await door("POST", "/api/auth/api-keys", {"name": "ci"})).json()["key"]
        jwt = (await door("POST", "/api/auth/jwt")).json()["token"]
        assert await notes(door, key) == await notes(door, jwt) == (200, "")
        # As if it were from before the demand.
        forget = lambda tx: tx.session.identity.remove(TotpRecord, user_id=door.user)  # noqa: E731
        await door.server.engine.run(ADMINISTRATOR, forget, authority=Authority.TRUSTED)
        assert await notes(door, key) == MISSING


async def test_a_trusted_browser_has_shown_it_once_and_the_last_factor_stays() -> None:
    async with open_door(app=STRICT) as door:
        made = (await door("POST", "/api/auth/totp/enroll")).json()
        totp = pyotp.TOTP(made["secret"])
        sent = {"code": totp.at(int(time.time()) - 30), "trust_device": True}
        answer = await door("POST", "/api/auth/totp/verify", sent)
        device = answer.headers["set-cookie"].partition("pylon_trusted_device=")[2].partition(";")[0]
        door.token = answer.json()["token"]
        arrival = somebody()
        proof = Proof(user_id=door.user, method="session", factors=("pwd",))
        known = msgspec.structs.replace(arrival, trusted_device=device)
        grant = await door.server.identity.sign_in.complete(known, proof)
        assert grant.record.factors == "pwd,device"
        assert await notes(door, grant.token) == (200, "")
        refused = await door("POST", "/api/auth/totp/disable", {"code": totp.now()})
        assert code_of(refused) == (409, "SECOND_FACTOR_DEMANDED")
        assert (await door("GET", "/api/auth/totp")).json()["enrolled"]


async def test_an_app_that_demands_nothing_holds_nobody() -> None:
    async with open_door(app=APP) as door:
        assert not door.server.identity.gates.is_on
        assert await notes(door) == (200, "")
        held = door.server.engine.reads.identity.find(SessionRecord, user_id=door.user)
        assert [record.factors for record in held] == [""]
