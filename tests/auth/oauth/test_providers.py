"""Each of the 25 providers: where people are sent, how its token endpoint is asked, and whom its answers mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from pylon.auth.methods.oauth.flow import Back
from pylon.auth.methods.oauth.providers import PROVIDERS, Shape
from pylon.model.errors import PylonError
from pylon.model.schema import AppSpec
from pylon.oauth_settings import BUILTIN, OAuthClient
from pylon.store.identity import AccountRecord
from pylon.testing.identity import open_foundation, somebody
from tests.auth.conftest import Clock
from tests.auth.oauth.fakes import (
    KEY,
    SECRET,
    Asked,
    FakeProviders,
    builtin,
    challenge_of,
    claims_for,
    public_keys,
    query_of,
    signed,
    use,
)
from tests.auth.oauth.shapes import SHAPES

APPLE_KEY = ECKey.generate_key("P-256")
PAGE = "http://localhost:3000/in"
BROWSER = "b" * 43


def client_of(name: str, **fields: Any) -> OAuthClient:
    if name == "apple":
        pem = APPLE_KEY.as_pem(private=True).decode()
        return OAuthClient(name=name, client_id="app.example", team_id="TEAM", key_id="KID", private_key=pem, **fields)
    return OAuthClient(name=name, client_id="the-client", client_secret=SECRET, **fields)


def serve(fakes: FakeProviders, name: str, client: OAuthClient, nonce: str | None, **tokens: Any) -> None:
    """Have the fakes answer as this provider does."""
    provider, shape = builtin(name), SHAPES[name]
    given: dict[str, Any] = {"access_token": "at-1", "token_type": "bearer", "expires_in": "3600", **tokens}
    if provider.issuer:
        given["id_token"] = signed(claims_for(provider, client, nonce, **(shape.claims or {})))
        fakes.answers[provider.jwks] = (200, public_keys(KEY))
    fakes.answers[provider.token] = (200, "access_token=at-1&token_type=bearer&scope=x" if shape.form else given)
    if shape.profile is not None:
        fakes.answers[provider.userinfo.partition("?")[0]] = (200, shape.profile)
    if shape.emails is not None:
        fakes.answers[provider.emails] = (200, shape.emails)


def test_every_provider_that_settings_know_is_described() -> None:
    assert tuple(PROVIDERS) == BUILTIN
    assert set(SHAPES) == set(BUILTIN)
    assert len(BUILTIN) == 25


@pytest.mark.parametrize("name", BUILTIN)
async def test_people_sign_in_with(name: str, people: AppSpec, tmp_path: Path, fakes: FakeProviders) -> None:
    client, provider, shape = client_of(name), builtin(name), SHAPES[name]
    async with open_foundation(people, tmp_path, dev_mode=True, oauth=(client,)) as base:
        service = base.registry.get("oauth")
        use(service, fakes)
        away = await service.flow.begin(somebody(), name, callback=PAGE, error_callback="", browser=BROWSER)
        sent = query_of(away.url)
        assert away.url.startswith(f"{provider.authorize}?")
        assert (sent[provider.client_param], sent["response_type"], sent["state"]) == (
            client.client_id,
            "code",
            away.state,
        )
        assert sent["redirect_uri"] == f"http://localhost:4321/api/auth/callback/{name}"
        assert sent.get("scope", "") == provider.separator.join(provider.scopes)
        assert {**sent, **dict(provider.extra)} == sent
        assert ("nonce" in sent) == bool(provider.issuer)

        serve(fakes, name, client, sent.get("nonce"))
        done = await service.flow.finish(somebody(), name, Back(state=away.state, code="c-1", browser=BROWSER))
        assert done.failure is None, done.failure
        assert done.grant is not None
        assert done.callback == PAGE
        assert done.grant.record.method == f"oauth:{name}"

        [asked] = fakes.of(provider.token)
        check_token_request(asked, provider.shape, client, sent, name)
        [account] = base.engine.reads.identity.find(AccountRecord, provider=name)
        row = base.users.get(account.user_id)
        assert (account.subject, account.avatar_url) == (shape.subject, shape.picture)
        assert (row.email, bool(row.emailVerified)) == (shape.email, shape.verified)
        assert row.displayName == (shape.name or shape.email)
        assert account.access_token is None
        if shape.profile is not None and fakes.of(provider.userinfo):
            profile_asked = fakes.of(provider.userinfo)[0]
            assert profile_asked.method == provider.userinfo_method
            assert profile_asked.url == provider.userinfo
            assert profile_asked.headers["authorization"] == "Bearer at-1"


def check_token_request(asked: Asked, shape: Shape, client: OAuthClient, sent: dict[str, str], name: str) -> None:
    provider, fields = builtin(name), asked.fields
    assert (asked.method, asked.headers["user-agent"], asked.headers["accept"]) == (
        "POST",
        "pylon/0.1",
        "application/json",
    )
    assert (fields["grant_type"], fields["code"]) == ("authorization_code", "c-1")
    assert fields["redirect_uri"] == sent["redirect_uri"]
    is_json = asked.headers["content-type"].startswith("application/json")
    assert is_json == (shape in (Shape.JSON, Shape.BASIC_JSON))
    if shape in (Shape.BASIC, Shape.BASIC_JSON):
        assert asked.basic == f"{client.client_id}:{SECRET}"
        assert not {"client_id", "client_secret"} & fields.keys()
    else:
        assert fields[provider.client_param] == client.client_id
        if name == "apple":
            made = jwt.decode(fields["client_secret"], APPLE_KEY, algorithms=["ES256"])
            assert made.header["kid"] == "KID"
            assert (made.claims["iss"], made.claims["sub"], made.claims["aud"]) == (
                "TEAM",
                "app.example",
                "https://appleid.apple.com",
            )
            assert made.claims["exp"] - made.claims["iat"] == 300
        else:
            assert fields["client_secret"] == SECRET
    if provider.pkce:
        assert sent["code_challenge_method"] == "S256"
        assert challenge_of(fields["code_verifier"]) == sent["code_challenge"]
        assert len(fields["code_verifier"]) == 43
    else:
        assert "code_challenge" not in sent
        assert "code_verifier" not in fields


async def test_a_directory_that_proved_its_domain_is_believed_and_no_other(
    people: AppSpec, tmp_path: Path, fakes: FakeProviders
) -> None:
    client, provider = client_of("microsoft"), builtin("microsoft")
    async with open_foundation(people, tmp_path, dev_mode=True, oauth=(client,)) as base:
        service = base.registry.get("oauth")
        use(service, fakes)
        away = await service.flow.begin(somebody(), "microsoft", callback=PAGE, error_callback="", browser=BROWSER)
        serve(fakes, "microsoft", client, None)
        claims = {**(SHAPES["microsoft"].claims or {}), "xms_edov": True}
        token = signed(claims_for(provider, client, query_of(away.url)["nonce"], **claims))
        fakes.answers[provider.token] = (200, {"access_token": "at-1", "id_token": token})
        done = await service.flow.finish(somebody(), "microsoft", Back(state=away.state, code="c", browser=BROWSER))
        assert done.grant is not None
        assert base.users.get(done.grant.record.user_id).emailVerified


async def test_an_address_outside_the_domains_of_a_provider_is_not_believed(
    people: AppSpec, tmp_path: Path, fakes: FakeProviders
) -> None:
    client = client_of("discord", email_domains=("corp.example",))
    async with open_foundation(people, tmp_path, dev_mode=True, oauth=(client,)) as base:
        service = base.registry.get("oauth")
        use(service, fakes)
        away = await service.flow.begin(somebody(), "discord", callback=PAGE, error_callback="", browser=BROWSER)
        serve(fakes, "discord", client, None)
        done = await service.flow.finish(somebody(), "discord", Back(state=away.state, code="c", browser=BROWSER))
        assert done.grant is not None
        assert base.users.get(done.grant.record.user_id).emailVerified is None


async def test_a_handle_that_changed_hands_leads_to_nobody_elses_account(
    people: AppSpec, tmp_path: Path, fakes: FakeProviders
) -> None:
    client, provider = client_of("twitter"), builtin("twitter")
    async with open_foundation(people, tmp_path, dev_mode=True, oauth=(client,)) as base:
        service = base.registry.get("oauth")
        use(service, fakes)
        users = []
        for subject in ("1", "2"):
            away = await service.flow.begin(somebody(), "twitter", callback=PAGE, error_callback="", browser=BROWSER)
            serve(fakes, "twitter", client, None)
            profile = {"data": {"id": subject, "name": "Ann", "username": "ann"}}
            fakes.answers[provider.userinfo.partition("?")[0]] = (200, profile)
            done = await service.flow.finish(somebody(), "twitter", Back(state=away.state, code="c", browser=BROWSER))
            assert done.grant is not None
            users.append(base.users.get(done.grant.record.user_id))
        assert [user.email for user in users] == ["ann@x.invalid", "2@x.invalid"]


async def test_a_state_is_good_for_ten_minutes(
    people: AppSpec, tmp_path: Path, fakes: FakeProviders, clock: Clock
) -> None:
    client = client_of("discord")
    async with open_foundation(people, tmp_path, clock=clock, dev_mode=True, oauth=(client,)) as base:
        service = base.registry.get("oauth")
        use(service, fakes)
        serve(fakes, "discord", client, None)
        for seconds, is_good in ((599, True), (601, False)):
            away = await service.flow.begin(somebody(), "discord", callback=PAGE, error_callback="", browser=BROWSER)
            clock.now += seconds
            back = Back(state=away.state, code="c", browser=BROWSER)
            if is_good:
                assert (await service.flow.finish(somebody(), "discord", back)).grant is not None
            else:
                with pytest.raises(PylonError, match="not begun here"):
                    await service.flow.finish(somebody(), "discord", back)


async def test_what_happened_is_in_the_audit_log(people: AppSpec, tmp_path: Path, fakes: FakeProviders) -> None:
    client = client_of("discord")
    async with open_foundation(people, tmp_path, dev_mode=True, oauth=(client,)) as base:
        service = base.registry.get("oauth")
        use(service, fakes)
        serve(fakes, "discord", client, None)
        away = await service.flow.begin(somebody(), "discord", callback=PAGE, error_callback="", browser=BROWSER)
        done = await service.flow.finish(somebody(), "discord", Back(state=away.state, code="c", browser=BROWSER))
        fakes.answers[PROVIDERS["discord"].token] = (400, {"error": "invalid_grant"})
        away = await service.flow.begin(somebody(), "discord", callback=PAGE, error_callback="", browser=BROWSER)
        await service.flow.finish(somebody(), "discord", Back(state=away.state, code="c", browser=BROWSER))
        events = [(one["action"], one["metadata"]["method"], one["reason"]) for one in await base.events.search()]
        assert ("sign_up", "oauth:discord", None) in events or ("sign_up", "oauth:discord", "") in events
        assert ("sign_in_failed", "oauth:discord", "OAUTH_TOKEN_EXCHANGE_FAILED") in events
        assert base.sign_in.granted["oauth:discord"] == 1
        assert done.grant is not None


def test_no_provider_is_asked_over_a_plain_connection() -> None:
    for provider in PROVIDERS.values():
        for url in (provider.authorize, provider.token, provider.userinfo, provider.emails, provider.jwks):
            assert not url or urlsplit(url).scheme == "https"
