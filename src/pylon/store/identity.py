"""What is stored of identities: one Struct per table, whose fields are its columns, and the seam that a store
implements.

Times are Unix seconds, 0 for never. Nothing here is a usable secret: tokens and keys are hashes of 256-bit secrets,
codes are keyed hashes, and what must be read back (`bytes` that a comment calls sealed) is encrypted under the key
ring.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from pylon.store.mail import MailRows


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A session. `key` is the SHA-256 of its current token, `id` its public name, which stays when the token changes.

    `rotated_at` is when the current token took over and `confirmed_at` when it was first used: until then, and for a
    moment after, the token before is good as well. `method` is the way of signing in; `factors` what was proven, by
    commas; `authenticated_at` when.
    """

    key: bytes
    id: str
    user_id: str
    is_guest: bool
    tenant_id: str | None
    device: str | None
    created_at: int
    expires_at: int
    method: str = ""
    ip: str = ""
    factors: str = ""
    authenticated_at: int = 0
    last_used_at: int = 0
    rotated_at: int = 0
    confirmed_at: int = 0


class SpentToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token that a refresh replaced. `salt` with the token and the server's key makes its successor again, for whose
    answer was lost; `generation` counts from 1. `closed_at` is when that successor was first used: from a moment after
    it on, whoever presents this token stole it."""

    key: bytes
    session_id: str
    generation: int
    salt: bytes
    spent_at: int
    closed_at: int = 0


class AccountRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A user's account with a provider: (provider, subject) belongs to one user. The tokens are sealed."""

    id: str
    user_id: str
    provider: str
    subject: str
    email: str | None = None
    access_token: bytes | None = None
    refresh_token: bytes | None = None
    id_token: bytes | None = None
    access_expires_at: int = 0
    refresh_expires_at: int = 0
    scope: str | None = None
    avatar_url: str | None = None
    data: str = "{}"
    created_at: int = 0
    updated_at: int = 0


class OneTimeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Something that proves something once: a code, a link's token, the state of a sign-in elsewhere, a challenge.

    `kind` names the flow; `subject` whom it is for (an e-mail address, a user id); `hash` is keyed. `attempts` counts
    wrong tries. `payload` is JSON; what is secret in it is sealed by its method.
    """

    id: str
    kind: str
    subject: str
    hash: bytes
    user_id: str | None = None
    payload: str = "{}"
    attempts: int = 0
    created_at: int
    expires_at: int
    consumed_at: int = 0


class ApiKeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An API key. `prefix` is its beginning, which people tell keys apart by; `scopes` are by commas."""

    id: str
    user_id: str
    hash: bytes
    prefix: str
    name: str
    tenant_id: str | None = None
    scopes: str | None = None
    created_at: int
    expires_at: int = 0
    last_used_at: int = 0


class PasskeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A WebAuthn credential. `transports` is a JSON array."""

    id: str
    user_id: str
    credential_id: bytes
    public_key: bytes
    sign_count: int
    name: str
    transports: str = "[]"
    aaguid: str = ""
    backed_up: bool = False
    created_at: int
    last_used_at: int = 0


class TotpRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A user's authenticator app. `secret` is sealed; `last_step` is the newest step whose code was used."""

    user_id: str
    secret: bytes
    verified_at: int = 0
    last_step: int = 0
    created_at: int


class BackupCodeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One backup code, as a keyed hash; gone when it is used."""

    user_id: str
    hash: bytes
    created_at: int


class TrustedDeviceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A browser that may leave the second factor out. `key` is the SHA-256 of its cookie's token."""

    key: bytes
    id: str
    user_id: str
    label: str | None
    created_at: int
    expires_at: int
    last_used_at: int = 0


class SigningKeyRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A key that tokens are signed with. `private` is sealed; `public` is a JWK. It signs from `active_at` on until the
    next one does, and verifies until `retired_at`."""

    kid: str
    use: str
    algorithm: str
    public: str
    private: bytes
    created_at: int
    active_at: int
    retired_at: int = 0


class KnownPlaceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A network that somebody signed in to an account from, both as keyed hashes."""

    account: bytes
    network: bytes
    at: int


class RateRecord(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a limit is used: `until` is when it is free again, in Unix seconds with fractions; `failures` in a
    row. `key` is a keyed hash of whom or what it limits."""

    bucket: str
    key: bytes
    until: float
    failures: int = 0
    at: int = 0


class SessionEnd(msgspec.Struct, frozen=True, kw_only=True):
    """That what was remembered of a session is out of date; `is_end` when the session is over."""

    serial: int
    session_id: str
    is_end: bool
    at: int


class SessionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which sessions: all that match everything given."""

    user_id: str | None = None
    created_before: int | None = None
    created_after: int | None = None
    is_guest: bool | None = None
    method: str | None = None


IdentityRecord = (
    SessionRecord
    | SpentToken
    | AccountRecord
    | OneTimeRecord
    | ApiKeyRecord
    | PasskeyRecord
    | TotpRecord
    | BackupCodeRecord
    | TrustedDeviceRecord
    | SigningKeyRecord
    | KnownPlaceRecord
    | RateRecord
)
"""Whatever has a table here."""

R = TypeVar("R", bound=msgspec.Struct)


class IdentityRows(MailRows, Protocol):
    """Reading the tables. Conditions are equalities on columns; each table has an index on those it is asked by."""

    def find(self, kind: type[R], /, **where: Any) -> list[R]:
        """The records of a table that match, newest first where they have a `created_at`."""

    def one(self, kind: type[R], /, **where: Any) -> R | None:
        """The first of them, or None."""

    def last_end(self) -> int:
        """The serial of the newest SessionEnd, 0 for none. Cheap: it is asked on every request."""

    def ends_after(self, serial: int, limit: int) -> list[SessionEnd]:
        """The ones after a serial, in order."""


class IdentityTables(IdentityRows, Protocol):
    """Changing the tables, in the open transaction."""

    def put(self, record: msgspec.Struct) -> None:
        """Store a record, in place of the one with its primary key."""

    def add(self, record: msgspec.Struct) -> bool:
        """Store a record unless one of its unique columns is taken; whether it was stored."""

    def change(self, kind: type[R], values: dict[str, Any], /, **where: Any) -> int:
        """Set columns of the records that match; how many there were. Atomic: a condition on the old value makes it a
        compare-and-set."""

    def remove(self, kind: type[R], /, **where: Any) -> list[R]:
        """Remove the records that match, and return them."""

    def end_sessions(self, ids: Sequence[str], at: int) -> None:
        """Tell every process that these sessions are over."""

    def renew_sessions(self, ids: Sequence[str], at: int) -> None:
        """Tell every process to look these sessions up again."""

    def remove_sessions(self, wanted: SessionFilter) -> list[SessionRecord]:
        """Remove the sessions that match."""

    def drop_spent(self, session_id: str, below: int) -> None:
        """Forget spent tokens of a session below a generation."""

    def prune(self, now: int, limit: int) -> int:
        """Drop at most `limit` of each kind of record that is past its time; how many went."""
