"""What a request comes with: a session, an admin token, or another kind of bearer token, resolved to who it stands for
(spec 03 §1.4)."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from pylon.model.identity import ANONYMOUS, Identity
from pylon.store.identity import SessionRecord

RECENT_SECONDS = 900
"""How long ago somebody may have signed in to change what lets him in, or to do what can't be undone."""


OPERATOR = "operator"
"""The method of a session at Studio."""


class Session(msgspec.Struct, frozen=True):
    """A resolved credential. `key` is the session's id, or the hash of an admin token (None for nobody); it stays when
    the token changes. Times are Unix seconds, 0 for never. `factors` are what the user proved; `touch_at` is when the
    next use is noted, None where none is. One that `lacks_factor` is held until it shows a second factor."""

    identity: Identity = ANONYMOUS
    key: bytes | None = None
    expires_at: int = 0
    id: str = ""
    method: str = ""
    factors: tuple[str, ...] = ()
    authenticated_at: int = 0
    api_key_id: str | None = None
    api_key_scopes: str | None = None
    is_trusted_device: bool = False
    lacks_factor: bool = False
    is_confirmed: bool = True
    touch_at: float | None = None

    @property
    def is_user(self) -> bool:
        """Whether a signed-in user holds it: no guest, no admin token, no API key."""
        identity = self.identity
        return bool(self.id) and not identity.is_guest and self.api_key_id is None

    def is_recent(self, now: float) -> bool:
        """Whether who holds it signed in a moment ago, by the Unix time `now`."""
        return now - self.authenticated_at <= RECENT_SECONDS


NOBODY = Session()


class Grant(msgspec.Struct, frozen=True):
    """A token, shown this once, and the session that it opens."""

    token: str
    record: SessionRecord


class TokenKind(msgspec.Struct, frozen=True):
    """Another kind of bearer token than a session's. `resolve` raises what its holder is told when it is no good;
    `current` is what a key of its Sessions stands for now, None for a key of another kind."""

    name: str
    matches: Callable[[str], bool]
    resolve: Callable[[str], Session]
    current: Callable[[bytes], Session | None]
