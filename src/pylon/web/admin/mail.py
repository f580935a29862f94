"""Mail over HTTP: what waits, what was given up and why, and a test letter."""

from __future__ import annotations

from typing import Any, Literal

import falcon.asgi
import msgspec

from pylon.auth.users import normal_email
from pylon.model.errors import PylonError
from pylon.store.mail import MailRecord, MailState
from pylon.web.admin.body import decode_body
from pylon.web.described import describes
from pylon.web.request import Request, Resource, require_admin, whole_number

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000


class TestOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to send a test letter to."""

    to: str


class MailList(Resource):
    """`/api/admin/mail`."""

    @describes(
        {"transport": str, "mail": list[dict[str, Any]]},
        who="admin",
        query={"state": MailState, "limit": int},
        errors=("INVALID_DATA",),
    )
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Letters, newest first; `?state=` and `?limit=` narrow it. No address in full, and no content."""
        require_admin(req)
        state = req.get_param("state") or ""
        if state and state not in set(MailState):
            raise PylonError("INVALID_DATA", f"state is one of {', '.join(MailState)}")
        limit = min(whole_number(req.get_param("limit"), DEFAULT_LIMIT) or DEFAULT_LIMIT, MAX_LIMIT)
        outbox = req.doors.identity.outbox
        letters = [_shown(record) for record in outbox.listed(state, limit)]
        resp.data = msgspec.json.encode({"transport": outbox.transport, **outbox.counts(), "mail": letters})


class MailRetry(Resource):
    """`/api/admin/mail/{mail_id}/retry`."""

    @describes(
        {"retried": Literal[True]}, who="admin", errors=("NOT_FOUND", "MAIL_NOT_CONFIGURED", "MAIL_EXPIRED", "CONFLICT")
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, mail_id: str) -> None:
        """Try it again, now."""
        require_admin(req)
        await req.doors.identity.outbox.retry(req.caller, mail_id)
        resp.data = b'{"retried":true}'


class MailTest(Resource):
    """`/api/admin/mail/test`."""

    @describes(
        {"sent": Literal[True], "transport": str},
        body=TestOrder,
        who="admin",
        errors=("INVALID_DATA", "INVALID_EMAIL", "MAIL_NOT_CONFIGURED", "MAIL_FAILED"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Send a test letter, and tell what came of it."""
        require_admin(req)
        to = normal_email(decode_body(await req.body(), TestOrder).to)
        outbox = req.doors.identity.outbox
        await outbox.test(req.caller, to)
        resp.data = msgspec.json.encode({"sent": True, "transport": outbox.transport})


def _shown(record: MailRecord) -> dict[str, Any]:
    names = ("id", "kind", "state", "user_id", "recipient", "attempts", "error", "created_at", "expires_at", "sent_at")
    return {name: getattr(record, name) for name in names} | {"due_at": int(record.due_at)}


ROUTES: dict[str, object] = {
    "/api/admin/mail": MailList(),
    "/api/admin/mail/test": MailTest(),
    "/api/admin/mail/{mail_id}/retry": MailRetry(),
}
