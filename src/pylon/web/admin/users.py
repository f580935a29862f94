"""Users over HTTP for operators: everything that is stored of one, and its erasure (spec 03 §20)."""

from __future__ import annotations

import falcon.asgi
import msgspec

from pylon.auth.methods.account import Account
from pylon.auth.privacy.report import Line
from pylon.model.errors import PylonError
from pylon.web.auth.account import EXPORTED
from pylon.web.auth.arriving import arrival
from pylon.web.described import describes
from pylon.web.request import Request, Resource, require_admin

MAX_ID = 255


def _account(req: Request, user_id: str) -> Account:
    require_admin(req)
    if not user_id or len(user_id) > MAX_ID or user_id.startswith("__"):
        raise PylonError("MISSING_USER_ID", "This is no user's id")
    # A switch stops users; operators go on.
    found: Account = req.doors.identity.registry.get("account")
    return found


class UserExport(Resource):
    """`/api/admin/users/{user_id}/export`."""

    @describes(EXPORTED, who="admin", errors=("MISSING_USER_ID",))
    async def on_get(self, req: Request, resp: falcon.asgi.Response, user_id: str) -> None:
        """Everything of a user, without secrets."""
        export = _account(req, user_id).export
        resp.set_header("Cache-Control", "no-store")
        resp.stream = await export.of_user(arrival(req), user_id)

    @describes(EXPORTED, who="admin", errors=("MISSING_USER_ID",))
    async def on_post(self, req: Request, resp: falcon.asgi.Response, user_id: str) -> None:
        """The same."""
        await self.on_get(req, resp, user_id)


class UserPurge(Resource):
    """`/api/admin/users/{user_id}/purge`."""

    @describes(
        {
            "user_id": str,
            "rows_deleted": int,
            "sessions_revoked": int,
            "errors": list[str],
            "purged_at": str,
            "report": list[Line],
        },
        who="admin",
        errors=("MISSING_USER_ID",),
    )
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, user_id: str) -> None:
        """Erase a user from every entity and store."""
        report = await _account(req, user_id).erasure.purge(arrival(req), user_id)
        resp.data = msgspec.json.encode(
            {
                "user_id": user_id,
                "rows_deleted": report.rows_deleted,
                "sessions_revoked": report.sessions_revoked,
                "errors": report.errors,
                "purged_at": report.purged_at,
                "report": report.lines,
            }
        )


ROUTES: dict[str, object] = {
    "/api/admin/users/{user_id}/export": UserExport(),
    "/api/admin/users/{user_id}/purge": UserPurge(),
}
