"""Signing in elsewhere through HTTP, against a server in production with providers that answer on loopback."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec
import pyotp
import pytest

from pylon import App, Auth, Entity, Id, field
from pylon.engine.caller import SYSTEM
from pylon.engine.limits.switch import Scope
from pylon.engine.transaction import Authority
from pylon.server import Server
from pylon.store.identity import AccountRecord, OneTimeRecord, SessionRecord
from pylon.testing.app import open_server, sign_in
from pylon.testing.process import ADMIN_TOKEN
from tests.auth.oauth.fakes import KEY, OTHER_KEY, SECRET, FakeProviders, claims_for, public_keys, query_of, signed, use

PUBLIC = "https://api.example.com"
PAGE = "https://app.example.com/in"
FAILED = "https://app.example.com/failed?from=login"
ISSUER = "https://id.corp.example"
ENV = {
    "PYLON_DEV_MODE": "0",
    "PYLON_PUBLIC_URL": PUBLIC,
    "PYLON_TRUSTED_ORIGINS": "https://app.example.com",
    "PYLON_OAUTH_DISCORD_CLIENT_ID": "the-client",
    "PYLON_OAUTH_DISCORD_CLIENT_SECRET": SECRET,
    "PYLON_OAUTH_SPOTIFY_CLIENT_ID": "the-client",
    "PYLON_OAUTH_SPOTIFY_CLIENT_SECRET": SECRET,
    "PYLON_OAUTH_SPOTIFY_SCOPES": "user-read-email offline_access",
    "PYLON_OAUTH_APPLE_CLIENT_ID": "app.example",
    "PYLON_OAUTH_APPLE_CLIENT_SECRET": SECRET,
    "PYLON_OAUTH_APPLE_NATIVE_CLIENT_IDS": "phone.example",
    "PYLON_OAUTH_CORP_CLIENT_ID": "the-client",
    "PYLON_OAUTH_CORP_CLIENT_SECRET": SECRET,
    "PYLON_OAUTH_CORP_OIDC_ISSUER": ISSUER,
    "PYLON_AUTH_NONCE_IP_PER_MIN": "0",
    "PYLON_AUTH_VERIFY_IP_PER_MIN": "0",
    "PYLON_AUTH_GUEST_IP_PER_MIN": "0",
}
DISCORD_TOKEN = "https://discord.com/api/oauth2/token"
DISCORD_ME = "https://discord.com/api/users/@me"
SPOTIFY_TOKEN = "https://accounts.spotify.com/api/token"
SPOTIFY_ME = "https://api.spotify.com/v1/me"


class User(Entity, crdt=False):
    email: str | None = field(unique=True)
    displayName: str | None = None
    emailVerified: str | None = None
    passwordHash: str | None = None
    disabledAt: str | None = None

    class Policy:
        read = "auth.userId == data.id"


class Note(Entity, crdt=False):
    title: str
    owner: Id[User] = field(owner=True)

    class Policy:
        allow = "auth.userId == data.owner"


APP = App("elsewhere", entities=[User, Note], auth=Auth())


class World:
    """A server, its providers, and browsers."""

    def __init__(self, server: Server, fakes: FakeProviders) -> None:
        self.server = server
        self.fakes = fakes
        self.clients: list[httpx.AsyncClient] = []

    def browser(self, **headers: str) -> httpx.AsyncClient:
        """A browser with cookies of its own."""
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.server.app), base_url=PUBLIC, headers=headers, follow_redirects=False
        )
        self.clients.append(client)
        return client

    async def user(self, **values: Any) -> str:
        """A user, made by its server."""
        engine = self.server.engine
        plan = engine.plans["User"]
        row = plan.types.convert_insert(values)
        outcome = await engine.run(SYSTEM, lambda tx: tx.insert(plan, row).row.id, authority=Authority.TRUSTED)
        return str(outcome.value)

    async def signed_in(self, user: str) -> httpx.AsyncClient:
        """A browser in which this user has just signed in."""
        return self.browser(Authorization=f"Bearer {await sign_in(self.server, user)}")

    def row(self, user: str) -> Any:
        return self.server.engine.reads.row("User", user)

    def accounts(self, user: str) -> list[AccountRecord]:
        return self.server.engine.reads.identity.find(AccountRecord, user_id=user)

    def discord(self, subject: str = "d-1", email: str | None = "ann@example.com", **profile: Any) -> None:
        """Whom Discord says it is."""
        self.fakes.answers[DISCORD_TOKEN] = (200, {"access_token": "at", "refresh_token": "rt", "expires_in": 60})
        self.fakes.answers[DISCORD_ME] = (
            200,
            {"id": subject, "global_name": "Ann", "email": email, "verified": True, **profile},
        )


@asynccontextmanager
async def opened(fakes: FakeProviders, **env: str) -> AsyncIterator[World]:
    async with open_server(APP, env={**ENV, **env}) as server:
        use(server.identity.registry.get("oauth"), fakes)
        world = World(server, fakes)
        try:
            yield world
        finally:
            for client in world.clients:
                await client.aclose()


@pytest.fixture
async def world(fakes: FakeProviders) -> AsyncIterator[World]:
    async with opened(fakes) as made:
        made.discord()
        yield made


async def begin(browser: httpx.AsyncClient, provider: str = "discord", **query: str) -> str:
    """The state of a sign-in that this browser began."""
    sent = {"callback": PAGE, "redirect": "1", **query}
    answer = await browser.get(f"/api/auth/login/{provider}", params=sent)
    assert answer.status_code == 302, answer.text
    return query_of(answer.headers["location"])["state"]


async def come_back(browser: httpx.AsyncClient, state: str, provider: str = "discord", **query: str) -> httpx.Response:
    return await browser.get(f"/api/auth/callback/{provider}", params={"state": state, "code": "c-1", **query})


async def round_trip(browser: httpx.AsyncClient, provider: str = "discord", **query: str) -> httpx.Response:
    return await come_back(browser, await begin(browser, provider, **query), provider)


async def me(browser: httpx.AsyncClient) -> Any:
    return (await browser.get("/api/auth/me")).json()


def failure(answer: httpx.Response) -> str:
    """The code that a page is told."""
    assert answer.status_code == 302, answer.text
    assert "set-cookie" not in answer.headers or "elsewhere_session" not in answer.headers["set-cookie"]
    return query_of(answer.headers["location"]).get("oauth_error", "")


# -- the flow ---------------------------------------------------------------------------------------------------------


async def test_a_browser_goes_away_and_comes_back_signed_in(world: World) -> None:
    browser = world.browser()
    answer = await round_trip(browser)
    assert (answer.status_code, answer.headers["location"]) == (302, PAGE)
    assert browser.cookies.get("__Host-elsewhere_session")
    user = (await me(browser))["user_id"]
    assert world.row(user).email == "ann@example.com"
    assert world.row(user).emailVerified
    again = world.browser()
    await round_trip(again)
    assert (await me(again))["user_id"] == user


async def test_a_client_that_is_no_browser_needs_no_cookie(world: World) -> None:
    client = world.browser()
    began = (await client.get("/api/auth/login/discord", params={"callback": PAGE})).json()
    assert began["state"].startswith("pylon_")
    assert len(began["state"]) == 70
    assert query_of(began["redirect"])["state"] == began["state"]
    other = world.browser()
    answer = await other.post("/api/auth/callback/discord", json={"state": began["state"], "code": "c-1"})
    assert answer.status_code == 200
    assert sorted(answer.json()) == ["expires_at", "provider", "token", "user_id"]
    assert "set-cookie" not in answer.headers


async def test_what_native_code_began_no_browser_ends_without_its_cookie(world: World) -> None:
    began = (await world.browser().get("/api/auth/login/discord", params={"callback": PAGE})).json()
    answer = await come_back(world.browser(), began["state"])
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "OAUTH_INVALID_STATE")


async def test_a_page_ends_with_json_what_its_browser_began(world: World) -> None:
    page = world.browser(Origin="https://app.example.com")
    trusted = {"Origin": PUBLIC}
    began = (await page.get("/api/auth/login/discord", params={"callback": PAGE}, headers=trusted)).json()
    body = {"state": began["state"], "code": "c-1"}
    answer = await page.post("/api/auth/callback/discord", json=body, headers=trusted)
    assert answer.status_code == 200
    assert "__Host-elsewhere_session" in answer.headers["set-cookie"]


async def test_providers_are_listed_with_where_they_are_and_no_state(world: World) -> None:
    world.fakes.answers[f"{ISSUER}/.well-known/openid-configuration"] = (500, {})
    listed = (await world.browser().get("/api/auth/providers")).json()
    assert [one["provider"] for one in listed] == ["apple", "corp", "discord", "spotify"]
    by_name = {one["provider"]: one["auth_url"] for one in listed}
    assert by_name["corp"] == ""
    assert by_name["discord"] == (
        "https://discord.com/oauth2/authorize?client_id=the-client"
        "&redirect_uri=https%3A%2F%2Fapi.example.com%2Fapi%2Fauth%2Fcallback%2Fdiscord"
        "&response_type=code&scope=identify%20email"
    )


async def test_unknown_providers_and_missing_callbacks_say_so(world: World) -> None:
    browser = world.browser()
    answer = await browser.get("/api/auth/login/friendster", params={"callback": PAGE})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "PROVIDER_NOT_FOUND")
    answer = await browser.get("/api/auth/login/discord")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MISSING_CALLBACK")


async def test_queries_and_forms_without_end_are_not_read(world: World) -> None:
    browser = world.browser()
    many = "&".join(f"a{number}=1" for number in range(200))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for answer in (
        await browser.get(f"/api/auth/login/discord?{many}"),
        await browser.get(f"/api/auth/callback/discord?{many}"),
        await browser.post("/api/auth/callback/discord", content=many, headers=form),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "INVALID_QUERY")


async def test_a_server_without_providers_lists_none_and_knows_none() -> None:
    async with open_server(APP) as server:
        world = World(server, FakeProviders())
        browser = world.browser()
        assert (await browser.get("/api/auth/providers")).json() == []
        answer = await browser.get("/api/auth/login/github", params={"callback": "/"})
        assert answer.json()["error"]["code"] == "PROVIDER_NOT_FOUND"
        assert "PYLON_OAUTH_" in answer.json()["error"]["hint"]
        await browser.aclose()
        world.fakes.close()


async def test_in_dev_mode_an_address_stands_in_for_the_provider(fakes: FakeProviders) -> None:
    async with opened(fakes, PYLON_DEV_MODE="1") as world:
        client = world.browser()
        began = (await client.get("/api/auth/login/discord", params={"callback": "http://localhost:3000"})).json()
        body = {"state": began["state"], "email": "Dev@Example.com", "name": "Dev"}
        answer = await client.post("/api/auth/callback/discord", json=body)
        assert world.row(answer.json()["user_id"]).email == "dev@example.com"


async def test_in_production_an_address_stands_in_for_nothing(world: World) -> None:
    client = world.browser()
    began = (await client.get("/api/auth/login/discord", params={"callback": PAGE})).json()
    answer = await client.post("/api/auth/callback/discord", json={"state": began["state"], "email": "a@b.c"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MISSING_FIELD")


# -- the state --------------------------------------------------------------------------------------------------------


async def test_a_state_is_good_once(world: World) -> None:
    browser = world.browser()
    state = await begin(browser)
    await come_back(browser, state)
    answer = await come_back(browser, state)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "OAUTH_INVALID_STATE")


async def test_a_state_of_another_browser_is_refused(world: World) -> None:
    """Login CSRF: an attacker has a victim follow the end of his own sign-in."""
    attacker, victim = world.browser(), world.browser()
    await begin(victim)
    answer = await come_back(victim, await begin(attacker))
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "OAUTH_INVALID_STATE")
    assert (await me(victim))["user_id"] is None


async def test_a_state_of_another_browser_is_refused_as_json_too(world: World) -> None:
    attacker, victim = world.browser(), world.browser(Origin=PUBLIC)
    began = (await attacker.get("/api/auth/login/discord", params={"callback": PAGE})).json()
    answer = await victim.post("/api/auth/callback/discord", json={"state": began["state"], "code": "c"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "OAUTH_INVALID_STATE")


async def test_a_state_of_another_provider_is_refused_and_used_up(world: World) -> None:
    """Mix-up: a code of one provider is never taken to another."""
    browser = world.browser()
    state = await begin(browser)
    assert (await come_back(browser, state, "spotify")).json()["error"]["code"] == "OAUTH_INVALID_STATE"
    assert (await come_back(browser, state)).json()["error"]["code"] == "OAUTH_INVALID_STATE"
    assert not world.fakes.asked


async def test_an_answer_that_names_another_issuer_is_refused(world: World) -> None:
    issue(world, sub="c-1")
    browser = world.browser()
    answer = await come_back(browser, await begin(browser, "corp"), "corp", iss="https://evil.example")
    assert failure(answer) == "OAUTH_ID_TOKEN_INVALID"
    assert not world.fakes.of(f"{ISSUER}/token")


async def test_the_store_holds_no_state_verifier_or_nonce(world: World) -> None:
    issue(world, sub="c-1")
    browser = world.browser()
    answer = await browser.get("/api/auth/login/corp", params={"callback": PAGE})
    sent = query_of(answer.json()["redirect"])
    [held] = world.server.engine.reads.identity.find(OneTimeRecord, kind="oauth_state")
    stored = msgspec.json.encode(held).decode()
    for secret in (sent["state"], sent["nonce"], sent["code_challenge"], browser.cookies["__Host-pylon_oauth"]):
        assert secret not in stored


async def test_the_cookie_is_of_this_host_alone_and_no_script_reads_it(world: World) -> None:
    answer = await world.browser().get("/api/auth/login/discord", params={"callback": PAGE})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-pylon_oauth=")
    assert cookie.endswith("; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=600")


# -- where it leads back to -------------------------------------------------------------------------------------------


STRANGE = (
    "https://evil.example/",
    "https://app.example.com.evil.example/",
    "https://app.example.com@evil.example/",
    "https://evil.example\\@app.example.com/",
    "https://app.example.com:8443/",
    "http://app.example.com/",
    "//evil.example/",
    "/\\evil.example/",
    "/\t/evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "https://app.example.com/\r\nSet-Cookie: a=b",
    " https://app.example.com/",
    "https:/app.example.com/",
)


async def test_a_sign_in_leads_to_no_strange_page(world: World) -> None:
    browser = world.browser()
    linking = await world.signed_in(await world.user(email="a@b.example"))
    for target in STRANGE:
        for answer in (
            await browser.get("/api/auth/login/discord", params={"callback": target}),
            await browser.get("/api/auth/login/discord", params={"callback": PAGE, "error_callback": target}),
            await linking.post("/api/auth/link/discord", json={"callback": target}),
        ):
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "UNTRUSTED_REDIRECT"), target


async def test_the_address_to_lead_back_to_is_the_configured_one_whatever_host_is_asked(world: World) -> None:
    answer = await world.browser(Host="evil.example").get("/api/auth/login/discord", params={"callback": PAGE})
    sent = query_of(answer.json()["redirect"])
    assert sent["redirect_uri"] == f"{PUBLIC}/api/auth/callback/discord"


# -- failures ---------------------------------------------------------------------------------------------------------


async def test_who_does_not_agree_comes_back_to_the_page_for_failures(world: World) -> None:
    browser = world.browser()
    state = await begin(browser, error_callback=FAILED)
    answer = await browser.get("/api/auth/callback/discord", params={"state": state, "error": "access_denied"})
    assert failure(answer) == "OAUTH_DENIED"
    assert answer.headers["location"].startswith(f"{FAILED}&oauth_error=OAUTH_DENIED&oauth_error_message=")


async def test_what_a_provider_says_of_a_failure_is_told_without_secrets(world: World) -> None:
    def echo(asked: Any) -> tuple[int, Any]:
        return 400, {"error": "invalid_grant", "error_description": f"bad code=c-1 {asked.body.decode()} {SECRET}"}

    world.fakes.answers[DISCORD_TOKEN] = echo
    browser = world.browser()
    answer = await round_trip(browser)
    assert failure(answer) == "OAUTH_TOKEN_EXCHANGE_FAILED"
    told = query_of(answer.headers["location"])["oauth_error_message"]
    assert "invalid_grant" in told
    sent = world.fakes.of(DISCORD_TOKEN)[0].fields
    for secret in (SECRET, "c-1", sent["code_verifier"]):
        assert secret not in answer.headers["location"]


NONSENSE: tuple[tuple[Any, Any, str], ...] = (
    ((200, {"error": "bad_verification_code"}), None, "OAUTH_TOKEN_EXCHANGE_FAILED"),
    ((200, {"token_type": "bearer"}), None, "OAUTH_TOKEN_EXCHANGE_FAILED"),
    ((500, "<html>"), None, "OAUTH_TOKEN_EXCHANGE_FAILED"),
    ((302, {}), None, "OAUTH_TOKEN_EXCHANGE_FAILED"),
    ((200, {"access_token": "x" * 2_000_000}), None, "OAUTH_TOKEN_EXCHANGE_FAILED"),
    (None, (401, {"message": "no"}), "OAUTH_TOKEN_EXCHANGE_FAILED"),
    (None, (200, ["no", "object"]), "OAUTH_TOKEN_EXCHANGE_FAILED"),
    (None, (200, {"email": "ann@example.com"}), "OAUTH_TOKEN_EXCHANGE_FAILED"),
    (None, (200, {"id": {"$ne": 1}, "email": "ann@example.com"}), "OAUTH_TOKEN_EXCHANGE_FAILED"),
    (None, (200, {"id": "d-1", "email": "no address"}), "OAUTH_NO_EMAIL"),
    (None, (200, {"id": "d-1"}), "OAUTH_NO_EMAIL"),
)


async def test_a_provider_that_answers_nonsense_signs_nobody_in(world: World) -> None:
    for token, profile, code in NONSENSE:
        world.discord()
        if token is not None:
            world.fakes.answers[DISCORD_TOKEN] = token
        if profile is not None:
            world.fakes.answers[DISCORD_ME] = profile
        browser = world.browser()
        assert failure(await round_trip(browser)) == code
        assert (await me(browser))["user_id"] is None


async def test_a_locked_user_is_not_signed_in(world: World) -> None:
    await world.user(email="ann@example.com", emailVerified="2026-01-01T00:00:00Z", disabledAt="2026-01-01T00:00:00Z")
    assert failure(await round_trip(world.browser())) == "ACCOUNT_LOCKED"


async def test_steps_are_limited(fakes: FakeProviders) -> None:
    async with opened(fakes, PYLON_AUTH_NONCE_IP_PER_MIN="2", PYLON_AUTH_VERIFY_IP_PER_MIN="2") as world:
        browser = world.browser()
        answers = [
            (await browser.get("/api/auth/login/discord", params={"callback": PAGE})).status_code for _ in range(3)
        ]
        assert answers == [200, 200, 429]
        answers = [(await come_back(browser, "guessed")).status_code for _ in range(3)]
        assert answers == [403, 403, 429]


async def test_a_provider_that_is_switched_off_signs_nobody_in(world: World) -> None:
    browser = world.browser()
    state = await begin(browser)
    await world.server.engine.switches.turn_on(SYSTEM, Scope.AUTH, "oauth:discord", reason="test")
    listed = (await browser.get("/api/auth/providers")).json()
    assert "discord" not in [one["provider"] for one in listed]
    assert "spotify" in [one["provider"] for one in listed]
    answer = await browser.get("/api/auth/login/discord", params={"callback": PAGE})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "MAINTENANCE")
    assert failure(await come_back(browser, state)) == "MAINTENANCE"
    assert not world.fakes.of(DISCORD_TOKEN)


# -- a provider that posts a form -------------------------------------------------------------------------------------


async def test_apple_leads_back_with_a_form_of_its_own_page(world: World) -> None:
    browser = world.browser()
    answer = await browser.get("/api/auth/login/apple", params={"callback": PAGE, "redirect": "1"})
    sent = query_of(answer.headers["location"])
    assert sent["response_mode"] == "form_post"
    assert "SameSite=None" in answer.headers["set-cookie"]
    assert "; Secure" in answer.headers["set-cookie"]
    flow = world.server.identity.registry.get("oauth").flow
    provider = await flow.source("apple").provider()
    claims = {"sub": "a-1", "email": "ann@example.com", "email_verified": "true"}
    token = signed(claims_for(provider, flow.source("apple").client, sent["nonce"], **claims))
    world.fakes.answers[provider.token] = (200, {"access_token": "at", "id_token": token})
    world.fakes.answers[provider.jwks] = (200, public_keys(KEY))
    name = json.dumps({"name": {"firstName": "Ann", "lastName": "Lee"}, "email": "eve@evil.example"})
    answer = await browser.post(
        "/api/auth/callback/apple",
        data={"state": sent["state"], "code": "c-1", "user": name},
        headers={"Origin": "https://appleid.apple.com", "Sec-Fetch-Site": "cross-site"},
    )
    assert (answer.status_code, answer.headers["location"]) == (302, PAGE)
    row = world.row((await me(browser))["user_id"])
    assert (row.email, row.displayName) == ("ann@example.com", "Ann Lee")


async def test_a_strange_page_ends_no_sign_in_with_json(world: World) -> None:
    browser = world.browser()
    state = await begin(browser)
    answer = await browser.post(
        "/api/auth/callback/discord", json={"state": state, "code": "c"}, headers={"Origin": "https://evil.example"}
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "CSRF_REJECTED")


# -- whose account it is ----------------------------------------------------------------------------------------------


async def test_a_proven_address_on_both_sides_links(world: World) -> None:
    user = await world.user(email="ann@example.com", emailVerified="2026-01-01T00:00:00Z", passwordHash="kept")
    browser = world.browser()
    await round_trip(browser)
    assert (await me(browser))["user_id"] == user
    assert world.row(user).passwordHash == "kept"
    events = await world.server.identity.events.search(user=user)
    assert [one["metadata"]["by"] for one in events if one["action"] == "oauth_link"] == ["email"]


async def test_who_planted_an_account_is_outside_when_its_owner_comes(world: World) -> None:
    planted = await world.user(email="ann@example.com", passwordHash="planted")
    attacker = await world.signed_in(planted)
    owner = world.browser()
    await round_trip(owner)
    assert (await me(owner))["user_id"] == planted
    assert world.row(planted).passwordHash is None
    assert (await me(attacker))["user_id"] is None


async def test_an_address_that_is_only_claimed_leads_to_nobodys_account(world: World) -> None:
    world.fakes.answers[SPOTIFY_TOKEN] = (200, {"access_token": "at"})
    world.fakes.answers[SPOTIFY_ME] = (200, {"id": "eve", "email": "ann@example.com"})
    for verified in ({"emailVerified": "2026-01-01T00:00:00Z"}, {}):
        user = await world.user(email="ann@example.com", **verified)
        answer = await round_trip(world.browser(), "spotify")
        assert failure(answer) == "ACCOUNT_LINK_REQUIRED"
        assert not world.accounts(user)
        await world.browser(Authorization=f"Bearer {ADMIN_TOKEN}").delete(f"/api/entities/User/{user}")


async def test_no_account_is_made_with_a_throw_away_address(world: World) -> None:
    world.discord(email="ann@mailinator.com")
    assert failure(await round_trip(world.browser())) == "DISPOSABLE_EMAIL"


async def test_a_guest_keeps_what_it_made_although_the_way_back_lacks_its_token(world: World) -> None:
    guest = (await world.browser().post("/api/auth/guest")).json()
    holder = world.browser(Authorization=f"Bearer {guest['token']}")
    note = (await holder.post("/api/entities/Note", json={"title": "x", "owner": guest["user_id"]})).json()
    state = await begin(holder)
    browser = world.browser()
    browser.cookies = holder.cookies
    await come_back(browser, state)
    assert world.server.engine.reads.row("Note", note["id"]).owner == (await me(browser))["user_id"]


async def test_a_picture_is_shown_over_https_only(world: World) -> None:
    world.fakes.answers[SPOTIFY_TOKEN] = (200, {"access_token": "at"})
    for url, shown in (
        ("http://pics.example/a.png", None),
        ("https://pics.example/a.png", "https://pics.example/a.png"),
    ):
        world.fakes.answers[SPOTIFY_ME] = (200, {"id": "s", "email": "s@example.com", "images": [{"url": url}]})
        browser = world.browser()
        await round_trip(browser, "spotify")
        assert (await me(browser))["avatar_url"] == shown


# -- linking ----------------------------------------------------------------------------------------------------------


async def link(browser: httpx.AsyncClient, provider: str = "discord") -> httpx.Response:
    began = await browser.post(f"/api/auth/link/{provider}", json={"callback": PAGE})
    assert began.status_code == 200, began.text
    return await come_back(browser, began.json()["state"], provider)


async def test_a_user_links_lists_and_unlinks(world: World) -> None:
    world.discord(email="other@example.com")
    user = await world.user(email="ann@example.com", emailVerified="2026-01-01T00:00:00Z")
    browser = await world.signed_in(user)
    assert (await link(browser)).headers["location"] == PAGE
    [listed] = (await browser.get("/api/auth/link")).json()
    assert (listed["provider"], listed["email"], listed["is_usable"]) == ("discord", "other@example.com", True)
    elsewhere = world.browser()
    await round_trip(elsewhere)
    assert (await me(elsewhere))["user_id"] == user
    assert world.row(user).email == "ann@example.com"
    answer = await browser.delete("/api/auth/link/discord")
    assert answer.json()["error"]["code"] == "LAST_METHOD"  # this server sends no codes, and there is no password
    world.fakes.answers[SPOTIFY_TOKEN] = (200, {"access_token": "at"})
    world.fakes.answers[SPOTIFY_ME] = (200, {"id": "s-1", "email": "eve@example.com"})
    await link(browser, "spotify")
    assert (await browser.delete("/api/auth/link/discord")).json() == {"unlinked": True}
    assert [one["provider"] for one in (await browser.get("/api/auth/link")).json()] == ["spotify"]
    actions = [one["action"] for one in await world.server.identity.events.search(user=user)]
    assert actions.count("oauth_link") == 2
    assert "oauth_unlink" in actions


async def test_an_account_of_another_user_is_not_linked(world: World) -> None:
    await round_trip(world.browser())
    browser = await world.signed_in(await world.user(email="eve@example.com"))
    assert failure(await link(browser)) == "ACCOUNT_TAKEN"


async def test_linking_ends_in_the_browser_that_began_it_and_no_other(world: World) -> None:
    """An attacker has a victim link its account elsewhere to the attacker's user."""
    attacker = await world.signed_in(await world.user(email="eve@example.com"))
    began = (await attacker.post("/api/auth/link/discord", json={"callback": PAGE})).json()
    victim = world.browser()
    await begin(victim)
    answer = await come_back(victim, began["state"])
    assert answer.json()["error"]["code"] == "OAUTH_INVALID_STATE"


