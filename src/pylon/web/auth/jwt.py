"""JWTs over HTTP (spec 03 §2.3), and the keys that others check them with."""

from __future__ import annotations

import falcon.asgi
import msgspec

from pylon.auth.methods.jwt import Jwt
from pylon.auth.signing_keys import AHEAD_SECONDS
from pylon.model.errors import PylonError
from pylon.web.auth.arriving import arrival, require_user
from pylon.web.request import Request, Resource

METHOD = "jwt"


def jwt_of(req: Request) -> Jwt:
    """The server's JWTs, while they are on. Raises JWT_NOT_CONFIGURED, MAINTENANCE."""
    registry = req.doors.identity.registry
    try:
        registry.check(METHOD, req.session.identity)
    except PylonError as problem:
        if problem.code != "METHOD_NOT_CONFIGURED":
            raise
        raise PylonError("JWT_NOT_CONFIGURED", "This server makes no JWTs", hint=problem.hint) from None
    found: Jwt = registry.get(METHOD)
    return found


class Mint(Resource):
    """`/api/auth/jwt`."""

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """A JWT of the caller's session."""
        require_user(req)
        token, expires_at = await jwt_of(req).mint(arrival(req))
        resp.data = msgspec.json.encode({"expires_at": expires_at, "token": token})


class KeySet(Resource):
    """`/.well-known/jwks.json`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The public keys; none where there are no JWTs."""
        try:
            keys = req.doors.identity.registry.get(METHOD).keys.published()
        except PylonError:
            keys = []
        resp.set_header("Cache-Control", f"public, max-age={AHEAD_SECONDS}")
        resp.data = msgspec.json.encode({"keys": keys})


ROUTES: dict[str, object] = {"/api/auth/jwt": Mint(), "/.well-known/jwks.json": KeySet()}
