"""What happened to one's own account (spec 03 §23); an admin sees everybody's."""

from __future__ import annotations

from typing import Any

import falcon.asgi
import msgspec

from pylon.auth.events import MAX_EVENTS
from pylon.web.auth.arriving import require_user
from pylon.web.described import describes
from pylon.web.request import Request, Resource, whole_number

DEFAULT_LIMIT = 100


class AuthAudit(Resource):
    """`/api/auth/audit`."""

    @describes(list[dict[str, Any]], who="user", query={"limit": int, "user": str, "tenant": str})
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Events whose subject or actor the caller is, newest first; for an admin all, or those of `?user=`."""
        limit = min(whole_number(req.get_param("limit"), DEFAULT_LIMIT) or DEFAULT_LIMIT, MAX_EVENTS)
        if req.session.identity.is_admin:
            user, tenant = req.get_param("user"), req.get_param("tenant")
        else:
            user, tenant = require_user(req).identity.user_id, None
        found = await req.doors.identity.events.search(user=user, tenant=tenant, limit=limit)
        resp.data = msgspec.json.encode(found)


ROUTES: dict[str, object] = {"/api/auth/audit": AuthAudit()}
