"""examples/todo in real browsers."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page import Page, until

from pylon.testing.process import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

TODO = Path(__file__).parents[2] / "examples" / "todo" / "app.py"
Open = Callable[[], Any]


@pytest.fixture
def server(start: Callable[[Path], ServerProcess]) -> ServerProcess:
    return start(TODO)


def test_a_list_is_kept_and_shown_again_after_a_reload(open_browser: Open, server: ServerProcess) -> None:
    page = Page(open_browser(), server.url)
    until(lambda: page.text("left") == "Nothing to do.")
    page.type("title", "water the plants\n")
    page.type("title", "buy cake\n")
    until(lambda: page.text("left") == "2 left")
    page.driver.find_element("css selector", "[data-testid=todo] input").click()
    until(lambda: page.text("left") == "1 left")
    page.driver.find_elements("css selector", "[data-testid=todo] button")[1].click()
    until(lambda: page.text("left") == "0 left")
    until(lambda: page.driver.execute_script("return document.activeElement") is not None)
    page.driver.refresh()
    until(lambda: page.text("left") == "0 left")
    assert [text.rstrip("✕") for text in page.texts("todo")] == ["water the plants"]
    assert page.script_errors() == []


def test_an_insert_shows_while_the_server_stands_still(open_browser: Open, server: ServerProcess) -> None:
    page = Page(open_browser(), server.url)
    page.becomes("live")
    server.signal(signal.SIGSTOP)
    try:
        page.type("title", "instantly\n")
        until(lambda: page.text("left") == "1 left", 2)
    finally:
        server.signal(signal.SIGCONT)
    until(lambda: _stored(page) == ["instantly"])


def test_two_tabs_of_one_guest_share_a_list_and_another_guest_has_another(
    open_browser: Open, server: ServerProcess
) -> None:
    driver = open_browser()
    one = Page(driver, server.url)
    one.becomes("live")
    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    two = Page(driver, server.url)
    two.becomes("live")
    two.type("title", "shared\n")
    until(lambda: two.text("left") == "1 left")
    driver.switch_to.window(first)
    until(lambda: one.text("left") == "1 left")
    stranger = Page(open_browser(), server.url)
    until(lambda: stranger.text("left") == "Nothing to do.")


def _stored(page: Page) -> list[str]:
    script = """
      const token = localStorage.getItem("pylon_token");
      return fetch("/api/entities/Todo", { headers: { Authorization: `Bearer ${token}` } })
        .then(answer => answer.json()).then(({ data }) => data.map(({ title }) => title))
    """
    found: list[str] = page.driver.execute_script(script)
    return found