async def test_linking_needs_the_session_that_began_it(world: World) -> None:
    user = await world.user(email="eve@example.com")
    browser = await world.signed_in(user)
    began = (await browser.post("/api/auth/link/discord", json={"callback": PAGE})).json()
    await browser.delete("/api/auth/session")
    assert failure(await come_back(browser, began["state"])) == "SESSION_EXPIRED"
    assert not world.accounts(user)


async def test_linking_needs_a_recent_sign_in_of_a_user(world: World) -> None:
    assert (await world.browser().post("/api/auth/link/discord", json={})).json()["error"]["code"] == "AUTH_REQUIRED"
    guest = (await world.browser().post("/api/auth/guest")).json()["token"]
    answer = await world.browser(Authorization=f"Bearer {guest}").post("/api/auth/link/discord", json={})
    assert answer.json()["error"]["code"] == "AUTH_REQUIRED"
    user = await world.user(email="ann@example.com")
    browser = await world.signed_in(user)
    long_ago = {"authenticated_at": 1_000_000_000, "created_at": 1_000_000_000}

    def age(tx: Any) -> None:
        for session in tx.session.identity.find(SessionRecord, user_id=user):
            tx.session.identity.change(SessionRecord, long_ago, id=session.id)

    await world.server.engine.run(SYSTEM, age, authority=Authority.TRUSTED)
    for answer in (
        await browser.post("/api/auth/link/discord", json={"callback": PAGE}),
        await browser.delete("/api/auth/link/discord"),
    ):
        assert answer.json()["error"]["code"] == "REAUTHENTICATION_REQUIRED"


