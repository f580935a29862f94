"""What operators do over HTTP, one module for each area; every route asks for an admin."""

from __future__ import annotations

from pylon.web.admin import audit, checkpoint, flags, incidents, overview, sessions, sockets, switches, tokens, usage

ROUTES: dict[str, object] = {
    **switches.ROUTES,
    **flags.ROUTES,
    **audit.ROUTES,
    **incidents.ROUTES,
    **tokens.ROUTES,
    **sessions.ROUTES,
    **usage.ROUTES,
    **checkpoint.ROUTES,
    **overview.ROUTES,
    **sockets.ROUTES,
}
"""Every admin route by path."""
