"""The operator's cookie: where it counts, and which requests may carry it.

It opens the admin API, the metrics, the API's description and Studio itself, never a data route; and only for pages of
Studio and of that description, whichever origins the server trusts otherwise. `Sec-Fetch-Site` is the browser's own
word and no page can forge it; browsers leave it out on plain HTTP, and there a header that no foreign page may send
without asking stands in for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pylon.model.errors import PylonError

if TYPE_CHECKING:
    from pylon.auth.operators import Operator
    from pylon.web.request import Request

COOKIE = "pylon_studio"
HEADER = b"x-pylon-studio"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_DOCS = "/docs"
_FOLDERS = ("/api/admin/", "/studio/", "/docs/")
_PATHS = frozenset({"/metrics", "/studio", _DOCS, "/api/openapi.json"})


def operator_of(req: Request) -> Operator | None:
    """The operator whose cookie opens this request. Raises CSRF_REJECTED for a write that Studio did not send."""
    headers = req._asgi_headers
    if b"cookie" not in headers or not _counts_on(req.path) or b"authorization" in headers:
        return None
    values = req.get_cookie_values(COOKIE)
    if not values:
        return None
    if not (is_from_studio(req) or _is_typed(req)):
        if req.method in _SAFE:
            return None
        raise _refused()
    return req.doors.operators.resolve(values[0])


def require_studio(req: Request) -> None:
    """Raise CSRF_REJECTED unless one of Studio's pages sent this."""
    if not is_from_studio(req):
        raise _refused()


def is_from_studio(req: Request) -> bool:
    """Whether one of Studio's pages sent this, as far as a browser can tell."""
    headers = req._asgi_headers
    site = headers.get(b"sec-fetch-site")
    if site is None:
        origin = headers.get(b"origin")
        if origin is not None and not _is_own(origin.decode("latin-1"), req.get_header("Host") or ""):
            return False
    elif site != b"same-origin":
        return False
    return headers.get(HEADER) == b"1" or (site is not None and req.method in _SAFE)


def set_cookie(req: Request, secret: str, seconds: int) -> str:
    """The header's value that gives the browser its secret; an empty one takes it away."""
    secure = "; Secure" if req.doors.settings.cookie_secure else ""
    return f"{COOKIE}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def _is_typed(req: Request) -> bool:
    """Whether somebody went to the page of the API by its address, and no page led there."""
    return req.path == _DOCS and req.method in _SAFE and req._asgi_headers.get(b"sec-fetch-site") == b"none"


def _counts_on(path: str) -> bool:
    return path.startswith(_FOLDERS) or path in _PATHS


def _is_own(origin: str, host: str) -> bool:
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False


def _refused() -> PylonError:
    return PylonError(
        "CSRF_REJECTED",
        "Only Studio's own pages may use an operator's cookie",
        hint="Scripts send an admin token as `Authorization: Bearer`.",
    )
