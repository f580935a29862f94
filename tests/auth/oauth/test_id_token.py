"""Which id_tokens are believed: those that the issuer signed, for this client, of now and of this sign-in."""

from __future__ import annotations

import base64
import hmac
import json
import time
from typing import Any

import httpx
import msgspec
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from pylon.auth.methods.oauth.id_token import IdTokenError, verify_id_token
from pylon.auth.methods.oauth.keys import FRESH_SECONDS, RETRY_SECONDS, STALE_SECONDS, Documents
from pylon.auth.methods.oauth.providers import Provider
from pylon.auth.outbound import Outbound, OutboundError
from tests.auth.oauth.fakes import KEY, OTHER_KEY, FakeProviders, public_keys, signed

NOW = 1_800_000_000
JWKS = "https://id.example/jwks"
PROVIDER = Provider(
    id="x",
    title="X",
    authorize="https://id.example/authorize",
    token="https://id.example/token",
    issuer="https://id.example",
    jwks=JWKS,
)
GOOD: dict[str, Any] = {
    "iss": "https://id.example",
    "aud": "client",
    "sub": "s-1",
    "iat": NOW,
    "exp": NOW + 600,
    "nonce": "n-1",
}


class Time:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def documents(fakes: FakeProviders, clock: Time | None = None) -> Documents:
    return Documents(Outbound(fakes.transport()), dev=False, clock=clock or time.monotonic)


async def verify(token: str, found: Documents, nonce: str | None = "n-1", provider: Provider = PROVIDER) -> Any:
    return await verify_id_token(token, provider, ("client",), nonce, found, NOW)


async def is_refused(token: str, found: Documents) -> bool:
    try:
        await verify(token, found)
    except IdTokenError:
        return True
    return False


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key != name}


