"""Organisations over HTTP (spec 03 §12): the caller's, their members and invitations, and the active one."""

from __future__ import annotations

from typing import Any, Literal

import falcon.asgi
import msgspec

from pylon.auth.arrival import Arrival
from pylon.auth.organisations.organisations import Organisations
from pylon.model.errors import PylonError
from pylon.web.auth.arriving import arrival, json_body, require_user
from pylon.web.auth.resource import MethodResource
from pylon.web.described import REVOKED, describes
from pylon.web.request import Request

METHOD = "orgs"
REFUSED = (
    "ORG_NOT_CONFIGURED",
    "METHOD_NOT_CONFIGURED",
    "ORG_CREATE_FAILED",
    "ORG_NOT_FOUND",
    "ORG_LIMIT_REACHED",
    "BAD_ROLE",
    "LAST_OWNER",
    "NOT_A_MEMBER",
    "ALREADY_MEMBER",
    "ALREADY_ACCEPTED",
    "INVITE_NOT_FOUND",
    "INVITE_EXPIRED",
    "NO_EMAIL",
    "WRONG_EMAIL",
    "READONLY_FIELD",
    "SECOND_FACTOR_MISSING",
    "FORBIDDEN",
    "NOT_FOUND",
    "RATE_LIMITED",
)


def _orgs(req: Request) -> Organisations:
    found: Organisations = req.doors.identity.registry.get(METHOD)
    return found


def _caller(req: Request) -> Arrival:
    require_user(req)
    return arrival(req)


def _answer(resp: falcon.asgi.Response, shown: Any) -> None:
    resp.data = msgspec.json.encode(shown)


class OrgList(MethodResource):
    """`/api/auth/orgs`."""

    method = METHOD

    @describes(dict[str, Any], body={"name": str}, who="user", errors=REFUSED)
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Make an organisation."""
        _answer(resp, await _orgs(req).create(_caller(req), (await json_body(req)).get("name")))

    @describes(list[dict[str, Any]], who="user", errors=REFUSED)
    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """The caller's organisations."""
        _answer(resp, await _orgs(req).of_user(_caller(req)))


class OneOrg(MethodResource):
    """`/api/auth/orgs/{org_id}`."""

    method = METHOD

    @describes(dict[str, Any], who="user", errors=REFUSED)
    async def on_get(self, req: Request, resp: falcon.asgi.Response, org_id: str) -> None:
        """One organisation, with the caller's role."""
        _answer(resp, await _orgs(req).get(_caller(req), org_id))

    @describes(
        {"id": str, "name?": str, "secondFactorRequired?": bool},
        body={"name?": str, "secondFactorRequired?": bool},
        who="user",
        errors=(*REFUSED, "INVALID_NAME", "INVALID_DATA"),
    )
    async def on_patch(self, req: Request, resp: falcon.asgi.Response, org_id: str) -> None:
        """Give it another name, or have it demand a second factor of every member, or no longer."""
        caller, body = _caller(req), await json_body(req)
        shown: dict[str, Any] = {"id": org_id}
        if "secondFactorRequired" in body:
            demanded = await _orgs(req).demand_factor(caller, org_id, body["secondFactorRequired"])
            shown["secondFactorRequired"] = demanded
        if "name" in body or "secondFactorRequired" not in body:
            shown["name"] = await _orgs(req).rename(caller, org_id, body.get("name"))
        _answer(resp, shown)

    @describes({"deleted": Literal[True]}, who="user", errors=REFUSED)
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, org_id: str) -> None:
        """Delete it."""
        await _orgs(req).delete(_caller(req), org_id)
        resp.data = b'{"deleted":true}'


class Transfer(MethodResource):
    """`/api/auth/orgs/{org_id}/transfer`."""

    method = METHOD

    @describes({"transferred": Literal[True]}, body={"user_id": str}, who="user", errors=(*REFUSED, "MISSING_USER_ID"))
    async def on_post(self, req: Request, resp: falcon.asgi.Response, org_id: str) -> None:
        """Make another member the owner in one's own place."""
        caller, user_id = _caller(req), (await json_body(req)).get("user_id")
        if not isinstance(user_id, str) or not user_id:
            raise PylonError("MISSING_USER_ID", "user_id is required")
        await _orgs(req).transfer(caller, org_id, user_id)
        resp.data = b'{"transferred":true}'


class Members(MethodResource):
    """`/api/auth/orgs/{org_id}/members`."""

    method = METHOD

    @describes(list[dict[str, Any]], who="user", errors=REFUSED)
    async def on_get(self, req: Request, resp: falcon.asgi.Response, org_id: str) -> None:
        """Everybody in it."""
        _answer(resp, await _orgs(req).members(_caller(req), org_id))