async def test_nobody_unlinks_anothers_account(world: World) -> None:
    victim = world.browser()
    await round_trip(victim)
    [account] = world.accounts((await me(victim))["user_id"])
    browser = await world.signed_in(await world.user(email="eve@example.com"))
    answer = await browser.delete("/api/auth/link/discord", params={"id": account.id})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "ACCOUNT_NOT_FOUND")


# -- tokens -----------------------------------------------------------------------------------------------------------


async def test_tokens_are_thrown_away_unless_they_are_asked_for(world: World) -> None:
    browser = world.browser()
    await round_trip(browser)
    [account] = world.accounts((await me(browser))["user_id"])
    assert account.access_token is account.refresh_token is None
    browser.headers["Authorization"] = f"Bearer {browser.cookies['__Host-elsewhere_session']}"
    answer = await browser.post("/api/auth/oauth/refresh/discord")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "NO_REFRESH_TOKEN")


async def test_tokens_that_are_asked_for_are_sealed_and_renewed_once_for_all_who_ask(world: World) -> None:
    counter = iter(range(100))

    def tokens(asked: Any) -> tuple[int, Any]:
        fields, number = asked.fields, next(counter)
        if fields["grant_type"] == "refresh_token":
            assert fields["refresh_token"] == "rt-0"
            return 200, {"access_token": f"at-{number}", "expires_in": 3600}
        return 200, {"access_token": f"at-{number}", "refresh_token": f"rt-{number}", "expires_in": 30}

    world.fakes.answers[SPOTIFY_TOKEN] = tokens
    world.fakes.answers[SPOTIFY_ME] = (200, {"id": "s-1", "email": "s@example.com"})
    browser = world.browser()
    state = await begin(browser, "spotify")
    await come_back(browser, state, "spotify")
    user = (await me(browser))["user_id"]
    [account] = world.accounts(user)
    assert b"at-0" not in (account.access_token or b"")
    assert b"rt-0" not in (account.refresh_token or b"")
    client = await world.signed_in(user)
    answers = await asyncio.gather(*(client.post("/api/auth/oauth/refresh/spotify") for _ in range(4)))
    assert {answer.json()["access_token"] for answer in answers} == {"at-1"}
    assert len(world.fakes.of(SPOTIFY_TOKEN)) == 2
    assert sorted(answers[0].json()) == ["access_token", "expires_at", "provider", "scope"]


