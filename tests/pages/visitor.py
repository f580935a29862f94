"""A browser without JavaScript: it keeps cookies, follows redirects, fills in forms, and sends an Origin with them."""

from __future__ import annotations

import html
import re
from urllib.parse import urlencode

from pylon.testing.actor import Answer
from pylon.testing.kit import TestApp

OWN = "http://test"


class Visitor:
    """One browser on one test app."""

    def __init__(
        self, app: TestApp, *, agent: str = "Mozilla/5.0 (X11; Linux) Firefox/130.0", language: str = ""
    ) -> None:
        self._actor = app.anonymous()
        self._headers = {"user-agent": agent} | ({"accept-language": language} if language else {})
        self.cookies: dict[str, str] = {}
        self.path = ""
        self.page = ""
        self.status = 0

    def get(self, path: str) -> Visitor:
        """Open a page."""
        return self._took(path, self._actor.request("GET", path, headers=self._sent()))

    def post(self, path: str, origin: str = OWN, /, **fields: str) -> Visitor:
        """Send a form."""
        sent = self._sent() | {"content-type": "application/x-www-form-urlencoded", "origin": origin}
        return self._took(path, self._actor.request("POST", path, body=urlencode(fields).encode(), headers=sent))

    def fill(self, action: str, **fields: str) -> Visitor:
        """Fill in the form of the page that goes to this address, hidden fields kept."""
        forms = re.findall(r"<form[^>]*action=\"([^\"]*)\"[^>]*>(.*?)</form>", self.page, re.DOTALL)
        form = next(content for where, content in forms if where == action)
        hidden = dict(re.findall(r"<input type=\"hidden\" name=\"([^\"]+)\" value=\"([^\"]*)\"", form))
        return self.post(action, **{name: html.unescape(value) for name, value in hidden.items()}, **fields)

    def _sent(self) -> dict[str, str]:
        held = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return self._headers | ({"cookie": held} if held else {})

    def _took(self, path: str, answer: Answer) -> Visitor:
        for line in answer.headers.get("set-cookie", "").split("\n"):
            name, _, value = line.partition(";")[0].partition("=")
            if name:
                self.cookies[name] = value
                if "max-age=0" in line.lower():
                    del self.cookies[name]
        if answer.status in (302, 303):
            return self.get(answer.headers["location"])
        self.path, self.page, self.status = path, answer.body.decode("utf-8", "replace"), answer.status
        return self

    @property
    def error(self) -> str:
        """What the page says went wrong."""
        found = re.search(r"role=\"alert\">(.*?)</p>", self.page, re.DOTALL)
        return html.unescape(found[1]) if found else ""

    @property
    def note(self) -> str:
        """The code that a development server shows instead of a mail."""
        found = re.search(r"class=\"note\">[^<]*?(\d{6})", self.page)
        assert found is not None, self.page
        return found[1]
