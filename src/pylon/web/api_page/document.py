"""`/api/openapi.json`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import falcon.asgi

from pylon.model.errors import PylonError
from pylon.web.api_page.access import may_see
from pylon.web.described import describes
from pylon.web.preconditions import etag_of, is_known
from pylon.web.request import Request, Resource


class OpenApi(Resource):
    """`/api/openapi.json`. `make` writes the document, once it is asked for; it takes tens of milliseconds."""

    def __init__(self, make: Callable[[], bytes]) -> None:
        self._make = make
        self._document = b""
        self._etag = ""

    @describes(dict[str, Any], who="anybody", status=(200, 304), headers=("ETag",), errors=("NOT_FOUND",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """This document. NOT_FOUND outside dev mode for everybody but admins, unless the server opens it."""
        if not may_see(req):
            raise PylonError(
                "NOT_FOUND",
                "OpenAPI spec is admin-only outside dev mode",
                hint="Set PYLON_OPENAPI_PUBLIC=true to serve it to anonymous callers (it enumerates every entity and "
                "callable function).",
            )
        if not self._document:
            self._document = await asyncio.to_thread(self._make)
            self._etag = etag_of(self._document)
        resp.set_header("ETag", self._etag)
        resp.set_header("Cache-Control", "no-cache")
        known = req.get_header("If-None-Match")
        if known is not None and is_known(known, self._etag):
            resp.status = 304
            return
        resp.data = self._document
