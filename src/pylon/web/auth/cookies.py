"""The session cookie (spec 03 §3): HttpOnly, of this host alone unless a domain is set, `__Host-` over HTTPS."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import falcon.asgi

from pylon.settings import Settings

if TYPE_CHECKING:
    from pylon.web.request import Request

DEFAULT_SECONDS = 2_592_000


def session_cookie_name(settings: Settings, app: str) -> str:
    """Its name: the one that is set, else the app's, which browsers hold to this host over HTTPS by its prefix."""
    if settings.cookie_name:
        return settings.cookie_name
    name = (re.sub(r"[^A-Za-z0-9_-]", "_", app) or "pylon") + "_session"
    return f"__Host-{name}" if settings.cookie_secure and not settings.cookie_domain else name


def cookie(req: Request, name: str, value: str, seconds: int) -> str:
    """A Set-Cookie header with the server's attributes; 0 seconds take the cookie away."""
    settings = req.doors.settings
    domain = f"; Domain={settings.cookie_domain}" if settings.cookie_domain else ""
    secure = "; Secure" if settings.cookie_secure else ""
    same_site = settings.cookie_same_site.value.capitalize()
    return f"{name}={value}; Path=/{domain}; HttpOnly{secure}; SameSite={same_site}; Max-Age={seconds}"


def give_cookie(req: Request, resp: falcon.asgi.Response, token: str, expires_at: int) -> None:
    """Hand the browser a session, for as long as the session lives."""
    seconds = max(1, expires_at - int(time.time())) if expires_at else DEFAULT_SECONDS
    resp.append_header("Set-Cookie", cookie(req, req.doors.cookie_name, token, seconds))
    req.renews_cookie = False


def take_cookie(req: Request, resp: falcon.asgi.Response) -> None:
    """Take the session cookie away."""
    resp.append_header("Set-Cookie", cookie(req, req.doors.cookie_name, "", 0))
    req.renews_cookie = False


def wants_cookie(req: Request) -> bool:
    """Whether the answer to a JSON request sets the cookie: for browsers' pages, which send an Origin, and for who came
    with a cookie."""
    return b"origin" in req._asgi_headers or req.has_session_cookie
