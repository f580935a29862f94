"""Where a sign-in may lead back to: pages of trusted origins only (spec 03 §4), and links in mail from the server's own
configured address, never from a header of the request."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from pylon.model.errors import PylonError

_DEV_ORIGINS = ("http://localhost:3000", "http://localhost:4321", "http://localhost:5173", "http://127.0.0.1:3000")


class Redirects:
    """The rules of one server. `public_url` is where people reach it, without a slash at its end."""

    def __init__(self, public_url: str | None, trusted: Iterable[str], *, dev: bool = False, port: int = 4321) -> None:
        own = public_url or (f"http://localhost:{port}" if dev else None)
        self.public_url = own
        self._trusted = {origin.lower() for origin in trusted} | ({_origin(own)} if own else set())
        if dev:
            self._trusted |= {*_DEV_ORIGINS, f"http://localhost:{port}", f"http://127.0.0.1:{port}"}

    def check(self, url: str) -> str:
        """A URL that a browser may be sent to: a path of this server, or a page of a trusted origin. Raises
        UNTRUSTED_REDIRECT."""
        plain = url.isascii() and url.isprintable() and "\\" not in url and " " not in url
        if plain and url.startswith("/") and not url.startswith("//"):
            return url
        if not plain or not url.startswith(("http://", "https://")) or _origin(url) not in self._trusted:
            raise PylonError("UNTRUSTED_REDIRECT", "This page may not be led back to")
        return url

    def link(self, path: str, **query: str) -> str:
        """An address of this server to put into a mail. Raises PUBLIC_URL_MISSING where none is configured."""
        if self.public_url is None:
            raise PylonError("PUBLIC_URL_MISSING", "This server does not know its own address")
        rest = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        return f"{self.public_url}{path}{'?' + rest if rest else ''}"


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "null"
    if parts.username is not None or parts.password is not None:
        return "null"
    return f"{parts.scheme}://{parts.netloc}".lower()
