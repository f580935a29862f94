"""JWTs: bound to their session, signed with keys that rotate, and taken from nobody else."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, import_key
from joserfc.jws import JWSRegistry

from pylon.auth.signing_keys import AHEAD_SECONDS
from pylon.engine.limits.switch import Scope
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.settings import Settings, SettingsError
from pylon.store.identity import SigningKeyRecord
from pylon.testing.identity import open_foundation, somebody
from pylon.testing.process import ADMIN_TOKEN
from tests.auth.conftest import Clock
from tests.auth.factors import Door, code_of, open_door, open_house
from tests.conftest import ADMINISTRATOR

ISSUER = "https://issuer.example.com"
SECRET = "a secret of the tests that is long enough"
OWN = {"PYLON_JWT_ISSUER": ISSUER}
SHARED = {**OWN, "PYLON_JWT_SECRET": SECRET}
INVALID = (401, "INVALID_JWT")


async def mint(door: Door) -> str:
    answer = await door("POST", "/api/auth/jwt")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["token"])


async def whose(door: Door, token: str) -> Any:
    answer = await door("GET", "/api/auth/me", token=token)
    return answer.json()["user_id"] if answer.status_code == 200 else code_of(answer)


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, payload = (json.loads(base64.urlsafe_b64decode(p + "==")) for p in token.split(".")[:2])
    return header, payload


def claims(**changed: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": ISSUER, "sub": "u1", "iat": now, "exp": now + 60} | changed
    return {name: value for name, value in said.items() if value is not None}


def signed(said: dict[str, Any], secret: str = SECRET, **header: Any) -> str:
    return jwt.encode({"alg": "HS256", "typ": "JWT"} | header, said, OctKey.import_key(secret))


# -- of a session ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "env", [OWN, {**OWN, "PYLON_JWT_ALGORITHM": "Ed25519"}, SHARED], ids=["ES256", "Ed25519", "HS256"]
)
async def test_a_jwt_stands_for_its_session(env: dict[str, str]) -> None:
    async with open_door(env=env) as door:
        token = await mint(door)
        assert await whose(door, token) == door.user
        said = parts(token)[1]
        assert (said["iss"], said["sub"], said["exp"] - said["iat"]) == (ISSUER, door.user, 3600)
        assert (await door("POST", "/api/entities/Note", {"title": "x"}, token=token)).status_code == 201


async def test_signing_out_ends_the_jwts_of_the_session() -> None:
    async with open_door(env=OWN) as door:
        token = await mint(door)
        await door("DELETE", "/api/auth/session")
        assert await whose(door, token) == INVALID


async def test_signing_out_everywhere_and_a_lock_end_jwts_as_well() -> None:
    async with open_door(env=OWN) as door:
        token = await mint(door)
        lock = b'{"disabledAt":"2026-01-01T00:00:00Z"}'
        await door.server.engine.update(ADMINISTRATOR, "User", door.user, lock)
        assert await whose(door, token) == INVALID
        await door.server.engine.update(ADMINISTRATOR, "User", door.user, b'{"disabledAt":null}')
        assert await whose(door, token) == door.user
        await door.server.sessions.revoke_all(door.user)
        assert await whose(door, token) == INVALID


async def test_anybody_checks_a_jwt_with_the_published_keys_alone() -> None:
    async with open_door(env=OWN) as door:
        token = await mint(door)
        answer = await door("GET", "/.well-known/jwks.json", token="")
        assert answer.headers["cache-control"] == f"public, max-age={AHEAD_SECONDS}"
        [key] = answer.json()["keys"]
        assert (key["kid"], key["alg"], key["use"]) == (parts(token)[0]["kid"], "ES256", "sig")
        assert "d" not in key
        assert jwt.decode(token, import_key(key), algorithms=["ES256"]).claims["sub"] == door.user


async def test_jwts_stay_good_over_a_restart_and_the_private_key_is_sealed(tmp_path: Path) -> None:
    async with open_door(tmp_path, env=OWN) as door:
        token = await mint(door)
        [held] = door.server.engine.reads.identity.find(SigningKeyRecord)
        assert b'"d"' not in held.private
        user = door.user
    async with open_house(tmp_path, env=OWN) as door:
        assert await whose(door, token) == user


async def test_a_jwt_mints_no_longer_life_than_its_session_has(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, clock=clock, jwt_issuer=ISSUER, session_secs=600) as base:
        session = base.sessions.resolve((await base.sessions.create("u1")).token)
        token, expires_at = await base.registry.get("jwt").mint(somebody(session))
        assert expires_at == clock.now + 600
        clock.now += 600
        with pytest.raises(PylonError, match="expired"):
            base.sessions.resolve(token)


async def test_without_an_issuer_there_are_no_jwts() -> None:
    async with open_door() as door:
        assert code_of(await door("POST", "/api/auth/jwt")) == (501, "JWT_NOT_CONFIGURED")
        assert (await door("GET", "/.well-known/jwks.json")).json() == {"keys": []}
        assert await whose(door, "a.b.c") is None


def test_a_secret_without_an_issuer_or_a_short_one_refuses_to_start() -> None:
    for env in (
        {"PYLON_JWT_SECRET": SECRET},
        {**OWN, "PYLON_JWT_SECRET": "short"},
        {**OWN, "PYLON_JWT_ALGORITHM": "HS256"},
    ):
        with pytest.raises(SettingsError, match="PYLON_JWT"):
            Settings.load({"PYLON_DEV_MODE": "1", **env})


async def test_guests_and_strangers_get_no_jwt() -> None:
    async with open_door(env=OWN) as door:
        guest = (await door("POST", "/api/auth/guest", token="")).json()["token"]
        for token in ("", guest, ADMIN_TOKEN):
            assert code_of(await door("POST", "/api/auth/jwt", token=token)) == (401, "AUTH_REQUIRED")


# -- rotation ----------------------------------------------------------------------------------------------------------


async def test_a_new_key_is_published_before_it_signs_and_the_old_verifies_until_its_last_token_is_over(
    people: AppSpec, tmp_path: Path, clock: Clock
) -> None:
    async with open_foundation(people, tmp_path, clock=clock, jwt_issuer=ISSUER) as base:
        session = base.sessions.resolve((await base.sessions.create("u1")).token)
        tokens = base.registry.get("jwt")
        first, _ = await tokens.mint(somebody(session))
        made = await tokens.rotate(ADMINISTRATOR, revoke=False)
        assert {key["kid"] for key in tokens.keys.published()} == {made.kid, parts(first)[0]["kid"]}
        clock.now += AHEAD_SECONDS - 1
        last, _ = await tokens.mint(somebody(session))
        assert parts(last)[0]["kid"] == parts(first)[0]["kid"]
        clock.now += 1
        fresh, _ = await tokens.mint(somebody(session))
        assert parts(fresh)[0]["kid"] == made.kid
        clock.now += 3597
        assert base.sessions.resolve(last).identity.user_id == "u1"
        clock.now += 70
        assert [key["kid"] for key in tokens.keys.published()] == [made.kid]


async def test_a_key_is_followed_by_the_next_one_in_time(people: AppSpec, tmp_path: Path, clock: Clock) -> None:
    async with open_foundation(people, tmp_path, clock=clock, jwt_issuer=ISSUER, jwt_key_days=1) as base:
        tokens = base.registry.get("jwt")

        async def kid() -> str:
            session = base.sessions.resolve((await base.sessions.create("u1")).token)
            return str(parts((await tokens.mint(somebody(session)))[0])[0]["kid"])

        first = await kid()
        clock.now += 86_401
        assert await kid() == first
        assert len(tokens.keys.all()) == 2
        clock.now += AHEAD_SECONDS
        assert await kid() != first
        assert len(tokens.keys.all()) == 2


async def test_after_a_leak_no_token_of_an_old_key_is_good() -> None:
    async with open_door(env=OWN) as door:
        old = await mint(door)
        assert await whose(door, old) == door.user
        rotate = "/api/admin/signing-keys/rotate"
        assert code_of(await door("POST", rotate, {"revoke": True})) == (403, "FORBIDDEN")
        made = (await door("POST", rotate, {"revoke": True}, token=ADMIN_TOKEN)).json()
        assert await whose(door, old) == INVALID
        fresh = await mint(door)
        assert parts(fresh)[0]["kid"] == made["kid"]
        assert await whose(door, fresh) == door.user
        listed = (await door("GET", "/api/admin/signing-keys", token=ADMIN_TOKEN)).json()
        assert len(listed["keys"]) == 2
        assert "private" not in str(listed)
        assert len((await door("GET", "/.well-known/jwks.json")).json()["keys"]) == 1


# -- of others who hold the secret ------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["https://pylonsync.com/", "https://www.pylonsync.com/"])
async def test_a_token_of_somebody_with_the_secret_says_who_with_which_roles_where(host: str) -> None:
    async with open_door(env=SHARED) as door:
        token = signed(claims(sub="u9", **{f"{host}tenant": "acme", f"{host}roles": ["editor"]}))
        me = (await door("GET", "/api/auth/me", token=token)).json()
        assert (me["user_id"], me["tenant_id"], me["roles"], me["is_admin"]) == ("u9", "acme", ["editor"], False)


async def test_a_token_without_a_session_may_do_nothing_to_the_account() -> None:
    async with open_door(env=SHARED) as door:
        token = signed(claims(sub=door.user))
        for method, path in (
            ("POST", "/api/auth/api-keys"),
            ("POST", "/api/auth/totp/enroll"),
            ("POST", "/api/auth/jwt"),
        ):
            assert code_of(await door(method, path, {}, token=token)) == (401, "AUTH_REQUIRED")


async def test_every_secret_that_is_set_is_taken_and_the_first_signs() -> None:
    async with open_door(env={**OWN, "PYLON_JWT_SECRET": f"{'n' * 40},{SECRET}"}) as door:
        assert await whose(door, signed(claims())) == "u1"
        minted = await mint(door)
        assert jwt.decode(minted, OctKey.import_key("n" * 40)).claims["sub"] == door.user


async def test_a_live_connection_of_such_a_token_is_known_again(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path, jwt_issuer=ISSUER, jwt_secrets=(SECRET,)) as base:
        session = base.sessions.resolve(signed(claims(**{"https://pylonsync.com/roles": ["a"]})))
        assert base.sessions.current(session.key or b"") == session


# -- attacks -----------------------------------------------------------------------------------------------------------


def unsigned(said: dict[str, Any], alg: str) -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': alg, 'typ': 'JWT'})}.{part(said)}.AAAA"


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "", "HS512", "RS256", "ES256"])
async def test_an_unsigned_token_or_one_of_another_algorithm_is_refused(alg: str) -> None:
    async with open_door(env=SHARED) as door:
        assert await whose(door, unsigned(claims(), alg)) == INVALID


async def test_the_public_key_is_no_secret_to_sign_with() -> None:
    """Algorithm confusion: HS256 keyed with what the server publishes, under the name of that key and without."""
    async with open_door(env={**SHARED, "PYLON_JWT_ALGORITHM": "ES256"}) as door:
        await mint(door)
        [published] = (await door("GET", "/.well-known/jwks.json")).json()["keys"]
        key = ECKey.import_key({name: published[name] for name in ("kty", "crv", "x", "y")})
        session = door.server.sessions.of_user(door.user)[0].id
        said = claims(sub=door.user, sid=session)
        for material in (key.as_pem(private=False), key.as_der(private=False), json.dumps(published).encode()):
            for header in ({"kid": published["kid"]}, {}):
                forged = _hs256(said, material, **header)
                assert await whose(door, forged) == INVALID


def _hs256(said: dict[str, Any], secret: bytes, **header: Any) -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    signing = f"{part(json.dumps({'alg': 'HS256', 'typ': 'JWT'} | header).encode())}.{part(json.dumps(said).encode())}"
    return f"{signing}.{part(hmac.digest(secret, signing.encode(), hashlib.sha256))}"


async def test_a_key_in_the_token_itself_is_not_looked_at() -> None:
    async with open_door(env=OWN) as door:
        real = parts(await mint(door))[0]["kid"]
        own = ECKey.generate_key("P-256")
        said = claims(sub=door.user, sid=door.server.sessions.of_user(door.user)[0].id)
        for header in (
            {"jwk": own.as_dict(private=False)},
            {"kid": real},
            {"kid": real, "jku": "https://evil.example.com/jwks.json"},
            {"kid": real, "x5u": "https://evil.example.com/c.pem"},
        ):
            registry = JWSRegistry(algorithms=["ES256"], strict_check_header=False)
            forged = jwt.encode({"alg": "ES256", "typ": "JWT"} | header, said, own, registry=registry)
            assert await whose(door, forged) == INVALID


@pytest.mark.parametrize(
    "kid",
    ["../../../dev/null", "' OR 1=1 --", "sig_0", "x" * 5000, 7, None, ["sig_0"], {"a": 1}, "\u0000"],
    ids=["path", "sql", "unknown", "long", "number", "null", "list", "object", "nul"],
)
async def test_the_name_of_a_key_is_only_looked_up(kid: Any) -> None:
    async with open_door(env=OWN) as door:
        await mint(door)
        for secret in (b"", b"\x00", b"null"):
            assert await whose(door, _hs256(claims(sub=door.user), secret, kid=kid)) == INVALID


async def test_the_servers_own_key_signs_for_sessions_only(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path, jwt_issuer=ISSUER) as base:
        tokens = base.registry.get("jwt")
        session = base.sessions.resolve((await base.sessions.create("u1")).token)
        await tokens.mint(somebody(session))
        signer = tokens.keys.signing()
        for said in (claims(), claims(sid="ses_other"), claims(sub="u2", sid=session.id)):
            forged = jwt.encode({"alg": "ES256", "kid": signer.kid}, said, signer.key, algorithms=["ES256"])
            with pytest.raises(PylonError, match="revoked"):
                base.sessions.resolve(forged)


@pytest.mark.parametrize(
    "changed",
    [
        {"exp": 1},
        {"exp": None},
        {"exp": "never"},
        {"exp": True},
        {"exp": float("inf")},
        {"iss": "https://other.example.com"},
        {"iss": None},
        {"aud": "another service"},
        {"aud": ["another service"]},
        {"nbf": 2**33},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "__admin__"},
        {"sub": "guest_x"},
        {"sub": "op_pylon_x"},
        {"sub": "x" * 300},
        {"sub": "\ud800"},
        {"sid": "\ud800"},
        {"https://pylonsync.com/tenant": "\ud800"},
        {"https://pylonsync.com/roles": ["\ud800"]},
        {"sid": 7},
        {"sid": "ses_unknown"},
        {"https://pylonsync.com/roles": "admin"},
        {"https://pylonsync.com/roles": [7]},
        {"https://pylonsync.com/tenant": 7},
    ],
    ids=ascii,
)
async def test_a_signed_token_that_says_something_wrong_is_refused(
    people: AppSpec, tmp_path: Path, changed: dict[str, Any]
) -> None:
    async with open_foundation(people, tmp_path, jwt_issuer=ISSUER, jwt_secrets=(SECRET,)) as base:
        base.sessions.resolve(_hs256(claims(), SECRET.encode()))
        with pytest.raises(PylonError) as refused:
            base.sessions.resolve(_hs256(claims(**changed), SECRET.encode()))
        assert refused.value.code == "INVALID_JWT"


@pytest.mark.parametrize("token", ["a.b.c", "....", "e30.e30.AA", "{}.{}.{}", "é.é.é", "a.b." + "c" * 9000])
async def test_what_only_looks_like_a_jwt_is_nobodys(people: AppSpec, tmp_path: Path, token: str) -> None:
    async with open_foundation(people, tmp_path, jwt_issuer=ISSUER, jwt_secrets=(SECRET,)) as base:
        try:
            assert base.sessions.resolve(token).identity.user_id is None
        except PylonError as refused:
            assert refused.code == "INVALID_JWT"  # noqa: PT017


async def test_a_deeply_nested_header_is_refused(people: AppSpec, tmp_path: Path) -> None:
    async with open_foundation(people, tmp_path, jwt_issuer=ISSUER, jwt_secrets=(SECRET,)) as base:
        header = base64.urlsafe_b64encode(b'{"alg":' + b"[" * 2900).decode().rstrip("=")
        with pytest.raises(PylonError, match="malformed"):
            base.sessions.resolve(f"{header}.e30.AA")


async def test_jwts_that_are_switched_off_open_nothing() -> None:
    async with open_door(env=OWN) as door:
        token = await mint(door)
        await door.server.engine.switches.turn_on(ADMINISTRATOR, Scope.AUTH, "jwt", reason="leak")
        assert (await whose(door, token))[1] == "MAINTENANCE"
