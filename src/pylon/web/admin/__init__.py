"""What operators do over HTTP, one module for each area; every route asks for an admin."""

from __future__ import annotations

from pylon.web.admin import audit, flags, overview, sessions, switches, tokens

ROUTES: dict[str, object] = {
    **switches.ROUTES,
    **flags.ROUTES,
    **audit.ROUTES,
    **tokens.ROUTES,
    **sessions.ROUTES,
    **overview.ROUTES,
}
"""Every admin route by path."""