async def test_a_refresh_that_the_provider_refuses_says_so_without_its_words(world: World) -> None:
    world.fakes.answers[SPOTIFY_TOKEN] = (200, {"access_token": "a", "refresh_token": "rt", "expires_in": 1})
    world.fakes.answers[SPOTIFY_ME] = (200, {"id": "s-1", "email": "s@example.com"})
    browser = world.browser()
    await round_trip(browser, "spotify")
    client = await world.signed_in((await me(browser))["user_id"])
    world.fakes.answers[SPOTIFY_TOKEN] = (400, {"error": "invalid_grant", "error_description": "token rt revoked"})
    answer = await client.post("/api/auth/oauth/refresh/spotify")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "REFRESH_FAILED")
    assert "rt" not in answer.json()["error"]["message"].split()
    for path, code in (
        ("/api/auth/oauth/refresh", "MISSING_PROVIDER"),
        ("/api/auth/oauth/refresh/github", "PROVIDER_NOT_CONFIGURED"),
        ("/api/auth/oauth/refresh/discord", "ACCOUNT_NOT_FOUND"),
    ):
        assert (await client.post(path)).json()["error"]["code"] == code
    assert (await world.browser().post("/api/auth/oauth/refresh/spotify")).status_code == 401


# -- an issuer of one's own -------------------------------------------------------------------------------------------


