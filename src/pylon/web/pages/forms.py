"""What a form sent, and where to go after it."""

from __future__ import annotations

from urllib.parse import parse_qsl, quote, urlencode

import falcon.asgi

from pylon.model.errors import PylonError
from pylon.web.pages.api import ApiAnswer
from pylon.web.request import Request

MAX_FIELDS = 50


async def form(req: Request) -> dict[str, str]:
    """The fields of a form, the last of each name. Raises INVALID_DATA for what is no form of ours."""
    body = await req.body()
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except (UnicodeDecodeError, ValueError):
        raise PylonError("INVALID_DATA", "This form can't be read") from None


def safe_return(req: Request, url: str | None) -> str:
    """Where to lead back to: what was asked for if that may be, else the app's first page."""
    if not url:
        return "/"
    try:
        return req.doors.identity.redirects.check(url)
    except PylonError:
        return "/"


def go(resp: falcon.asgi.Response, path: str, **query: str) -> None:
    """Lead on with a GET, so that reloading repeats nothing."""
    kept = {name: value for name, value in query.items() if value}
    resp.status = 303
    resp.set_header("Location", path + (f"?{urlencode(kept, quote_via=quote)}" if kept else ""))
    resp.set_header("Cache-Control", "no-store")


def pass_cookies(resp: falcon.asgi.Response, answer: ApiAnswer) -> None:
    """Hand on what a route set."""
    for cookie in answer.cookies:
        resp.append_header("Set-Cookie", cookie)
