"""One's own account over HTTP (spec 03 §20): everything that is stored of it, and its end."""

from __future__ import annotations

from typing import Any

import falcon.asgi
import msgspec

from pylon.auth.methods.account import Account
from pylon.auth.privacy.report import Line
from pylon.model.errors import PylonError
from pylon.web.auth.arriving import arrival, require_recent, require_session
from pylon.web.auth.cookies import take_cookie
from pylon.web.auth.resource import MethodResource
from pylon.web.described import describes
from pylon.web.request import Request

METHOD = "account"
EXPORTED = {
    "user_id": str,
    "exported_at": str,
    "entities": dict[str, list[dict[str, Any]]],
    "stores": dict[str, list[dict[str, Any]]],
    "counts": dict[str, int],
}
"""An export, as it is described."""


def _account(req: Request) -> Account:
    found: Account = req.doors.identity.registry.get(METHOD)
    return found


async def _ask_app(req: Request) -> None:
    """Let the app do its part first; its refusal keeps the account."""
    name = req.doors.engine.plans.auth.on_delete_account
    if name is None:
        return
    try:
        await req.doors.functions.invoke(req.caller, name, {"userId": req.session.identity.user_id})
    except PylonError as error:
        if error.code == "FN_NOT_FOUND":
            raise PylonError("ACCOUNT_DELETE_HOOK_MISSING", "The app can't delete accounts at present") from error
        raise PylonError("ACCOUNT_DELETE_HOOK_FAILED", error.message, extra={"cause": error.code}) from error


class OwnAccount(MethodResource):
    """`/api/auth/account`."""

    method = METHOD

    @describes(
        {
            "deleted": bool,
            "revoked_sessions": int,
            "revoked_api_keys": int,
            "unlinked_accounts": int,
            "report": list[Line],
        },
        who="session",
        errors=(
            "METHOD_NOT_CONFIGURED",
            "REAUTHENTICATION_REQUIRED",
            "LAST_OWNER",
            "ACCOUNT_DELETE_HOOK_FAILED",
            "ACCOUNT_DELETE_HOOK_MISSING",
        ),
    )
    async def on_delete(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Delete one's account with everything of it. A user has to have signed in just now."""
        if not require_session(req).identity.is_guest:
            require_recent(req)
        erasure, caller = _account(req).erasure, arrival(req)
        await erasure.check_own(caller)
        await _ask_app(req)
        report = await erasure.delete_own(caller)
        take_cookie(req, resp)
        resp.data = msgspec.json.encode(
            {
                "deleted": not report.errors,
                "revoked_sessions": report.sessions_revoked,
                "revoked_api_keys": report.api_keys_revoked,
                "unlinked_accounts": report.accounts_unlinked,
                "report": report.lines,
            }
        )


class OwnExport(MethodResource):
    """`/api/auth/account/export`."""

    method = METHOD

    @describes(EXPORTED, who="session", errors=("METHOD_NOT_CONFIGURED", "REAUTHENTICATION_REQUIRED"))
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Everything that is stored of the caller and that it may read."""
        if not require_session(req).identity.is_guest:
            require_recent(req)
        resp.set_header("Cache-Control", "no-store")
        resp.stream = await _account(req).export.of_oneself(arrival(req))


ROUTES: dict[str, object] = {"/api/auth/account": OwnAccount(), "/api/auth/account/export": OwnExport()}
