"""Passkeys in a real browser: Chromium's virtual authenticator, a page, and a server that is killed in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from authenticator import add_authenticator

from pylon.testing.process import ADMIN_TOKEN, ServerProcess, free_port

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

APP = """
from pylon import App, Auth, Entity, field

class User(Entity, crdt=False):
    email: str | None = field(unique=True)
    class Policy:
        read = "auth.userId == data.id"

app = App("keys")
"""
PAGE = """<!doctype html><title>keys</title><script>
async function post(path, body, token) {
  const headers = {"Content-Type": "application/json", ...(token ? {Authorization: "Bearer " + token} : {})};
  const answer = await fetch("/api/auth/" + path, {method: "POST", headers, body: JSON.stringify(body)});
  return answer.json();
}
async function register(token) {
  const begun = await post("passkey/register/begin", {}, token);
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(begun.options);
  const made = await navigator.credentials.create({publicKey});
  return post("passkey/register/finish", {...made.toJSON(), name: "this browser"}, token);
}
async function login() {
  const begun = await post("passkey/login/begin", {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(begun.options);
  const signed = await navigator.credentials.get({publicKey});
  window.signed = signed.toJSON();
  return post("passkey/login/finish", window.signed);
}
async function me() { return (await fetch("/api/auth/me")).json(); }
</script>"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    (tmp_path / "web").mkdir()
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "web" / "index.html").write_text(PAGE)
    port = free_port()
    env = {
        "PYLON_DEV_MODE": "0",
        "PYLON_WEBAUTHN_ORIGIN": f"http://localhost:{port}",
        "PYLON_CORS_ORIGIN": f"http://localhost:{port}",
    }
    with ServerProcess(tmp_path / "app.py", tmp_path / "data", env=env, port=port) as process:
        yield process


class Browser:
    """A page on the server and an authenticator that its browser knows."""

    def __init__(self, driver: Any, server: ServerProcess) -> None:
        self.driver, self.port = driver, server.port
        driver.set_script_timeout(20)
        driver.get(f"http://localhost:{server.port}/")
        self.authenticator = add_authenticator(driver)

    def cdp(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)

    def call(self, expression: str) -> Any:
        script = f"const done = arguments[0]; {expression}.then(done, e => done({{error: {{code: String(e)}}}}))"
        return self.driver.execute_async_script(script)

    def credential(self) -> dict[str, Any]:
        [held] = self.cdp("WebAuthn.getCredentials", authenticatorId=self.authenticator)["credentials"]
        found: dict[str, Any] = held
        return found


def _user(server: ServerProcess) -> tuple[str, str]:
    status, made = server.request("POST", "/api/entities/User", {"email": "ann@example.com"}, token=ADMIN_TOKEN)
    assert status == 201
    return made["id"], server.token_of(made["id"])


def test_a_passkey_registered_before_a_kill_signs_its_user_in_after_it(
    open_browser: Callable[[], Any], server: ServerProcess
) -> None:
    user, token = _user(server)
    browser = Browser(open_browser(), server)
    assert browser.call(f"register({token!r})")["registered"]
    assert browser.credential()["isResidentCredential"]
    server.kill()
    server.start()
    assert browser.call("me()")["user_id"] is None
    assert browser.call("login()")["user_id"] == user
    assert browser.call("me()")["user_id"] == user, "the session is in a cookie"
    [shown] = server.request("GET", "/api/auth/passkey/keys", token=token)[1]
    assert (shown["name"], shown["last_used_at"] is not None) == ("this browser", True)


def test_what_a_browser_signed_is_good_once_and_a_copied_authenticator_is_refused(
    open_browser: Callable[[], Any], server: ServerProcess
) -> None:
    user, token = _user(server)
    browser = Browser(open_browser(), server)
    browser.call(f"register({token!r})")
    copy = browser.credential()
    for _ in range(2):
        assert browser.call("login()")["user_id"] == user
    assert browser.call('post("passkey/login/finish", window.signed)')["error"]["code"] == "PASSKEY_VERIFY_FAILED"
    held = {"authenticatorId": browser.authenticator, "credentialId": copy["credentialId"]}
    browser.cdp("WebAuthn.removeCredential", **held)
    browser.cdp("WebAuthn.addCredential", authenticatorId=browser.authenticator, credential=copy)
    assert browser.call("login()")["error"]["code"] == "PASSKEY_VERIFY_FAILED"
    events = server.request("GET", "/api/auth/audit?limit=10", token=ADMIN_TOKEN)[1]
    assert [e["reason"] for e in events if not e["success"]] == ["PASSKEY_COPIED", "CHALLENGE"]


def test_a_page_of_another_origin_on_the_same_domain_gets_nobody_in(
    open_browser: Callable[[], Any], server: ServerProcess, tmp_path: Path
) -> None:
    """The browser lets any port of localhost use the domain's passkeys; the server names its pages."""
    _, token = _user(server)
    browser = Browser(open_browser(), server)
    browser.call(f"register({token!r})")
    env = {"PYLON_DEV_MODE": "0", "PYLON_WEBAUTHN_ORIGIN": "http://localhost:1"}
    with ServerProcess(tmp_path / "app.py", tmp_path / "other", env=env) as other:
        browser.driver.get(f"http://localhost:{other.port}/")
        begun = server.request("POST", "/api/auth/passkey/login/begin", {})[1]
        options = f"PublicKeyCredential.parseRequestOptionsFromJSON({json.dumps(begun['options'])})"
        signed = browser.call(f"navigator.credentials.get({{publicKey: {options}}}).then(made => made.toJSON())")
    status, answer = server.request("POST", "/api/auth/passkey/login/finish", signed)
    assert (status, answer["error"]["code"]) == (401, "PASSKEY_VERIFY_FAILED")
    [failed] = server.request("GET", "/api/auth/audit?limit=1", token=ADMIN_TOKEN)[1]
    assert failed["reason"] == "InvalidAuthenticationResponse"
