"""Takes secrets out of what is captured: the values that this process knows to be secret, wherever they stand, and what
looks like one. What is captured holds none by design; this is the second lock.

Each shape begins with letters that are searched for fast, repeats within bounds, and is tried on a small piece at a
time: clients choose what stands in a log, and a pattern holds up every other thread while it runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, unquote, urlsplit

from pylon.settings import VARIABLES, Settings
from pylon.signals.redaction import MASK

PIECE_BYTES = 2**18
_SHORTEST = 6
"""Shorter values would blank out ordinary words."""

_VALUE = r"[^\s;,&#\"'\\]{6,4096}"
_SHAPES = tuple(
    re.compile(shape)
    for shape in (
        r"(?P<kept>)pylon_(?:[a-z]{1,20}_)?[0-9A-Za-z]{24,}",
        rf"(?P<kept>_session\"?[ ]?[=:][ ]?\"?){_VALUE}",
        rf"(?P<kept>ookie\"?[ ]?[=:][ ]?\"?){_VALUE}",
        rf"(?P<kept>uthorization\"?[ ]?[=:][ ]?\"?(?:[A-Za-z]{{1,12}}[ ])?){_VALUE}",
        rf"(?P<kept>earer[ ]){_VALUE}",
        rf"(?P<kept>oken=){_VALUE}",
        rf"(?P<kept>ecret=){_VALUE}",
        rf"(?P<kept>assw(?:or)?d=){_VALUE}",
        r"(?P<kept>://[^/\s:@]{0,64}:)[^/\s@]{1,256}(?=@)",
        r"(?P<kept>)-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,20000}",
        r"(?P<kept>)AGE-SECRET-KEY-\w{1,200}",
    )
)


class Mask:
    """Knows the secrets of one process."""

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {form for secret in secrets for form in (secret, quote(secret, safe="")) if len(secret) >= _SHORTEST}
        self._known = sorted(known, key=lambda secret: (-len(secret), secret))

    @classmethod
    def of(cls, settings: Settings) -> Mask:
        """The secrets that the settings hold."""
        return cls(_secrets(settings))

    def text(self, text: str) -> str:
        """The text without secrets."""
        for secret in self._known:
            text = text.replace(secret, MASK)
        for shape in _SHAPES:
            text = shape.sub(rf"\g<kept>{MASK}", text)
        return text

    def bytes(self, content: bytes) -> bytes:
        """The same for UTF-8, piece by piece; secrets lie within a line."""
        return b"".join(
            self.text(piece.decode("utf-8", "backslashreplace")).encode("utf-8", "backslashreplace")
            for piece in _pieces(content)
        )


def _pieces(content: bytes) -> Iterator[bytes]:
    begin = 0
    while begin < len(content):
        end = content.find(b"\n", begin + PIECE_BYTES) + 1 or len(content)
        yield content[begin:end]
        begin = end


def _secrets(settings: Settings) -> Iterable[str]:
    for client in settings.oauth:
        yield from (client.client_secret, *client.private_key.splitlines())
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