class OneMember(MethodResource):
    """`/api/auth/orgs/{org_id}/members/{user_id}`."""

    method = METHOD

    @describes({"role": str, "updated": Literal[True]}, body={"role": str}, who="user", errors=REFUSED)
    async def on_put(self, req: Request, resp: falcon.asgi.Response, org_id: str, user_id: str) -> None:
        """Give a member another role."""
        role = await _orgs(req).set_role(_caller(req), org_id, user_id, (await json_body(req)).get("role"))
        _answer(resp, {"role": role, "updated": True})

    @describes({"removed": Literal[True]}, who="user", errors=REFUSED)
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, org_id: str, user_id: str) -> None:
        """Remove a member, or leave."""
        await _orgs(req).remove(_caller(req), org_id, user_id)
        resp.data = b'{"removed":true}'


class InviteList(MethodResource):
    """`/api/auth/orgs/{org_id}/invites`."""

    method = METHOD

    @describes(
        dict[str, Any],
        body={"email": str, "role?": str},
        who="user",
        errors=(*REFUSED, "INVALID_EMAIL", "DISPOSABLE_EMAIL", "MAIL_NOT_CONFIGURED", "PUBLIC_URL_MISSING"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response, org_id: str) -> None:
        """Invite an address."""
        caller, body = _caller(req), await json_body(req)
        made = await _orgs(req).invites.send(caller, org_id, body.get("email"), body.get("role", "member"))
        _answer(resp, made)

    @describes(list[dict[str, Any]], who="user", errors=REFUSED)
    async def on_get(self, req: Request, resp: falcon.asgi.Response, org_id: str) -> None:
        """Open invitations."""
        _answer(resp, await _orgs(req).invites.open_ones(_caller(req), org_id))


class OneInvite(MethodResource):
    """`/api/auth/orgs/{org_id}/invites/{invite_id}`."""

    method = METHOD

    @describes(REVOKED, who="user", errors=REFUSED)
    async def on_delete(self, req: Request, resp: falcon.asgi.Response, org_id: str, invite_id: str) -> None:
        """Take an invitation back."""
        await _orgs(req).invites.revoke(_caller(req), org_id, invite_id)
        resp.data = b'{"revoked":true}'


class Offer(MethodResource):
    """`/api/auth/invites/{token}`."""

    method = METHOD

    @describes(dict[str, Any], errors=REFUSED)
    async def on_get(self, req: Request, resp: falcon.asgi.Response, token: str) -> None:
        """What a link offers, to whoever holds it. Nothing is accepted by looking."""
        resp.set_header("Referrer-Policy", "no-referrer")
        _answer(resp, await _orgs(req).invites.offer(arrival(req), token))


class Accept(MethodResource):
    """`/api/auth/invites/{token}/accept`."""

    method = METHOD

    @describes({"org_id": str, "role": str}, who="user", errors=REFUSED)
    async def on_post(self, req: Request, resp: falcon.asgi.Response, token: str) -> None:
        """Join."""
        org_id, role = await _orgs(req).invites.accept(_caller(req), token)
        _answer(resp, {"org_id": org_id, "role": role})


class SelectOrg(MethodResource):
    """`/api/auth/select-org`."""

    method = METHOD

    @describes(
        {"tenantId": str | None},
        body={"orgId": str | None},
        who="user",
        errors=(*REFUSED, "UNAUTHENTICATED", "MISSING_ORG_ID"),
    )
    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Choose the active organisation; null for none."""
        if req.session.api_key_id is None and not req.session.is_user:
            why = "missing bearer token" if req.token is None else "anonymous session"
            raise PylonError("UNAUTHENTICATED", why)
        caller, body = _caller(req), await json_body(req)
        if "orgId" not in body or not isinstance(body["orgId"], str | None):
            raise PylonError("MISSING_ORG_ID", "orgId is required: an organisation's id, or null")
        org_id = body["orgId"] or None
        await _orgs(req).select(caller, org_id)
        _answer(resp, {"tenantId": org_id})


ROUTES: dict[str, object] = {
    "/api/auth/orgs": OrgList(),
    "/api/auth/orgs/{org_id}": OneOrg(),
    "/api/auth/orgs/{org_id}/transfer": Transfer(),
    "/api/auth/orgs/{org_id}/members": Members(),
    "/api/auth/orgs/{org_id}/members/{user_id}": OneMember(),
    "/api/auth/orgs/{org_id}/invites": InviteList(),
    "/api/auth/orgs/{org_id}/invites/{invite_id}": OneInvite(),
    "/api/auth/invites/{token}": Offer(),
    "/api/auth/invites/{token}/accept": Accept(),
    "/api/auth/select-org": SelectOrg(),
}
