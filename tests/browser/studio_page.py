"""Studio as an operator uses it."""

from __future__ import annotations

from typing import Any

from page import Page, until

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

WATCH = "addEventListener('securitypolicyviolation', e => (window.violations ??= []).push(e.blockedURI))"
CHOOSE = """
    arguments[0].value = arguments[1];
    for (const kind of ['input', 'change']) arguments[0].dispatchEvent(new Event(kind, {bubbles: true}))"""
REQUESTED = "return performance.getEntriesByType('resource').map(e => e.name)"


class Studio(Page):
    """Studio in one browser."""

    def __init__(self, driver: Any, server: ServerProcess, page: str = "") -> None:
        self.server = server
        driver.execute_cdp_cmd(
            "Page.addScriptToEvaluateOnNewDocument",
            {"source": WATCH},
        )
        super().__init__(driver, f"{server.url}/studio{f'#/{page}' if page else ''}")

    def sign_in(self, token: str = ADMIN_TOKEN) -> None:
        """Pastes the token and sends it."""
        field = self.find("token")
        field.clear()
        field.send_keys(token + "\n")

    def enter(self, page: str = "overview") -> Studio:
        """Signs in and goes to a page."""
        self.sign_in()
        self.is_live()
        return self.go(page)

    def is_live(self) -> None:
        """Waits for the first answer of the overview."""
        until(lambda: self.text("line") == "live")

    def go(self, page: str) -> Studio:
        """To a page, once it has drawn itself."""
        self.click(f"nav-{page}")
        until(lambda: self.driver.find_elements("css selector", f"#page[data-page='{page}'] > *"))
        return self

    def choose(self, testid: str, value: str) -> None:
        """Chooses in a list, as the keyboard would."""
        self.driver.execute_script(CHOOSE, self.find(testid), value)

    def confirm(self, typed: str = "") -> None:
        """Goes through with the open dialog, which closes."""
        if typed:
            self.type("dialog-typed", typed)
        button = self.find("dialog-confirm")
        until(button.is_enabled)
        button.click()
        until(lambda: not self.driver.find_elements("css selector", "dialog[open]"))

    def keys(self, keys: str) -> None:
        """Presses keys on the page."""
        self.driver.switch_to.active_element.send_keys(keys)

    def number(self, testid: str) -> float:
        """A figure of the page; 0 while there is none."""
        text = self.text(testid).replace(",", "")
        try:
            return float(text.removesuffix("k")) * (1000 if text.endswith("k") else 1)
        except ValueError:
            return 0.0

    def is_clean(self) -> None:
        """Nothing went wrong in scripts, nothing broke the content policy, and nothing came from elsewhere."""
        assert self.script_errors() == []
        assert self.driver.execute_script("return window.violations ?? []") == []
        elsewhere = [url for url in self.driver.execute_script(REQUESTED) if not url.startswith(self.server.url)]
        assert elsewhere == []
