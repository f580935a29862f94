"""Real browsers (Chromium, headless, a profile of its own each) and real servers on the examples."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pylon.testing.process import ServerProcess

CHROMIUM = "/usr/bin/chromium"
CHROMEDRIVER = "/usr/bin/chromedriver"
EXAMPLES = Path(__file__).parents[2] / "examples"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1180,820",
)


@pytest.fixture
def open_browser(tmp_path: Path) -> Iterator[Callable[[], Any]]:
    """Opens one more browser with a fresh profile; all are closed after the test."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.chrome.service import Service

    if not Path(CHROMIUM).exists() or not Path(CHROMEDRIVER).exists():
        pytest.skip("Chromium or its driver is missing: apt-get install chromium chromium-driver")
    with ExitStack() as stack:
        count = 0

        def open_one() -> Any:
            nonlocal count
            count += 1
            options = webdriver.ChromeOptions()
            options.binary_location = CHROMIUM
            for flag in (*FLAGS, f"--user-data-dir={tmp_path / f'profile-{count}'}"):
                options.add_argument(flag)
            options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
            driver = webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))
            stack.callback(driver.quit)
            return driver

        yield open_one


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Path], ServerProcess]]:
    """Starts a server on an app, with data of its own; it is stopped after the test. Not in dev mode, in which pages
    reload when the server was replaced."""
    with ExitStack() as stack:
        env = {"PYLON_DEV_MODE": "0"}
        yield lambda app: stack.enter_context(ServerProcess(app, tmp_path / "data", env=env))


@pytest.fixture(scope="session")
def node() -> str:
    """The node executable."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("node is missing: apt-get install nodejs (18 or later)")
    return found
