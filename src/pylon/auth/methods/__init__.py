"""The ways of signing in, one module each; every module declares its METHOD, and this is the list of them.

To add one: a module here with a METHOD, a module in `web/auth` with its ROUTES, and a line in each list.
"""

from __future__ import annotations

from pylon.auth.methods import api_key, guest, jwt, oauth, orgs, session, totp
from pylon.auth.registry import Method

METHODS: tuple[Method, ...] = (
    oauth.METHOD,
    guest.METHOD,
    session.METHOD,
    totp.METHOD,
    orgs.METHOD,
    api_key.METHOD,
    jwt.METHOD,
)
"""In the order in which pages offer them."""
