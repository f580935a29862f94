"""API keys: made, used, revoked, and kept from the account itself."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import apsw
import pytest

from pylon.engine.limits.switch import Scope
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.store.identity import ApiKeyRecord
from pylon.testing.identity import open_foundation, somebody
from pylon.testing.process import ADMIN_TOKEN
from tests.auth.conftest import Clock
from tests.auth.factors import ORIGIN, Door, code_of, eventually, open_door, open_house
from tests.conftest import ADMINISTRATOR

KEYS = "/api/auth/api-keys"


async def make(door: Door, **fields: Any) -> dict[str, Any]:
    answer = await door("POST", KEYS, {"name": "ci", **fields})
    assert answer.status_code == 200, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def test_a_key_acts_as_its_user_and_shows_its_scopes() -> None:
    async with open_door() as door:
        made = await make(door, scopes="read,write", expires_at=int(time.time()) + 60)
        assert made["key"].startswith(f"pk.{made['id']}.")
        assert made["prefix"] == made["key"][:16]
        me = (await door("GET", "/api/auth/me", token=made["key"])).json()
        assert (me["user_id"], me["api_key_id"], me["api_key_scopes"]) == (door.user, made["id"], "read,write")
        assert (me["roles"], me["is_admin"]) == ([], False)
        note = await door("POST", "/api/entities/Note", {"title": "x"}, token=made["key"])
        assert note.status_code == 201


async def test_a_key_is_shown_once_and_stored_as_a_keyed_hash() -> None:
    async with open_door() as door:
        made = await make(door)
        [listed] = (await door("GET", KEYS)).json()
        assert listed.keys() == {"id", "prefix", "name", "scopes", "expires_at", "last_used_at", "created_at"}
        [held] = door.server.engine.reads.identity.find(ApiKeyRecord)
        secret = made["key"].split(".")[2]
        assert secret not in repr(held)
        assert secret.encode() not in held.hash


async def test_a_bad_key_is_401_with_the_headers_that_browsers_need() -> None:
    async with open_door() as door:
        good = (await make(door))["key"]
        _, identifier, secret = good.split(".")
        bad = [
            "pk.",
            "pk.x.y",
            f"pk.{identifier}.{'A' * 43}",
            f"pk.key_{'A' * 32}.{secret}",
            good + "A",
            good.replace("pk.", "pk.."),
            good + ".x",
            "pk." + "x" * 4000,
        ]
        for key in bad:
            for path in ("/api/auth/me", "/api/entities/Note"):
                answer = await door("GET", path, token=key, Origin=ORIGIN)
                assert answer.json() == {
                    "error": {"code": "INVALID_API_KEY", "message": "Bearer token is malformed, expired, or revoked"}
                }
                assert answer.status_code == 401
                assert answer.headers["access-control-allow-origin"] == ORIGIN
                assert answer.headers["x-content-type-options"] == "nosniff"


async def test_an_expired_key_and_one_of_a_locked_user_open_nothing(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_foundation(people, tmp_path, clock=clock) as base:
        user = str((await base.engine.insert(ADMINISTRATOR, "User", b'{"email":"a@example.com"}')).row_id)
        session = base.sessions.resolve((await base.sessions.create(user)).token)
        keys = base.registry.get("api_key")
        short = await keys.create(somebody(session), name="x", scopes=None, expires_at=int(clock.now) + 10)
        long = await keys.create(somebody(session), name="y", scopes=None, expires_at=0)
        assert base.sessions.resolve(short.key).identity.user_id == user
        clock.now += 10
        with pytest.raises(PylonError, match="expired"):
            base.sessions.resolve(short.key)
        await base.engine.update(ADMINISTRATOR, "User", user, b'{"disabledAt":"2026-01-01T00:00:00Z"}')
        with pytest.raises(PylonError, match="revoked"):
            base.sessions.resolve(long.key)


async def test_a_revoked_key_is_refused_at_the_next_request_and_its_sockets_end() -> None:
    async with open_door() as door:
        made = await make(door)
        ended: list[bytes] = []
        door.server.sessions.on_revoked(ended.extend)
        assert (await door("DELETE", f"{KEYS}/{made['id']}")).json() == {"revoked": True}
        assert code_of(await door("GET", "/api/auth/me", token=made["key"])) == (401, "INVALID_API_KEY")
        assert ended == [made["id"].encode()]
        assert door.server.sessions.current(made["id"].encode()).identity.user_id is None
        assert code_of(await door("DELETE", f"{KEYS}/{made['id']}")) == (404, "NOT_FOUND")


async def test_nobody_ends_or_sees_the_key_of_another() -> None:
    async with open_door() as door:
        made = await make(door)
        _, other = await door.new_user("bo@example.com")
        assert code_of(await door("DELETE", f"{KEYS}/{made['id']}", token=other)) == (404, "NOT_FOUND")
        assert (await door("GET", KEYS, token=other)).json() == []


async def test_deleting_the_user_ends_its_keys() -> None:
    async with open_door() as door:
        made = await make(door)
        await door.server.engine.delete(ADMINISTRATOR, "User", door.user)
        assert code_of(await door("GET", "/api/auth/me", token=made["key"])) == (401, "INVALID_API_KEY")


async def test_a_key_may_do_nothing_to_the_account() -> None:
    async with open_door(env={"PYLON_JWT_ISSUER": "here"}) as door:
        key = (await make(door))["key"]
        doors = [
            ("POST", KEYS),
            ("GET", KEYS),
            ("DELETE", f"{KEYS}/x"),
            ("POST", "/api/auth/totp/enroll"),
            ("POST", "/api/auth/totp/verify"),
            ("POST", "/api/auth/totp/disable"),
            ("POST", "/api/auth/totp/backup-codes/regenerate"),
            ("GET", "/api/auth/trusted-devices"),
            ("DELETE", "/api/auth/trusted-devices"),
            ("POST", "/api/auth/jwt"),
            ("POST", "/api/auth/passkey/register/begin"),
            ("POST", "/api/auth/passkey/register/finish"),
            ("GET", "/api/auth/passkey/keys"),
            ("PATCH", "/api/auth/passkey/keys/x"),
            ("DELETE", "/api/auth/passkey/keys/x"),
            ("GET", "/api/auth/sessions"),
            ("DELETE", "/api/auth/sessions"),
        ]
        for method, path in doors:
            answer = await door(method, path, {} if method == "POST" else None, token=key)
            assert code_of(answer) == (403, "API_KEY_AUTH_FORBIDDEN"), path


async def test_guests_strangers_and_admin_tokens_make_no_keys() -> None:
    async with open_door() as door:
        guest = (await door("POST", "/api/auth/guest", token="")).json()["token"]
        for token in ("", guest, ADMIN_TOKEN):
            assert code_of(await door("POST", KEYS, {}, token=token)) == (401, "AUTH_REQUIRED")


async def test_what_is_no_number_text_or_time_to_come_is_refused() -> None:
    async with open_door() as door:
        wrong: list[dict[str, Any]] = [{"expires_at": 1}, {"expires_at": "soon"}, {"expires_at": True}]
        wrong += [{"scopes": "x" * 2000}, {"scopes": ["read"]}, {"name": 5}]
        for fields in wrong:
            assert code_of(await door("POST", KEYS, fields)) == (400, "INVALID_DATA"), fields
        made = await make(door, name="", scopes=None, expires_at=None)
        assert (made["name"], made["scopes"], made["expires_at"]) == ("untitled", None, None)


async def test_an_account_has_a_hundred_keys_at_most(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        session = base.sessions.resolve((await base.sessions.create("u1")).token)
        keys = base.registry.get("api_key")
        for _ in range(100):
            await keys.create(somebody(session), name="x", scopes=None, expires_at=0)
        with pytest.raises(PylonError) as refused:
            await keys.create(somebody(session), name="x", scopes=None, expires_at=0)
        assert refused.value.code == "CONFLICT"


async def test_the_last_use_is_noted_once_a_minute() -> None:
    async with open_door() as door:
        made = await make(door)
        await door("GET", "/api/auth/me", token=made["key"])

        async def noted() -> bool:
            [listed] = (await door("GET", KEYS)).json()
            return listed["last_used_at"] is not None

        await eventually(noted)


async def test_keys_that_are_switched_off_open_nothing(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path) as base:
        session = base.sessions.resolve((await base.sessions.create("u1")).token)
        made = await base.registry.get("api_key").create(somebody(session), name="x", scopes=None, expires_at=0)
        await base.engine.switches.turn_on(ADMINISTRATOR, Scope.AUTH, "api_key", reason="leak")
        with pytest.raises(PylonError) as refused:
            base.sessions.resolve(made.key)
        assert refused.value.code == "MAINTENANCE"


async def test_trying_keys_is_limited_like_any_request() -> None:
    async with open_door(env={"PYLON_RATE_LIMIT_MAX": "5"}) as door:
        seen = {(await door("GET", "/api/auth/me", token="pk.x.y")).status_code for _ in range(8)}
        assert seen == {401, 429}


async def test_an_operator_ends_keys_by_user_and_time() -> None:
    async with open_door() as door:
        old = await make(door)
        other_user, token = await door.new_user("bo@example.com")
        await door("POST", KEYS, {}, token=token)
        purge = "/api/admin/api-keys/purge"
        assert code_of(await door("POST", purge, {})) == (403, "FORBIDDEN")
        late = await door("POST", purge, {"after": int(time.time()) + 60}, token=ADMIN_TOKEN)
        assert late.json() == {"keys_revoked": 0}
        one = await door("POST", purge, {"user": other_user}, token=ADMIN_TOKEN)
        assert one.json() == {"keys_revoked": 1}
        assert (await door("GET", "/api/auth/me", token=old["key"])).status_code == 200


async def test_making_and_ending_keys_is_in_the_audit_log() -> None:
    async with open_door() as door:
        made = await make(door)
        await door("DELETE", f"{KEYS}/{made['id']}")
        seen = (await door("GET", "/api/auth/audit")).json()
        assert [event["action"] for event in seen] == ["api_key_revoke", "api_key_create"]
        assert {event["metadata"]["key"] for event in seen} == {made["id"]}
        assert made["key"].split(".")[2] not in str(seen)


async def test_another_process_refuses_a_revoked_key(tmp_path: Path) -> None:
    """The key is read from the store at each request, so what another connection removed is gone."""
    async with open_door(tmp_path) as door:
        made = await make(door)
        assert (await door("GET", "/api/auth/me", token=made["key"])).status_code == 200
        with apsw.Connection(str(tmp_path / "pylon.db")) as other:
            other.execute("DELETE FROM _pylon_api_keys")
        assert code_of(await door("GET", "/api/auth/me", token=made["key"])) == (401, "INVALID_API_KEY")


async def test_a_key_stays_good_over_a_restart(tmp_path: Path) -> None:
    async with open_door(tmp_path) as door:
        made = await make(door)
    async with open_house(tmp_path) as door:
        assert (await door("GET", "/api/auth/me", token=made["key"])).status_code == 200
