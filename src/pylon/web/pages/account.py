"""One's account: who one is, where one is signed in, and everything that lets one in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import falcon.asgi
import msgspec

from pylon.model.errors import PylonError
from pylon.web.pages.api import ApiAnswer
from pylon.web.pages.entry import SET_UP_FACTOR, Page
from pylon.web.pages.forms import form, go, pass_cookies
from pylon.web.request import Request


class Action(msgspec.Struct, frozen=True):
    """What a form on the page does: the route that it goes to, and which of its fields are whose in the body. `{id}` in
    the path is the form's field of that name."""

    method: str
    path: str
    fields: Mapping[str, str] = {}


ACTIONS: dict[str, Action] = {
    "end-session": Action("DELETE", "/api/auth/sessions/{id}"),
    "sign-out-everywhere": Action("DELETE", "/api/auth/sessions"),
    "change-password": Action(
        "POST", "/api/auth/password/change", {"current_password": "currentPassword", "password": "newPassword"}
    ),
    "change-email": Action("POST", "/api/auth/email/change/request", {"email": "newEmail"}),
    "totp-enroll": Action("POST", "/api/auth/totp/enroll"),
    "totp-verify": Action("POST", "/api/auth/totp/verify", {"code": "code"}),
    "totp-disable": Action("POST", "/api/auth/totp/disable", {"code": "code"}),
    "totp-codes": Action("POST", "/api/auth/totp/backup-codes/regenerate", {"code": "code"}),
    "remove-passkey": Action("DELETE", "/api/auth/passkey/keys/{id}"),
    "create-key": Action("POST", "/api/auth/api-keys", {"name": "name"}),
    "remove-key": Action("DELETE", "/api/auth/api-keys/{id}"),
    "unlink": Action("DELETE", "/api/auth/link/{id}"),
    "delete-account": Action("DELETE", "/api/auth/account"),
}

_NAMELESS = {"displayName": None, "email": None}
"""A user of whom nothing is shown: apps need not declare these fields, nor let the user read the row."""

_SECTIONS = {
    "sessions": "/api/auth/sessions",
    "totp": "/api/auth/totp",
    "passkeys": "/api/auth/passkey/keys",
    "keys": "/api/auth/api-keys",
    "links": "/api/auth/link",
    "orgs": "/api/auth/orgs",
}


class Account(Page):
    """`/auth/account`."""

    async def on_get(self, req: Request, resp: falcon.asgi.Response) -> None:
        """Everything about the account that this server knows how to show."""
        if not req.session.is_user:
            go(resp, "/auth/sign-in", return_to="/auth/account")
            return
        if req.doors.identity.demanded_factor.holds(req.session):
            go(resp, SET_UP_FACTOR, return_to="/auth/account")
            return
        await self._show(req, resp)

    async def on_post(self, req: Request, resp: falcon.asgi.Response) -> None:
        """One change, by the name of its form."""
        if not req.session.is_user:
            go(resp, "/auth/sign-in", return_to="/auth/account")
            return
        if req.doors.identity.demanded_factor.holds(req.session):
            go(resp, SET_UP_FACTOR, return_to="/auth/account")
            return
        sent = await form(req)
        name = sent.get("action", "")
        action = ACTIONS.get(name)
        if action is None:
            raise PylonError("INVALID_DATA", "This form does nothing here")
        if name == "delete-account" and not await self._is_meant(req, sent.get("email", "")):
            await self._show(req, resp, error=self._renderer.words(req)("delete_account_mismatch"), status=400)
            return
        body = {there: sent[here] for here, there in action.fields.items() if sent.get(here)}
        path = action.path.replace("{id}", quote(sent.get("id", ""), safe=""))
        answer = await self._api.call(req, action.method, path, body)
        pass_cookies(resp, answer)
        if not answer.is_ok:
            error = self._renderer.words(req).error(answer.code, answer.message)
            await self._show(req, resp, error=error, status=answer.status)
        elif name in ("sign-out-everywhere", "delete-account"):
            go(resp, "/auth/sign-in")
        else:
            await self._after(req, resp, name, sent, answer)

    async def _after(
        self, req: Request, resp: falcon.asgi.Response, name: str, sent: dict[str, str], answer: ApiAnswer
    ) -> None:
        """What can be shown this once is shown; everything else leads back to the page."""
        told: dict[str, Any] = answer.json if isinstance(answer.json, dict) else {}
        words = self._renderer.words(req)
        if name == "totp-enroll":
            await self._show(req, resp, enrolling=told)
        elif codes := told.get("backup_codes") or told.get("codes"):
            await self._show(req, resp, codes=codes)
        elif name == "create-key":
            await self._show(req, resp, new_key=told.get("key") or told.get("token") or "")
        elif name == "change-email":
            await self._show(req, resp, done=words("change_email_sent", email=sent.get("email", "")))
        else:
            go(resp, "/auth/account", done=name)

    async def _is_meant(self, req: Request, email: str) -> bool:
        user = (await self._api.get(req, "/api/auth/session")).json.get("user") or {}
        known = str(user.get("email") or "")
        return not known or known.lower() == email.strip().lower()

    async def _show(
        self,
        req: Request,
        resp: falcon.asgi.Response,
        *,
        error: str = "",
        done: str = "",
        status: int = 200,
        enrolling: dict[str, Any] | None = None,
        codes: list[str] | None = None,
        new_key: str = "",
    ) -> None:
        held = (await self._api.get(req, "/api/auth/session")).json
        sections: dict[str, Any] = {}
        for name, path in _SECTIONS.items():
            answer = await self._api.get(req, path)
            sections[name] = answer.json if answer.is_ok else None
        if not done and req.get_param("done") in ACTIONS:
            done = self._renderer.words(req)("done")
        registry = req.doors.identity.registry
        self._renderer.show(
            req,
            resp,
            "account",
            status=status,
            error=error,
            done=done,
            user=_NAMELESS | (held.get("user") or {}),
            has_password=registry.is_on("password"),
            has_passkeys=registry.is_on("passkey"),
            enrolling=enrolling,
            codes=codes or [],
            new_key=new_key,
            when=_when,
            **sections,
        )


def _when(seconds: object) -> str:
    """A day and time that people read, in UTC."""
    if not isinstance(seconds, int | float) or not seconds:
        return "-"
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
