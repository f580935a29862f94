"""Studio's files, as they ship with Pylon. They hold no secret and no data: anybody may load them."""

from __future__ import annotations

from pathlib import Path

import falcon.asgi

from pylon.web.errors import no_route
from pylon.web.request import Request, Resource
from pylon.web.static import Folder, send
from pylon.web.studio.door import OneSession, SessionDoor, SessionList

HEADERS = {
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
}
"""No script or style but Studio's own files, no string turned into markup, and nothing from or to elsewhere."""


class Pages(Resource):
    """`/studio` and the files below it."""

    def __init__(self) -> None:
        self._folder = Folder(Path(__file__).parent / "assets")

    async def on_get(self, req: Request, resp: falcon.asgi.Response, name: str = "index.html") -> None:
        """One file."""
        file = await self._folder.find(name)
        if file is None:
            raise no_route(req.path, hint=req.doors.dev)
        for header, value in HEADERS.items():
            resp.set_header(header, value)
        send(req, resp, file)


def pages() -> dict[str, Resource]:
    """Studio's files."""
    files = Pages()
    return {"/studio": files, "/studio/{name:path}": files}


def doors() -> dict[str, Resource]:
    """What Studio asks of the server beside the admin's routes."""
    return {
        "/studio/session": SessionDoor(),
        "/api/admin/studio/sessions": SessionList(),
        "/api/admin/studio/sessions/{identifier}": OneSession(),
    }
