"""CORS and CSRF (spec 01 §9): which pages of other origins may read answers, and which may write with a cookie."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from pylon.settings import Settings

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
ALLOWED_HEADERS = (
    "Content-Type, Authorization, X-Request-Id, X-Pylon-Expect-User, "
    "Last-Event-ID, If-Match, If-None-Match, Idempotency-Key"
)
EXPOSED_HEADERS = (
    "X-Pylon-Change-Seq, X-Pylon-Stream-Id, X-Request-Id, ETag, Retry-After, Idempotency-Replayed, "
    "RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
)


class Origins:
    """The origin rules of one server; `trusted` are those that its app names. Loopback pages are trusted in dev mode
    only; same origin always is."""

    def __init__(self, settings: Settings, trusted: Sequence[str] = ()) -> None:
        self._cors = frozenset(settings.cors_origins) | {origin.lower() for origin in trusted}
        self._csrf = frozenset(settings.csrf_origins) | self._cors
        self._any = settings.dev_mode or "*" in self._cors
        self._any_write = settings.dev_mode or "*" in self._csrf

    def cors_headers(self, origin: str | None) -> dict[str, str]:
        """The headers that let a page of this origin read the answer; none for a stranger's."""
        if origin is None:
            return {"access-control-allow-origin": "*"} if self._any else {"vary": "Origin"}
        if not self._any and origin.lower() not in self._cors:
            return {"vary": "Origin"}
        return {
            "access-control-allow-origin": origin,
            "access-control-allow-credentials": "true",
            "access-control-expose-headers": EXPOSED_HEADERS,
            "vary": "Origin",
        }

    def preflight_headers(self, origin: str | None) -> dict[str, str]:
        """The answer to OPTIONS."""
        headers = self.cors_headers(origin)
        if "access-control-allow-origin" in headers:
            headers |= {
                "access-control-allow-methods": METHODS,
                "access-control-allow-headers": ALLOWED_HEADERS,
                "access-control-max-age": "600",
            }
        return headers

    def may_write(self, origin: str | None, referer: str | None, host: str, site: str | None = None) -> bool:
        """Whether a write that carries no Bearer token may come from there. `site` is Sec-Fetch-Site, the browser's own
        word: with it another site is refused that hides where it is. Without any of the three it is no browser."""
        if origin is None and referer is not None:
            origin = _origin_of(referer)
        if origin is None:
            return self._any_write or site in (None, "same-origin", "none")
        return self.is_trusted(origin, host)

    def is_trusted(self, origin: str, host: str) -> bool:
        """Whether a page of this origin may use its user's cookie on this host."""
        origin = origin.lower()
        if self._any_write or origin in self._csrf:
            return True
        return bool(host) and _origin_of(origin).partition("://")[2] == host.lower()


def _origin_of(url: str) -> str:
    """The origin part of a URL; `null`, which nobody trusts, for one that is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "null"
    return f"{parts.scheme}://{parts.netloc}"
