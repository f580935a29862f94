"""The page at `/docs`: the API of this app, read from `/api/openapi.json`, with every call ready to be tried.

Its files ship with Pylon and come from this server alone. Whoever may not see the document finds no page either; what
an app has at `/docs` itself comes first.
"""

from __future__ import annotations

from pathlib import Path

import falcon.asgi

from pylon.web.api_page.access import may_see
from pylon.web.request import Request, Resource
from pylon.web.static import Folder, Site, send

DOCS = "/docs"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "vary": "Authorization, Cookie",
}


class Page(Resource):
    """`/docs` and the files below it. `site` answers whatever this page doesn't."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._folder = Folder(Path(__file__).parent / "assets")

    async def on_get(self, req: Request, resp: falcon.asgi.Response, name: str = "index.html") -> None:
        """One file."""
        file = None if await self._site.has(req.path) or not may_see(req) else await self._folder.find(name)
        if file is None:
            await self._site(req, resp)
            return
        for header, value in HEADERS.items():
            resp.set_header(header, value)
        send(req, resp, file)


def pages(site: Site) -> dict[str, Resource]:
    """The page and its files."""
    page = Page(site)
    return {DOCS: page, f"{DOCS}/{{name:path}}": page}
