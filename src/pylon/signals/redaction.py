"""Takes secrets out of what is about to be logged: by the name of a field, by what a text looks like, and those that
this process was configured with wherever they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"

_SECRET_WORDS = ("authorization", "cookie", "token", "password", "passwd", "secret", "api_key", "apikey", "credential")

_SHORTEST = 8
"""Known secrets below this length are not looked for: they would be found in what is no secret."""

_NAME = r"[\w-]{0,32}(?:token|passw(?:or)?d|secret|api[_-]?key|credential|cookie|signature)s?"
_VALUE = r"""(?:"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s,;&#"'}\])]+)"""
_SECRET_TEXT = re.compile(
    r"(?P<parameter>[?&;](?:code|state|password|secret|signature)=)[^&\s#\"']+"
    # a whole header: everything up to the end of its line, or of the text that quotes it
    r"|(?P<header>\b(?:proxy-)?(?:authorization|(?:set-)?cookie2?)[\"']?\s?[:=]\s?[\"']?(?:(?:basic|bearer|digest)\s)?)[^\r\n\"']+"
    rf"|(?P<assigned>\b{_NAME}\s?=\s?){_VALUE}"
    rf"|(?P<entry>[\"']{_NAME}[\"']\s?:\s?){_VALUE}"
    rf"|(?P<plain>\b(?:x-[\w-]{{0,32}}(?:token|key|secret)|passw(?:or)?d)\s?:\s?){_VALUE}"
    r"|(?P<bearer>\bbearer[ .:])\s?[\w\-.~+/=%]+"
    r"|(?P<basic>\bbasic )[\w+/=]+"
    r"|(?P<userinfo>://[^/\s:@]{0,256}:)[^/\s@]+(?=@)"
    r"|(?P<session>pylon_)[0-9a-f]{16,}"
    r"|(?P<jwt>\beyJ)[\w-]{8,}\.[\w-]+\.[\w-]*",
    re.IGNORECASE,
)

_known: re.Pattern[str] | None = None


def know(secrets: Iterable[str]) -> None:
    """Mask these wherever they stand, from now on: the secrets that this process was configured with."""
    global _known
    worth = sorted({re.escape(secret) for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True)
    _known = re.compile("|".join(worth)) if worth else None


def is_secret_name(name: str) -> bool:
    """True for the name of a field or header whose value must not be shown."""
    lowered = name.lower().replace("-", "_")
    return any(word in lowered for word in _SECRET_WORDS)


def redact(text: str) -> str:
    """The text without credentials: bearer and basic, cookies, passwords in URLs, secret parameters and fields."""
    if _known is not None:
        text = _known.sub(MASK, text)
    return _SECRET_TEXT.sub(_mask, text)


def _mask(found: re.Match[str]) -> str:
    return next(group for group in found.groups() if group) + MASK
