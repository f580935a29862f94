"""PYLON_REQUIRE_EMAIL_VERIFICATION: who has not proved to own the address may do nothing but that (spec 03 §9.1)."""

from __future__ import annotations

from pylon.auth.credentials import Session
from pylon.auth.profiles import Profiles
from pylon.model.errors import PylonError

_OPEN_PATHS = frozenset(
    {
        "/api/auth/me",
        "/api/auth/session",
        "/api/auth/sessions",
        "/api/auth/refresh",
        "/api/auth/audit",
        "/api/auth/account",
        "/api/auth/providers",
        "/api/auth/totp/login",
    }
)
_OPEN_FOLDERS = (
    "/api/auth/email/",
    "/api/auth/password/",
    "/api/auth/magic/",
    "/api/auth/magic-link/",
    "/api/auth/sessions/",
    "/api/auth/login/",
    "/api/auth/callback/",
    "/api/auth/native/",
    "/api/auth/passkey/login/",
)


class VerifiedOnly:
    """The gate of one server."""

    def __init__(self, profiles: Profiles, *, is_on: bool) -> None:
        self._profiles = profiles
        self.is_on = is_on

    def enter(self, path: str, session: Session) -> Session:
        """The same session. Raises EMAIL_NOT_VERIFIED."""
        if self._holds(session) and path.rstrip("/") not in _OPEN_PATHS and not path.startswith(_OPEN_FOLDERS):
            raise PylonError(
                "EMAIL_NOT_VERIFIED",
                "Prove to own your address first",
                hint="POST /api/auth/email/send-verification -> POST /api/auth/email/verify",
            )
        return session

    def _holds(self, session: Session) -> bool:
        identity = session.identity
        if not self.is_on or identity.user_id is None or identity.is_guest or identity.is_admin:
            return False
        return not self._profiles.of(identity.user_id, identity.tenant_id).is_verified
