"""A whole round trip: a server process, and OpenID providers that are processes of their own."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest

from pylon.testing.process import ServerProcess, free_port
from tests.auth.oauth.fakes import challenge_of, query_of

APP = """
from pylon import App, Entity, field

class User(Entity, crdt=False):
    email: str | None = field(unique=True)
    displayName: str | None = None
    emailVerified: str | None = None
    class Policy:
        read = "auth.userId == data.id"

app = App("real")
"""


class ProviderProcess:
    """oidc-provider-mock, which wants a nonce."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start it; its keys are new each time."""
        self.process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "-p", str(self.port), "-n", "true"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def ready(self) -> None:
        """Wait until it answers, and let Ann and Eve be known."""
        until = time.monotonic() + 30
        while True:
            try:
                for name in ("ann", "eve"):
                    claims = {"email": f"{name}@corp.example", "email_verified": True, "name": name.title()}
                    httpx.put(f"{self.url}/users/{name}", json=claims).raise_for_status()
                return
            except httpx.TransportError:
                assert self.process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="module")
def providers() -> Iterator[dict[str, ProviderProcess]]:
    started = {"corp": ProviderProcess(), "other": ProviderProcess()}
    try:
        for provider in started.values():
            provider.ready()
        yield started
    finally:
        for provider in started.values():
            provider.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, providers: dict[str, ProviderProcess]) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("real")
    (folder / "app.py").write_text(APP)
    port = free_port()
    env = {"PYLON_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    for name, provider in providers.items():
        env[f"PYLON_OAUTH_{name.upper()}_OIDC_ISSUER"] = provider.url
        env[f"PYLON_OAUTH_{name.upper()}_CLIENT_ID"] = "the-client"
        env[f"PYLON_OAUTH_{name.upper()}_CLIENT_SECRET"] = "the-secret"
    env["PYLON_OAUTH_CORP_SCOPES"] = "openid email profile offline_access"
    with ServerProcess(folder / "app.py", folder / "data", env=env, port=port) as process:
        yield process


@pytest.fixture
def browser(server: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, follow_redirects=False) as client:
        yield client


def away(browser: httpx.Client, name: str = "corp") -> str:
    """Where the browser is sent."""
    answer = browser.get(f"/api/auth/login/{name}", params={"callback": "/in", "redirect": "1"})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def agree(url: str, person: str = "ann") -> str:
    """The person signs in at the provider; where that sends the browser back to."""
    answer = httpx.post(url, data={"sub": person})
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def me(browser: httpx.Client) -> dict[str, object]:
    found: dict[str, object] = browser.get("/api/auth/session").json()
    return found


def code(answer: httpx.Response) -> str:
    """The error that a page, or a client, is told."""
    if answer.status_code == 302:
        return query_of(answer.headers["location"]).get("oauth_error", "")
    return str(answer.json()["error"]["code"])


def test_a_person_signs_in_with_pkce_and_nonce(browser: httpx.Client) -> None:
    url = away(browser)
    sent = query_of(url)
    assert sent["code_challenge_method"] == "S256"
    assert len(sent["code_challenge"]) == len(challenge_of("x")) == 43
    assert sent["nonce"]
    answer = browser.get(agree(url))
    assert (answer.status_code, answer.headers["location"]) == (302, "/in")
    user = me(browser)["user"]
    assert isinstance(user, dict)
    assert (user["email"], user["displayName"]) == ("ann@corp.example", "Ann")
    assert user["emailVerified"]


def test_a_state_is_not_replayed(browser: httpx.Client) -> None:
    back = agree(away(browser))
    assert browser.get(back).headers["location"] == "/in"
    assert code(browser.get(back)) == "OAUTH_INVALID_STATE"


def test_a_state_of_another_browser_signs_nobody_in(server: ServerProcess, browser: httpx.Client) -> None:
    with httpx.Client(base_url=server.url) as attacker:
        back = agree(away(attacker), "eve")
    away(browser)
    assert code(browser.get(back)) == "OAUTH_INVALID_STATE"
    assert me(browser)["user"] is None


def test_a_code_of_another_provider_is_refused(browser: httpx.Client) -> None:
    """Mix-up: the state is this provider's, the code another's."""
    mine, theirs = away(browser), away(browser, "other")
    stolen = query_of(agree(theirs, "eve"))["code"]
    answer = browser.get("/api/auth/callback/corp", params={"state": query_of(mine)["state"], "code": stolen})
    assert code(answer) == "OAUTH_TOKEN_EXCHANGE_FAILED"


def test_a_code_that_was_given_to_another_client_is_refused(browser: httpx.Client) -> None:
    url = away(browser)
    foreign = query_of(agree(url.replace("client_id=the-client", "client_id=another"), "eve"))["code"]
    answer = browser.get("/api/auth/callback/corp", params={"state": query_of(url)["state"], "code": foreign})
    assert code(answer) == "OAUTH_TOKEN_EXCHANGE_FAILED"


def test_a_code_of_another_sign_in_is_refused_for_its_nonce(browser: httpx.Client) -> None:
    """Code injection: somebody else's code with one's own state."""
    mine, theirs = away(browser), away(browser)
    stolen = query_of(agree(theirs, "eve"))["code"]
    answer = browser.get("/api/auth/callback/corp", params={"state": query_of(mine)["state"], "code": stolen})
    assert code(answer) == "OAUTH_ID_TOKEN_INVALID"


def test_who_does_not_agree_is_not_signed_in(browser: httpx.Client) -> None:
    answer = httpx.post(away(browser), data={"action": "deny"})
    sent = httpx.URL(answer.headers["location"])
    state = query_of(away(browser))["state"]
    answer = browser.get(sent.copy_merge_params({"state": state}).raw_path.decode())
    assert code(answer) == "OAUTH_DENIED"


def test_tokens_are_renewed_at_the_provider(browser: httpx.Client) -> None:
    browser.get(agree(away(browser)))
    answer = browser.post("/api/auth/oauth/refresh/corp", headers={"Origin": str(browser.base_url).rstrip("/")})
    assert answer.status_code == 200, answer.text
    assert answer.json()["provider"] == "corp"


def test_keys_that_change_are_fetched_again(browser: httpx.Client, providers: dict[str, ProviderProcess]) -> None:
    browser.get(agree(away(browser)))
    before = me(browser)["user"]
    providers["corp"].stop()
    providers["corp"].start()
    providers["corp"].ready()
    assert browser.get(agree(away(browser))).headers["location"] == "/in"
    assert me(browser)["user"] == before
