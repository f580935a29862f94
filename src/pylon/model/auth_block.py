"""The `auth` block of a manifest and its defaults (spec 05 §1.7)."""

from __future__ import annotations

import copy
from typing import Any

_SESSION: dict[str, Any] = {
    "expires_in": 2592000,
    "cookie_cache": {"enabled": False, "max_age": 300, "claims": ["is_admin", "tenant_id"]},
}
_ORGANISATION = {"entity": "Org", "member_entity": "OrgMember", "invite_entity": "OrgInvite", "disabled": False}


def default_auth() -> dict[str, Any]:
    """The `auth` block of an app that says nothing about it, as the SDK writes it."""
    return {
        "user": {"entity": "User", "expose": [], "hide": []},
        "session": copy.deepcopy(_SESSION),
        "trusted_origins": [],
    }


def filled_auth(auth: dict[str, Any]) -> dict[str, Any]:
    """The block with its defaults, and without empty lists."""
    session = auth.get("session") or {}
    filled: dict[str, Any] = auth | {
        "user": {"entity": "User"} | _without_empty(auth.get("user") or {}),
        "session": copy.deepcopy(_SESSION) | session,
        "org": _ORGANISATION | (auth.get("org") or {}),
    }
    filled["session"]["cookie_cache"] = _SESSION["cookie_cache"] | (session.get("cookie_cache") or {})
    return _without_empty(filled)


def _without_empty(block: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if value != []}
