"""What operators do over HTTP, one module for each area; every route asks for an admin."""

from __future__ import annotations

from pylon.web.admin import audit, flags, logs, sessions, switches, tokens

ROUTES: dict[str, object] = {
    **switches.ROUTES,
    **flags.ROUTES,
    **audit.ROUTES,
    **tokens.ROUTES,
    **sessions.ROUTES,
    **logs.ROUTES,
}
"""Every admin route by path."""
