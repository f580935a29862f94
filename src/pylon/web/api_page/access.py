"""Who may see how the API of an app looks: anybody in dev mode, else admins, unless PYLON_OPENAPI_PUBLIC opens it
(spec 01 §7)."""

from __future__ import annotations

from pylon.web.request import Request


def may_see(req: Request) -> bool:
    """Whether the caller may."""
    doors = req.doors
    return doors.dev or doors.settings.openapi_public or req.session.identity.is_admin
