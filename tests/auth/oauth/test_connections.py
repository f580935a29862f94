"""Connections: what users grant the app at providers, and who comes by their tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from pylon import App, Connection, Context, DeclarationError
from pylon.model.manifest import to_manifest
from pylon.model.manifest_reader import from_manifest
from pylon.store.identity import AccountRecord
from pylon.testing.app import open_server
from tests.auth.oauth.fakes import FakeProviders, query_of, use
from tests.auth.oauth.test_doors import (
    ENV,
    PAGE,
    SPOTIFY_ME,
    SPOTIFY_TOKEN,
    Note,
    User,
    World,
    come_back,
    failure,
    me,
)

PATH = "/api/connections/music"
app = App(
    "connected",
    entities=[User, Note],
    connections=[
        Connection("music", provider="spotify", scopes=["playlist-read-private"]),
        Connection("elsewhere", provider="github"),
    ],
)


@app.action
async def play(ctx: Context, name: str = "music") -> dict[str, Any]:
    """What the app's code gets."""
    return await ctx.connection(name)


@app.query
def peek(ctx: Context) -> str:
    """A query waits for nobody."""
    return str(ctx.connection)


@asynccontextmanager
async def opened(fakes: FakeProviders) -> AsyncIterator[World]:
    async with open_server(app, env=ENV) as server:
        use(server.identity.registry.get("oauth"), fakes)
        world = World(server, fakes)
        fakes.answers[SPOTIFY_TOKEN] = (200, {"access_token": "at-1", "refresh_token": "rt-1", "expires_in": 3600})
        fakes.answers[SPOTIFY_ME] = (200, {"id": "s-1", "email": "music@example.com", "display_name": "Ann"})
        try:
            yield world
        finally:
            for client in world.clients:
                await client.aclose()


async def begin(browser: httpx.AsyncClient, **sent: Any) -> httpx.Response:
    return await browser.post(f"{PATH}/auth-url", json={"callback": PAGE, **sent})


async def back(browser: httpx.AsyncClient, state: str, path: str = PATH) -> httpx.Response:
    return await browser.get(f"{path}/callback", params={"state": state, "code": "c-1"})


async def linked(world: World, email: str = "ann@example.com") -> tuple[str, httpx.AsyncClient]:
    """(user, browser) with the music linked."""
    user = await world.user(email=email)
    browser = await world.signed_in(user)
    state = (await begin(browser)).json()["state"]
    assert (await back(browser, state)).headers["location"] == PAGE
    return user, browser


async def played(browser: httpx.AsyncClient, name: str = "music") -> Any:
    answer = await browser.post("/api/fn/play", json={"name": name})
    return answer.json() if answer.status_code == 200 else (answer.status_code, answer.json()["error"]["code"])


async def test_a_user_links_and_the_apps_code_has_a_token_that_is_renewed(fakes: FakeProviders) -> None:
    async with opened(fakes) as world:
        user = await world.user(email="ann@example.com")
        browser = await world.signed_in(user)
        assert await played(browser) == (404, "CONNECTION_NOT_LINKED")
        away = (await begin(browser)).json()
        query = query_of(away["redirect"])
        assert query["redirect_uri"] == f"https://api.example.com{PATH}/callback"
        assert {"user-read-email", "playlist-read-private"} <= set(query["scope"].split())
        assert query["code_challenge_method"] == "S256"
        ended = await back(browser, away["state"])
        assert ended.headers["location"] == PAGE
        assert "session" not in ended.headers.get("set-cookie", "")
        [music, elsewhere] = (await browser.get("/api/connections")).json()
        assert (music["linked"], music["email"], elsewhere["is_usable"]) == (True, "music@example.com", False)
        assert "at-1" not in str(music)
        got = await played(browser)
        assert (got["access_token"], got["provider"]) == ("at-1", "spotify")
        fakes.answers[SPOTIFY_TOKEN] = (200, {"access_token": "at-2", "expires_in": 3600})
        world.server.engine.clock = lambda real=world.server.engine.clock: real() + 3590  # type: ignore[method-assign]
        assert (await played(browser))["access_token"] == "at-2"
        assert fakes.of(SPOTIFY_TOKEN)[-1].fields["refresh_token"] == "rt-1"
        assert (await browser.delete(PATH)).json() == {"unlinked": True}
        assert (await browser.delete(PATH)).json()["error"]["code"] == "CONNECTION_NOT_LINKED"
        assert await played(browser) == (404, "CONNECTION_NOT_LINKED")


