"""Takes secrets out of what is about to be logged: by the name of a field, and by what a text looks like."""

from __future__ import annotations

import re

MASK = "***"

_SECRET_WORDS = ("authorization", "cookie", "token", "password", "passwd", "secret", "api_key", "apikey", "credential")

_PARAMETER = r"(?:access_|refresh_|id_|admin_)?token|password|secret|api_?key|code|state|signature"
_SECRET_TEXT = re.compile(
    rf"(?P<parameter>[?&;](?:{_PARAMETER})=)[^&\s#\"']+"
    r"|(?P<bearer>\bbearer[ .])[\w\-.~+/=%]+"
    r"|(?P<basic>\bbasic )[\w+/=]+"
    r"|(?P<userinfo>://[^/\s:@]*:)[^/\s@]+(?=@)",
    re.IGNORECASE,
)


def is_secret_name(name: str) -> bool:
    """True for the name of a field or header whose value must not be shown."""
    lowered = name.lower().replace("-", "_")
    return any(word in lowered for word in _SECRET_WORDS)


def redact(text: str) -> str:
    """The text without bearer and basic credentials, passwords in URLs, and secret query parameters."""
    return _SECRET_TEXT.sub(_mask, text)


def _mask(found: re.Match[str]) -> str:
    return next(group for group in found.groups() if group) + MASK