def head_and_body(algorithm: str, claims: dict[str, Any]) -> str:
    parts = ({"alg": algorithm, "kid": "k1"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)


def unsigned(claims: dict[str, Any]) -> str:
    return head_and_body("none", claims) + "."


def with_secret(claims: dict[str, Any], secret: bytes) -> str:
    text = head_and_body("HS256", claims)
    signature = hmac.digest(secret, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


async def test_a_good_one_is_believed(fakes: FakeProviders) -> None:
    fakes.answers[JWKS] = (200, public_keys(OTHER_KEY, KEY))
    found = documents(fakes)
    assert (await verify(signed(GOOD), found))["sub"] == "s-1"
    assert (await verify(signed({**GOOD, "aud": ["client", "b"], "azp": "client"}), found))["sub"] == "s-1"
    assert (await verify(signed({**GOOD, "exp": NOW - 30}), found))["sub"] == "s-1"  # clocks differ a little
    assert (await verify(signed(without("nonce")), found, nonce=None))["sub"] == "s-1"
    assert len(fakes.of(JWKS)) == 1


async def test_elliptic_keys_and_keys_without_a_name_are_taken(fakes: FakeProviders) -> None:
    key = ECKey.generate_key("P-256")
    fakes.answers[JWKS] = (200, {"keys": [*public_keys(KEY)["keys"], key.as_dict(private=False)]})
    token = jwt.encode({"alg": "ES256"}, GOOD, key)
    assert (await verify(token, documents(fakes)))["sub"] == "s-1"


BAD = {
    "another issuer": {**GOOD, "iss": "https://evil.example"},
    "no issuer": without("iss"),
    "another audience": {**GOOD, "aud": "other"},
    "no audience": without("aud"),
    "several audiences and no party": {**GOOD, "aud": ["client", "other"]},
    "another party": {**GOOD, "azp": "other"},
    "over": {**GOOD, "exp": NOW - 61},
    "without an end": without("exp"),
    "with an end that is no number": {**GOOD, "exp": "never"},
    "of the future": {**GOOD, "iat": NOW + 3600},
    "not good yet": {**GOOD, "nbf": NOW + 3600},
    "another nonce": {**GOOD, "nonce": "n-2"},
    "no nonce": without("nonce"),
    "nobody": without("sub"),
    "an empty subject": {**GOOD, "sub": ""},
}


async def test_one_whose_claims_are_wrong_is_refused(fakes: FakeProviders) -> None:
    fakes.answers[JWKS] = (200, public_keys(KEY))
    found = documents(fakes)
    for what, claims in BAD.items():
        assert await is_refused(signed(claims), found), what


async def test_one_that_its_issuer_did_not_sign_is_refused(fakes: FakeProviders) -> None:
    fakes.answers[JWKS] = (200, public_keys(KEY))
    found = documents(fakes)
    good = signed(GOOD)
    forged = {
        "signed by another key of the same name": signed(GOOD, key=OTHER_KEY, header={"alg": "RS256", "kid": "k1"}),
        "signed by an unknown key": signed(GOOD, key=OTHER_KEY),
        "not signed": unsigned(GOOD),
        "signed with the public key as a secret": with_secret(GOOD, KEY.as_pem(private=False)),
        "changed": good[:20] + ("A" if good[20] != "A" else "B") + good[21:],
        "with another's signature": signed({**GOOD, "sub": "s-2"}).rpartition(".")[0] + "." + good.rpartition(".")[2],
        "not one": "no token",
        "huge": good + "A" * 40_000,
    }
    for what, token in forged.items():
        assert await is_refused(token, found), what


async def test_a_token_does_not_bring_its_own_key(fakes: FakeProviders) -> None:
    fakes.answers[JWKS] = (200, public_keys(KEY))
    header = {"alg": "RS256", "kid": "k2", "jwk": OTHER_KEY.as_dict(private=False)}
    with pytest.raises(IdTokenError):
        await verify(signed(GOOD, key=OTHER_KEY, header=header), documents(fakes))


async def test_the_issuer_of_a_directory_is_that_of_its_own_tokens(fakes: FakeProviders) -> None:
    provider = msgspec.structs.replace(PROVIDER, issuer="https://id.example/{tenantid}/v2.0")
    fakes.answers[JWKS] = (200, public_keys(KEY))
    found = documents(fakes)
    claims = {**GOOD, "tid": "a-1", "iss": "https://id.example/a-1/v2.0"}
    assert (await verify(signed(claims), found, provider=provider))["tid"] == "a-1"
    for wrong in ({**claims, "tid": "b-2"}, {**claims, "tid": "a-1/v2.0/.."}, without("iss")):
        with pytest.raises(IdTokenError):
            await verify(signed(wrong), found, provider=provider)


async def test_keys_that_change_are_fetched_again_but_not_for_every_stranger(fakes: FakeProviders) -> None:
    clock = Time()
    fakes.answers[JWKS] = (200, public_keys(KEY))
    found = documents(fakes, clock)
    await verify(signed(GOOD), found)
    fakes.answers[JWKS] = (200, public_keys(OTHER_KEY))
    assert (await verify(signed(GOOD, key=OTHER_KEY), found))["sub"] == "s-1"
    for _ in range(5):
        with pytest.raises(IdTokenError):
            await verify(signed(GOOD), found)
    assert len(fakes.of(JWKS)) == 2
    clock.now += RETRY_SECONDS
    fakes.answers[JWKS] = (200, public_keys(OTHER_KEY, KEY))
    assert (await verify(signed(GOOD), found))["sub"] == "s-1"


async def test_keys_are_used_for_a_while_when_their_server_is_away(fakes: FakeProviders) -> None:
    clock = Time()
    fakes.answers[JWKS] = (200, public_keys(KEY))
    found = documents(fakes, clock)
    await verify(signed(GOOD), found)
    fakes.answers[JWKS] = (500, {})
    clock.now += FRESH_SECONDS + 1
    await verify(signed(GOOD), found)
    await verify(signed(GOOD), found)
    assert len(fakes.of(JWKS)) == 2
    clock.now += STALE_SECONDS
    with pytest.raises(OutboundError):
        await verify(signed(GOOD), found)


@pytest.mark.parametrize("answer", [{}, {"keys": []}, {"keys": [{"kty": "RSA"}]}, [], {"keys": "x"}, "form=x"])
async def test_what_is_no_key_set_is_told_apart_from_a_bad_token(fakes: FakeProviders, answer: Any) -> None:
    fakes.answers[JWKS] = (200, answer)
    with pytest.raises(OutboundError):
        await verify(signed(GOOD), documents(fakes))


async def test_a_server_that_can_not_be_reached_is_an_error_of_its_own() -> None:
    class Away(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("no route to 10.0.0.1")

    with pytest.raises(OutboundError) as caught:
        await Outbound(Away()).send("GET", "https://id.example/")
    assert "10.0.0.1" not in str(caught.value)
