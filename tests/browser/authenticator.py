"""A security key that belongs to one window of the browser, knows its owner and always says yes."""

from __future__ import annotations

from typing import Any

_OPTIONS = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def add_authenticator(driver: Any) -> str:
    """Plug one in, as Chromium's DevTools offer it; its id there."""
    driver.execute_cdp_cmd("WebAuthn.enable", {"enableUI": False})
    made: dict[str, str] = driver.execute_cdp_cmd("WebAuthn.addVirtualAuthenticator", {"options": _OPTIONS})
    return made["authenticatorId"]
