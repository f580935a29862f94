"""PYLON_REQUIRE_EMAIL_VERIFICATION: who has not proved to own the address may do nothing but that (spec 03 §9.1).

What stays open is listed, everything else is closed: routes that are added later too, sockets and streams, and requests
with an API key or a token of another kind of somebody whose address is not proved any more.
"""

from __future__ import annotations

from pylon.auth.credentials import NOBODY, Session
from pylon.auth.sessions import Sessions
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
)


class VerifiedOnly:
    """The gate of one server."""

    def __init__(self, sessions: Sessions, *, is_on: bool) -> None:
        self._sessions = sessions
        self.is_on = is_on

    def check(self, path: str, session: Session) -> None:
        """Whether this request may go on. Raises EMAIL_NOT_VERIFIED."""
        if path.startswith("/api/") and self.holds(session) and not _is_open(path):
            raise _refused()

    def holds(self, session: Session) -> bool:
        """Whether somebody is held up at it."""
        identity = session.identity
        if not self.is_on or identity.user_id is None or identity.is_guest or identity.is_admin:
            return False
        return not self._sessions.profiles.of(identity.user_id, identity.tenant_id).is_verified

    def resolve(self, token: str | None) -> Session:
        """Whose token this is, for sockets and streams. Raises EMAIL_NOT_VERIFIED."""
        session = self._sessions.resolve(token)
        if self.holds(session):
            raise _refused()
        return session

    def current(self, key: bytes) -> Session:
        """Whom a session's key stands for now; nobody while its user is held up, so that its sockets end."""
        session = self._sessions.current(key)
        return NOBODY if self.holds(session) else session


def _is_open(path: str) -> bool:
    return path.rstrip("/") in _OPEN_PATHS or path.startswith(_OPEN_FOLDERS)


def _refused() -> PylonError:
    return PylonError(
        "EMAIL_NOT_VERIFIED",
        "Prove to own your address first",
        hint="POST /api/auth/email/send-verification -> POST /api/auth/email/verify",
    )
