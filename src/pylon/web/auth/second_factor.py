"""A sign-in between its two factors, over HTTP: JSON clients hold the challenge, browsers that are led from page to
page carry it in a cookie of five minutes."""

from __future__ import annotations

import falcon.asgi

from pylon.auth.second_factor import CHALLENGE
from pylon.auth.sign_in import MoreNeeded
from pylon.auth.trusted_devices import TrustedDevice
from pylon.model.errors import PylonError
from pylon.web.auth.arriving import TRUSTED_DEVICE_COOKIE
from pylon.web.auth.cookies import cookie
from pylon.web.request import Request

CHALLENGE_COOKIE = "pylon_second_factor"


def carry(req: Request, resp: falcon.asgi.Response, more: MoreNeeded) -> None:
    """Hand the challenge to a browser that is redirected: never in a URL. The page that it is led to asks for the code
    and posts it alone to `/api/auth/totp/login`."""
    token = (more.extra or {}).get("challenge", "")
    resp.append_header("Set-Cookie", cookie(req, CHALLENGE_COOKIE, token, CHALLENGE.seconds))


def challenge_of(req: Request, sent: object) -> str:
    """The challenge of the body, else of the cookie. Raises CHALLENGE_EXPIRED."""
    if isinstance(sent, str) and sent:
        return sent
    held = req.get_cookie_values(CHALLENGE_COOKIE)
    if not held or not held[0]:
        raise PylonError("CHALLENGE_EXPIRED", "There is no sign-in to continue: begin again")
    return held[0]


def drop_challenge(req: Request, resp: falcon.asgi.Response) -> None:
    """Take the cookie away where there is one."""
    if req.get_cookie_values(CHALLENGE_COOKIE):
        resp.append_header("Set-Cookie", cookie(req, CHALLENGE_COOKIE, "", 0))


def give_device(req: Request, resp: falcon.asgi.Response, device: TrustedDevice | None, lifetime: int) -> bool:
    """Hand the browser the cookie of a device that is trusted now; whether there was one."""
    if device is not None:
        resp.append_header("Set-Cookie", cookie(req, TRUSTED_DEVICE_COOKIE, device.token, lifetime))
    return device is not None
