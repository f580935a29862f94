"""What the browser tests look at and touch: elements by their `data-testid`."""

from __future__ import annotations

from typing import Any

from pylon.testing.waiting import eventually as until

__all__ = ["Page", "network", "until"]


class Page:
    """One open page."""

    def __init__(self, driver: Any, url: str) -> None:
        self.driver = driver
        driver.get(url)

    def texts(self, testid: str) -> list[str]:
        """The text of every element of this id, in the order of the page."""
        script = "return [...document.querySelectorAll(`[data-testid='${arguments[0]}']`)].map(e => e.textContent)"
        found: list[str] = self.driver.execute_script(script, testid)
        return found

    def text(self, testid: str) -> str:
        """The text of the first element of this id, empty without one."""
        return next(iter(self.texts(testid)), "")

    def find(self, testid: str, more: str = "") -> Any:
        """The first element of this id, once it is there; `more` narrows the selector."""
        selector = f"[data-testid='{testid}']{more}"
        return until(lambda: next(iter(self.driver.find_elements("css selector", selector)), None))

    def click(self, testid: str, more: str = "") -> None:
        """Clicks it as a script would, wherever it is on the page."""
        self.driver.execute_script("arguments[0].click()", self.find(testid, more))

    def type(self, testid: str, text: str) -> None:
        """Types as a person would; `\\n` is Enter."""
        self.find(testid).send_keys(text)

    def becomes(self, status: str) -> None:
        """Waits for the status of the connection."""
        until(lambda: self.text("status") == status)

    def script_errors(self) -> list[str]:
        """What went wrong in scripts; failed requests are not among them."""
        entries = self.driver.get_log("browser")
        return [
            e["message"] for e in entries if e["level"] == "SEVERE" and e["source"] not in ("network", "console-api")
        ]


def network(page: Page, *, works: bool) -> None:
    """Cuts the page off the network, or connects it again."""
    conditions = {"offline": not works, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    page.driver.execute_cdp_cmd("Network.enable", {})
    page.driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)
