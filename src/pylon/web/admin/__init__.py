"""What operators do over HTTP, one module for each area; every route asks for an admin."""

from __future__ import annotations

from pylon.web.admin import audit, flags, sessions, switches, tokens, usage
from pylon.web.admin import audit, flags, incidents, sessions, switches, tokens

ROUTES: dict[str, object] = {
    **switches.ROUTES,
    **flags.ROUTES,
    **audit.ROUTES,
    **incidents.ROUTES,
    **tokens.ROUTES,
    **sessions.ROUTES,
    **usage.ROUTES,
}
"""Every admin route by path."""
