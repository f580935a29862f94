"""`pylon dev` and an open page: a broken save is shown, a good one reloads."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from page import Page, until

from pylon.testing.process import ServerProcess

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

TODO = Path(__file__).parents[2] / "examples" / "todo"


def test_a_broken_save_is_shown_on_the_page_and_a_good_one_reloads_it(
    open_browser: Callable[[], Any], tmp_path: Path
) -> None:
    folder = tmp_path / "todo"
    shutil.copytree(TODO, folder, ignore=shutil.ignore_patterns("__pycache__", ".pylon"))
    app = folder / "app.py"
    good = app.read_text("utf-8")
    with ServerProcess(app, tmp_path / "data", command="dev") as server:
        page = Page(open_browser(), server.url)
        page.becomes("live")
        page.type("title", "survives a reload\n")
        until(lambda: page.text("left") == "1 left")

        app.write_text(good.replace("title: str", "title: strr"), "utf-8")
        banner = until(lambda: next(iter(page.driver.find_elements("id", "pylon-dev-errors")), None))
        assert "app.py" in banner.text
        assert page.text("left") == "1 left"

        page.driver.execute_script("window.before = true")
        app.write_text(good.replace("done: bool", "note: str | None = None\n    done: bool"), "utf-8")
        until(lambda: not page.driver.execute_script("return window.before === true"), 20)
        until(lambda: page.text("left") == "1 left")
        assert not page.driver.find_elements("id", "pylon-dev-errors")
        _, manifest = server.request("GET", "/api/manifest")
        assert "note" in [field["name"] for field in manifest["entities"][0]["fields"]]
