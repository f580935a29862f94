"""What operators do over HTTP, one module for each area; every route asks for an admin."""

from __future__ import annotations

from pylon.web.admin import (
    audit,
    backups,
    checkpoint,
    credentials,
    flags,
    incidents,
    keys,
    logs,
    mail,
    operators,
    overview,
    policies,
    sessions,
    sockets,
    switches,
    tokens,
    usage,
    users,
)

ROUTES: dict[str, object] = {
    **audit.ROUTES,
    **backups.ROUTES,
    **checkpoint.ROUTES,
    **credentials.ROUTES,
    **flags.ROUTES,
    **incidents.ROUTES,
    **keys.ROUTES,
    **logs.ROUTES,
    **mail.ROUTES,
    **operators.ROUTES,
    **overview.ROUTES,
    **policies.ROUTES,
    **sessions.ROUTES,
    **sockets.ROUTES,
    **switches.ROUTES,
    **tokens.ROUTES,
    **usage.ROUTES,
    **users.ROUTES,
}
"""Every admin route by path."""
