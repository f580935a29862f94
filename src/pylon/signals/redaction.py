"""Takes secrets out of what is about to be logged: by the name of a field, by what a text looks like, and those that
this process was configured with wherever they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"

_SECRET_WORDS = ("authorization", "cookie", "token", "password", "passwd", "secret", "api_key", "apikey", "credential")

_SHORTEST = 8
"""Known secrets below this length are not looked for: they would be found in what is no secret."""

_NAME = r"(?:token|passw(?:or)?d|secret|api[_-]?key|credential|cookie|signature)[\w-]{0,24}"
_QUOTED = r"""\\+["'].*?(?:\\+["']|$)|"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?"""
_VALUE = rf"""(?:{_QUOTED}|[^\s,;&#"'}}\])]+)"""
_SECRET_TEXT = re.compile(
    r"(?P<parameter>[?&;](?:code|state)=)[^&\s#\"']+"
    # a whole header: what is quoted, or everything up to the end of its line
    r"|(?P<header>(?:authorization|cookie2?)[\\\"']{0,3}\s?[:=]\s?(?:(?:basic|bearer|digest)\s)?)"
    rf"(?:{_QUOTED}|[^\r\n]+)"
    rf"|(?P<assigned>{_NAME}\s?=\s?){_VALUE}"
    rf"|(?P<entry>{_NAME}\\*[\"']\s?:\s?)(?!null\b|true\b|false\b){_VALUE}"
    rf"|(?P<plain>(?:api-key|-token|passw(?:or)?d)\s?:\s?){_VALUE}"
    r"|(?P<bearer>\bbearer[ .:])\s?[\w\-.~+/=%]+"
    r"|(?P<basic>\bbasic )[\w+/=]+"
    r"|(?P<userinfo>://[^/\s:@]{0,64}:)[^/\s@]+(?=@)"
    r"|(?P<invitation>/auth/invites/)[\w-]+"
    r"|(?P<looked_up>/api/lookup/[^/\s]+/[^/\s]+/)\S+"  # a row's own data, maybe of an encrypted field
    r"|(?P<session>pylon_)[0-9a-f]{16,}"
    r"|(?P<jwt>\beyJ)[\w-]{8,500}\.[\w-]+\.[\w-]*",
    re.IGNORECASE,
)

_HINTS = (
    "token",
    "passw",
    "secret",
    "key",
    "credential",
    "cookie",
    "signature",
    "authorization",
    "bearer",
    "basic ",
    "code=",
    "state=",
    "://",
    "pylon_",
    "/invites/",
    "/lookup/",
    "eyj",
)
"""What every shape above has in it: looking for these first is fifty times cheaper, and most lines have none."""

_known: tuple[str, ...] = ()


def know(secrets: Iterable[str]) -> None:
    """Mask these wherever they stand, from now on: the secrets that this process was configured with."""
    global _known
    _known = tuple(sorted({secret for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True))


def is_secret_name(name: str) -> bool:
    """True for the name of a field or header whose value must not be shown."""
    lowered = name.lower().replace("-", "_")
    return any(word in lowered for word in _SECRET_WORDS)


def redact(text: str) -> str:
    """The text without credentials: bearer and basic, cookies, passwords in URLs, secret parameters and fields."""
    for secret in _known:
        if secret in text:
            text = text.replace(secret, MASK)
    lowered = text.lower()
    for hint in _HINTS:
        if hint in lowered:
            return _SECRET_TEXT.sub(_mask, text)
    return text


def redact_path(text: str) -> str:
    """The same for a path, which has few shapes that hold a secret: cheap for one that has none of them."""
    if "=" in text or "pylon_" in text or "/auth/invites/" in text or "/lookup/" in text:
        return redact(text)
    for secret in _known:
        if secret in text:
            return redact(text)
    return text


def _mask(found: re.Match[str]) -> str:
    return next(group for group in found.groups() if group) + MASK