def issue(world: World, **profile: Any) -> None:
    """Have the issuer of `corp` discovered."""
    world.fakes.answers[f"{ISSUER}/.well-known/openid-configuration"] = (
        200,
        {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "userinfo_endpoint": f"{ISSUER}/userinfo",
            "jwks_uri": f"{ISSUER}/jwks",
        },
    )
    world.fakes.answers[f"{ISSUER}/jwks"] = (200, public_keys(KEY))
    world.fakes.answers[f"{ISSUER}/userinfo"] = (200, profile)


async def corp(world: World, browser: httpx.AsyncClient, **claims: Any) -> httpx.Response:
    answer = await browser.get("/api/auth/login/corp", params={"callback": PAGE, "redirect": "1"})
    sent = query_of(answer.headers["location"])
    source = world.server.identity.registry.get("oauth").flow.source("corp")
    good = claims_for(await source.provider(), source.client, sent["nonce"], **claims)
    world.fakes.answers[f"{ISSUER}/token"] = (200, {"access_token": "at", "id_token": signed(good)})
    return await come_back(browser, sent["state"], "corp")


async def test_an_issuer_is_discovered_and_its_word_is_taken(world: World) -> None:
    issue(world, sub="c-1", email="ann@corp.example", email_verified=True, name="Ann")
    browser = world.browser()
    assert (await corp(world, browser, sub="c-1")).headers["location"] == PAGE
    assert world.row((await me(browser))["user_id"]).emailVerified
    assert world.fakes.of(f"{ISSUER}/token")[0].basic == f"the-client:{SECRET}"
    await corp(world, world.browser(), sub="c-1")
    assert len(world.fakes.of(f"{ISSUER}/.well-known/openid-configuration")) == 1
    assert len(world.fakes.of(f"{ISSUER}/jwks")) == 1


