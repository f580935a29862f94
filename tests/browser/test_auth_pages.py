"""The pages for signing in, as a person uses them: in a real browser, also one without JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyotp
import pytest
from authenticator import add_authenticator
from page import until

from pylon.testing.process import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

APP = """
from datetime import datetime

from pylon import App, Entity

app = App("harbour")


class User(Entity, crdt=False):
    email: str
    displayName: str | None = None
    emailVerified: datetime | None = None
    createdAt: datetime | None = None
    passwordHash: str | None = None

    class Policy:
        read = "auth.userId == data.id"
"""
PASSWORD = "correct horse battery"
WATCH = "addEventListener('securitypolicyviolation', e => (window.violations ??= []).push(e.blockedURI))"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with serving(tmp_path, APP) as process:
        yield process


@contextmanager
def serving(tmp_path: Path, code: str) -> Iterator[ServerProcess]:
    (tmp_path / "app.py").write_text(code)
    env = {"PYLON_DEV_MODE": "1", "PYLON_DISABLE_HIBP": "1"}
    with ServerProcess(tmp_path / "app.py", tmp_path / "data", env=env) as process:
        # Passkeys belong to a name, not to an address.
        process.url = f"http://localhost:{process.port}"
        yield process


class Person:
    """Somebody in front of one browser."""

    def __init__(self, driver: Any, server: ServerProcess, *, scripts: bool = True) -> None:
        self.driver = driver
        self._url = server.url
        driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": WATCH})
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not scripts})

    def opens(self, path: str) -> None:
        self.driver.get(self._url + path)

    def fills(self, within: str = "main", **fields: str) -> None:
        """Types into a form and sends it with Enter."""
        for name, value in fields.items():
            field = self.driver.find_element("css selector", f"{within} input[name='{name}']")
            field.clear()
            field.send_keys(value)
        before = self.driver.find_element("css selector", "html").id
        field.send_keys("\n")
        until(lambda: self._has_left(before))

    def _has_left(self, page_id: str) -> bool:
        """Between two pages there is no root element at all."""
        roots = self.driver.find_elements("css selector", "html")
        return bool(roots) and roots[0].id != page_id

    def clicks(self, selector: str) -> None:
        before = self.driver.find_element("css selector", "html").id
        self.driver.find_element("css selector", selector).click()
        until(lambda: self._has_left(before))

    @property
    def path(self) -> str:
        return str(self.driver.current_url).removeprefix(self._url)

    @property
    def page(self) -> str:
        return str(self.driver.find_element("css selector", "main").text)

    def note(self) -> str:
        """The code that a development server shows."""
        return str(self.driver.find_element("css selector", ".note").text)[-6:]

    def signs_up(self, email: str) -> None:
        self.opens("/auth/sign-up?return_to=/auth/account")
        self.fills(name="Ada", email=email, password=PASSWORD)
        self.fills(code=self.note())
        assert self.path == "/auth/account"


def test_who_needs_a_second_factor_sets_a_passkey_up_and_signs_in_with_it(
    open_browser: Callable[[], Any], tmp_path: Path
) -> None:
    strict = APP.replace('App("harbour")', 'App("harbour", auth=Auth(second_factor="required"))')
    with serving(tmp_path, strict.replace("import App,", "import App, Auth,")) as server:
        person = Person(open_browser(), server)
        add_authenticator(person.driver)
        person.opens("/auth/sign-up?return_to=/auth/account")
        person.fills(name="Ada", email="ada@example.com", password=PASSWORD)
        person.fills(code=person.note())
        assert person.path.startswith("/auth/second-factor/set-up")
        person.clicks("#add-passkey")
        until(lambda: person.path == "/auth/account")
        assert "Chrome on Linux" in person.page
        person.clicks("form[action='/auth/sign-out'] button")
        person.opens("/auth/sign-in?return_to=/auth/account")
        person.fills("form[action='/auth/sign-in']", email="ada@example.com", password=PASSWORD)
        assert person.path.startswith("/auth/second-factor/set-up")
        assert "Show your passkey" in person.page
        person.clicks("#passkey")
        until(lambda: person.path == "/auth/account")
        assert person.driver.execute_script("return window.violations ?? []") == []


@pytest.mark.parametrize("scripts", [True, False], ids=["with scripts", "without scripts"])
def test_a_person_signs_up_sets_up_an_app_and_comes_back(
    open_browser: Callable[[], Any], server: ServerProcess, scripts: bool
) -> None:
    person = Person(open_browser(), server, scripts=scripts)
    person.signs_up("ada@example.com")
    assert "Chrome on Linux" in person.page
    person.clicks("#totp button")
    secret = person.driver.find_element("css selector", "#totp small").text.rpartition(": ")[2]
    app = pyotp.TOTP(secret.replace(" ", ""))
    person.fills("#totp", code=app.now())
    backup = person.driver.find_element("css selector", ".codes code").text
    person.clicks("form[action='/auth/sign-out'] button")
    person.opens("/auth/sign-in?return_to=/auth/account")
    person.fills(email="ada@example.com", password=PASSWORD)
    assert person.path.startswith("/auth/second-factor")
    person.fills(code=backup)
    assert person.path == "/auth/account"


def test_ending_a_session_elsewhere_signs_that_browser_out(
    open_browser: Callable[[], Any], server: ServerProcess
) -> None:
    here, there = Person(open_browser(), server), Person(open_browser(), server)
    here.signs_up("ben@example.com")
    there.opens("/auth/sign-in?return_to=/auth/account")
    there.fills(email="ben@example.com", password=PASSWORD)
    assert there.path == "/auth/account"
    here.opens("/auth/account")
    here.clicks("#sessions .rows button")
    there.opens("/auth/account")
    assert there.path.startswith("/auth/sign-in")
    for person in (here, there):
        assert person.driver.execute_script("return window.violations ?? []") == []


@contextmanager
def authenticator(driver: Any) -> Iterator[None]:
    """A security key that says yes, as Chromium's DevTools offer it."""
    made = add_authenticator(driver)
    try:
        yield
    finally:
        driver.execute_cdp_cmd("WebAuthn.removeVirtualAuthenticator", {"authenticatorId": made})
        driver.execute_cdp_cmd("WebAuthn.disable", {})


def test_a_passkey_is_added_and_lets_in_without_a_password(
    open_browser: Callable[[], Any], server: ServerProcess
) -> None:
    person = Person(open_browser(), server)
    with authenticator(person.driver):
        person.signs_up("cyd@example.com")
        until(lambda: person.driver.find_element("id", "add-passkey").is_displayed())
        person.clicks("#add-passkey")
        until(lambda: person.driver.find_elements("css selector", "#passkeys .rows li"))
        person.clicks("form[action='/auth/sign-out'] button")
        person.opens("/auth/sign-in?return_to=/auth/account")
        until(lambda: person.driver.find_element("id", "passkey").is_displayed())
        person.clicks("#passkey")
        until(lambda: person.path == "/auth/account")
        assert "cyd@example.com" in person.page
