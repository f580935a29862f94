"""The ways of signing in, one module each; every module declares its METHOD, and this is the list of them.

To add one: a module here with a METHOD, a module in `web/auth` with its ROUTES, and a line in each list.
"""

from __future__ import annotations

from pylon.auth.methods import (
    account,
    api_key,
    email,
    guest,
    jwt,
    magic_code,
    magic_link,
    oauth,
    orgs,
    passkey,
    password,
    password_reset,
    session,
    totp,
)
from pylon.auth.registry import Method

METHODS: tuple[Method, ...] = (
    password.METHOD,
    password_reset.METHOD,
    magic_code.METHOD,
    magic_link.METHOD,
    email.METHOD,
    oauth.METHOD,
    passkey.METHOD,
    guest.METHOD,
    session.METHOD,
    totp.METHOD,
    orgs.METHOD,
    account.METHOD,
    api_key.METHOD,
    jwt.METHOD,
)
"""In the order in which pages offer them."""
