"""What travels between the steps of a sign-in elsewhere."""

from __future__ import annotations

import msgspec


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody at a provider. `is_verified` says that the provider vouches for the address and may; an address that
    `is_made_up` reaches nobody, and then `spare_email` is one that nobody else can have. `is_strong` says that the
    provider asked for as much as this server wants, a second factor usually."""

    provider: str
    subject: str
    issuer: str = ""
    email: str | None = None
    spare_email: str = ""
    is_verified: bool = False
    is_made_up: bool = False
    is_strong: bool = False
    name: str | None = None
    picture: str | None = None


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider gave; `expires_in` in seconds, 0 where it doesn't say."""

    access_token: str
    refresh_token: str = ""
    id_token: str = ""
    expires_in: int = 0
    refresh_expires_in: int = 0
    scope: str = ""


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A sign-in that is under way, as its state holds it. `browser` is the keyed hash of the cookie it began with;
    `is_native` says that no browser began it. `session` is the guest's that came, or the user's who links; `link_user`
    whom the account is linked to."""

    provider: str
    callback: str
    error_callback: str
    verifier: str
    nonce: str
    browser: str
    is_native: bool = False
    session: str = ""
    link_user: str = ""