async def test_a_profile_of_somebody_else_is_refused(world: World) -> None:
    issue(world, sub="c-2", email="ann@corp.example", email_verified=True)
    assert failure(await corp(world, world.browser(), sub="c-1")) == "OAUTH_ID_TOKEN_INVALID"


async def test_one_address_is_not_verified_by_what_is_said_of_another(world: World) -> None:
    issue(world, sub="c-1", email="eve@corp.example", email_verified=True)
    browser = world.browser()
    await corp(world, browser, sub="c-1", email="ann@corp.example")
    row = world.row((await me(browser))["user_id"])
    assert (row.email, row.emailVerified) == ("ann@corp.example", None)


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://id.corp.example/token"},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
    ],
)
async def test_a_discovery_document_that_is_not_safe_is_not_used(world: World, change: dict[str, Any]) -> None:
    issue(world, sub="c-1")
    url = f"{ISSUER}/.well-known/openid-configuration"
    status, document = world.fakes.answers[url]  # type: ignore[misc]
    world.fakes.answers[url] = (status, {**document, **change})
    answer = await world.browser().get("/api/auth/login/corp", params={"callback": PAGE})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "OAUTH_PROVIDER_BROKEN")


async def test_an_account_of_one_issuer_is_not_that_of_another_under_the_same_name(world: World) -> None:
    issue(world, sub="c-1", email="ann@corp.example", email_verified=True, name="Ann")
    await corp(world, world.browser(), sub="c-1")
    [account] = world.server.engine.reads.identity.find(AccountRecord, provider="corp")
    moved = {"data": '{"issuer":"https://before.example"}'}
    await world.server.engine.run(
        SYSTEM, lambda tx: tx.session.identity.change(AccountRecord, moved, id=account.id), authority=Authority.TRUSTED
    )
    assert failure(await corp(world, world.browser(), sub="c-1")) == "OAUTH_PROVIDER_BROKEN"


