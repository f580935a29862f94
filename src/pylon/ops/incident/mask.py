"""Takes secrets out of what is captured: the values that this process knows to be secret, wherever they stand, and what
looks like one. What is captured holds none by design; this is the second lock."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import quote, unquote, urlsplit

from pylon.settings import VARIABLES, Settings
from pylon.signals.redaction import MASK, redact

_SHORTEST = 6
"""Shorter values would blank out ordinary words."""

# Each begins with a word and none repeats without bound before it fails: clients choose what stands in a log.
_TOKEN = re.compile(r"\bpylon_(?:[a-z]{1,20}_)?[0-9A-Za-z]{24,}")
_COOKIE = re.compile(r"(?P<name>(?:_session|[cC]ookie)\"?\s{0,4}[=:]\s{0,4}\"?)[^\s;,\"']{8,}")
_KEY = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,20000}|AGE-SECRET-KEY-\w+")


class Mask:
    """Knows the secrets of one process."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {form for secret in secrets for form in (secret, quote(secret, safe="")) if len(secret) >= _SHORTEST}
        longest_first = sorted(known, key=lambda secret: (-len(secret), secret))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if known else None

    @classmethod
    def of(cls, settings: Settings) -> Mask:
        """The secrets that the settings hold."""
        return cls(_secrets(settings))

    def text(self, text: str) -> str:
        """The text without secrets."""
        if self._known is not None:
            text = self._known.sub(MASK, text)
        text = _KEY.sub(MASK, _TOKEN.sub(MASK, text))
        return redact(_COOKIE.sub(lambda found: found["name"] + MASK, text))

    def bytes(self, content: bytes) -> bytes:
        """The same for UTF-8."""
        return self.text(content.decode("utf-8", "backslashreplace")).encode("utf-8", "backslashreplace")


def _secrets(settings: Settings) -> Iterable[str]:
    for variable in VARIABLES:
        value = getattr(settings, variable.attribute)
        for text in value if isinstance(value, tuple) else (value,):
            if not isinstance(text, str):
                continue
            if variable.secret:
                yield text
            password = _password(text)
            if password:
                yield from {password, unquote(password)}


def _password(text: str) -> str | None:
    """Of an address that has one, whatever the setting is called."""
    if "://" not in text:
        return None
    try:
        return urlsplit(text).password
    except ValueError:
        return None
