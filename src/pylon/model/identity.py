"""Who is asking. Pure values; how they are proven is the business of `auth/`."""

from __future__ import annotations

import msgspec


class Identity(msgspec.Struct, frozen=True):
    """What policies can see of a caller (spec 03 §1.3). Equal identities form one *identity class* in fan-out."""

    user_id: str | None = None
    is_admin: bool = False
    is_guest: bool = False
    tenant_id: str | None = None
    roles: tuple[str, ...] = ()
    email: str | None = None


ANONYMOUS = Identity()
ADMIN = Identity(user_id="__admin__", is_admin=True, roles=("admin",))
