"""Somebody at the door: who asks, from which browser, and with which session, before anything is proven."""

from __future__ import annotations

import re

import msgspec

from pylon.auth.mail.languages import languages_of
from pylon.auth.sessions import NOBODY, Session
from pylon.engine.caller import Caller

MAX_AGENT = 256
MAX_DEVICE = 80

_CLIENTS = (
    (("pylonclient/", "pylonsdk/"), "Pylon SDK"),
    (("pylon-cli/", "pylon/"), "Pylon CLI"),
    (("curl/",), "curl"),
    (("httpie/", "python-requests/"), "Python (requests)"),
    (("go-http-client/",), "Go HTTP client"),
    (("postmanruntime/",), "Postman"),
)
_BROWSERS = (
    (r"Edg/|Edge/", "Edge"),
    (r"OPR/|Opera", "Opera"),
    (r"Brave", "Brave"),
    (r"Vivaldi", "Vivaldi"),
    (r"Firefox/", "Firefox"),
    (r"Chrome/", "Chrome"),
    (r"Safari/", "Safari"),
)
_SYSTEMS = (
    (r"iPhone", "iOS"),
    (r"iPad", "iPadOS"),
    (r"Android", "Android"),
    (r"Macintosh|Mac OS", "macOS"),
    (r"Windows NT|Win64|Win32", "Windows"),
    (r"CrOS", "ChromeOS"),
    (r"Linux", "Linux"),
)


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """One request to an auth route. `agent` is its User-Agent, `session` what it came with, `trusted_device` the value
    of that cookie, `accept_language` that header."""

    caller: Caller
    agent: str | None = None
    session: Session = NOBODY
    trusted_device: str | None = None
    accept_language: str | None = None

    @property
    def ip(self) -> str:
        """The client's address."""
        return self.caller.ip

    @property
    def user_id(self) -> str:
        """The signed-in user, where the door has asked for one."""
        assert self.session.is_user
        assert self.session.identity.user_id is not None
        return self.session.identity.user_id

    @property
    def languages(self) -> list[str]:
        """The languages that letters may be in, best first."""
        return languages_of(self.accept_language)

    @property
    def device(self) -> str | None:
        """What people know the device by, None without a User-Agent."""
        return None if self.agent is None else device_label(self.agent)


def device_label(agent: str) -> str:
    """`Chrome on macOS` out of a User-Agent (spec 03 §2.4)."""
    lowered = agent.lower()
    for prefixes, label in _CLIENTS:
        if lowered.startswith(prefixes):
            return label
    browser = next((name for pattern, name in _BROWSERS if re.search(pattern, agent)), None)
    system = next((name for pattern, name in _SYSTEMS if re.search(pattern, agent)), None)
    if browser and system:
        return f"{browser} on {system}"[:MAX_DEVICE]
    return browser or system or "Unknown"