# -- more than one proof ----------------------------------------------------------------------------------------------


async def test_who_uses_an_authenticator_app_is_asked_for_its_code(world: World) -> None:
    user = await world.user(email="ann@example.com", emailVerified="2026-01-01T00:00:00Z")
    browser = await world.signed_in(user)
    seed = (await browser.post("/api/auth/totp/enroll")).json()["secret"]
    assert (await browser.post("/api/auth/totp/verify", json={"code": pyotp.TOTP(seed).now()})).status_code == 200
    other = world.browser()
    answer = await round_trip(other, error_callback=FAILED)
    assert failure(answer) == "SECOND_FACTOR_REQUIRED"
    assert (await me(other))["user_id"] is None
    challenge = other.cookies["pylon_second_factor"]
    assert challenge not in answer.headers["location"]
    code = pyotp.TOTP(seed).at(time.time() + 30)
    answer = await other.post("/api/auth/totp/login", json={"code": code}, headers={"Origin": PUBLIC})
    assert answer.status_code == 200, answer.text
    assert (await me(other))["user_id"] == user


# -- without a browser ------------------------------------------------------------------------------------------------


async def test_an_app_on_a_phone_signs_in_with_an_id_token_once(world: World) -> None:
    flow = world.server.identity.registry.get("oauth").flow
    provider = await flow.source("apple").provider()
    world.fakes.answers[provider.jwks] = (200, public_keys(KEY))
    claims = {"sub": "a-1", "email": "ann@example.com", "email_verified": True}
    good = claims_for(provider, flow.source("apple").client, None, **claims, aud="phone.example")
    client = world.browser()
    answer = await client.post("/api/auth/native/apple", json={"id_token": signed(good), "name": "Ann"})
    assert sorted(answer.json()) == ["expires_at", "token", "user_id"]
    row = world.row(answer.json()["user_id"])
    assert (row.email, row.displayName, bool(row.emailVerified)) == ("ann@example.com", "Ann", True)
    for token in (signed(good), signed({**good, "aud": "app.example"}), signed({**good, "exp": 1}), "x"):
        answer = await client.post("/api/auth/native/apple", json={"id_token": token})
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "INVALID_ID_TOKEN")