async def test_a_grant_is_its_users_alone_sealed_and_gone_with_the_user(fakes: FakeProviders) -> None:
    async with opened(fakes) as world:
        user, browser = await linked(world)
        other = await world.signed_in(await world.user(email="bo@example.com"))
        assert await played(other) == (404, "CONNECTION_NOT_LINKED")
        assert not (await other.get("/api/connections")).json()[0]["linked"]
        [held] = world.accounts(user)
        assert (held.provider, held.subject) == ("connection:music", user)
        assert b"at-1" not in (held.access_token or b"") + (held.refresh_token or b"")
        assert (await browser.get("/api/auth/link")).json() == []
        exported = await browser.get("/api/auth/account/export")
        assert "at-1" not in exported.text
        assert (await browser.delete("/api/auth/account")).json()["deleted"]
        assert world.accounts(user) == []


async def test_a_grant_lets_nobody_in_and_a_way_in_is_no_grant(fakes: FakeProviders) -> None:
    async with opened(fakes) as world:
        user, _ = await linked(world)
        stranger = world.browser()
        answer = await stranger.get("/api/auth/login/spotify", params={"callback": PAGE, "redirect": "1"})
        state = query_of(answer.headers["location"])["state"]
        assert failure(await come_back(stranger, state, "spotify")) == ""
        assert (await me(stranger))["user_id"] != user
        assert world.server.engine.reads.identity.find(AccountRecord, provider="spotify")[0].user_id != user


async def test_linking_ends_with_the_session_and_the_browser_that_began_it(fakes: FakeProviders) -> None:
    async with opened(fakes) as world:
        browser = await world.signed_in(await world.user(email="ann@example.com"))
        state = (await begin(browser)).json()["state"]
        assert (await back(world.browser(), state)).status_code == 403
        state = (await begin(browser)).json()["state"]
        assert (await come_back(browser, state, "spotify")).status_code == 403, "it is no state of a sign-in"
        login = await browser.get("/api/auth/login/spotify", params={"callback": PAGE, "redirect": "1"})
        state = query_of(login.headers["location"])["state"]
        assert (await back(browser, state)).status_code == 403, "a sign-in's state links nothing"
        state = (await begin(browser)).json()["state"]
        await browser.delete("/api/auth/sessions")
        assert query_of((await back(browser, state)).headers["location"])["oauth_error"] == "SESSION_EXPIRED"


async def test_what_is_missing_is_said(fakes: FakeProviders) -> None:
    async with opened(fakes) as world:
        browser = await world.signed_in(await world.user(email="ann@example.com"))
        for name, code in (("none", (404, "CONNECTION_UNKNOWN")), ("elsewhere", (501, "CONNECTIONS_NOT_CONFIGURED"))):
            assert await played(browser, name) == code
            answer = await browser.post(f"/api/connections/{name}/auth-url", json={"callback": PAGE})
            assert (answer.status_code, answer.json()["error"]["code"]) == code
        assert (await begin(browser, callback="")).json()["error"]["code"] == "MISSING_CALLBACK"
        assert (await begin(browser, callback="https://evil.example")).json()["error"]["code"] == "UNTRUSTED_REDIRECT"
        stranger = world.browser()
        for method, path in (("GET", "/api/connections"), ("POST", f"{PATH}/auth-url"), ("DELETE", PATH)):
            assert (await stranger.request(method, path)).json()["error"]["code"] == "AUTH_REQUIRED"
        key = (await browser.post("/api/auth/api-keys", json={"name": "ci"})).json()["key"]
        program = world.browser(Authorization=f"Bearer {key}")
        assert (await begin(program)).json()["error"]["code"] == "API_KEY_AUTH_FORBIDDEN"


def test_connections_are_declared_in_python_or_a_manifest_and_checked() -> None:
    written = to_manifest(app.spec())
    assert written["connections"][0] == {
        "name": "music",
        "provider": "spotify",
        "scopes": ["playlist-read-private"],
    }
    assert from_manifest(written).raw["connections"] == written["connections"]
    twice = [Connection("music", provider="spotify"), Connection("music", provider="google")]
    for wrong in ([Connection("Music!", provider="spotify")], [Connection("music", provider="")], twice):
        with pytest.raises(DeclarationError, match="connections:"):
            App("wrong", entities=[User, Note], connections=wrong).spec()
