"""What happened to one's own account, and to the organisation that one manages (spec 03 §23); an admin sees all."""

from __future__ import annotations

import falcon.asgi
import msgspec

from pylon.auth.events import MAX_EVENTS
from pylon.auth.organisations.rules import manages
from pylon.model.errors import PylonError
from pylon.web.auth.arriving import require_user
from pylon.web.request import Request, Resource, whole_number

DEFAULT_LIMIT = 100


class AuthAudit(Resource):
    """`/api/auth/audit`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Events whose subject or actor the caller is, newest first; for an admin all, or those of `?user=`."""
        limit = _limit(req)
        if req.session.identity.is_admin:
            user, tenant = req.get_param("user"), req.get_param("tenant")
        else:
            user, tenant = require_user(req).identity.user_id, None
        found = await req.doors.identity.events.search(user=user, tenant=tenant, limit=limit)
        resp.data = msgspec.json.encode(found)


class TenantAudit(Resource):
    """`/api/auth/audit/tenant`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Events of the active organisation, newest first, for its owners and admins."""
        identity = req.session.identity
        if not identity.is_admin:
            identity = require_user(req).identity
        if identity.tenant_id is None:
            raise PylonError("NO_ACTIVE_TENANT", "Choose an organisation first")
        if not identity.is_admin and not any(map(manages, identity.roles)):
            raise PylonError("FORBIDDEN", "Only owners and admins of the organisation see what happened in it")
        found = await req.doors.identity.events.search(tenant=identity.tenant_id, limit=_limit(req))
        resp.data = msgspec.json.encode(found)


def _limit(req: Request) -> int:
    return min(whole_number(req.get_param("limit"), DEFAULT_LIMIT) or DEFAULT_LIMIT, MAX_EVENTS)


ROUTES: dict[str, object] = {"/api/auth/audit": AuthAudit(), "/api/auth/audit/tenant": TenantAudit()}
