"""One request's origin, as the write and read paths see it: who, from where, through which door."""

from __future__ import annotations

import msgspec

from pylon.model.identity import ADMIN, ANONYMOUS, Identity


class Caller(msgspec.Struct, frozen=True):
    """`session` is the hash of the session token, None without one; `door` names the way in (`http`, `sync`, `fn`)."""

    identity: Identity = ANONYMOUS
    request_id: str = ""
    ip: str = ""
    door: str = ""
    session: bytes | None = None

    @property
    def principal(self) -> str:
        """Whose op-ids and budgets these are: the user, else the address."""
        return self.identity.user_id or f"ip:{self.ip}"


SYSTEM = Caller(identity=ADMIN, door="system")
"""Pylon itself: migrations, seeds, maintenance."""