async def test_native_sign_in_says_what_is_missing(world: World) -> None:
    client = world.browser()
    for name, body, code in (
        ("github", {"id_token": "x"}, "PROVIDER_NOT_FOUND"),
        ("google", {"id_token": "x"}, "PROVIDER_NOT_FOUND"),
        ("apple", {}, "MISSING_FIELD"),
        ("apple", {"id_token": "x"}, "INVALID_ID_TOKEN"),
    ):
        assert (await client.post(f"/api/auth/native/{name}", json=body)).json()["error"]["code"] == code
    assert (await client.get("/api/auth/native/apple")).status_code == 405
    flow = world.server.identity.registry.get("oauth").flow
    provider = await flow.source("apple").provider()
    token = signed(claims_for(provider, flow.source("apple").client, None, sub="a", aud="phone.example"))
    world.fakes.answers[provider.jwks] = (500, {})
    answer = await client.post("/api/auth/native/apple", json={"id_token": token})
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "PROVIDER_KEYS_UNAVAILABLE")


# -- how strongly, and signing out there ------------------------------------------------------------------------------

STRONG = "urn:corp:mfa"
LOGOUT = "http://schemas.openid.net/event/backchannel-logout"


async def test_a_sign_in_that_is_not_as_strong_as_is_asked_is_refused(fakes: FakeProviders) -> None:
    async with opened(fakes, PYLON_OAUTH_CORP_ACR=STRONG) as world:
        issue(world, sub="c-1", email="ann@corp.example", email_verified=True)
        browser = world.browser()
        answer = await browser.get("/api/auth/login/corp", params={"callback": PAGE, "redirect": "1"})
        assert query_of(answer.headers["location"])["acr_values"] == STRONG
        for claims in ({}, {"acr": "urn:corp:password"}, {"acr": [STRONG]}):
            assert failure(await corp(world, world.browser(), sub="c-1", **claims)) == "OAUTH_ID_TOKEN_INVALID"
        assert (await corp(world, browser, sub="c-1", acr=STRONG)).headers["location"] == PAGE
        [session] = world.server.engine.reads.identity.find(SessionRecord)
        assert session.factors == "fed,mfa"


def logged_out(world: World, **changed: Any) -> dict[str, str]:
    """The form of a provider whose user signed out."""
    now = int(world.server.engine.clock())
    claims = {
        "iss": ISSUER,
        "aud": "the-client",
        "sub": "c-1",
        "iat": now,
        "exp": now + 120,
        "jti": "j-1",
        "events": {LOGOUT: {}},
    } | changed
    return {"logout_token": signed({name: value for name, value in claims.items() if value is not None})}


async def test_who_signs_out_at_the_provider_is_signed_out_here_but_for_other_ways(world: World) -> None:
    issue(world, sub="c-1", email="ann@corp.example", email_verified=True)
    browser = world.browser()
    await corp(world, browser, sub="c-1")
    user = (await me(browser))["user_id"]
    other = await world.signed_in(user)
    provider = world.browser()
    answer = await provider.post("/api/auth/backchannel-logout/corp", data=logged_out(world))
    assert (answer.status_code, answer.json()) == (200, {"sessions": 1})
    assert answer.headers["cache-control"] == "no-store"
    assert (await me(browser))["user_id"] is None
    assert (await me(other))["user_id"] == user
    again = await provider.post("/api/auth/backchannel-logout/corp", data=logged_out(world))
    assert (again.status_code, again.json()["error"]["code"]) == (400, "LOGOUT_TOKEN_INVALID")
    nobody = await provider.post("/api/auth/backchannel-logout/corp", data=logged_out(world, sub="c-9", jti="j-2"))
    assert nobody.json() == {"sessions": 0}


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://id.evil.example"},
        {"aud": "another-client"},
        {"sub": None},
        {"jti": None},
        {"events": None},
        {"events": {LOGOUT: True}},
        {"nonce": "n-1"},
        {"exp": 1},
        {"exp": 2**40},
        {"iat": 1},
    ],
    ids=lambda changed: next(iter(changed)),
)
async def test_a_logout_token_that_is_not_what_it_should_be_ends_nothing(world: World, changed: dict[str, Any]) -> None:
    issue(world, sub="c-1", email="ann@corp.example", email_verified=True)
    browser = world.browser()
    await corp(world, browser, sub="c-1")
    answer = await world.browser().post("/api/auth/backchannel-logout/corp", data=logged_out(world, **changed))
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "LOGOUT_TOKEN_INVALID")
    assert (await me(browser))["user_id"]


async def test_an_id_token_and_a_token_of_another_key_sign_nobody_out(world: World) -> None:
    issue(world, sub="c-1", email="ann@corp.example", email_verified=True)
    source = world.server.identity.registry.get("oauth").flow.source("corp")
    provider = await source.provider()
    word = signed(claims_for(provider, source.client, "n", sub="c-1"))
    forged = signed({**claims_for(provider, source.client, "n", sub="c-1"), "events": {LOGOUT: {}}}, key=OTHER_KEY)
    for token in (word, forged, "", "a.b.c"):
        sent = {"logout_token": token}
        answer = await world.browser().post("/api/auth/backchannel-logout/corp", data=sent)
        assert answer.json()["error"]["code"] == "LOGOUT_TOKEN_INVALID"
    assert (
        await world.browser().post("/api/auth/backchannel-logout/discord", data=logged_out(world))
    ).status_code == 400
