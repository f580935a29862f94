"""The languages that somebody reads, as a browser tells them."""

from __future__ import annotations

import re

LANGUAGE = re.compile(r"[a-zA-Z]{2,3}(-[a-zA-Z0-9]{2,8})*\Z")
_MOST = 8


def languages_of(header: str | None) -> list[str]:
    """The languages of an `Accept-Language`, each followed by its plain form, in the order in which they are listed."""
    found: list[str] = []
    for part in (header or "")[:200].split(",")[:_MOST]:
        tag = part.partition(";")[0].strip()
        if LANGUAGE.match(tag):
            found += [tag.lower(), tag.partition("-")[0].lower()]
    return list(dict.fromkeys(found))
