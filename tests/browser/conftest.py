"""Real browsers (Chromium, headless, a profile of its own each) and real servers on the examples."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
)
WINDOW = (1180, 820)


class Browsers:
    """Chromiums that were started. A test gets one with a window of its own and without cookies or cache; storage is
    kept apart by the port of the test's own server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._started = 0
        self._idle: list[Any] = []

    @contextmanager
    def borrowed(self) -> Iterator[Any]:
        driver = self._idle.pop() if self._idle else self._start()
        try:
            self._renew(driver)
            yield driver
        except BaseException:
            driver.quit()
            raise
        if driver.service.process.poll() is None:  # a test may have quit it, as a user does
            self._idle.append(driver)

    @staticmethod
    def _renew(driver: Any) -> None:
        """A new window, which nothing was emulated or injected in; every other one is closed."""
        old = driver.window_handles
        driver.switch_to.new_window("window")
        own = driver.current_window_handle
        for handle in old:
            driver.switch_to.window(handle)
            driver.close()
        driver.switch_to.window(own)
        for command in ("Network.clearBrowserCookies", "Network.clearBrowserCache"):
            driver.execute_cdp_cmd(command, {})
        driver.set_window_size(*WINDOW)
        driver.get_log("browser")

    def _start(self) -> Any:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service

        self._started += 1
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM
        for flag in (*FLAGS, f"--user-data-dir={self._folder / f'profile-{self._started}'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        return webdriver.Chrome(options=options, service=Service(CHROMEDRIVER))

    def quit(self) -> None:
        while self._idle:
            self._idle.pop().quit()


@pytest.fixture(scope="session")
def browsers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browsers]:
    pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    if not Path(CHROMIUM).exists() or not Path(CHROMEDRIVER).exists():
        pytest.skip("Chromium or its driver is missing: apt-get install chromium chromium-driver")
    started = Browsers(tmp_path_factory.mktemp("browsers"))
    try:
        yield started
    finally:
        started.quit()


@pytest.fixture
def open_browser(browsers: Browsers) -> Iterator[Callable[[], Any]]:
    """Opens one more browser with a fresh profile; all are gone after the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(browsers.borrowed())


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
