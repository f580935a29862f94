"""examples/editor in two real browsers: one text, edited by both, also while one has no network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page import Page, network, until

from pylon.testing.process import ADMIN_TOKEN, ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

EDITOR = Path(__file__).parents[2] / "examples" / "editor"
Open = Callable[[], Any]
BODY = "return document.getElementById('body').value"
CARET = "const t = document.getElementById('body'); t.focus(); t.setSelectionRange(arguments[0], arguments[0])"


class Editor(Page):
    """The page, once its text is there."""

    def __init__(self, driver: Any, url: str) -> None:
        super().__init__(driver, url)
        until(lambda: self.text("saved") == "all saved" and self.body())

    def body(self) -> str:
        return str(self.driver.execute_script(BODY))

    def write(self, at: int, text: str) -> None:
        """Types where a person would have clicked."""
        self.driver.execute_script(CARET, at)
        self.insert(text)

    def insert(self, text: str) -> None:
        """Types at the caret; as text, since WebDriver knows no keys for emoji."""
        self.driver.execute_cdp_cmd("Input.insertText", {"text": text})


def stored(server: ServerProcess) -> str:
    rows = server.request("GET", "/api/entities/Doc", token=ADMIN_TOKEN)[1]["data"]
    return str(rows[0]["body"])


def test_two_browsers_edit_one_text_and_what_is_written_offline_survives_a_reload_and_arrives(
    open_browser: Open, start: Callable[[Path], ServerProcess]
) -> None:
    server = start(EDITOR / "app.py")
    ann = Editor(open_browser(), server.url)
    bob = Editor(open_browser(), server.url)
    before = ann.body()
    ann.write(0, "Ann first. ")
    until(lambda: bob.body() == f"Ann first. {before}")
    bob.write(len(bob.body()), "Bob last.")
    until(lambda: ann.body() == f"Ann first. {before}Bob last.")
    until(lambda: len(ann.texts("person")) == 2)

    ann.driver.execute_async_script("const go = arguments[0]; navigator.serviceWorker.ready.then(() => go())")
    ann.driver.refresh()
    until(lambda: ann.text("saved") == "all saved" and ann.body())
    network(ann, works=False)
    until(lambda: ann.text("status") != "connected")
    ann.write(4, " (offline)")
    bob.write(0, "Bob, online. ")
    until(lambda: ann.text("saved") == "kept here, sent when the connection is back")
    ann.driver.refresh()
    until(lambda: ann.body().startswith("Ann  (offline)first."))
    assert "Bob, online." not in ann.body()
    network(ann, works=True)
    merged = f"Bob, online. Ann  (offline)first. {before}Bob last."
    for page in (ann, bob):
        until(lambda page=page: page.body() == merged, 45)
    until(lambda: ann.text("saved") == "all saved")
    until(lambda: stored(server) == merged)
    assert ann.script_errors() == bob.script_errors() == []


def test_the_caret_stays_with_its_word_while_another_writes_before_it(
    open_browser: Open, start: Callable[[Path], ServerProcess]
) -> None:
    server = start(EDITOR / "app.py")
    ann, bob = Editor(open_browser(), server.url), Editor(open_browser(), server.url)
    at = ann.body().index("second")
    ann.driver.execute_script(CARET, at)
    bob.write(0, "😀 new words ")
    until(lambda: ann.body() == bob.body())
    caret = ann.driver.execute_script("return document.getElementById('body').selectionStart")
    assert caret == ann.driver.execute_script("return document.getElementById('body').value.indexOf('second')")
    ann.insert("very ")
    until(lambda: "a very second browser" in bob.body())
