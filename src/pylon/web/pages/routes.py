"""Where the pages are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import falcon.asgi

from pylon.web.errors import no_route
from pylon.web.pages import account, address, entry, set_up_factor
from pylon.web.pages.api import Api
from pylon.web.pages.rendering import OWN_FOLDER, Renderer
from pylon.web.request import Request, Resource
from pylon.web.static import Folder, PackagedFolder

_ASSETS = "assets"


class OwnStyle(Resource):
    """`/auth/own.css`: the app's style, after ours."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The file as it was at start. Raises NOT_FOUND."""
        if self._renderer.style is None:
            raise no_route(req.path, hint=req.doors.dev)
        resp.content_type = "text/css; charset=utf-8"
        resp.data = self._renderer.style


def routes(app: Any, app_name: str, web_folder: Path | None) -> dict[str, object]:
    """The pages of an app; `app` answers the JSON routes."""
    own = None if web_folder is None else web_folder.parent / OWN_FOLDER
    api, renderer = Api(app), Renderer(app_name, own)
    pages: dict[str, type[entry.Page]] = {
        "/auth": entry.Start,
        "/auth/sign-in": entry.SignIn,
        "/auth/with/{provider}": entry.WithProvider,
        "/auth/second-factor": entry.SecondFactor,
        entry.SET_UP_FACTOR: set_up_factor.SetUpFactor,
        "/auth/code": entry.SendCode,
        "/auth/code/enter": entry.EnterCode,
        "/auth/sign-up": entry.SignUp,
        "/auth/sign-out": entry.SignOut,
        "/auth/verify": address.Verify,
        "/auth/reset": address.Reset,
        "/reset-password": address.NewPassword,
        "/email-change/confirm": address.NewAddress,
        "/auth/account": account.Account,
    }
    found: dict[str, object] = {path: page(api, renderer) for path, page in pages.items()}
    found["/auth/assets/{path:path}"] = PackagedFolder(Folder(Path(__file__).parent), _ASSETS)
    found["/auth/own.css"] = OwnStyle(renderer)
    return found
