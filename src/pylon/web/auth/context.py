"""The auth context as clients see it (spec 03 §1.3), and the user's own row without what stays on the server."""

from __future__ import annotations

from typing import Any

import msgspec

from pylon.auth.sessions import Session
from pylon.model.errors import PylonError
from pylon.store.identity import AccountRecord
from pylon.web.auth.arriving import arrival
from pylon.web.request import Request


def context(session: Session) -> dict[str, Any]:
    """The context, keys in alphabetical order."""
    identity = session.identity
    shown: dict[str, Any] = {}
    if session.api_key_id is not None:
        shown["api_key_id"] = session.api_key_id
        if session.api_key_scopes is not None:
            shown["api_key_scopes"] = session.api_key_scopes
    shown["is_admin"] = identity.is_admin
    if identity.is_guest:
        shown["is_guest"] = True
    if session.is_trusted_device:
        shown["is_trusted_device"] = True
    shown["roles"] = list(identity.roles)
    if session.lacks_factor:
        shown["second_factor_missing"] = True
    if identity.tenant_id is not None:
        shown["tenant_id"] = identity.tenant_id
    shown["user_id"] = identity.user_id
    return shown


def session_shown(req: Request) -> Session:
    """The caller's session, with whether its browser is a trusted device of its user."""
    session = req.session
    devices = req.doors.identity.registry.get("totp").devices
    if session.is_user and devices.find(arrival(req).trusted_device, session.identity.user_id) is not None:
        return msgspec.structs.replace(session, is_trusted_device=True)
    return session


def avatar_url(req: Request) -> str | None:
    """The picture of one of the user's accounts elsewhere; https only."""
    identity = req.session.identity
    if identity.user_id is None or identity.is_guest:
        return None
    for account in req.doors.engine.reads.identity.find(AccountRecord, user_id=identity.user_id):
        if account.avatar_url is not None and account.avatar_url.startswith("https://"):
            return account.avatar_url
    return None


async def user_row(req: Request) -> Any:
    """The caller's row as the auth block shows it; None for guests, admin tokens, who has none, and who is held for the
    lack of a second factor."""
    session, block = req.session, req.doors.engine.plans.auth
    entity = block.user.entity
    if (
        session.identity.user_id is None
        or session.identity.is_guest
        or session.lacks_factor
        or entity not in req.doors.engine.plans
    ):
        return None
    if not session.id and session.api_key_id is None:
        return None
    try:
        row = msgspec.json.decode(await req.doors.engine.reads.get(req.caller, entity, session.identity.user_id))
    except PylonError:
        return None
    shown = {
        name: value
        for name, value in row.items()
        if name != "passwordHash" and not name.startswith("_") and name not in block.user.hide
    }
    if block.user.expose:
        shown = {name: value for name, value in shown.items() if name == "id" or name in block.user.expose}
    return shown
